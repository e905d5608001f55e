// SPDX-License-Identifier: Apache-2.0
//
// A backing chain, the active image first; `open_chain` is the only way to an
// Image whose data is read.
//
//     overlay.qcow2 ──backing──> middle.qcow2 ──backing──> base.raw
//     layers[0]                  layers[1]                 layers[2]
//
// Formats are never probed below the top. The overlay's header states its backing format; if it
// does not, `layer_formats.h` says who else may. The top is recognized by its magic if nobody
// states its format, and is raw only if somebody says so. Every layer is a regular file, locked (if
// requested) before its header is read. Backing files are opened read-only, always. A loop is
// detected by device and inode, a chain that is too long by `limits::kChainDepth`.
//
// An absolute name is used as it is. A relative name starts at the folder part of the overlay's
// path as opened; as in QEMU, symbolic links are not resolved first. "json:…", "nbd:…" and every
// other "proto:" are refused.

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
  /// Format of the named image; absent: recognized by its magic, never raw.
  std::optional<Format> format;
  /// Formats of layers whose overlay states none. A layer without any stated format is refused.
  StatedFormats formats;
  /// Folders that backing files must be in, with symbolic links resolved; absent: any local file.
  std::optional<std::vector<std::string>> backing_paths;
  /// Takes the locks of a pull: the top as writer, everything below as reader. Otherwise nothing is
  /// locked.
  bool lock_for_pull = false;
  /// If nothing is locked: collects the refusals of an open for a pull, in their order. The chain
  /// is still opened. nullptr: not wanted.
  std::vector<Error>* pull_refusals = nullptr;
};

struct Layer {
  /// As opened: the given name, or the name that follows from the overlay's header.
  std::string path;
  io::PosixFile* file = nullptr;
  std::unique_ptr<Image> image;
};

struct Chain {
  /// Never empty.
  std::vector<Layer> layers;

  [[nodiscard]] Image& active() const { return *layers.front().image; }

  /// The active layer as qcow2, or nullptr if it is raw.
  [[nodiscard]] Qcow2Image* active_qcow2() const;

  /// Image::check_walk() of every layer.
  [[nodiscard]] Result<void> check_walk() const;
};

/// A layer as another program has it open.
struct ListedLayer {
  std::string path;
  Format format = Format::kRaw;
};

/// Opens exactly these layers, top first, whatever their headers state: read-only and without
/// locks.
[[nodiscard]] Result<Chain> open_listed(const std::vector<ListedLayer>& layers);

/// Opens the whole chain. With `lock_for_pull` the active image is opened for writing.
[[nodiscard]] Result<Chain> open_chain(const std::string& path, const ChainOptions& options);

}  // namespace blockpull::image
