// SPDX-License-Identifier: Apache-2.0
//
// The format of a layer whose overlay states none: who else may state it, and for which file.
//
//     the caller, for that file      always used
//     the domain's XML               for the file that its <source> leads to, by device and inode
//     the caller, naming no file     for the one layer of the chain that nothing else states
//
// The position in the XML proves nothing, since not everybody who changes a chain updates the XML.
// A file that begins like an image of another format is taken for raw only if the caller states
// that for this file; otherwise its tables would become the guest's bytes. A format that a header
// states is used without asking here.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/image/image.h"
#include "core/io/posix_file.h"

namespace blockpull::image {

/// A format that is stated for the file that a name leads to.
struct FileFormat {
  std::string path;
  /// "qcow2"; looked up when it is needed.
  std::string format;
};

struct StatedFormats {
  std::vector<FileFormat> by_caller;
  std::vector<FileFormat> by_domain;
  /// The format that the caller states for one layer without naming it.
  std::optional<Format> for_one_layer;
};

/// Thread rule: one thread at a time; one object for each chain.
class LayerFormats {
 public:
  explicit LayerFormats(StatedFormats stated) : stated_(std::move(stated)) {}

  /// kFormatUnknown if none is stated, or not clearly enough. kInvalidArgument if two statements
  /// about the file disagree.
  [[nodiscard]] Result<Format> format_of(io::PosixFile& file);

 private:
  [[nodiscard]] Result<Format> for_one_layer(io::PosixFile& file);

  const StatedFormats stated_;
  /// The layer for which `for_one_layer` was used; empty: none yet.
  std::string one_layer_;
};

}  // namespace blockpull::image
