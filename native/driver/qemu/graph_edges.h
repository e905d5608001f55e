// SPDX-License-Identifier: Apache-2.0
//
// Who lies below whom in a QEMU, and which jobs work on what, by the names of nodes and the ids of
// jobs: what x-debug-query-block-graph answers. It has every node, also those that query-block
// leaves out (files, and the filters that QEMU's own jobs put in), but tells no driver.
//
// So nothing here says which node an image is. That is read from query-block and query-blockstats
// (block_graph.h), and in a storage daemon from its list of nodes.
//
// Pure functions over answers.

#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/qmp/json.h"

namespace blockpull::driver::qemu {

class GraphEdges {
 public:
  explicit GraphEdges(const qmp::Json& graph);

  /// Every node's name.
  [[nodiscard]] const std::vector<std::string>& node_names() const { return node_names_; }

  /// Job and node, in pairs.
  [[nodiscard]] const std::multimap<std::string, std::string, std::less<>>& nodes_of_jobs() const {
    return nodes_of_jobs_;
  }

  /// What an image states as its backing, or ""; it may be a filter.
  [[nodiscard]] std::string backing_of(const std::string& node) const { return at(backing_, node); }

  /// What a filter passes on: its one child that is data.
  [[nodiscard]] std::string below_filter(const std::string& node) const;

  /// The nodes below a node in every role: its file, its backing, a log, a target.
  struct Child {
    std::string role;
    std::string name;

    /// Bytes of the node come out of it: of its file, not of its backing, a log or a target.
    [[nodiscard]] bool is_part() const {
      return role == "file" || role == "data-file" || role == "image";
    }
    /// It is one of those that a quorum compares.
    [[nodiscard]] bool is_voter() const { return role.starts_with("children."); }
  };
  [[nodiscard]] const std::multimap<std::string, Child>& children() const { return children_; }

  /// Whether some node that the bytes of `node` come from has a backing: an image over an image.
  [[nodiscard]] bool has_backing_below(const std::string& node) const;

  /// Whether something that is no node reads it for itself: a device, an export.
  [[nodiscard]] bool has_user(const std::string& node) const { return used_.contains(node); }

  /// Whether it lies below some node, or some job works on it.
  [[nodiscard]] bool has_parent(const std::string& node) const { return parented_.contains(node); }

  /// Whether a node that is not known as an image is a filter over one: an image that has a backing
  /// has a file beside it, and a file has nothing below it.
  [[nodiscard]] bool is_like_filter(const std::string& node) const;

 private:
  using Names = std::map<std::uint64_t, std::string>;
  using Links = std::map<std::string, std::string>;

  [[nodiscard]] static Names names_of(const qmp::Json& nodes, std::string_view type);
  [[nodiscard]] static std::string at(const Links& links, const std::string& name);

  std::vector<std::string> node_names_;
  std::multimap<std::string, Child> children_;
  Links backing_;
  /// The child "file" or "image".
  Links file_;
  std::set<std::string> used_;
  std::set<std::string> parented_;
  std::multimap<std::string, std::string, std::less<>> nodes_of_jobs_;
};

}  // namespace blockpull::driver::qemu
