// SPDX-License-Identifier: Apache-2.0

#include "driver/plan/layer_watch.h"

#include <filesystem>
#include <system_error>

#include "core/base/text.h"

namespace blockpull::driver {
namespace {

Error changed(const io::PosixFile& file, const std::string& how) {
  return make_error(ErrorKind::kLocked, text("backing file '", file.path(), "' ", how,
                                             "; the image keeps its backing file"))
      .with_path(file.path());
}

/// "12.000000034"
std::string seconds(std::int64_t nanoseconds) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  std::string fraction = text(nanoseconds % kSecond);
  fraction.insert(0, 9 - fraction.size(), '0');
  return text(nanoseconds / kSecond, ".", fraction);
}

Result<void> compare_content(const io::PosixFile& file, const io::FileState& now) {
  const io::FileState& before = file.opened();
  if (now.has_content_of(before)) {
    return {};
  }
  const std::string what =
      now.size_bytes != before.size_bytes
          ? text("has ", now.size_bytes, " bytes now and had ", before.size_bytes)
          : text("was last written at ", seconds(now.modified_ns), ", not at ",
                 seconds(before.modified_ns));
  return changed(file, text("was changed while it was read: it ", what,
                            "; find out who writes to it, then pull again"));
}

}  // namespace

std::string absolute_name(const std::string& path) {
  std::error_code unknown_folder;
  std::string absolute = std::filesystem::absolute(path, unknown_folder);
  // The absolute name may be too long, or its folder unreachable from the root.
  return io::identify(absolute).ok() ? absolute : path;
}

LayerWatch::LayerWatch(const image::Chain& chain, std::size_t base) {
  for (std::size_t i = 1; i < chain.layers.size(); ++i) {
    const image::Layer& layer = chain.layers[i];
    layers_.push_back({layer.file, absolute_name(layer.path), i >= base});
  }
}

Result<void> LayerWatch::check_content() const {
  for (const Watched& layer : layers_) {
    BLOCKPULL_TRY(now, layer.file->state());
    BLOCKPULL_CHECK(compare_content(*layer.file, now));
  }
  return {};
}

Result<void> LayerWatch::check() const {
  for (const Watched& layer : layers_) {
    BLOCKPULL_CHECK(check_layer(layer));
  }
  return {};
}

Result<void> LayerWatch::check_layer(const Watched& layer) {
  const io::PosixFile& file = *layer.file;
  // Identify the name first: replacing the file in between also changes its number of links.
  const auto there = io::identify(layer.absolute_path);
  BLOCKPULL_TRY(now, file.state());
  BLOCKPULL_CHECK(compare_content(file, now));
  if (now.links == 0 && !layer.stays) {
    return {};
  }
  if (!there.ok()) {
    return changed(file, text("can no longer be found by its name (", there.error().message,
                              "); put it back, then pull again"))
        .with_cause(there.error());
  }
  if (*there != file.id()) {
    return changed(file,
                   "was replaced by another file while it was read; put the original file back, "
                   "then pull again");
  }
  if (now.changed_ns != file.opened().changed_ns) {
    return changed(file,
                   "got another owner, mode, label or link count during the pull, but its content "
                   "is unchanged; pull again, which only checks it again");
  }
  return {};
}

}  // namespace blockpull::driver
