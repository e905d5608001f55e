// SPDX-License-Identifier: Apache-2.0
//
// The format of a layer whose overlay states none: who else may say it, and how far he is believed.
//
//     the caller, for that file      obeyed
//     the domain's XML               for the file that its <source> leads to, by device and inode
//     the caller, naming no file     for the one layer of the chain that nobody else speaks of
//
// A place in the XML says nothing: it is not brought in step by everybody who changes a chain. A
// file that begins as an image of another format is taken for raw only where the caller says so of
// that file, since its tables would become the guest's bytes. What a header states is not asked
// about here; it is obeyed.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/image/image.h"
#include "core/io/posix_file.h"

namespace blockpull::image {

/// A format that somebody states for the file that a name leads to.
struct FileFormat {
  std::string path;
  /// "qcow2"; looked up when it is needed.
  std::string format;
};

struct StatedFormats {
  std::vector<FileFormat> by_caller;
  std::vector<FileFormat> by_domain;
  /// The caller's word for one layer.
  std::optional<Format> for_one_layer;
};

/// Thread rule: one thread at a time; one object for each chain.
class LayerFormats {
 public:
  explicit LayerFormats(StatedFormats stated) : stated_(std::move(stated)) {}

  /// kFormatUnknown where nobody states one, or not well enough; kInvalidArgument where two who
  /// speak of the file disagree.
  [[nodiscard]] Result<Format> format_of(io::PosixFile& file);

 private:
  [[nodiscard]] Result<Format> for_one_layer(io::PosixFile& file);

  const StatedFormats stated_;
  /// The layer that `for_one_layer` was taken for; empty: none yet.
  std::string one_layer_;
};

}  // namespace blockpull::image
