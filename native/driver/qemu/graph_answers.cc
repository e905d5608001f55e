// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/graph_answers.h"

#include <algorithm>
#include <array>

#include "core/base/limits.h"
#include "core/base/text.h"

namespace blockpull::driver::qemu {
namespace {

using qmp::Json;

constexpr std::string_view kJson = "json:";

/// QEMU's name for a file below its blkdebug filter, which passes the file's data on.
constexpr std::string_view kBlkdebug = "blkdebug::";

/// The options in a json: name; absent in any other name.
Json options_in(const std::string& filename) {
  if (!filename.starts_with(kJson)) {
    return {};
  }
  auto options = Json::parse(std::string_view(filename).substr(kJson.size()));
  return options.ok() ? std::move(options).value() : Json();
}

/// The options of the node below an image, a filter or a file; blkdebug calls that node "image".
Json below(const Json& level) {
  return level.member(level.member("file").exists() ? "file" : "image");
}

/// Levels of the deepest name: the image, its file, and filters over either.
constexpr int kDeepestName = 16;

Error do_not_fit(const Json& device, std::string_view how) {
  return make_error(
      ErrorKind::kQemuError,
      text("QEMU's 'query-block' and 'query-blockstats' do not match for device '",
           device.member("device").text_or_empty(), "' ('", device.member("qdev").text_or_empty(),
           "'): ", how, "; nothing was changed, since nodes and images cannot be matched"));
}

void append_image(std::string& shape, const Json& image) {
  shape += text(" [", image.member("format").text_or_empty(), " ",
                image.member("filename").text_or_empty(), " ",
                image.member("backing-filename").text_or_empty(), "]");
}

/// Formats whose file holds an image, from which other bytes are read.
bool is_image_format(std::string_view driver) {
  constexpr std::array<std::string_view, 12> kFormats{"qcow2", "qcow",      "qed",   "vmdk",
                                                      "vdi",   "vhdx",      "vpc",   "luks",
                                                      "dmg",   "parallels", "cloop", "bochs"};
  return std::find(kFormats.begin(), kFormats.end(), driver) != kFormats.end();
}

std::string below_blkdebug(std::string_view filename) {
  while (filename.starts_with(kBlkdebug)) {
    filename.remove_prefix(kBlkdebug.size());
  }
  return std::string(filename);
}

}  // namespace

Result<std::vector<ImageLevel>> read_levels(const Json& device, const Json& stats) {
  const bool is_same_device =
      device.member("device").text_or_empty() == stats.member("device").text_or_empty() &&
      (!stats.member("qdev").exists() ||
       device.member("qdev").text_or_empty() == stats.member("qdev").text_or_empty());
  if (!is_same_device) {
    return do_not_fit(device, text("the other shows device '",
                                   stats.member("device").text_or_empty(), "' in its place"));
  }
  std::vector<ImageLevel> levels;
  Json image = device.member("inserted").member("image");
  if (!image.exists()) {
    return levels;
  }
  if (device.member("inserted").member("node-name").text_or_empty() !=
      stats.member("node-name").text_or_empty()) {
    return do_not_fit(
        device, text("the other starts at node '", stats.member("node-name").text_or_empty(), "'"));
  }
  Json node = stats;
  while (image.exists() && node.exists()) {
    if (levels.size() == limits::kChainDepth) {
      return do_not_fit(device, text("they are deeper than ", limits::kChainDepth, " levels"));
    }
    levels.push_back({node.member("node-name").text_or_empty(), image});
    if (levels.back().node_name.empty()) {
      return do_not_fit(device, text("level ", levels.size(), " has no node name"));
    }
    image = image.member("backing-image");
    node = node.member("backing");
  }
  if (image.exists() || node.exists()) {
    return do_not_fit(device,
                      text("one ends after level ", levels.size(), ", the other continues"));
  }
  return levels;
}

std::string shape_of_devices(const Json& query_block) {
  std::string shape;
  for (std::size_t i = 0; i < query_block.size(); ++i) {
    const Json inserted = query_block.at(i).member("inserted");
    shape += text(query_block.at(i).member("device").text_or_empty(), " ",
                  query_block.at(i).member("qdev").text_or_empty(), " ",
                  inserted.member("node-name").text_or_empty());
    Json image = inserted.member("image");
    for (std::size_t depth = 0; image.exists() && depth < limits::kChainDepth; ++depth) {
      append_image(shape, image);
      image = image.member("backing-image");
    }
    shape += '\n';
  }
  return shape;
}

std::string shape_of_nodes(const Json& named_nodes) {
  std::string shape;
  for (std::size_t i = 0; i < named_nodes.size(); ++i) {
    shape += text(named_nodes.at(i).member("node-name").text_or_empty(), " ",
                  named_nodes.at(i).member("drv").text_or_empty());
    append_image(shape, named_nodes.at(i).member("image"));
    shape += '\n';
  }
  return shape;
}

std::string path_in(const std::string& filename) {
  Json level = options_in(filename);
  for (int depth = 0; level.exists() && depth < kDeepestName; ++depth) {
    for (const char* const name : {"filename", "file.filename", "image.filename"}) {
      if (const auto path = level.member(name).text()) {
        return below_blkdebug(*path);
      }
    }
    level = below(level);
  }
  return below_blkdebug(filename);
}

bool is_part_of_file(const std::string& filename) {
  Json level = options_in(filename);
  for (int depth = 0; level.exists() && depth < kDeepestName; ++depth) {
    if (level.member("offset").exists() || level.member("size").exists()) {
      return true;
    }
    level = below(level);
  }
  return false;
}

bool is_over_image(const std::string& filename) {
  Json level = options_in(filename);
  for (int depth = 0; level.exists() && depth < kDeepestName; ++depth) {
    if (depth > 0 && is_image_format(level.member("driver").text_or_empty())) {
      return true;
    }
    for (const char* const name : {"file.driver", "image.driver", "file.file.driver"}) {
      if (is_image_format(level.member(name).text_or_empty())) {
        return true;
      }
    }
    level = below(level);
  }
  return false;
}

bool states_backing(const std::string& filename) {
  // Also as null, and in the dotted form.
  return filename.starts_with(kJson) && (filename.find("\"backing\"") != std::string::npos ||
                                         filename.find("\"backing.") != std::string::npos);
}

}  // namespace blockpull::driver::qemu
