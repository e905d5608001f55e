// SPDX-License-Identifier: Apache-2.0

#include "driver/plan/pull_target.h"

#include "core/base/text.h"

namespace blockpull::driver {

std::vector<std::string> PullTarget::intermediate_paths() const {
  std::vector<std::string> paths;
  for (std::size_t layer = 1; has_work && layer < base; ++layer) {
    paths.push_back(chain.layers[layer].path);
  }
  return paths;
}

namespace {

/// "states 'base' (qcow2) as its backing file".
std::string told(const std::optional<image::BackingReference>& backing) {
  return backing ? text("states '", backing->name, "' (", backing->format, ") as its backing file")
                 : "states no backing file";
}

}  // namespace

Result<void> PullTarget::check_in_place() const {
  const image::Layer& layer = chain.layers.front();
  if (layer.file == nullptr) {
    return {};
  }
  BLOCKPULL_TRY(there, io::identify(absolute_path));
  if (there != layer.file->id()) {
    return make_error(ErrorKind::kLocked, text("image '", layer.path,
                                               "' was replaced by another file during the pull; "
                                               "the original file still needs its backing file"))
        .with_path(layer.path);
  }
  BLOCKPULL_TRY(now, layer.file->state());
  if (now.size_bytes == layer.file->expected_size()) {
    return {};
  }
  return make_error(ErrorKind::kLocked,
                    text("image '", layer.path, "' has ", now.size_bytes,
                         " bytes, but the pull left it at ", layer.file->expected_size(),
                         "; it keeps its backing file, so find out which program writes to it and "
                         "run 'blockpull check' on it"))
      .with_path(layer.path);
}

Result<std::string> PullTarget::read_back() const {
  if (chain.active_qcow2() == nullptr) {
    // A raw image is never written to.
    return std::string();
  }
  const std::string& path = chain.layers.front().path;
  const auto not_so = [&path](std::string_view what) {
    return make_error(ErrorKind::kIo,
                      text("header of '", path, "', read back after the last flush, ", what,
                           "; keep the backing files and check the disk"))
        .with_path(path);
  };
  auto file = open_anew();
  if (!file.ok()) {
    const std::string& why = file.error().message;
    return file.error().kind == ErrorKind::kIo
               ? Result<std::string>(not_so(text("cannot be read: ", why)))
               : text("header of '", path, "' was not read back after the last flush: ", why);
  }
  auto anew = image::Qcow2Image::open(std::move(file).value());
  if (!anew.ok()) {
    return not_so(text("is invalid: ", anew.error().message));
  }
  const auto& promised = has_work ? new_backing : chain.active().backing();
  const auto& stated = (*anew)->backing();
  const bool is_so =
      promised.has_value() == stated.has_value() &&
      (!promised || (promised->name == stated->name && promised->format == stated->format));
  return is_so ? Result<std::string>(std::string()) : not_so(told(stated));
}

}  // namespace blockpull::driver
