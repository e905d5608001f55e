// SPDX-License-Identifier: Apache-2.0
//
// Whether the layers below the active image are still the files that were opened. Locks keep QEMU
// off them, not `cp`, `truncate` or `mv`; what such a program has written is not what the guest
// read when the pull began, and must not be called a completed pull.
//
//     before each commit      content: length and time of the last write
//     before the header       that, the name, and the time of the last change of anything
//
// So every copy that is linked was read while its file was as at the beginning, and a job that ends
// here leaves a disk that reads as if there had been no pull. What changed nothing but the last of
// these times (owner, mode, label, number of links) loses no copies: the next pull looks again and
// is done.
//
// A layer that drops out and has no name any more, but its content, is let go: the pull is the last
// chance for its bytes. Reads behind an end that was not there before fail by themselves
// (`core/io/posix_file.h`).
//
// Thread rule: any thread; blocks for a stat or two a layer.

#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/image/chain.h"

namespace blockpull::driver {

class LayerWatch {
 public:
  /// Watches nothing.
  LayerWatch() = default;

  /// Of a chain that outlives this; layers from `base` on stay. The working directory must still be
  /// the one in which the chain was opened.
  LayerWatch(const image::Chain& chain, std::size_t base);

  /// kLocked: what was read since may be of another content.
  [[nodiscard]] Result<void> check_content() const;

  /// kLocked also where only the name leads elsewhere, or anything else was changed.
  [[nodiscard]] Result<void> check() const;

 private:
  struct Watched {
    const io::PosixFile* file = nullptr;
    std::string absolute_path;
    bool stays = false;
  };

  [[nodiscard]] static Result<void> check_layer(const Watched& layer);

  std::vector<Watched> layers_;
};

/// `path` from the root, where that leads to a file.
[[nodiscard]] std::string absolute_name(const std::string& path);

}  // namespace blockpull::driver
