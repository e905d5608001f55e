// SPDX-License-Identifier: Apache-2.0
//
// Whether the layers below the active image are still the files that were opened. Locks keep QEMU
// away, but not `cp`, `truncate` or `mv`. Bytes that such a program has written are not what the
// guest read when the pull began. A pull that copied them must not be reported as completed.
//
//     before each commit      content: length and time of the last write
//     before the header       content, name, and time of the last change of anything
//
// Every linked copy was therefore read while its file was as at the beginning. A job that ends here
// leaves a disk that reads as if there had been no pull. If only the last of these times has
// changed (owner, mode, label, number of links), no copies are lost: the next pull checks again and
// completes.
//
// A layer that drops out may have lost its name, if its content is the same: this pull is the last
// chance for its bytes. Reads past an end that the file did not have before fail by themselves
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

  /// Watches a chain that outlives this; layers from `base` on stay. The working directory must
  /// still be the one in which the chain was opened.
  LayerWatch(const image::Chain& chain, std::size_t base);

  /// kLocked: bytes that were read since may come from changed content.
  [[nodiscard]] Result<void> check_content() const;

  /// kLocked also if only the name leads elsewhere, or anything else was changed.
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

/// `path` as an absolute name, if that leads to a file; otherwise `path` itself.
[[nodiscard]] std::string absolute_name(const std::string& path);

}  // namespace blockpull::driver
