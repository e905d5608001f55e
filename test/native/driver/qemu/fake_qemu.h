// SPDX-License-Identifier: Apache-2.0
//
// A QEMU with one disk, as far as a pull needs it, that remembers what would be lost if it were
// killed:
//
//     disk vda ─▶ node "top" (/vms/top.qcow2) ─▶ "mid" ─▶ "base"
//
//     copied ──flush──▶ durable        a finalize before the copy is durable, and a list of
//     header ──flush──▶ durable        nodes, are mistakes of the client; they are recorded
//
// A job that ends sends an event and disappears. Data that a failed flush should have written is
// lost: later flushes succeed and do not write it. While a migration has the images, a finalize
// would kill QEMU, so that is a mistake of the client too, and a job that runs then skips its
// writes.
//
// Thread rule: one thread at a time.

#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/qmp/json.h"

namespace blockpull::driver::qemu {

class FakeQemu {
 public:
  struct Job {
    std::string id;
    std::string status = "running";
    std::uint64_t offset = 0;
    std::uint64_t speed = 0;
    bool auto_finalize = false;
    std::optional<std::string> base_node;
    /// `io-status` of a job that stopped on an error.
    std::optional<std::string> stopped_on;
    /// Paused by job-pause; it does not move.
    bool is_paused = false;
  };

  struct Event {
    std::string name;
    /// A JSON object.
    std::string data;
  };

  static constexpr std::uint64_t kSize = std::uint64_t{4} << 20U;

  /// The value of "return" as JSON, or a kQemuError with QEMU's words.
  [[nodiscard]] Result<std::string> execute(const std::string& name, const qmp::Json& arguments);

  /// Names in objects, as query-commands answers.
  [[nodiscard]] std::string commands() const;

  /// The copying is over; the job waits, unless it finalizes itself. A paused job stays paused.
  void finish_copying();
  /// The job fails with `error`, or completes.
  void conclude(const std::optional<std::string>& error);
  void cancel();

  /// A migration begins; it takes the images; the guest runs here again.
  void begin_migration();
  void hand_over();
  void come_back(const std::string& status);

  /// Whether QEMU may write to its images.
  [[nodiscard]] bool is_active() const;

  /// Whether a kill now would leave the guest's data in place.
  [[nodiscard]] bool is_durable() const { return copy_durable && header_durable; }

  std::optional<Job> job;
  /// Nodes below "top", nearest first.
  std::vector<std::string> below{"mid", "base"};
  bool copy_durable = true;
  bool header_durable = true;
  bool copy_lost = false;
  /// The last job has skipped writes.
  bool copy_skipped = false;
  /// Whether there is a filter of ours above "top".
  bool has_filter = false;
  /// The second, read-only node over one of the files, and that file; empty if there is none.
  std::string second_node;
  std::string second_file;
  /// "top" has an internal snapshot.
  bool has_snapshot = false;
  /// The node of top's file was opened with cache.no-flush.
  bool file_ignores_flushes = false;
  /// The status in query-status.
  std::string run_state = "running";
  /// The status in query-migrate; empty if there never was a migration.
  std::string migration;
  /// Number of migrations.
  std::uint64_t migrations = 0;
  /// The thread of the guest's one processor; absent: the command is not offered.
  std::optional<int> thread_id;
  bool can_reopen = true;
  /// A job has copied everything before its start is answered.
  bool is_fast = false;
  /// Events that the monitor has not sent yet.
  std::deque<Event> events;
  /// The output of the next flush, which is normally empty.
  std::optional<std::string> flush_fault;
  /// The error with which the next filters over a node are refused.
  std::optional<std::string> filter_fault;
  /// How many filters of other programs come between ours and "top", each after ours was added.
  int filters_to_come = 0;
  /// "top" is open for reading only.
  bool is_read_only = false;
  /// The error with which block-stream is refused.
  std::optional<std::string> stream_fault;
  std::vector<std::string> faults_of_client;
  /// Names of all commands, in order.
  std::vector<std::string> executed;

  [[nodiscard]] std::size_t count(std::string_view name) const;

 private:
  [[nodiscard]] Result<std::string> act_on_job(const std::string& name, const qmp::Json& arguments);
  [[nodiscard]] Result<std::string> start(const qmp::Json& arguments);
  /// The answer to a query, or nothing if `name` is not one.
  [[nodiscard]] std::optional<std::string> answer(const std::string& name);
  [[nodiscard]] Result<std::string> act_on_node(const std::string& name,
                                                const qmp::Json& arguments);
  [[nodiscard]] Result<std::string> act_on_filter(const std::string& name);
  void note_skipped();
  void end_job(const std::string& event, const std::optional<std::string>& error);
  /// Returns the error, if any.
  [[nodiscard]] std::optional<std::string> flush();
  [[nodiscard]] std::string jobs() const;
  [[nodiscard]] std::string devices() const;
  [[nodiscard]] std::string stats() const;
  [[nodiscard]] std::string second_nodes() const;
  [[nodiscard]] std::string graph() const;
};

}  // namespace blockpull::driver::qemu
