// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/flush.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "core/base/text.h"
#include "core/base/turns.h"
#include "driver/qemu/own_nodes.h"
#include "driver/qemu/qemu_words.h"
#include "driver/qemu/run_state.h"

namespace blockpull::driver::qemu {
namespace {

using qmp::Json;

/// The filter's options.
std::string filter_above(const std::string& node, const std::string& monitor) {
  const std::string permissions = R"(["write-unchanged"])";
  return qmp::JsonWriter()
      .member("driver", "blkdebug")
      .member("node-name", name_of_own_node(node, monitor))
      .member("image", node)
      .object("take-child-perms", permissions)
      .text();
}

/// Flushes of one node by one monitor would use the same filter, so they wait in line by its name.
/// One per process, as the monitors are.
Turns& turns() {
  static auto* const of_process = new Turns;
  return *of_process;
}

class Flush : public std::enable_shared_from_this<Flush> {
 public:
  Flush(std::shared_ptr<qmp::Monitor> monitor, std::string node, FlushTime time,
        std::function<void(Result<Flushed>)> done)
      : monitor_(std::move(monitor)), node_(std::move(node)), time_(time), done_(std::move(done)) {}

  void begin() {
    monitor_->reach([self = shared_from_this()](const Result<qmp::Peer>& peer) {
      if (!peer.ok()) {
        self->done_(peer.error());
        return;
      }
      if (!peer->is_there) {
        self->done_(make_error(ErrorKind::kMonitorLost,
                               text("nobody listens on monitor '", self->monitor_->path(), "'")));
        return;
      }
      if (auto can = check_can_flush(*peer); !can.ok()) {
        self->done_(std::move(can).error());
        return;
      }
      self->peer_ = *peer;
      if (peer->offers("blockdev-reopen")) {
        self->add_filter(kTries);
      } else {
        self->flush_by_hand();
      }
    });
  }

 private:
  /// A filter of ours that was orphaned by a broken connection is removed once; then we try again.
  static constexpr int kTries = 2;

  /// How often another program may put a filter under ours during one flush.
  static constexpr int kMoves = 3;

  void add_filter(int tries) {
    execute({"blockdev-add", filter_above(node_, monitor_->path()), true},
            [tries](Flush& flush, Result<Json> added) {
              if (added.ok()) {
                flush.reopen_filter();
              } else {
                flush.meet_refusal(tries - 1, std::move(added).error());
              }
            });
  }

  void meet_refusal(int tries, Error why) {
    if (why.kind != ErrorKind::kQemuError) {
      give_up(std::move(why));
    } else if (words::node_exists(why) && tries > 0) {
      execute(removal(),
              [tries](Flush& flush, const Result<Json>& /*removed*/) { flush.add_filter(tries); });
    } else if (words::node_is_read_only(why)) {
      ask_why_read_only();
    } else if (words::lacks_driver(why) && peer_.offers("human-monitor-command")) {
      flush_by_hand();
    } else {
      why.message = text("flush of node '", node_, "' was refused: ", why.message);
      done_(std::move(why));
    }
  }

  /// Inactive images are read-only. So is an image that QEMU had opened for writing only for the
  /// job.
  void ask_why_read_only() {
    if (!peer_.offers("query-migrate")) {
      judge_read_only(RunState());
      return;
    }
    execute({"query-migrate", "", false}, [](Flush& flush, Result<Json> migration) {
      if (!migration.ok()) {
        flush.done_(std::move(migration).error());
        return;
      }
      flush.execute({"query-status", "", false},
                    [migration = *migration](Flush& again, const Result<Json>& status) {
                      if (status.ok()) {
                        again.judge_read_only(read_run_state(status.value(), migration));
                      } else {
                        again.done_(status.error());
                      }
                    });
    });
  }

  void judge_read_only(const RunState& state) {
    if (auto may = check_may_write(state); !may.ok()) {
      done_(std::move(may).error());
    } else if (time_ == FlushTime::kAfterJobEnded && read_only_in_ == state) {
      done_(Flushed{});
    } else if (time_ == FlushTime::kAfterJobEnded && !read_only_in_) {
      // The guest may have been away when the filter was refused, and may have come back since.
      read_only_in_ = state;
      add_filter(kTries);
    } else {
      done_(
          make_error(ErrorKind::kGuestBusy, text("node '", node_,
                                                 "' is read-only in QEMU for now: its images were "
                                                 "made inactive")));
    }
  }

  void reopen_filter() {
    const std::string list = text("[", filter_above(node_, monitor_->path()), "]");
    execute({"blockdev-reopen", qmp::JsonWriter().object("options", list).text(), true},
            [](Flush& flush, Result<Json> reopened) {
              if (!reopened.ok() && words::no_such_node(reopened.error())) {
                flush.done_(make_error(ErrorKind::kMonitorLost,
                                       "QEMU was restarted during a flush, or another process "
                                       "removed the flush's filter; try again"));
                return;
              }
              if (!reopened.ok() && reopened.error().kind != ErrorKind::kQemuError) {
                flush.give_up(std::move(reopened).error());
                return;
              }
              if (!reopened.ok() && words::child_is_fixed(reopened.error()) &&
                  flush.moves_left_-- > 0) {
                flush.execute(flush.removal(), [](Flush& again, const Result<Json>& /*removed*/) {
                  again.add_filter(kTries);
                });
                return;
              }
              flush.flushed_ = reopened.ok() ? Result<Flushed>(Flushed{})
                                             : Result<Flushed>(flush.failure(reopened.error()));
              flush.remove_filter();
            });
  }

  void remove_filter() {
    execute(removal(), [](Flush& flush, const Result<Json>& removed) {
      if (!removed.ok() && removed.error().kind != ErrorKind::kQemuError) {
        flush.ask_for_removal();
      }
      flush.done_(std::move(flush.flushed_));
    });
  }

  /// We do not know what QEMU has done.
  void give_up(Error why) {
    ask_for_removal();
    done_(std::move(why));
  }

  /// The filter may still be there, and no later flush may come to remove it. The monitor keeps the
  /// order of commands, so this removal runs before any later request.
  void ask_for_removal() {
    execute(removal(), [](Flush& /*flush*/, const Result<Json>& /*removed*/) {});
  }

  [[nodiscard]] qmp::Command removal() const {
    return removal_of_own_node(name_of_own_node(node_, monitor_->path()));
  }

  void flush_by_hand() {
    const std::string line = text("qemu-io ", node_, " flush");
    execute({"human-monitor-command", qmp::JsonWriter().member("command-line", line).text(), true},
            [](Flush& flush, const Result<Json>& printed) {
              if (!printed.ok()) {
                flush.done_(flush.failure(printed.error()));
              } else if (const std::string said = printed->text_or_empty(); !said.empty()) {
                flush.done_(flush.failure(make_error(ErrorKind::kQemuError, said)));
              } else {
                flush.done_(Flushed{false});
              }
            });
  }

  void execute(qmp::Command command, std::function<void(Flush&, Result<Json>)> done) {
    monitor_->execute(std::move(command),
                      [self = shared_from_this(), done = std::move(done)](Result<Json> answer) {
                        done(*self, std::move(answer));
                      });
  }

  /// If the connection broke, we do not know whether the flush was done. A refusal by QEMU is a
  /// failed flush.
  [[nodiscard]] Error failure(Error error) const {
    if (error.kind == ErrorKind::kQemuError) {
      error.kind = ErrorKind::kIo;
      error.message = text("flush of node '", node_, "' failed: ", error.message);
    }
    return error;
  }

  const std::shared_ptr<qmp::Monitor> monitor_;
  const std::string node_;
  const FlushTime time_;
  const std::function<void(Result<Flushed>)> done_;
  qmp::Peer peer_;
  int moves_left_ = kMoves;
  /// The guest's state after the filter was refused because the node is read-only.
  std::optional<RunState> read_only_in_;
  Result<Flushed> flushed_ = Flushed{};
};

}  // namespace

Result<void> check_can_flush(const qmp::Peer& peer) {
  if (peer.offers("blockdev-reopen") || peer.offers("human-monitor-command")) {
    return {};
  }
  return make_error(ErrorKind::kUnsupported,
                    text("QEMU ", peer.version.major, ".", peer.version.minor,
                         " offers no way to flush an image, so the result of a pull under its "
                         "guest could not be made durable; such a pull is not supported"));
}

void flush_node(const std::shared_ptr<qmp::Monitor>& monitor, const std::string& node,
                FlushTime time, std::function<void(Result<Flushed>)> done) {
  turns().wait(name_of_own_node(node, monitor->path()),
               [monitor, node, time, done = std::move(done)](Turns::Turn turn) {
                 const auto tell = [done, turn = std::move(turn)](Result<Flushed> flushed) mutable {
                   turn.reset();
                   done(std::move(flushed));
                 };
                 std::make_shared<Flush>(monitor, node, time, tell)->begin();
               });
}

}  // namespace blockpull::driver::qemu
