// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/block_graph.h"

#include <algorithm>
#include <array>

#include "core/base/limits.h"
#include "core/base/text.h"
#include "driver/qemu/graph_answers.h"
#include "driver/qemu/job_id.h"
#include "driver/qemu/own_nodes.h"

namespace blockpull::driver::qemu {

bool is_protocol(std::string_view driver) {
  constexpr std::array<std::string_view, 14> kProtocols{
      "file", "host_device", "host_cdrom", "nbd",  "iscsi", "rbd",      "ssh",
      "http", "https",       "ftp",        "ftps", "nvme",  "null-aio", "null-co"};
  return std::find(kProtocols.begin(), kProtocols.end(), driver) != kProtocols.end();
}

bool is_filter(std::string_view driver) {
  constexpr std::array<std::string_view, 11> kFilters{
      kCopyOnRead,  "throttle",   "blkdebug",    "blklogwrites", "copy-before-write", "backup-top",
      "mirror_top", "commit_top", "preallocate", "compress",     "snapshot-access"};
  return std::find(kFilters.begin(), kFilters.end(), driver) != kFilters.end();
}

namespace {

/// `image` is an ImageInfo.
BlockNode read_image(const qmp::Json& image) {
  BlockNode node;
  node.driver = image.member("format").text_or_empty();
  const std::string filename = image.member("filename").text_or_empty();
  node.filename = path_in(filename);
  node.is_part_of_file = is_part_of_file(filename);
  node.is_over_image = is_over_image(filename);
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

bool is_same_file(const BlockNode& one, const BlockNode& other) {
  return one.seen && other.seen ? one.seen->id == other.seen->id : one.filename == other.filename;
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

Result<void> BlockGraph::link(std::size_t parent, std::size_t child,
                              const std::vector<Filter>& filters) {
  if (nodes_[parent].backing && *nodes_[parent].backing != child) {
    return make_error(ErrorKind::kQemuError,
                      text("QEMU shows both '", nodes_[*nodes_[parent].backing].filename, "' and '",
                           nodes_[child].filename, "' below node '", nodes_[parent].name,
                           "'; nothing was changed, since only one can be right"));
  }
  nodes_[parent].backing = child;
  nodes_[parent].filter_above_backing = filters.empty() ? std::string() : filters.front().name;
  for (const Filter& filter : filters) {
    if (filter.driver == kCopyOnRead) {
      nodes_[parent].copies_into_backing = filter.name;
    }
  }
  nodes_[child].is_backing = true;
  return {};
}

Result<std::size_t> BlockGraph::add(BlockNode node) {
  const auto known = find_node(node.name);
  if (!known) {
    nodes_.push_back(std::move(node));
    return nodes_.size() - 1;
  }
  if (nodes_[*known].driver != node.driver || nodes_[*known].filename != node.filename) {
    return make_error(
        ErrorKind::kQemuError,
        text("QEMU shows node '", node.name, "' as '", nodes_[*known].filename, "' and as '",
             node.filename, "'; nothing was changed, since only one can be right"));
  }
  return *known;
}

void BlockGraph::add_filter(const Filter& filter, std::size_t image) {
  filters_.emplace(filter.name, image);
  if (filter.driver == kCopyOnRead) {
    nodes_[image].copied_into_by = filter.name;
  }
}

/// Adds a device's images, from the topmost image to the last.
Result<std::optional<std::size_t>> BlockGraph::add_chain(const qmp::Json& device,
                                                         const qmp::Json& stats) {
  const qmp::Json inserted = device.member("inserted");
  BLOCKPULL_TRY(levels, read_levels(device, stats));
  std::optional<std::size_t> top;
  std::optional<std::size_t> above;
  std::vector<Filter> filters;
  for (const ImageLevel& level : levels) {
    BlockNode node = read_image(level.image);
    node.name = level.node_name;
    if (is_filter(node.driver)) {
      filters.push_back({std::move(node.name), std::move(node.driver)});
      continue;
    }
    BLOCKPULL_TRY(added, add(std::move(node)));
    for (const Filter& filter : filters) {
      add_filter(filter, added);
    }
    if (above) {
      BLOCKPULL_CHECK(link(*above, added, filters));
    } else {
      top = added;
      nodes_[added].is_inactive = inserted.member("active").boolean() == false;
      nodes_[added].ignores_flushes = inserted.member("cache").member("no-flush").is_true();
    }
    filters.clear();
    above = added;
  }
  return top;
}

/// A job works on its images, or on a filter that it has put over them.
void BlockGraph::add_names(const GraphEdges& edges) {
  node_names_ = edges.node_names();
  for (const auto& [job, node] : edges.nodes_of_jobs()) {
    nodes_of_jobs_.emplace(job, node);
    std::string below = node;
    // A filter has one child. A graph has no loop, so no walk is longer than the number of nodes.
    for (std::size_t steps = 0; steps < node_names_.size() && !find_node(below).has_value() &&
                                (filters_.contains(below) || edges.is_like_filter(below));
         ++steps) {
      below = edges.below_filter(below);
    }
    if (below != node && !below.empty()) {
      nodes_of_jobs_.emplace(job, below);
      nodes_under_jobs_.emplace(job, below);
    }
  }
}

Result<BlockGraph> BlockGraph::of_devices(const qmp::Json& query_block,
                                          const qmp::Json& query_blockstats,
                                          const qmp::Json& edges) {
  BlockGraph graph;
  if (query_block.size() != query_blockstats.size()) {
    return make_error(ErrorKind::kQemuError,
                      text("QEMU's 'query-block' shows ", query_block.size(),
                           " devices and its 'query-blockstats' ", query_blockstats.size(),
                           "; nothing was changed, since nodes and images cannot be matched"));
  }
  for (std::size_t i = 0; i < query_block.size(); ++i) {
    BlockDevice device = read_device(query_block.at(i));
    BLOCKPULL_TRY(top, graph.add_chain(query_block.at(i), query_blockstats.at(i)));
    if (top) {
      device.node_name = graph.nodes_[*top].name;
    }
    graph.devices_.push_back(std::move(device));
  }
  graph.edges_ = GraphEdges(edges);
  graph.add_names(*graph.edges_);
  return graph;
}

Result<BlockGraph> BlockGraph::of_nodes(const qmp::Json& named_nodes, const qmp::Json& edges) {
  BlockGraph graph;
  const GraphEdges known(edges);
  std::map<std::string, std::string, std::less<>> drivers;
  for (std::size_t i = 0; i < named_nodes.size(); ++i) {
    const qmp::Json& listed = named_nodes.at(i);
    BlockNode node = read_image(listed.member("image"));
    node.name = listed.member("node-name").text_or_empty();
    node.driver = listed.member("drv").text_or_empty();
    node.is_inactive = listed.member("active").boolean() == false;
    node.ignores_flushes = listed.member("cache").member("no-flush").is_true();
    if (is_filter(node.driver)) {
      drivers.emplace(node.name, node.driver);
    } else {
      BLOCKPULL_TRY(added, graph.add(std::move(node)));
      static_cast<void>(added);
    }
  }
  // From a node down to the first node that is not a filter.
  const auto filters_from = [&](std::string name, std::vector<Filter>& filters) {
    while (drivers.contains(name) && filters.size() < drivers.size()) {
      filters.push_back({name, drivers.find(name)->second});
      name = known.below_filter(name);
    }
    return graph.find_node(name);
  };
  for (const auto& [filter, driver] : drivers) {
    std::vector<Filter> below;
    if (const auto image = filters_from(filter, below)) {
      graph.add_filter({filter, driver}, *image);
    }
  }
  for (std::size_t i = 0; i < graph.nodes_.size(); ++i) {
    std::vector<Filter> between;
    if (const auto image = filters_from(known.backing_of(graph.nodes_[i].name), between)) {
      BLOCKPULL_CHECK(graph.link(i, *image, between));
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

bool BlockGraph::is_disk(std::size_t node) const {
  const BlockNode& image = nodes_[node];
  return !image.is_backing && !is_protocol(image.driver);
}

std::optional<std::size_t> BlockGraph::find_file(std::string_view path) const {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (!path.empty() && nodes_[i].filename == path && is_disk(i)) {
      return i;
    }
  }
  return std::nullopt;
}

std::optional<std::size_t> BlockGraph::find_file(io::FileId id) const {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].seen && nodes_[i].seen->is_qemus && nodes_[i].seen->id == id && is_disk(i)) {
      return i;
    }
  }
  return std::nullopt;
}

std::optional<std::size_t> BlockGraph::find_device(std::string_view name) const {
  // A device is found by the name that disk_name() gives it; an id counts only if no device has
  // that name.
  for (const bool by_id : {false, true}) {
    for (const BlockDevice& device : devices_) {
      if (!name.empty() && (by_id ? id_in(device.qdev) : device.device) == name) {
        return find_node(device.node_name);
      }
    }
  }
  const auto filter = filters_.find(name);
  return filter == filters_.end() ? find_node(name) : std::optional(filter->second);
}

const BlockDevice* BlockGraph::device_on(std::size_t node) const {
  const auto device = std::find_if(
      devices_.begin(), devices_.end(),
      [&](const BlockDevice& candidate) { return candidate.node_name == nodes_[node].name; });
  return device == devices_.end() ? nullptr : &*device;
}

std::string BlockGraph::disk_name(std::size_t node) const {
  const BlockDevice* const device = device_on(node);
  if (device == nullptr) {
    return nodes_[node].name;
  }
  return !device->device.empty() ? device->device : std::string(id_in(device->qdev));
}

bool BlockGraph::is_job_on(std::string_view job_id, std::size_t node) const {
  return has_pair(nodes_of_jobs_, job_id, nodes_[node].name);
}

bool BlockGraph::is_job_over(std::string_view job_id, std::size_t node) const {
  return has_pair(nodes_under_jobs_, job_id, nodes_[node].name);
}

bool BlockGraph::is_over_image(std::size_t node) const {
  return nodes_[node].is_over_image || (edges_ && edges_->has_backing_below(nodes_[node].name));
}

bool BlockGraph::is_shared(const std::vector<std::size_t>& chain, std::size_t node) const {
  for (std::size_t other = 0; other < nodes_.size(); ++other) {
    const BlockNode& image = nodes_[other];
    const bool is_ours = std::find(chain.begin(), chain.end(), other) != chain.end();
    if (is_ours || is_protocol(image.driver)) {
      continue;
    }
    if (image.backing == node || is_same_file(image, nodes_[node])) {
      return true;
    }
  }
  return false;
}

bool BlockGraph::is_read_by_others(const BlockNode& layer,
                                   const std::set<std::string>& except) const {
  for (std::size_t top = 0; top < nodes_.size(); ++top) {
    const std::string& name = nodes_[top].name;
    const bool has_device =
        std::any_of(devices_.begin(), devices_.end(),
                    [&name](const BlockDevice& device) { return device.node_name == name; });
    if (!is_disk(top) || (except.contains(name) && !has_device)) {
      continue;
    }
    const auto chain = chain_from(top);
    if (std::any_of(chain.begin(), chain.end(),
                    [&](std::size_t index) { return is_same_file(nodes_[index], layer); })) {
      return true;
    }
  }
  return false;
}

std::string BlockGraph::node_of_nobody(const std::set<std::string>& except) const {
  if (!edges_) {
    return {};
  }
  std::set<std::string> known;
  for (const BlockNode& image : nodes_) {
    known.insert(image.name);
  }
  for (const std::string& name : except) {
    if (known.insert(name).second && edges_->has_user(name)) {
      return name;
    }
  }
  for (const auto& [filter, image] : filters_) {
    known.insert(filter);
  }
  // A node below a known node, in a role other than backing, is part of it. A node with a backing
  // of its own is not: it is an image below one that shows nothing of it.
  std::vector<std::string> parts(known.begin(), known.end());
  // QEMU shows none of a quorum's images.
  std::set<std::string> voters;
  while (!parts.empty()) {
    const std::string parent = std::move(parts.back());
    parts.pop_back();
    const auto [first, last] = edges_->children().equal_range(parent);
    for (auto child = first; child != last; ++child) {
      const GraphEdges::Child& part = child->second;
      if (part.is_voter()) {
        voters.insert(part.name);
      }
      const bool has_backing = !edges_->backing_of(part.name).empty();
      if (part.is_part() && !has_backing && known.insert(part.name).second) {
        parts.push_back(part.name);
      }
    }
  }
  // A filter that lost its place over a known image reads nothing else.
  const auto stands_on_known = [&](std::string name) {
    for (std::size_t steps = 0; steps < node_names_.size() && !known.contains(name); ++steps) {
      name = edges_->is_like_filter(name) ? edges_->below_filter(name) : std::string();
    }
    return known.contains(name);
  };
  const auto stranger =
      std::find_if(node_names_.begin(), node_names_.end(), [&](const std::string& name) {
        const bool is_whole_image =
            !edges_->backing_of(name).empty() || !edges_->has_parent(name) || voters.contains(name);
        return is_whole_image && !is_own_node(name) && !stands_on_known(name);
      });
  return stranger == node_names_.end() ? std::string() : *stranger;
}

std::string BlockGraph::node_of_our_job(std::string_view job_id) const {
  for (const BlockNode& node : nodes_) {
    if (driver::qemu::is_job_on(job_id, node.name)) {
      return node.name;
    }
  }
  const auto [first, last] = nodes_of_jobs_.equal_range(job_id);
  const auto found = std::find_if(first, last, [&](const auto& entry) {
    return driver::qemu::is_job_on(job_id, entry.second);
  });
  return found == last ? std::string() : found->second;
}

std::vector<std::size_t> BlockGraph::chain_from(std::size_t top) const {
  std::vector<std::size_t> chain{top};
  while (nodes_[chain.back()].backing && chain.size() < limits::kChainDepth) {
    chain.push_back(*nodes_[chain.back()].backing);
  }
  return chain;
}

}  // namespace blockpull::driver::qemu
