// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/stream_plan.h"

#include <utility>

#include "core/base/text.h"
#include "core/image/backing_name.h"
#include "driver/qemu/graph_answers.h"
#include "driver/qemu/job_id.h"

namespace blockpull::driver::qemu {
namespace {

/// From this version on QEMU streams into images with extended L2.
constexpr qmp::QemuVersion kStreamsExtendedL2{8, 2, 0};

/// Whether the name means the same wherever it is stated: a path from the root, or a URL or json:
/// of QEMU.
bool is_absolute(const std::string& name) {
  return name.starts_with('/') || image::has_protocol(name);
}

/// The name that QEMU uses if a header at `overlay` states `name`.
std::string combine(const std::string& overlay, const std::string& name) {
  const std::size_t slash = overlay.rfind('/');
  return is_absolute(name) || slash == std::string::npos ? name
                                                         : overlay.substr(0, slash + 1) + name;
}

/// Whether `name`, stated in the header of `overlay`, leads to `image`. Compares QEMU's names, or
/// the files themselves if both are visible.
bool leads_to(const BlockNode& overlay, const std::string& name, const BlockNode& image) {
  if (combine(overlay.filename, name) == image.filename) {
    return true;
  }
  if (!overlay.seen || !image.seen || image::has_protocol(name)) {
    return false;
  }
  return io::leads_to(combine(overlay.seen->path, name), image.seen->id);
}

/// A file that QEMU made only for its own lifetime (snapshot=on), or that libvirt removes at the
/// end (<transient/>).
bool is_temporary(const BlockNode& image) {
  const std::string_view name =
      std::string_view(image.filename).substr(image.filename.rfind('/') + 1);
  constexpr std::string_view kOfQemu = "vl.";
  constexpr std::size_t kRandomLetters = 6;
  const bool is_of_qemu =
      name.starts_with(kOfQemu) && name.size() == kOfQemu.size() + kRandomLetters;
  return image.is_deleted || is_of_qemu;
}

bool is_transient(const BlockNode& image) {
  return image.filename.find(".TRANSIENT-") != std::string::npos;
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
  [[nodiscard]] Result<void> check_is_kept() const;
  [[nodiscard]] Result<void> check_filters() const;
  [[nodiscard]] Result<void> check_is_whole() const;
  [[nodiscard]] Result<void> check_layers(std::size_t base, const qmp::QemuVersion& version) const;
  [[nodiscard]] Result<void> check_can_be_named(std::size_t base) const;
  [[nodiscard]] std::string name_by_files(std::size_t base) const;
  [[nodiscard]] Result<std::string> name_of_base(std::size_t base) const;

  /// The node to keep, for block-stream: a filter over the base stays with it.
  [[nodiscard]] const std::string& node_that_stays(std::size_t base) const {
    const std::string& filter = layer(base - 1).filter_above_backing;
    return filter.empty() ? layer(base).name : filter;
  }

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

/// Index in the chain; the chain's length if no layer stays.
Result<std::size_t> Planner::find_base() const {
  if (!options_.base) {
    return depth();
  }
  std::vector<NamedLayer> layers;
  for (std::size_t i = 0; i < depth(); ++i) {
    const BlockNode& node = layer(i);
    const std::string stated = i == 0 ? std::string() : layer(i - 1).stated_backing;
    const auto file = node.seen ? std::optional(node.seen->id) : std::nullopt;
    layers.push_back({node.filename, stated, node.name, file});
  }
  return driver::find_base(layers, *options_.base);
}

/// A pull should make the guest's disk stand on its own, not a file that goes away with the guest.
Result<void> Planner::check_is_kept() const {
  if (!is_transient(top_) && !(top_.stated_backing.empty() && is_temporary(top_))) {
    return {};
  }
  return refused(ErrorKind::kUnsupported,
                 text("active image '", top_.filename,
                      "' is a temporary file that goes away with the guest (snapshot=on or a "
                      "transient disk), so a pull of it would be lost; '",
                      layer(1).filename,
                      "' is the disk itself, and can be pulled while the guest is shut off"));
}

/// A pull reads every layer, and what it reads through such a filter QEMU writes to the layer
/// below.
Result<void> Planner::check_filters() const {
  for (std::size_t i = 0; i + 1 < depth(); ++i) {
    if (const std::string& filter = layer(i).copies_into_backing; !filter.empty()) {
      return refused(
          ErrorKind::kUnsupported,
          text("filter '", filter, "' copies every read into backing file '", layer(i + 1).filename,
               "', so a pull would write to that file; remove that copy-on-read filter, ",
               "or open the backing file read-only"));
    }
    // If the guest reads through both filters past the end of the shorter layer, QEMU copies memory
    // that nobody has filled into the disk (7.2 and 10.0).
    const BlockNode& below = layer(i + 1);
    if (!top_.copied_into_by.empty() && below.virtual_size < top_.virtual_size) {
      return refused(ErrorKind::kUnsupported,
                     text("filter '", top_.copied_into_by, "' copies every read into '",
                          top_.filename, "', and backing file '", below.filename, "' (",
                          below.virtual_size, " bytes) is shorter than that (", top_.virtual_size,
                          "): QEMU would write garbage after its end during a pull; remove that "
                          "copy-on-read filter, or pull while the guest is shut off"));
    }
  }
  return {};
}

/// A QEMU that has opened the image without its backing file would do nothing and report success;
/// the header would still name that file. The same happens if the image is read through another
/// one.
Result<void> Planner::check_is_whole() const {
  for (std::size_t i = 0; i < depth(); ++i) {
    if (graph_.is_over_image(chain_[i])) {
      return refused(ErrorKind::kUnsupported,
                     text("image '", layer(i).filename, "' is open in QEMU as '", layer(i).driver,
                          "' over another image, and the layers below that are not part of the "
                          "disk's chain, so a pull is not supported"));
    }
  }
  if (depth() > 1 || is_open_as_stated(graph_, chain_.front())) {
    return {};
  }
  return refused(ErrorKind::kUnsupported,
                 text("image '", top_.filename, "' is open in QEMU without the backing file '",
                      top_.stated_backing,
                      "' that its header states, so QEMU cannot pull from it; start QEMU with "
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
                        "' crash QEMU before 8.2 during a stream; this is QEMU ", version.major,
                        ".", version.minor, ", so a pull under a running guest is not supported"));
  }
  if (base == depth()) {
    return {};
  }
  const BlockNode& kept = layer(base);
  BLOCKPULL_CHECK(check_can_be_named(base));
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
  if (is_protocol(kept.driver)) {
    return refused(ErrorKind::kUnsupported,
                   text("base '", kept.filename, "' is open as '", kept.driver,
                        "' without an image format, which no header can name; pull without a "
                        "base instead"));
  }
  return {};
}

/// A name in a header gives the file and its format. Any other options of the base would be lost.
Result<void> Planner::check_can_be_named(std::size_t base) const {
  const bool says_backing =
      states_backing(layer(base - 1).stated_backing) && !is_open_as_stated(graph_, chain_[base]);
  if (!layer(base).is_part_of_file && !says_backing) {
    return {};
  }
  return refused(ErrorKind::kUnsupported,
                 text("base '", layer(base).filename, "' is open in QEMU ",
                      says_backing ? "with another backing file than its header states"
                                   : "from an offset, or up to a size",
                      ", which a name in the header of '", top_.filename,
                      "' cannot express; pull without a base instead"));
}

/// A name found from the files themselves, if both are known to be QEMU's; "" if they are not
/// visible.
std::string Planner::name_by_files(std::size_t base) const {
  const auto& kept = layer(base).seen;
  if (!top_.seen || !top_.seen->is_qemus || !kept || !kept->is_qemus) {
    return std::string();
  }
  std::vector<std::string> paths{top_.seen->path};
  if (options_.disk.file && *options_.disk.file == top_.seen->id) {
    paths.push_back(options_.disk.path);
  }
  std::vector<std::string> stated;
  for (std::size_t i = 0; i < base; ++i) {
    stated.push_back(layer(i).stated_backing);
  }
  auto name = image::backing_name_for(paths, kept->path, stated);
  return name.ok() ? std::move(name).value() : std::string();
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
  if (name.empty() || !leads_to(top_, name, layer(base))) {
    // QEMU was given another backing file than the headers state.
    name = layer(base).filename;
    if (!is_absolute(name)) {
      return refused(ErrorKind::kUnsupported,
                     text("base '", name,
                          "' has no absolute name, and the headers of the chain "
                          "do not lead to it, so '",
                          top_.filename, "' could not name it"));
    }
  } else if (auto by_files = name_by_files(base); !by_files.empty() && !image::has_protocol(name)) {
    name = std::move(by_files);
  }
  if (options_.require_relative && is_absolute(name)) {
    return make_error(ErrorKind::kUnsupported, text("backing file name '", name, "' is absolute"));
  }
  return name;
}

}  // namespace

bool is_open_as_stated(const BlockGraph& graph, std::size_t node) {
  const BlockNode& image = graph.nodes()[node];
  if (!image.backing) {
    return image.stated_backing.empty();
  }
  return !image.stated_backing.empty() &&
         leads_to(image, image.stated_backing, graph.nodes()[*image.backing]);
}

Result<JudgedStream> plan_stream(const BlockGraph& graph, std::size_t top,
                                 const GuestPullOptions& options, const qmp::QemuVersion& version) {
  const Planner planner(graph, top, options);
  const BlockNode& node = graph.nodes()[top];
  JudgedStream judged;
  StreamPlan& plan = judged.plan;
  plan.node = node.name;
  plan.disk_name = options.disk.name;
  plan.job_id = job_id_for(plan.kind, plan.disk_name, node.name);
  plan.path = node.filename;
  plan.virtual_size = node.virtual_size;
  plan.on_error = options.on_error;
  for (const std::size_t index : graph.chain_from(top)) {
    plan.layers.push_back(graph.nodes()[index]);
  }
  BLOCKPULL_TRY(base, planner.find_base());
  plan.base_index = base;
  plan.has_work = planner.depth() > 1 && base != 1;
  if (auto whole = planner.check_is_whole(); !whole.ok()) {
    judged.refusals.push_back(std::move(whole).error());
  }
  if (plan.has_work) {
    for (const auto& sound : {planner.check_is_kept(), planner.check_filters()}) {
      if (!sound.ok()) {
        judged.refusals.push_back(sound.error());
      }
    }
    if (auto sound = planner.check_layers(base, version); !sound.ok()) {
      judged.refusals.push_back(std::move(sound).error());
    }
  }
  if (base < planner.depth()) {
    const BlockNode& kept = planner.layer(base);
    plan.base_node = planner.node_that_stays(base);
    plan.base = KeptLayer{kept.filename, kept.driver};
    if (auto name = planner.name_of_base(base); name.ok()) {
      plan.backing_file = std::move(name).value();
    } else {
      judged.refusals.push_back(std::move(name).error());
    }
  }
  return judged;
}

}  // namespace blockpull::driver::qemu
