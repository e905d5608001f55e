// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/block_graph.h"

#include <algorithm>
#include <array>
#include <map>

#include "core/base/limits.h"
#include "driver/qemu/job_id.h"

namespace blockpull::driver {

bool is_protocol(std::string_view driver) {
  constexpr std::array<std::string_view, 14> kProtocols{
      "file", "host_device", "host_cdrom", "nbd",  "iscsi", "rbd",      "ssh",
      "http", "https",       "ftp",        "ftps", "nvme",  "null-aio", "null-co"};
  return std::find(kProtocols.begin(), kProtocols.end(), driver) != kProtocols.end();
}

namespace {

/// Drivers that change nothing of what is read through them.
bool is_filter(std::string_view driver) {
  constexpr std::array<std::string_view, 8> kFilters{
      "copy-on-read", "throttle",   "blkdebug",    "copy-before-write",
      "mirror_top",   "commit_top", "preallocate", "snapshot-access"};
  return std::find(kFilters.begin(), kFilters.end(), driver) != kFilters.end();
}

/// The path in what QEMU calls a file name. A node that was opened with options of its own, or was
/// given another backing file than its header states, is called json:{…} with all of its options.
std::string path_in(const std::string& filename) {
  constexpr std::string_view kJson = "json:";
  if (!filename.starts_with(kJson)) {
    return filename;
  }
  const auto options = qmp::Json::parse(std::string_view(filename).substr(kJson.size()));
  if (!options.ok()) {
    return filename;
  }
  // The image, its file, and at most a filter between them, which may call what is below "image".
  qmp::Json level = *options;
  for (int depth = 0; depth < 3; ++depth) {
    for (const char* const name : {"filename", "file.filename", "image.filename"}) {
      if (const auto path = level.member(name).text()) {
        return *path;
      }
    }
    level = level.member(level.member("file").exists() ? "file" : "image");
  }
  return filename;
}

/// `image` is an ImageInfo.
BlockNode read_image(const qmp::Json& image) {
  BlockNode node;
  node.driver = image.member("format").text_or_empty();
  node.filename = path_in(image.member("filename").text_or_empty());
  node.virtual_size = image.member("virtual-size").number().value_or(0);
  node.actual_size = image.member("actual-size").number();
  node.stated_backing = image.member("backing-filename").text_or_empty();
  node.has_internal_snapshots = image.member("snapshots").size() > 0;
  node.has_extended_l2 =
      image.member("format-specific").member("data").member("extended-l2").is_true();
  return node;
}

BlockDevice read_device(const qmp::Json& element) {
  return {element.member("device").text_or_empty(), element.member("qdev").text_or_empty(),
          element.member("inserted").member("node-name").text_or_empty()};
}

bool has_pair(const std::multimap<std::string, std::string, std::less<>>& pairs,
              std::string_view first, std::string_view second) {
  const auto [begin, end] = pairs.equal_range(first);
  return std::any_of(begin, end, [&](const auto& pair) { return pair.second == second; });
}

/// "/machine/peripheral/vb0/virtio-backend" has the id "vb0".
std::string_view id_in(std::string_view qdev) {
  constexpr std::string_view kFolder = "/machine/peripheral/";
  if (!qdev.starts_with(kFolder)) {
    return qdev;
  }
  qdev.remove_prefix(kFolder.size());
  return qdev.substr(0, qdev.find('/'));
}

}  // namespace

/// Who lies below whom, and which jobs work on what, by the names of nodes and the ids of jobs.
class BlockGraph::Edges {
 public:
  explicit Edges(const qmp::Json& graph) {
    const Names drivers = names_of(graph.member("nodes"), "block-driver");
    for (const auto& [number, name] : drivers) {
      node_names_.push_back(name);
    }
    const Names jobs = names_of(graph.member("nodes"), "block-job");
    const qmp::Json edges = graph.member("edges");
    for (std::size_t i = 0; i < edges.size(); ++i) {
      const std::uint64_t parent = edges.at(i).member("parent").number().value_or(0);
      const auto child = drivers.find(edges.at(i).member("child").number().value_or(0));
      if (child == drivers.end()) {
        continue;
      }
      if (const auto job = jobs.find(parent); job != jobs.end()) {
        nodes_of_jobs_.emplace(job->second, child->second);
      } else if (const auto node = drivers.find(parent); node != drivers.end()) {
        const bool is_backing = edges.at(i).member("name").text_or_empty() == "backing";
        (is_backing ? backing_ : file_).emplace(node->second, child->second);
      }
    }
  }

  [[nodiscard]] const std::vector<std::string>& node_names() const { return node_names_; }

  /// Job and node, in pairs.
  [[nodiscard]] const std::multimap<std::string, std::string, std::less<>>& nodes_of_jobs() const {
    return nodes_of_jobs_;
  }

  /// The next image below `node`, filters that QEMU has put in between left out; or "".
  [[nodiscard]] std::string below(const std::string& node, bool node_is_filter) const {
    const bool through_file = node_is_filter && at(backing_, node).empty();
    std::string child = at(through_file ? file_ : backing_, node);
    // A filter has one child, which has a file of its own. The file of an image has none.
    for (std::size_t steps = 0; steps < file_.size() && is_bare_filter(child); ++steps) {
      child = at(file_, child);
    }
    return child;
  }

  /// Of a node whose driver nobody tells: an image that has a backing has a file beside it.
  [[nodiscard]] bool is_like_filter(const std::string& node) const {
    return at(file_, node).empty() ? !at(backing_, node).empty() : is_bare_filter(node);
  }

 private:
  using Names = std::map<std::uint64_t, std::string>;
  using Links = std::map<std::string, std::string>;

  /// By QEMU's number for each of them.
  [[nodiscard]] static Names names_of(const qmp::Json& nodes, std::string_view type) {
    Names names;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (nodes.at(i).member("type").text_or_empty() == type) {
        names[nodes.at(i).member("id").number().value_or(0)] =
            nodes.at(i).member("name").text_or_empty();
      }
    }
    return names;
  }

  [[nodiscard]] static std::string at(const Links& links, const std::string& name) {
    const auto found = links.find(name);
    return found == links.end() ? std::string() : found->second;
  }

  [[nodiscard]] bool is_bare_filter(const std::string& node) const {
    const std::string file = at(file_, node);
    return !node.empty() && at(backing_, node).empty() && !file.empty() && !at(file_, file).empty();
  }

  std::vector<std::string> node_names_;
  Links backing_;
  Links file_;
  std::multimap<std::string, std::string, std::less<>> nodes_of_jobs_;
};

void BlockGraph::link(std::size_t parent, std::size_t child) {
  nodes_[parent].backing = child;
  nodes_[child].is_backing = true;
}

std::size_t BlockGraph::add(BlockNode node) {
  if (const auto known = find_node(node.name)) {
    return *known;
  }
  nodes_.push_back(std::move(node));
  return nodes_.size() - 1;
}

/// A device's images, from the one that it shows down to the last.
std::optional<std::size_t> BlockGraph::add_chain(const qmp::Json& inserted, const Edges& edges) {
  std::string name = inserted.member("node-name").text_or_empty();
  qmp::Json image = inserted.member("image");
  std::optional<std::size_t> top;
  std::optional<std::size_t> above;
  for (std::size_t depth = 0; image.exists() && depth < limits::kChainDepth; ++depth) {
    BlockNode node = read_image(image);
    const bool filter = is_filter(node.driver);
    node.name = name;
    if (!filter) {
      const std::size_t added = add(std::move(node));
      if (above) {
        link(*above, added);
      } else {
        top = added;
      }
      above = added;
    }
    name = name.empty() ? name : edges.below(name, filter);
    image = image.member("backing-image");
  }
  return top;
}

/// A job stands on its images, or on a filter that it has put over them.
void BlockGraph::add_names(const Edges& edges) {
  node_names_ = edges.node_names();
  for (const auto& [job, node] : edges.nodes_of_jobs()) {
    nodes_of_jobs_.emplace(job, node);
    const auto listed = find_node(node);
    const bool filter = listed ? is_filter(nodes_[*listed].driver) : edges.is_like_filter(node);
    if (const std::string below = edges.below(node, true); filter && !below.empty()) {
      nodes_of_jobs_.emplace(job, below);
      nodes_under_jobs_.emplace(job, below);
    }
  }
}

BlockGraph BlockGraph::of_devices(const qmp::Json& query_block, const qmp::Json& edges) {
  BlockGraph graph;
  const Edges known(edges);
  for (std::size_t i = 0; i < query_block.size(); ++i) {
    BlockDevice device = read_device(query_block.at(i));
    if (const auto top = graph.add_chain(query_block.at(i).member("inserted"), known)) {
      device.node_name = graph.nodes_[*top].name;
    }
    graph.devices_.push_back(std::move(device));
  }
  graph.add_names(known);
  return graph;
}

BlockGraph BlockGraph::of_nodes(const qmp::Json& named_nodes, const qmp::Json& edges) {
  BlockGraph graph;
  const Edges known(edges);
  for (std::size_t i = 0; i < named_nodes.size(); ++i) {
    BlockNode node = read_image(named_nodes.at(i).member("image"));
    node.name = named_nodes.at(i).member("node-name").text_or_empty();
    node.driver = named_nodes.at(i).member("drv").text_or_empty();
    graph.nodes_.push_back(std::move(node));
  }
  for (std::size_t i = 0; i < graph.nodes_.size(); ++i) {
    const BlockNode& node = graph.nodes_[i];
    const auto below = graph.find_node(known.below(node.name, is_filter(node.driver)));
    if (below && !is_filter(node.driver)) {
      graph.link(i, *below);
    }
  }
  graph.add_names(known);
  return graph;
}

std::optional<std::size_t> BlockGraph::find_node(std::string_view name) const {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (!name.empty() && nodes_[i].name == name) {
      return i;
    }
  }
  return std::nullopt;
}

bool BlockGraph::has_unnamed() const {
  return std::any_of(nodes_.begin(), nodes_.end(),
                     [](const BlockNode& node) { return node.name.empty(); });
}

bool BlockGraph::is_disk(std::size_t node) const {
  const BlockNode& image = nodes_[node];
  return !image.is_backing && !is_protocol(image.driver) && !is_filter(image.driver);
}

std::optional<std::size_t> BlockGraph::find_file(std::string_view path) const {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (!path.empty() && nodes_[i].filename == path && is_disk(i)) {
      return i;
    }
  }
  return std::nullopt;
}

std::optional<std::size_t> BlockGraph::find_device(std::string_view name) const {
  // A device goes by the name that disk_name() gives it; an id counts where none has that name.
  for (const bool by_id : {false, true}) {
    for (const BlockDevice& device : devices_) {
      if (!name.empty() && (by_id ? id_in(device.qdev) : device.device) == name) {
        return find_node(device.node_name);
      }
    }
  }
  return find_node(name);
}

std::string BlockGraph::disk_name(std::size_t node) const {
  for (const BlockDevice& device : devices_) {
    if (device.node_name == nodes_[node].name) {
      return !device.device.empty() ? device.device : std::string(id_in(device.qdev));
    }
  }
  return nodes_[node].name;
}

bool BlockGraph::is_job_on(std::string_view job_id, std::size_t node) const {
  return has_pair(nodes_of_jobs_, job_id, nodes_[node].name);
}

bool BlockGraph::is_job_over(std::string_view job_id, std::size_t node) const {
  return has_pair(nodes_under_jobs_, job_id, nodes_[node].name);
}

bool BlockGraph::is_shared(const std::vector<std::size_t>& chain, std::size_t node) const {
  for (std::size_t other = 0; other < nodes_.size(); ++other) {
    const BlockNode& image = nodes_[other];
    const bool is_ours = std::find(chain.begin(), chain.end(), other) != chain.end();
    const bool is_same_file = image.filename == nodes_[node].filename &&
                              !is_protocol(image.driver) && !is_filter(image.driver);
    if (!is_ours && (image.backing == node || is_same_file)) {
      return true;
    }
  }
  return false;
}

std::string BlockGraph::node_of_our_job(std::string_view job_id) const {
  for (const BlockNode& node : nodes_) {
    if (driver::is_job_on(job_id, node.name)) {
      return node.name;
    }
  }
  const auto [first, last] = nodes_of_jobs_.equal_range(job_id);
  const auto found = std::find_if(
      first, last, [&](const auto& entry) { return driver::is_job_on(job_id, entry.second); });
  return found == last ? std::string() : found->second;
}

std::vector<std::size_t> BlockGraph::chain_from(std::size_t top) const {
  std::vector<std::size_t> chain{top};
  while (nodes_[chain.back()].backing && chain.size() < limits::kChainDepth) {
    chain.push_back(*nodes_[chain.back()].backing);
  }
  return chain;
}

}  // namespace blockpull::driver
