// SPDX-License-Identifier: Apache-2.0
//
// Which features of a sound header this library supports, for reading and for writing. Nothing is
// guessed: a feature that is not on the list is refused by its name, before anything is written.

#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/image/qcow2/header.h"

namespace blockpull::image::qcow2 {

/// What to do about damage.
inline constexpr std::string_view kRepairAdvice = "run 'blockpull check --repair all' on it";

/// Whether every extension and autoclear bit is known. If not, something unknown may own space that
/// nothing known refers to.
[[nodiscard]] bool owns_all_space(const Header& header);

/// Refuses what this library cannot read correctly: encryption and external data files.
[[nodiscard]] Result<void> check_readable(const Header& header, const std::string& path);

/// Refuses, by the name of the feature, what a pull must not write to: an external data file,
/// encryption, the dirty and the corrupt bit. disk_states.h refuses some snapshots.
[[nodiscard]] Result<void> check_writable(const Header& header, const std::string& path);

}  // namespace blockpull::image::qcow2
