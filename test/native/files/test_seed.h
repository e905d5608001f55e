// SPDX-License-Identifier: Apache-2.0
//
// What random tests are run with: a seed that can be given again, and how much they try.

#pragma once

#include <cstdint>

namespace blockpull {

/// Whether to look at everything (BLOCKPULL_SOAK=1) or at a sample.
[[nodiscard]] bool is_soak();

/// BLOCKPULL_SEED, or one from the time; printed with each test that uses it.
[[nodiscard]] std::uint64_t test_seed();

}  // namespace blockpull
