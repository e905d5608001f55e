// SPDX-License-Identifier: Apache-2.0
//
// One monitor: the connection to the QEMU that listens on a UNIX socket, whether it is there or
// not.
//
//     idle ─request─▶ greeting ──'QMP'──▶ negotiating ──answers──▶ ready
//      ▲    (queue     │    │ deadline            │ deadline       │  │ unused for 1 s ─▶ idle
//      │    full: again)    │                     │                │
//      │  nobody listens    └─▶ busy              └─▶ timeout      └─▶ lost: end of file, garbage
//      └─ shut off ◀───┘
//                        lost, busy, shut off: while listened to, connect again, with back-off
//
// A connection exists only while it is used: QEMU serves one client at a time, so holding it keeps
// others out. A listener holds the connection, and has it restored when it breaks. Commands are
// matched by id. A command that is not answered in time fails; a later answer is dropped. When the
// connection breaks, commands in flight fail with kMonitorLost: nobody knows whether QEMU ran them.
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
  /// For commands that only query.
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

/// The names that query-commands lists.
using CommandSet = std::set<std::string, std::less<>>;

/// The program behind a monitor.
struct Peer {
  /// False: nobody listens and the guest is shut off; the other fields then mean nothing.
  bool is_there = false;
  QemuVersion version;
  std::shared_ptr<const CommandSet> commands;
  /// The process that made the socket, as seen from here. It is QEMU, unless another process passed
  /// the socket to QEMU or relays it. 0 if unknown.
  int process = 0;

  [[nodiscard]] bool offers(std::string_view command) const {
    return commands != nullptr && commands->count(command) > 0;
  }
};

enum class Link : std::uint8_t {
  /// Ready: events come from now on.
  kUp,
  /// The connection broke and is being restored.
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
  /// The value of "return", or why there is none: kQemuError with QEMU's words in
  /// Error::qemu, kMonitorLost, kMonitorTimeout, kMonitorBusy.
  using Answer = std::function<void(Result<Json>)>;

  virtual ~Monitor() = default;

  [[nodiscard]] virtual const std::string& path() const = 0;

  /// Whether there is a connection now, as far as is known. Then somebody listens, and another
  /// connect would only fill the few places that QEMU keeps for waiting clients.
  [[nodiscard]] virtual bool is_up() const { return false; }

  /// For how long an answer or the greeting has been due without a single byte received. 0 if
  /// nothing is due, or nobody listens. A command that timed out is still due. So is the greeting
  /// of a busy monitor, while a listener has it tried again.
  [[nodiscard]] virtual Nanoseconds silent_for() const { return Nanoseconds(0); }

  /// Connects if necessary and reports who is there. kMonitorBusy: the peer accepts and sends no
  /// greeting. kInvalidArgument: the peer does not speak QMP. kUnsupported: the path is an address
  /// of another kind.
  virtual void reach(std::function<void(Result<Peer>)> done) = 0;

  virtual void execute(Command command, Answer done) = 0;

  /// Calls back on the reactor's thread after `delay`.
  virtual void call_later(Nanoseconds delay, std::function<void()> callback) = 0;

  /// Reports events and the state of the connection until ignore(). Reports kUp at once if the
  /// monitor is ready.
  [[nodiscard]] virtual std::uint64_t listen(Listener listener) = 0;
  virtual void ignore(std::uint64_t listener) = 0;
};

}  // namespace blockpull::qmp
