// SPDX-License-Identifier: Apache-2.0
//
// Contents as files of a filesystem, where QEMU's tools make and judge them.
//
// Thread rule: one thread.

#pragma once

#include <string>

#include "faults/content.h"

namespace blockpull::faults {

/// Writes a new file; pages without data become holes.
void store(const Content& content, const std::string& path);

[[nodiscard]] Content load(const std::string& path);

/// The exit code of a shell command, whose output is dropped; -1 if it was killed.
[[nodiscard]] int exit_code(const std::string& command);

}  // namespace blockpull::faults
