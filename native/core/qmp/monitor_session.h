// SPDX-License-Identifier: Apache-2.0
//
// The state behind a Monitor: its connection, on the reactor's thread only. Every public call of
// the monitor arrives here as a posted callback, so there is no re-entry and no lock.
//
// Thread rule: the reactor's thread, except where a function states otherwise.

#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "core/net/reactor.h"
#include "core/qmp/monitor.h"
#include "core/qmp/splitter.h"

namespace blockpull::qmp {

class MonitorSession : public std::enable_shared_from_this<MonitorSession> {
 public:
  MonitorSession(std::shared_ptr<net::Reactor> reactor, std::string path,
                 const Deadlines& deadlines)
      : reactor_(std::move(reactor)), path_(std::move(path)), deadlines_(deadlines) {}

  void reach(std::function<void(Result<Peer>)> done);
  void execute(Command command, Monitor::Answer done);
  void add_listener(std::uint64_t id, Listener listener);
  void remove_listener(std::uint64_t id);

  /// Nobody holds the monitor any more.
  void close();

  /// From any thread.
  [[nodiscard]] bool is_up() const { return is_up_; }
  /// Monitor::silent_for; from any thread.
  [[nodiscard]] Nanoseconds silent_for() const;

 private:
  enum class State : std::uint8_t { kIdle, kQueued, kGreeting, kNegotiating, kReady, kBackoff };

  struct InFlight {
    std::string name;
    Monitor::Answer done;
    std::uint64_t timer = 0;
    Nanoseconds patience{0};
  };

  struct Waiting {
    Command command;
    Monitor::Answer done;
  };

  void connect();
  void queue_up();
  void leave_queue();
  void disconnect();
  void on_ready(std::uint32_t events);
  [[nodiscard]] Result<void> read_some();
  [[nodiscard]] Result<void> take_bytes(std::string_view bytes);
  [[nodiscard]] Result<void> write_some();
  [[nodiscard]] Result<void> take(std::string_view object);
  [[nodiscard]] Result<void> take_reply(Reply reply);
  void negotiate(const Greeting& greeting);
  void become_ready();
  void send(Command command, Monitor::Answer done);
  void expire(std::uint64_t id);
  void begin_silence();
  void end_silence();
  void lose(const Error& why);
  void lose_ungreeted(std::string_view what);
  void find_nobody();
  void fail_waiting(const Error& why);
  void tell_listeners(Link link);
  void retry_later();
  void rest_if_unused();
  void end_rest();
  [[nodiscard]] bool is_used() const;
  [[nodiscard]] std::uint64_t start_timer(Nanoseconds delay, void (MonitorSession::*then)());
  void stop_timer();
  void greeting_overdue();

  const std::shared_ptr<net::Reactor> reactor_;
  const std::string path_;
  const Deadlines deadlines_;

  State state_ = State::kIdle;
  /// state_ is kReady.
  std::atomic<bool> is_up_{false};
  /// When silent_for() started to count, by the reactor's clock; 0: nothing is due.
  std::atomic<Nanoseconds> silent_since_{Nanoseconds(0)};
  bool closed_ = false;
  UniqueFd socket_;
  Splitter splitter_;
  std::string out_;
  Peer peer_;
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, InFlight> in_flight_;
  /// Commands and reach() calls that came before the connection was ready.
  std::deque<Waiting> waiting_;
  std::vector<std::function<void(Result<Peer>)>> reaching_;
  std::map<std::uint64_t, Listener> listeners_;
  /// The timer of the current state: for a greeting, the next attempt, or the end of a rest. 0:
  /// none.
  std::uint64_t timer_ = 0;
  Nanoseconds backoff_{0};
  /// Deadline of the greeting; set while the socket's backlog is full.
  std::optional<Nanoseconds> greeting_due_;
};

}  // namespace blockpull::qmp
