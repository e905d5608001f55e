// SPDX-License-Identifier: Apache-2.0
//
// The edges of a QEMU's block graph: which node lies below which, and which jobs work on which
// nodes, by node names and job ids. The source is x-debug-query-block-graph. It lists every node,
// even those that query-block leaves out (files, and the filters of QEMU's own jobs), but no
// drivers.
//
// So nothing here says which image a node is. query-block and query-blockstats say that
// (block_graph.h), and in a storage daemon its list of nodes.
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

  /// Pairs of job id and node name.
  [[nodiscard]] const std::multimap<std::string, std::string, std::less<>>& nodes_of_jobs() const {
    return nodes_of_jobs_;
  }

  /// The name of the node's backing, or ""; it may be a filter.
  [[nodiscard]] std::string backing_of(const std::string& node) const { return at(backing_, node); }

  /// The node that a filter passes on: its one child that is data.
  [[nodiscard]] std::string below_filter(const std::string& node) const;

  /// The nodes below a node in every role: its file, its backing, a log, a target.
  struct Child {
    std::string role;
    std::string name;

    /// The node's own bytes come from this child: from its file, not from a backing, a log or a
    /// target.
    [[nodiscard]] bool is_part() const {
      return role == "file" || role == "data-file" || role == "image";
    }
    /// This child is one of the copies that a quorum compares.
    [[nodiscard]] bool is_voter() const { return role.starts_with("children."); }
  };
  [[nodiscard]] const std::multimap<std::string, Child>& children() const { return children_; }

  /// Whether a node that supplies bytes of `node` has a backing: an image over an image.
  [[nodiscard]] bool has_backing_below(const std::string& node) const;

  /// Whether a user that is not a node reads it: a device, an export.
  [[nodiscard]] bool has_user(const std::string& node) const { return used_.contains(node); }

  /// Whether it lies below a node, or a job works on it.
  [[nodiscard]] bool has_parent(const std::string& node) const { return parented_.contains(node); }

  /// Whether a node that is not known as an image is a filter over one. An image that has a backing
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
