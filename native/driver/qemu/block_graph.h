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
// Who asks for the list of all nodes (query-named-block-nodes) may end QEMU: a job that has
// concluded and was not dismissed keeps a filter with nothing below it, and QEMU 7.2 and 10.0 fall
// over that. So the images are read from query-block and their names from query-blockstats
// (graph_answers.h), which are safe at any time. A storage daemon has no devices for them to tell
// of; there the list is asked for, while no job has concluded. Edges (graph_edges.h) say which jobs
// work on what, and in a storage daemon who lies below whom.
//
// Pure functions over answers; what is seen of the files is added by guest_files.h.

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

/// What of an image's file can be seen from here, under the name that QEMU gives it.
struct SeenFile {
  /// Absolute; differs from QEMU's name where that is relative to QEMU's folder.
  std::string path;
  io::FileId id;
  /// QEMU has this very file open: the name means the same file there and here.
  bool is_qemus = false;
};

struct BlockNode {
  std::string name;
  /// "qcow2", "raw", "copy-on-read", "file".
  std::string driver;
  /// Path of its file; relative to QEMU's folder where it was opened so.
  std::string filename;
  std::uint64_t virtual_size = 0;
  /// Bytes on its disk; absent where that cannot be told.
  std::optional<std::uint64_t> actual_size;
  /// Only a part of the file is shown.
  bool is_part_of_file = false;
  /// Its name says that its bytes come out of another image, which QEMU does not show.
  bool is_over_image = false;
  /// As the header states it, or empty.
  std::string stated_backing;
  bool has_internal_snapshots = false;
  bool has_extended_l2 = false;
  /// Migrated away or not yet here: QEMU may not write it (told by QEMU 10 only).
  bool is_inactive = false;
  /// Flushes of it go nowhere (cache=unsafe).
  bool ignores_flushes = false;
  /// Absent where nobody has looked, and where it is not to be seen.
  std::optional<SeenFile> seen;
  /// QEMU holds the file open, and it has no name any more.
  bool is_deleted = false;
  /// Index of the node below, through filters, and the topmost of these or "".
  std::optional<std::size_t> backing;
  std::string filter_above_backing;
  /// The first of these that writes to what it stands over whatever is read through it, or "".
  std::string copies_into_backing;
  /// One of these that stands over it, or "": the reads of whoever is above are copied into it.
  std::string copied_into_by;
  /// Some other node has it as its backing.
  bool is_backing = false;
};

/// Drivers that stand for bytes in a file or on a wire; every other one stands on such a node.
[[nodiscard]] bool is_protocol(std::string_view driver);

/// Drivers that change nothing of what is read through them.
[[nodiscard]] bool is_filter(std::string_view driver);

/// The one of these that copies what it reads into the image that it stands over.
inline constexpr std::string_view kCopyOnRead = "copy-on-read";

struct BlockDevice {
  /// The BlockBackend's name; empty for a -blockdev.
  std::string device;
  /// The path of the guest's device in QEMU's tree; contains the id that it was given.
  std::string qdev;
  /// The node of its active layer, below all filters.
  std::string node_name;
};

class BlockGraph {
 public:
  /// `edges` is what x-debug-query-block-graph answers; absent where QEMU does not offer it, and
  /// then nothing is known of jobs. kQemuError where the answers contradict each other.
  [[nodiscard]] static Result<BlockGraph> of_devices(const qmp::Json& query_block,
                                                     const qmp::Json& query_blockstats,
                                                     const qmp::Json& edges);
  [[nodiscard]] static Result<BlockGraph> of_nodes(const qmp::Json& named_nodes,
                                                   const qmp::Json& edges);

  [[nodiscard]] const std::vector<BlockNode>& nodes() const { return nodes_; }
  [[nodiscard]] BlockNode& node(std::size_t index) { return nodes_[index]; }

  /// The names of all nodes, filters and those that are no image among them; empty where QEMU does
  /// not tell the edges.
  [[nodiscard]] const std::vector<std::string>& node_names() const { return node_names_; }

  [[nodiscard]] std::optional<std::size_t> find_node(std::string_view name) const;

  /// Whether that node is an image that a guest's disk stands on, or may stand on: neither a filter
  /// nor a file, and the backing of no other.
  [[nodiscard]] bool is_disk(std::size_t node) const;

  /// The format node that a guest's disk stands on: by the name of the active layer's file, or by
  /// the file itself, whatever its name.
  [[nodiscard]] std::optional<std::size_t> find_file(std::string_view path) const;
  [[nodiscard]] std::optional<std::size_t> find_file(io::FileId id) const;

  /// The same by the name of a device, the id of the guest's device, or the name of a node.
  [[nodiscard]] std::optional<std::size_t> find_device(std::string_view name) const;

  /// The guest's device that stands on that node, the first where there are several; or nullptr.
  [[nodiscard]] const BlockDevice* device_on(std::size_t node) const;

  /// What people call the disk on that node: its device, its id, or the node's name.
  [[nodiscard]] std::string disk_name(std::size_t node) const;

  /// Whether QEMU's job of that id works on that image: of a stream, on the active layer and on
  /// those that will drop out.
  [[nodiscard]] bool is_job_on(std::string_view job_id, std::size_t node) const;

  /// Whether QEMU has put a filter of that job right over that image, as it does with a disk that
  /// is streamed or mirrored.
  [[nodiscard]] bool is_job_over(std::string_view job_id, std::size_t node) const;

  /// Whether its bytes come out of another image, whose chain QEMU does not show as the disk's.
  [[nodiscard]] bool is_over_image(std::size_t node) const;

  /// Whether some disk that does not stand on `chain` reads that image, through this node or as a
  /// file that was opened twice.
  [[nodiscard]] bool is_shared(const std::vector<std::size_t>& chain, std::size_t node) const;

  /// Whether some disk reads the file of `layer`, which need not be an image of this graph any
  /// more. The nodes in `except` are no disk's where no device stands on them.
  [[nodiscard]] bool is_read_by_others(const BlockNode& layer,
                                       const std::set<std::string>& except) const;

  /// An image that no disk shows and that is no part of one, or "": one that waits to be plugged
  /// in, or is exported, or lies below what is no image; what it reads is not told. The
  /// nodes in `except` are known. "" where QEMU does not tell the edges, and where all nodes were
  /// listed.
  [[nodiscard]] std::string node_of_nobody(const std::set<std::string>& except) const;

  /// The name of the node whose hash is in the id of a job of ours; also of one that no device
  /// shows any more. "" where there is none.
  [[nodiscard]] std::string node_of_our_job(std::string_view job_id) const;

  /// From `top` to the last image, top first.
  [[nodiscard]] std::vector<std::size_t> chain_from(std::size_t top) const;

 private:
  /// The topmost image's index; absent for a device without a medium.
  [[nodiscard]] Result<std::optional<std::size_t>> add_chain(const qmp::Json& device,
                                                             const qmp::Json& stats);
  void add_names(const GraphEdges& edges);
  /// The node of that name, added if it is not there.
  [[nodiscard]] Result<std::size_t> add(BlockNode node);
  struct Filter {
    std::string name;
    std::string driver;
  };

  /// One that stands over that image.
  void add_filter(const Filter& filter, std::size_t image);

  /// `filters`: those between the two, the upper one first.
  [[nodiscard]] Result<void> link(std::size_t parent, std::size_t child,
                                  const std::vector<Filter>& filters);

  std::vector<BlockNode> nodes_;
  std::vector<BlockDevice> devices_;
  std::vector<std::string> node_names_;
  /// Absent where all nodes were listed.
  std::optional<GraphEdges> edges_;
  /// Names of filters, and the index of the image below each.
  std::map<std::string, std::size_t, std::less<>> filters_;
  /// Names of the nodes that a job works on, by its id.
  std::multimap<std::string, std::string, std::less<>> nodes_of_jobs_;
  /// The same for the nodes that a filter of the job is over.
  std::multimap<std::string, std::string, std::less<>> nodes_under_jobs_;
};

}  // namespace blockpull::driver::qemu
