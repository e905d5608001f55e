// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/stream_plan.h"

#include <algorithm>
#include <utility>

#include "core/base/text.h"
#include "driver/qemu/job_id.h"

namespace blockpull::driver {
namespace {

/// From this version on QEMU streams into images with extended L2.
constexpr qmp::QemuVersion kStreamsExtendedL2{8, 2, 0};

/// `name` as QEMU takes it when a header at `overlay` states it.
std::string combine(const std::string& overlay, const std::string& name) {
  const std::size_t slash = overlay.rfind('/');
  return name.starts_with('/') || slash == std::string::npos ? name
                                                             : overlay.substr(0, slash + 1) + name;
}

class Planner {
 public:
  Planner(const BlockGraph& graph, std::size_t top, const GuestPullOptions& options)
      : graph_(graph),
        nodes_(graph.nodes()),
        chain_(graph.chain_from(top)),
        top_(graph.nodes()[top]),
        options_(options) {}

  [[nodiscard]] Result<std::size_t> find_base() const;
  [[nodiscard]] Result<void> check_is_whole() const;
  [[nodiscard]] Result<void> check_layers(std::size_t base, const qmp::QemuVersion& version) const;
  [[nodiscard]] Result<std::string> name_of_base(std::size_t base) const;

  void release_layers(std::size_t base, StreamPlan& plan) const;

  [[nodiscard]] const BlockNode& layer(std::size_t index) const { return nodes_[chain_[index]]; }
  [[nodiscard]] std::size_t depth() const { return chain_.size(); }

 private:
  [[nodiscard]] Error refused(ErrorKind kind, std::string message) const {
    return make_error(kind, std::move(message)).with_path(top_.filename);
  }

  const BlockGraph& graph_;
  const std::vector<BlockNode>& nodes_;
  const std::vector<std::size_t> chain_;
  const BlockNode& top_;
  const GuestPullOptions& options_;
};

/// Index in the chain; its length when nothing stays.
Result<std::size_t> Planner::find_base() const {
  if (!options_.base) {
    return depth();
  }
  const BaseChoice& base = *options_.base;
  if (base.index) {
    if (*base.index >= 1 && *base.index < depth()) {
      return *base.index;
    }
    return make_error(ErrorKind::kNoBase, text("could not find backing store index '", *base.index,
                                               "' in chain for '", top_.filename, "'"));
  }
  for (std::size_t i = 1; i < depth(); ++i) {
    const std::string& stated = layer(i - 1).stated_backing;
    if (layer(i).filename == base.name || layer(i).name == base.name ||
        (!stated.empty() && stated == base.name) ||
        combine(layer(i - 1).filename, base.name) == layer(i).filename) {
      return i;
    }
  }
  return make_error(ErrorKind::kNoBase, text("could not find image '", base.name, "' beneath '",
                                             top_.filename, "' in its chain"));
}

/// QEMU, told to open the image without its backing file, would do nothing and call it completed;
/// the header would go on naming that file.
Result<void> Planner::check_is_whole() const {
  if (depth() > 1 || is_open_as_stated(graph_, chain_.front())) {
    return {};
  }
  return refused(ErrorKind::kUnsupported,
                 text("image '", top_.filename, "' is open in QEMU without the backing file '",
                      top_.stated_backing,
                      "' that its header states, so QEMU cannot pull from that; start QEMU with "
                      "the whole chain"));
}

Result<void> Planner::check_layers(std::size_t base, const qmp::QemuVersion& version) const {
  if (top_.has_internal_snapshots) {
    return refused(ErrorKind::kFeatureUnsupported,
                   text("internal snapshots in '", top_.filename,
                        "' would lose what they share with its backing file, so a pull under a "
                        "running guest is not supported; delete them first"));
  }
  if (top_.has_extended_l2 && version < kStreamsExtendedL2) {
    return refused(ErrorKind::kFeatureUnsupported,
                   text("extended L2 entries in '", top_.filename,
                        "' end QEMU before 8.2 when it streams; this is QEMU ", version.major, ".",
                        version.minor, ", so a pull under a running guest is not supported"));
  }
  if (base == depth()) {
    return {};
  }
  const BlockNode& kept = layer(base);
  for (std::size_t i = 1; i < base; ++i) {
    const std::uint64_t size = layer(i).virtual_size;
    if (size < top_.virtual_size && size < kept.virtual_size) {
      return refused(ErrorKind::kUnsupported,
                     text("image '", layer(i).filename, "' has ", size,
                          " bytes and is shorter than '", top_.filename, "' (", top_.virtual_size,
                          ") and '", kept.filename, "' (", kept.virtual_size,
                          "): QEMU would show bytes of the base that the guest reads as zeroes "
                          "today; pull without a base instead"));
    }
  }
  if (kept.name.empty()) {
    return refused(ErrorKind::kUnsupported,
                   text("base '", kept.filename, "' has a node whose name this QEMU does not tell ",
                        "('x-debug-query-block-graph' is missing); pull without a base instead"));
  }
  if (is_protocol(kept.driver)) {
    return refused(ErrorKind::kUnsupported,
                   text("base '", kept.filename, "' is open as '", kept.driver,
                        "' without an image format, which no header can name; pull without a "
                        "base instead"));
  }
  return {};
}

/// How the header of the active layer names `base`.
Result<std::string> Planner::name_of_base(std::size_t base) const {
  std::string name;
  for (std::size_t i = 0; i < base; ++i) {
    const std::string& stated = layer(i).stated_backing;
    name = stated.empty() ? std::string() : i == 0 ? stated : combine(name, stated);
    if (name.empty()) {
      break;
    }
  }
  const std::string& file = layer(base).filename;
  if (name.empty() || combine(top_.filename, name) != file) {
    // QEMU was told another backing file than the headers state.
    name = file;
    if (!file.starts_with('/')) {
      return refused(ErrorKind::kUnsupported,
                     text("base '", file,
                          "' has no absolute name, and the headers of the chain "
                          "do not lead to it, so '",
                          top_.filename, "' could not name it"));
    }
  }
  if (options_.require_relative && name.starts_with('/')) {
    return make_error(ErrorKind::kUnsupported, text("backing file name '", name, "' is absolute"));
  }
  return name;
}

void Planner::release_layers(std::size_t base, StreamPlan& plan) const {
  for (std::size_t i = 1; i < base; ++i) {
    plan.released.push_back(layer(i).filename);
  }
}

/// Of what QEMU has open, so many names are told where a disk is not found; a guest with more has
/// hundreds.
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

/// How to name the disk of a node otherwise than by its path: what looks like a path, or is called
/// as the disk that was not found, would only be looked for by its path again.
std::string other_name(const BlockGraph& graph, std::size_t node, const DiskName& disk) {
  const std::string device = graph.disk_name(node);
  const std::string& name = graph.nodes()[node].name;
  const std::string by_node = text("by its node '", name, "'");
  const bool has_device = device != name && device != disk.name && !device.starts_with('/');
  return has_device ? text("by its device '", device, "' or ", by_node) : by_node;
}

/// What QEMU has in place of the disk that was not found.
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

bool is_open_as_stated(const BlockGraph& graph, std::size_t node) {
  const BlockNode& image = graph.nodes()[node];
  if (!image.backing) {
    return image.stated_backing.empty();
  }
  return combine(image.filename, image.stated_backing) == graph.nodes()[*image.backing].filename;
}

Result<JudgedStream> plan_stream(const BlockGraph& graph, std::size_t top,
                                 const GuestPullOptions& options, const qmp::QemuVersion& version) {
  const Planner planner(graph, top, options);
  const BlockNode& node = graph.nodes()[top];
  if (node.name.empty()) {
    return make_error(ErrorKind::kUnsupported,
                      text("image '", node.filename,
                           "' is open below a filter, in a node whose name this QEMU does not "
                           "tell; pull it once the filter is gone"))
        .with_path(node.filename);
  }
  JudgedStream judged;
  StreamPlan& plan = judged.plan;
  plan.node = node.name;
  plan.disk_name = options.disk.name;
  plan.job_id = job_id_for(plan.disk_name, node.name);
  plan.path = node.filename;
  plan.virtual_size = node.virtual_size;
  plan.depth = planner.depth();
  plan.auto_finalize = !options.will_be_followed;
  BLOCKPULL_TRY(base, planner.find_base());
  judged.base = base;
  plan.has_work = planner.depth() > 1 && base != 1;
  if (auto whole = planner.check_is_whole(); !whole.ok()) {
    judged.refusals.push_back(std::move(whole).error());
  }
  if (plan.has_work) {
    if (auto sound = planner.check_layers(base, version); !sound.ok()) {
      judged.refusals.push_back(std::move(sound).error());
    }
  }
  planner.release_layers(base, plan);
  if (base < planner.depth()) {
    const BlockNode& kept = planner.layer(base);
    plan.base_node = kept.name;
    plan.base = KeptLayer{kept.filename, kept.driver};
    if (auto name = planner.name_of_base(base); name.ok()) {
      plan.backing_file = std::move(name).value();
    } else {
      judged.refusals.push_back(std::move(name).error());
    }
  }
  return judged;
}

}  // namespace blockpull::driver
