// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/guest_files.h"

#include <optional>
#include <utility>

#include "core/base/text.h"
#include "core/io/process_files.h"
#include "core/io/sync_file.h"

namespace blockpull::driver::qemu {
namespace {

bool is_local(const BlockNode& image) {
  return !image.filename.empty() && image.filename.find("://") == std::string::npos &&
         !image.filename.starts_with("json:");
}

/// QEMU's name as a path here; "" if it is relative to an unknown folder.
std::string local_path(const BlockNode& image, const std::string& folder) {
  if (image.filename.starts_with('/')) {
    return image.filename;
  }
  return folder.empty() ? std::string() : text(folder, "/", image.filename);
}

void see(BlockNode& image, const std::optional<io::ProcessFiles>& qemu) {
  const std::string path = local_path(image, qemu ? qemu->folder() : std::string());
  if (!is_local(image) || path.empty()) {
    return;
  }
  const auto id = io::identify(path);
  if (!id.ok()) {
    image.is_deleted = qemu && qemu->has_deleted(path);
    return;
  }
  SeenFile seen{path, *id, false};
  seen.is_qemus = qemu && qemu->has(*id) && qemu->finds(path, *id);
  image.seen = std::move(seen);
}

/// Of these processes, the one that has most of the images' files open.
std::optional<io::ProcessFiles> find_qemu(const BlockGraph& graph,
                                          const std::vector<int>& processes) {
  std::optional<io::ProcessFiles> best;
  std::size_t most = 0;
  for (const int process : processes) {
    auto files = io::ProcessFiles::of(process);
    if (!files) {
      continue;
    }
    std::size_t count = 0;
    for (const BlockNode& image : graph.nodes()) {
      const auto id = io::identify(local_path(image, files->folder()));
      count += id.ok() && files->has(*id) ? 1 : 0;
    }
    if (!best || count > most) {
      most = count;
      best = std::move(files);
    }
  }
  return best;
}

}  // namespace

void see_files(BlockGraph& graph, const std::vector<int>& processes) {
  const auto qemu = find_qemu(graph, processes);
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    see(graph.node(i), qemu);
  }
}

Result<image::Chain> open_beside_qemu(const std::vector<BlockNode>& layers) {
  std::vector<image::ListedLayer> listed;
  for (const BlockNode& layer : layers) {
    if (std::string why = why_unseen(layer); !why.empty()) {
      return make_error(ErrorKind::kNotFound, std::move(why));
    }
    BLOCKPULL_TRY(format, image::parse_format(layer.driver));
    listed.push_back({layer.seen->path, format});
  }
  BLOCKPULL_TRY(chain, image::open_listed(listed));
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (chain.layers[i].file->id() != layers[i].seen->id) {
      return make_error(ErrorKind::kNotFound,
                        text("'", layers[i].seen->path, "' has been replaced by another file"));
    }
  }
  return chain;
}

Result<void> sync_beside_qemu(const BlockNode& image) {
  if (image.seen && image.seen->is_qemus) {
    BLOCKPULL_CHECK(io::sync_file(image.seen->path, image.seen->id));
  }
  return {};
}

std::string why_unseen(const BlockNode& image) {
  if (image.is_deleted) {
    return text("'", image.filename, "' has no name any more");
  }
  if (!is_local(image)) {
    return text("'", image.filename, "' is not a local file");
  }
  if (image.is_part_of_file) {
    return text("only a part of '", image.filename, "' is an image");
  }
  if (!image.seen) {
    return text("'", image.filename, "' is not visible from this process");
  }
  if (!image.seen->is_qemus) {
    return text("'", image.filename,
                "' may not be the file that QEMU has open: QEMU has other mounts, or its open "
                "files cannot be inspected");
  }
  return {};
}

}  // namespace blockpull::driver::qemu
