// SPDX-License-Identifier: Apache-2.0
//
// One monitor: the way to the QEMU that listens on a UNIX socket, whether it is there or not.
//
//     idle ──asked──▶ greeting ──'QMP'──▶ negotiating ──answers──▶ ready
//      ▲    (queue     │    │ deadline            │ deadline       │  │ nobody asks for 1 s ─▶ idle
//      │    full: again)    │                     │                │
//      │  nobody listens    └─▶ busy              └─▶ timeout      └─▶ lost: end of file, garbage
//      └─ shut off ◀───┘
//                        lost, busy, shut off: while somebody listens, connect again, with back-off
//
// A connection exists while it is used: QEMU serves one client at a time, so holding it keeps
// others out. A listener holds it, and has it made again when it breaks. Commands are matched by
// id. One that is not answered in time fails; its answer, should it come, is dropped. When the
// connection breaks, what is in flight fails with kMonitorLost: nobody can tell whether it was
// done.
//
// Thread rule: any thread; callbacks run on the reactor's thread and must not block.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/qmp/message.h"

namespace blockpull::qmp {

struct Deadlines {
  /// For the greeting.
  Nanoseconds connect{std::chrono::seconds(5)};
  /// For commands that only ask.
  Nanoseconds query{std::chrono::seconds(30)};
  /// For commands that change the graph of images, which may wait for the guest's own requests.
  Nanoseconds change{std::chrono::minutes(5)};
};

struct Command {
  std::string name;
  /// A JSON object; empty for none.
  std::string arguments;
  bool changes_graph = false;
};

/// What query-commands lists.
using CommandSet = std::set<std::string, std::less<>>;

/// Who is behind a monitor.
struct Peer {
  /// False: nobody listens, the guest is shut off; the rest means nothing then.
  bool is_there = false;
  QemuVersion version;
  std::shared_ptr<const CommandSet> commands;
  /// The process that made the socket, as seen from here: QEMU, unless another one gave it the
  /// socket or stands in between. 0 where that cannot be told.
  int process = 0;

  [[nodiscard]] bool offers(std::string_view command) const {
    return commands != nullptr && commands->count(command) > 0;
  }
};

enum class Link : std::uint8_t {
  /// Ready: events come from now on.
  kUp,
  /// The connection broke; it is being made again.
  kLost,
  /// Nobody listens any more: QEMU has ended.
  kGone,
};

struct Listener {
  std::function<void(const Event&)> on_event;
  std::function<void(Link)> on_link;
};

class Monitor {
 public:
  /// The value of "return", or why there is none: kQemuError with QEMU's words (the error class is
  /// Error::operation), kMonitorLost, kMonitorTimeout, kMonitorBusy.
  using Answer = std::function<void(Result<Json>)>;

  virtual ~Monitor() = default;

  [[nodiscard]] virtual const std::string& path() const = 0;

  /// Whether there is a connection now, as far as is known: then somebody listens, and another
  /// connect would only fill the few places that QEMU keeps for clients that wait.
  [[nodiscard]] virtual bool is_up() const { return false; }

  /// For how long an answer, or the greeting, is owed and not a byte has come; 0 when nothing is
  /// owed, and where nobody listens. A command that had its time is still owed, and so is the
  /// greeting of one that was busy, while a listener has it tried again.
  [[nodiscard]] virtual Nanoseconds silent_for() const { return Nanoseconds(0); }

  /// Connects if need be and says who is there. kMonitorBusy: somebody accepts and sends no
  /// greeting. kInvalidArgument: what is there speaks no QMP. kUnsupported: the path is an address
  /// of another kind.
  virtual void reach(std::function<void(Result<Peer>)> done) = 0;

  virtual void execute(Command command, Answer done) = 0;

  /// Calls back on the reactor's thread after a while.
  virtual void call_later(Nanoseconds delay, std::function<void()> callback) = 0;

  /// Hears events and the state of the connection until ignore(). Told kUp at once if it is ready.
  [[nodiscard]] virtual std::uint64_t listen(Listener listener) = 0;
  virtual void ignore(std::uint64_t listener) = 0;
};

}  // namespace blockpull::qmp
