// SPDX-License-Identifier: Apache-2.0
//
// Settings of random tests: a seed that can be repeated, and the effort.

#pragma once

#include <cstdint>

namespace blockpull {

/// Whether to try everything (BLOCKPULL_SOAK=1) or a sample.
[[nodiscard]] bool is_soak();

/// BLOCKPULL_SEED, or one from the time; printed with each test that uses it.
[[nodiscard]] std::uint64_t test_seed();

}  // namespace blockpull
