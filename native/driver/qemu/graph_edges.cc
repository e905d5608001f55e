// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/graph_edges.h"

#include <utility>
#include <vector>

namespace blockpull::driver::qemu {

GraphEdges::GraphEdges(const qmp::Json& graph) {
  const Names drivers = names_of(graph.member("nodes"), "block-driver");
  for (const auto& [number, name] : drivers) {
    node_names_.push_back(name);
  }
  const Names jobs = names_of(graph.member("nodes"), "block-job");
  const Names users = names_of(graph.member("nodes"), "block-backend");
  const qmp::Json edges = graph.member("edges");
  for (std::size_t i = 0; i < edges.size(); ++i) {
    const std::uint64_t parent = edges.at(i).member("parent").number().value_or(0);
    const auto child = drivers.find(edges.at(i).member("child").number().value_or(0));
    if (child == drivers.end()) {
      continue;
    }
    if (users.contains(parent)) {
      used_.insert(child->second);
      continue;
    }
    parented_.insert(child->second);
    if (const auto job = jobs.find(parent); job != jobs.end()) {
      nodes_of_jobs_.emplace(job->second, child->second);
    } else if (const auto node = drivers.find(parent); node != drivers.end()) {
      // Other children are beside the data: a log, a backup's target, a data file.
      const std::string role = edges.at(i).member("name").text_or_empty();
      children_.emplace(node->second, Child{role, child->second});
      if (role == "backing") {
        backing_.emplace(node->second, child->second);
      } else if (role == "file" || role == "image") {
        file_.emplace(node->second, child->second);
      }
    }
  }
}

bool GraphEdges::has_backing_below(const std::string& node) const {
  std::set<std::string> seen;
  std::vector<std::string> parents{node};
  while (!parents.empty()) {
    const std::string parent = std::move(parents.back());
    parents.pop_back();
    const auto [first, last] = children_.equal_range(parent);
    for (auto child = first; child != last; ++child) {
      const Child& part = child->second;
      if (!(part.is_part() || part.is_voter()) || !seen.insert(part.name).second) {
        continue;
      }
      if (backing_.contains(part.name)) {
        return true;
      }
      parents.push_back(part.name);
    }
  }
  return false;
}

/// The names of nodes or jobs, by QEMU's number for each.
GraphEdges::Names GraphEdges::names_of(const qmp::Json& nodes, std::string_view type) {
  Names names;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (nodes.at(i).member("type").text_or_empty() == type) {
      names[nodes.at(i).member("id").number().value_or(0)] =
          nodes.at(i).member("name").text_or_empty();
    }
  }
  return names;
}

std::string GraphEdges::at(const Links& links, const std::string& name) {
  const auto found = links.find(name);
  return found == links.end() ? std::string() : found->second;
}

std::string GraphEdges::below_filter(const std::string& node) const {
  const std::string backing = at(backing_, node);
  return backing.empty() ? at(file_, node) : backing;
}

bool GraphEdges::is_like_filter(const std::string& node) const {
  const std::string file = at(file_, node);
  const std::string backing = at(backing_, node);
  if (file.empty()) {
    return !backing.empty();
  }
  return backing.empty() && !below_filter(file).empty();
}

}  // namespace blockpull::driver::qemu
