// SPDX-License-Identifier: Apache-2.0
//
// A backing chain, the active image first; `open_chain` is the only way to an Image.
//
//     overlay.qcow2 ──backing──> middle.qcow2 ──backing──> base.raw
//     layers[0]                  layers[1]                 layers[2]
//
// Formats are never probed below the top: the overlay's header names its backing format, and where
// it does not, `layer_formats.h` has who else may. The top is told by its magic when nobody names
// its format, and is raw only when somebody says so. Every layer is a regular file, locked (if
// asked) before its header is read; backing files are opened read-only, always. A loop is found by
// device and inode, a chain that is too long by `limits::kChainDepth`.
//
// Names: an absolute one as is; a relative one against the folder part of the overlay's path as
// opened (symbolic links are not resolved first, as in QEMU); "json:…", "nbd:…" and every other
// "proto:" is refused.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/image/backing_name.h"
#include "core/image/image.h"
#include "core/image/layer_formats.h"
#include "core/io/lock.h"
#include "core/io/posix_file.h"

namespace blockpull::image {

class Qcow2Image;

struct ChainOptions {
  /// Format of the image named; absent: told by its magic, never raw.
  std::optional<Format> format;
  /// Formats of layers whose overlay states none; a layer that nobody speaks of is refused.
  StatedFormats formats;
  /// Folders that backing files must lie in, symbolic links resolved; absent: any local file.
  std::optional<std::vector<std::string>> backing_paths;
  /// Takes the locks of a pull: the top as writer, everything below as reader. Without it nothing
  /// is locked.
  bool lock_for_pull = false;
  /// Where nothing is locked: takes what opening for a pull would be refused with, in the order in
  /// which it would be, and the chain is opened all the same. nullptr: nobody asks.
  std::vector<Error>* pull_refusals = nullptr;
};

struct Layer {
  /// As opened: the name given, or the one that follows from the overlay's header.
  std::string path;
  io::PosixFile* file = nullptr;
  std::unique_ptr<Image> image;
};

struct Chain {
  /// Never empty.
  std::vector<Layer> layers;

  [[nodiscard]] Image& active() const { return *layers.front().image; }

  /// The active layer as qcow2, or nullptr when it is raw.
  [[nodiscard]] Qcow2Image* active_qcow2() const;

  /// Image::check_walk() of every layer.
  [[nodiscard]] Result<void> check_walk() const;
};

/// A layer as another program has it open.
struct ListedLayer {
  std::string path;
  Format format = Format::kRaw;
};

/// Opens exactly these, top first, whatever their headers state: read-only and without locks.
[[nodiscard]] Result<Chain> open_listed(const std::vector<ListedLayer>& layers);

/// Opens the whole chain. With `lock_for_pull` the active image is opened for writing.
[[nodiscard]] Result<Chain> open_chain(const std::string& path, const ChainOptions& options);

}  // namespace blockpull::image
