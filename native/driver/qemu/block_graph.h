// SPDX-License-Identifier: Apache-2.0
//
// The images of a running guest, as its QEMU has them open:
//
//     vda ──▶ [filter]… ──▶ node "libvirt-3-format"   qcow2   /vms/top.qcow2
//                              │ backing, through filters
//                              ▼
//                           node "libvirt-2-format"   qcow2   /vms/mid.qcow2
//                              │ backing
//                              ▼
//                           node "#block251"          raw     /vms/base.img
//
// A query for the list of all nodes (query-named-block-nodes) may end QEMU. A job that has
// concluded and was not dismissed keeps a filter with nothing below it, and QEMU 7.2 and 10.0 crash
// on that. So the images are read from query-block, and their names from query-blockstats
// (graph_answers.h); both are safe at any time. A storage daemon has no devices that these could
// show. There the list is queried, but only while no job has concluded. Edges (graph_edges.h) show
// which jobs work on which nodes, and in a storage daemon also which node lies below which.
//
// Pure functions over answers; guest_files.h adds what this process sees of the files.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/io/posix_file.h"
#include "core/qmp/json.h"
#include "driver/qemu/graph_edges.h"

namespace blockpull::driver::qemu {

/// What this process can see of an image's file, under the name that QEMU gives it.
struct SeenFile {
  /// Absolute; differs from QEMU's name if that is relative to QEMU's folder.
  std::string path;
  io::FileId id;
  /// QEMU has this very file open, so the name means the same file in QEMU and here.
  bool is_qemus = false;
};

struct BlockNode {
  std::string name;
  /// "qcow2", "raw", "copy-on-read", "file".
  std::string driver;
  /// Path of its file; relative to QEMU's folder if it was opened that way.
  std::string filename;
  std::uint64_t virtual_size = 0;
  /// Bytes on its disk; absent if unknown.
  std::optional<std::uint64_t> actual_size;
  /// The node shows only a part of the file.
  bool is_part_of_file = false;
  /// By its name, its bytes come from another image, which QEMU does not show.
  bool is_over_image = false;
  /// The backing file in the header, or "".
  std::string stated_backing;
  bool has_internal_snapshots = false;
  bool has_extended_l2 = false;
  /// Migrated away or not yet here: QEMU may not write to it (only QEMU 10 reports this).
  bool is_inactive = false;
  /// Flushes of it have no effect (cache=unsafe).
  bool ignores_flushes = false;
  /// Absent if nobody has looked yet, or if the file is not visible from here.
  std::optional<SeenFile> seen;
  /// QEMU holds the file open, but the file has no name any more.
  bool is_deleted = false;
  /// Index of the node below, under any filters, and the topmost of those filters or "".
  std::optional<std::size_t> backing;
  std::string filter_above_backing;
  /// The lowest of these filters that copies every read into the image below it, or "".
  std::string copies_into_backing;
  /// A copy-on-read filter over this node, or "": reads from above are copied into this node.
  std::string copied_into_by;
  /// Some other node has it as its backing.
  bool is_backing = false;
};

/// Drivers for bytes in a file or on a network; a node of any other driver stands on such a node.
[[nodiscard]] bool is_protocol(std::string_view driver);

/// Drivers that do not change the data that is read through them.
[[nodiscard]] bool is_filter(std::string_view driver);

/// The filter that copies what it reads into the image below it.
inline constexpr std::string_view kCopyOnRead = "copy-on-read";

struct BlockDevice {
  /// The BlockBackend's name; empty for a -blockdev.
  std::string device;
  /// The path of the guest's device in QEMU's tree; contains the id from the command line.
  std::string qdev;
  /// The node of its active layer, below all filters.
  std::string node_name;
};

class BlockGraph {
 public:
  /// `edges` is the answer to x-debug-query-block-graph. It is absent if QEMU does not offer that
  /// command, and then nothing is known of jobs. kQemuError if the answers contradict each other.
  [[nodiscard]] static Result<BlockGraph> of_devices(const qmp::Json& query_block,
                                                     const qmp::Json& query_blockstats,
                                                     const qmp::Json& edges);
  [[nodiscard]] static Result<BlockGraph> of_nodes(const qmp::Json& named_nodes,
                                                   const qmp::Json& edges);

  [[nodiscard]] const std::vector<BlockNode>& nodes() const { return nodes_; }
  [[nodiscard]] BlockNode& node(std::size_t index) { return nodes_[index]; }

  /// The names of all nodes, including filters and nodes that are not images; empty if QEMU does
  /// not show the edges.
  [[nodiscard]] const std::vector<std::string>& node_names() const { return node_names_; }

  [[nodiscard]] std::optional<std::size_t> find_node(std::string_view name) const;

  /// Whether that node is an image that a guest's disk stands on, or may stand on. It is neither a
  /// filter nor a file, and not the backing of any other node.
  [[nodiscard]] bool is_disk(std::size_t node) const;

  /// The format node of a guest's disk, by the path of the active layer's file or by the file
  /// itself, whatever its name.
  [[nodiscard]] std::optional<std::size_t> find_file(std::string_view path) const;
  [[nodiscard]] std::optional<std::size_t> find_file(io::FileId id) const;

  /// The same by the name of a device, the id of the guest's device, or the name of a node.
  [[nodiscard]] std::optional<std::size_t> find_device(std::string_view name) const;

  /// The guest's device on that node, the first if there are several, or nullptr.
  [[nodiscard]] const BlockDevice* device_on(std::size_t node) const;

  /// The name that people use for the disk on that node: its device, its id, or the node's name.
  [[nodiscard]] std::string disk_name(std::size_t node) const;

  /// Whether QEMU's job with that id works on that image. A stream works on the active layer and on
  /// the layers that will drop out.
  [[nodiscard]] bool is_job_on(std::string_view job_id, std::size_t node) const;

  /// Whether QEMU has put a filter of that job directly over that image, as it does for a stream or
  /// a mirror.
  [[nodiscard]] bool is_job_over(std::string_view job_id, std::size_t node) const;

  /// Whether its bytes come from another image, whose chain QEMU does not show as the disk's.
  [[nodiscard]] bool is_over_image(std::size_t node) const;

  /// Whether a disk outside of `chain` reads that image, through this node or through a second node
  /// on the same file.
  [[nodiscard]] bool is_shared(const std::vector<std::size_t>& chain, std::size_t node) const;

  /// Whether a disk reads the file of `layer`, which may have left this graph. A node in `except`
  /// counts as a disk only if a device stands on it.
  [[nodiscard]] bool is_read_by_others(const BlockNode& layer,
                                       const std::set<std::string>& except) const;

  /// The name of an image that no disk shows and that is not part of one, or "". It may wait to be
  /// plugged in, be exported, or lie below a node that is not an image. QEMU does not show what
  /// such an image reads. Nodes in `except` are known. "" if QEMU does not show the edges, or if
  /// all nodes were listed.
  [[nodiscard]] std::string node_of_nobody(const std::set<std::string>& except) const;

  /// The name of the node whose hash is in the id of our job, even if no device shows that node any
  /// more. "" if there is none.
  [[nodiscard]] std::string node_of_our_job(std::string_view job_id) const;

  /// From `top` to the last image, top first.
  [[nodiscard]] std::vector<std::size_t> chain_from(std::size_t top) const;

 private:
  /// The topmost image's index; absent for a device without a medium.
  [[nodiscard]] Result<std::optional<std::size_t>> add_chain(const qmp::Json& device,
                                                             const qmp::Json& stats);
  void add_names(const GraphEdges& edges);
  /// The index of the node with that name, which is added if it is missing.
  [[nodiscard]] Result<std::size_t> add(BlockNode node);
  struct Filter {
    std::string name;
    std::string driver;
  };

  /// Records a filter over that image.
  void add_filter(const Filter& filter, std::size_t image);

  /// `filters`: the filters between the two, topmost first.
  [[nodiscard]] Result<void> link(std::size_t parent, std::size_t child,
                                  const std::vector<Filter>& filters);

  std::vector<BlockNode> nodes_;
  std::vector<BlockDevice> devices_;
  std::vector<std::string> node_names_;
  /// Absent if all nodes were listed.
  std::optional<GraphEdges> edges_;
  /// Names of filters, and the index of the image below each.
  std::map<std::string, std::size_t, std::less<>> filters_;
  /// Names of the nodes that a job works on, by its id.
  std::multimap<std::string, std::string, std::less<>> nodes_of_jobs_;
  /// Names of the nodes directly below a filter of the job, by the job's id.
  std::multimap<std::string, std::string, std::less<>> nodes_under_jobs_;
};

}  // namespace blockpull::driver::qemu
