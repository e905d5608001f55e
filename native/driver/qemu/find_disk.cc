// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/find_disk.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "core/base/text.h"

namespace blockpull::driver::qemu {
namespace {

/// Most names that an error lists if a disk is not found; a guest with more has hundreds.
constexpr std::size_t kNamesTold = 8;

/// "it has 'a', 'b' and 3 more".
std::string told(const std::vector<std::string>& names) {
  if (names.empty()) {
    return "it has no disk";
  }
  std::string list;
  for (std::size_t i = 0; i < std::min(names.size(), kNamesTold); ++i) {
    list += text(i == 0 ? "it has '" : ", '", names[i], "'");
  }
  return names.size() > kNamesTold ? text(list, " and ", names.size() - kNamesTold, " more") : list;
}

/// Whether `name`, relative to a folder that only QEMU knows, may mean the file at `path`.
bool may_mean(std::string_view name, std::string_view path) {
  for (const std::string_view step : {"./", "../"}) {
    while (name.starts_with(step)) {
      name.remove_prefix(step.size());
    }
  }
  return !name.empty() && !name.starts_with('/') && path.ends_with(text("/", name));
}

/// How to name the disk of a node without its path. A name that looks like a path, or equals the
/// name that was not found, would only be looked up as a path again.
std::string other_name(const BlockGraph& graph, std::size_t node, const DiskName& disk) {
  const std::string device = graph.disk_name(node);
  const std::string& name = graph.nodes()[node].name;
  const std::string by_node = text("by its node '", name, "'");
  const bool has_device = device != name && device != disk.name && !device.starts_with('/');
  return has_device ? text("by its device '", device, "' or ", by_node) : by_node;
}

/// The disks that QEMU has instead of the one that was not found.
std::string what_is_there(const BlockGraph& graph, const DiskName& disk) {
  const bool by_path = !disk.path.empty();
  std::vector<std::string> names;
  std::string hint;
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const std::string& file = graph.nodes()[i].filename;
    if (!graph.is_disk(i)) {
      continue;
    }
    names.push_back(by_path ? file : graph.disk_name(i));
    if (by_path && hint.empty() &&
        (may_mean(file, disk.path) || may_mean(file, disk.canonical_path))) {
      hint = text("; QEMU was started with relative names, so if '", file,
                  "' is that image, name the disk ", other_name(graph, i, disk));
    }
  }
  return told(names) + hint;
}

}  // namespace

Result<std::size_t> find_disk_node(const BlockGraph& graph, const DiskName& disk) {
  // The file itself counts before its name. The name may mean another file if QEMU has other
  // mounts, or if a link was changed.
  if (const auto node = disk.file ? graph.find_file(*disk.file) : std::nullopt) {
    return *node;
  }
  for (const std::string& path : {disk.path, disk.canonical_path}) {
    if (const auto node = graph.find_file(path)) {
      return *node;
    }
  }
  if (disk.path.empty()) {
    if (const auto node = graph.find_device(disk.name)) {
      return *node;
    }
  }
  const std::string sought =
      disk.path.empty() ? text("QEMU has no device and no node '", disk.name, "'")
                        : text("QEMU has no image '", disk.path, "' open as a guest's disk");
  return make_error(ErrorKind::kNoDisk, text(sought, "; ", what_is_there(graph, disk)));
}

}  // namespace blockpull::driver::qemu
