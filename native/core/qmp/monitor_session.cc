// SPDX-License-Identifier: Apache-2.0

#include "core/qmp/monitor_session.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>
#include <utility>

#include <sys/epoll.h>
#include <sys/socket.h>

#include "core/base/text.h"
#include "core/qmp/monitor_errors.h"
#include "core/qmp/monitor_socket.h"

namespace blockpull::qmp {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// How long an unused connection is kept, so that successive calls do not each connect. Shorter
/// than any deadline for a greeting, so that waiting clients are served in time.
constexpr Nanoseconds kRest = seconds(1);

/// Pauses between attempts to connect again: doubled from the first to the longest.
constexpr Nanoseconds kFirstBackoff = milliseconds(50);
constexpr Nanoseconds kLongestBackoff = seconds(5);

/// Time between attempts to enter a full backlog.
constexpr Nanoseconds kQueueInterval = milliseconds(20);

/// Bytes of one read, and how many reads in a row before other sockets have their turn.
constexpr std::size_t kReadBytes = std::size_t{64} << 10U;
constexpr int kReadsAtOnce = 4;

/// Most bytes that wait to be sent. Commands are small, so a peer that leaves more unread is dead.
constexpr std::size_t kUnsentBytes = std::size_t{4} << 20U;

/// QEMUs of one version list the same commands, some 20 KB. A thousand monitors share them.
std::shared_ptr<const CommandSet> shared_set(CommandSet commands) {
  static std::mutex mutex;
  static auto* const latest = new std::weak_ptr<const CommandSet>;
  const std::lock_guard lock(mutex);
  auto shared = latest->lock();
  if (shared == nullptr || *shared != commands) {
    shared = std::make_shared<const CommandSet>(std::move(commands));
    *latest = shared;
  }
  return shared;
}

}  // namespace

void MonitorSession::reach(std::function<void(Result<Peer>)> done) {
  if (state_ == State::kReady) {
    done(peer_);
    rest_if_unused();
    return;
  }
  reaching_.push_back(std::move(done));
  connect();
}

void MonitorSession::execute(Command command, Monitor::Answer done) {
  if (state_ == State::kReady) {
    send(std::move(command), std::move(done));
    return;
  }
  waiting_.push_back({std::move(command), std::move(done)});
  connect();
}

void MonitorSession::add_listener(std::uint64_t id, Listener listener) {
  const auto added = listeners_.insert_or_assign(id, std::move(listener)).first;
  if (state_ == State::kReady) {
    added->second.on_link(Link::kUp);
    return;
  }
  connect();
}

void MonitorSession::remove_listener(std::uint64_t id) {
  listeners_.erase(id);
  rest_if_unused();
}

void MonitorSession::close() {
  closed_ = true;
  listeners_.clear();
  lose(make_error(ErrorKind::kClosed, text("monitor '", path_, "' was closed by this process")));
  stop_timer();
}

bool MonitorSession::is_used() const {
  return !listeners_.empty() || !waiting_.empty() || !reaching_.empty() || !in_flight_.empty();
}

void MonitorSession::stop_timer() {
  reactor_->cancel_call(std::exchange(timer_, 0));
}

std::uint64_t MonitorSession::start_timer(Nanoseconds delay, void (MonitorSession::*then)()) {
  return reactor_->call_at(reactor_->clock().now() + delay, [weak = weak_from_this(), then] {
    if (const auto self = weak.lock()) {
      self->timer_ = 0;
      (self.get()->*then)();
    }
  });
}

/// Starts to connect unless there is a connection, or one is being made.
void MonitorSession::connect() {
  if (closed_ || (state_ != State::kIdle && state_ != State::kBackoff)) {
    return;
  }
  stop_timer();
  state_ = State::kIdle;
  auto connecting = connect_monitor(path_);
  if (!connecting.ok()) {
    lose(connecting.error());
    return;
  }
  if (connecting->reached == net::Reached::kNobody) {
    find_nobody();
    return;
  }
  if (connecting->reached == net::Reached::kQueueFull) {
    queue_up();
    return;
  }
  socket_ = std::move(connecting->fd);
  splitter_ = Splitter();
  out_.clear();
  auto watched =
      reactor_->watch(socket_.get(), EPOLLIN, [weak = weak_from_this()](std::uint32_t events) {
        if (const auto self = weak.lock()) {
          self->on_ready(events);
        }
      });
  if (!watched.ok()) {
    lose(watched.error());
    return;
  }
  state_ = State::kGreeting;
  begin_silence();
  const Nanoseconds now = reactor_->clock().now();
  timer_ = start_timer(greeting_due_.value_or(now + deadlines_.connect) - now,
                       &MonitorSession::greeting_overdue);
}

/// QEMU's backlog has room for one or two clients. It may be full of clients that only checked
/// whether somebody listens and have already left.
void MonitorSession::queue_up() {
  const Nanoseconds now = reactor_->clock().now();
  greeting_due_ = greeting_due_.value_or(now + deadlines_.connect);
  begin_silence();
  if (now >= *greeting_due_) {
    lose_ungreeted("already has other clients waiting");
    return;
  }
  state_ = State::kQueued;
  timer_ = start_timer(kQueueInterval, &MonitorSession::leave_queue);
}

void MonitorSession::leave_queue() {
  state_ = State::kIdle;
  connect();
}

void MonitorSession::disconnect() {
  greeting_due_.reset();
  if (socket_.is_open()) {
    reactor_->unwatch(socket_.get());
    socket_.reset();
  }
  stop_timer();
  state_ = State::kIdle;
  is_up_ = false;
  silent_since_ = Nanoseconds(0);
}

void MonitorSession::begin_silence() {
  if (silent_since_.load() == Nanoseconds(0)) {
    silent_since_ = reactor_->clock().now();
  }
}

/// A byte was received.
void MonitorSession::end_silence() {
  const bool is_owed = !in_flight_.empty() || state_ == State::kGreeting;
  silent_since_ = is_owed ? reactor_->clock().now() : Nanoseconds(0);
}

Nanoseconds MonitorSession::silent_for() const {
  const Nanoseconds since = silent_since_;
  return since == Nanoseconds(0) ? since : reactor_->clock().now() - since;
}

void MonitorSession::greeting_overdue() {
  const auto waited = std::chrono::duration_cast<milliseconds>(deadlines_.connect).count();
  lose_ungreeted(text("sent no greeting in ", waited, " ms"));
}

/// The silence of a monitor that is tried again counts from the first attempt.
void MonitorSession::lose_ungreeted(std::string_view what) {
  const Nanoseconds since = silent_since_;
  lose(busy(path_, what));
  if (state_ == State::kBackoff) {
    silent_since_ = since;
  }
}

void MonitorSession::on_ready(std::uint32_t events) {
  // A callback below may be the last to hold this.
  const auto self = shared_from_this();
  if ((events & EPOLLOUT) != 0) {
    if (auto written = write_some(); !written.ok()) {
      lose(written.error());
      return;
    }
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
    if (auto read = read_some(); !read.ok() && socket_.is_open()) {
      lose(std::move(read).error().with_path(path_));
    }
  }
}

Result<void> MonitorSession::read_some() {
  std::array<char, kReadBytes> buffer;
  for (int i = 0; i < kReadsAtOnce; ++i) {
    const ssize_t count = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
      return {};
    }
    if (count < 0) {
      return make_error(ErrorKind::kMonitorLost,
                        text("monitor '", path_, "' broke off: ", errno_text(errno)));
    }
    if (count == 0) {
      return make_error(
          ErrorKind::kMonitorLost,
          text("monitor '", path_, "' was closed by ",
               state_ == State::kGreeting ? "its listener without a greeting" : "QEMU"));
    }
    BLOCKPULL_CHECK(take_bytes({buffer.data(), static_cast<std::size_t>(count)}));
    if (!socket_.is_open()) {
      return {};
    }
  }
  return {};
}

Result<void> MonitorSession::take_bytes(std::string_view bytes) {
  Result<void> taken;
  auto fed = splitter_.feed(bytes, [&](std::string_view object) {
    taken = take(object);
    return taken.ok() && socket_.is_open();
  });
  if (!fed.ok()) {
    taken = std::move(fed);
  }
  // A monitor that has greeted before is a QMP monitor, whatever it sends first now.
  if (!taken.ok() && state_ == State::kGreeting && !peer_.is_there) {
    return no_qmp(path_, bytes);
  }
  end_silence();
  return taken;
}

Result<void> MonitorSession::write_some() {
  while (!out_.empty()) {
    const ssize_t count = ::send(socket_.get(), out_.data(), out_.size(), MSG_NOSIGNAL);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
      break;
    }
    if (count < 0) {
      return make_error(ErrorKind::kMonitorLost,
                        text("monitor '", path_, "' broke off: ", errno_text(errno)));
    }
    out_.erase(0, static_cast<std::size_t>(count));
  }
  reactor_->change(socket_.get(), out_.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT);
  return {};
}

Result<void> MonitorSession::take(std::string_view object) {
  BLOCKPULL_TRY(message, read_message(object));
  if (const auto* const greeting = std::get_if<Greeting>(&message)) {
    if (state_ == State::kGreeting) {
      negotiate(*greeting);
    }
    return {};
  }
  if (state_ == State::kGreeting) {
    // Meant for the client before us.
    return {};
  }
  if (auto* const reply = std::get_if<Reply>(&message)) {
    return take_reply(std::move(*reply));
  }
  // A listener may remove itself or another one, but only by a posted call.
  const Event& event = std::get<Event>(message);
  for (const auto& [id, listener] : listeners_) {
    listener.on_event(event);
  }
  return {};
}

Result<void> MonitorSession::take_reply(Reply reply) {
  if (!reply.id) {
    return make_error(
        ErrorKind::kMonitorLost,
        text("monitor '", path_, "' could not parse a request: ",
             reply.error ? reply.error->description : std::string("an answer without an id")));
  }
  const auto found = in_flight_.find(*reply.id);
  if (found == in_flight_.end()) {
    // The answer to a command that has timed out.
    return {};
  }
  InFlight answered = std::move(found->second);
  in_flight_.erase(found);
  reactor_->cancel_call(answered.timer);
  if (reply.error) {
    answered.done(qemu_error(path_, answered.name, *std::move(reply.error)));
  } else {
    answered.done(std::move(reply.value));
  }
  rest_if_unused();
  return {};
}

void MonitorSession::negotiate(const Greeting& greeting) {
  stop_timer();
  state_ = State::kNegotiating;
  peer_.version = greeting.version;
  peer_.process = net::peer_process(socket_.get());
  const auto refused = [this](const Result<Json>& answer) {
    if (!answer.ok() && socket_.is_open()) {
      lose(answer.error());
    }
  };
  // The session owns the objects that hold these callbacks, so it still exists when they run.
  send({"qmp_capabilities", "", false}, refused);
  send({"query-commands", "", false}, [this, refused](const Result<Json>& answer) {
    if (!answer.ok()) {
      refused(answer);
      return;
    }
    CommandSet commands;
    for (std::size_t i = 0; i < answer->size(); ++i) {
      commands.insert(answer->at(i).member("name").text_or_empty());
    }
    peer_.is_there = true;
    peer_.commands = shared_set(std::move(commands));
    become_ready();
  });
}

void MonitorSession::become_ready() {
  state_ = State::kReady;
  is_up_ = true;
  backoff_ = Nanoseconds(0);
  tell_listeners(Link::kUp);
  for (const auto& told : std::exchange(reaching_, {})) {
    told(peer_);
  }
  for (Waiting& waiting : std::exchange(waiting_, {})) {
    send(std::move(waiting.command), std::move(waiting.done));
  }
}

void MonitorSession::send(Command command, Monitor::Answer done) {
  const std::uint64_t id = next_id_++;
  JsonWriter request;
  request.member("execute", command.name);
  if (!command.arguments.empty()) {
    request.object("arguments", command.arguments);
  }
  request.number("id", id);
  if (auto sendable = check_sendable(request.text()); !sendable.ok()) {
    done(std::move(sendable).error());
    return;
  }
  out_ += request.text();
  out_ += '\n';
  const Nanoseconds patience = command.changes_graph ? deadlines_.change : deadlines_.query;
  const std::uint64_t timer =
      reactor_->call_at(reactor_->clock().now() + patience, [weak = weak_from_this(), id] {
        if (const auto self = weak.lock()) {
          self->expire(id);
        }
      });
  begin_silence();
  in_flight_.emplace(id, InFlight{std::move(command.name), std::move(done), timer, patience});
  auto written = write_some();
  if (written.ok() && out_.size() > kUnsentBytes) {
    written = make_error(ErrorKind::kMonitorLost,
                         text("monitor '", path_, "' does not read its requests"));
  }
  if (!written.ok()) {
    // Posted, since the sender is not ready to receive the end of its command. Until then a new
    // connection may have been made, which does not owe this answer.
    reactor_->post([weak = weak_from_this(), id, why = written.error()] {
      const auto self = weak.lock();
      if (self != nullptr && self->in_flight_.count(id) > 0) {
        self->lose(why);
      }
    });
  }
}

void MonitorSession::expire(std::uint64_t id) {
  const auto found = in_flight_.find(id);
  if (found == in_flight_.end()) {
    return;
  }
  const InFlight overdue = std::move(found->second);
  in_flight_.erase(found);
  overdue.done(unanswered(path_, overdue.name, overdue.patience));
  rest_if_unused();
}

/// The connection is lost, or could not be made: everything that waits for it gets the reason.
void MonitorSession::lose(const Error& why) {
  const bool was_up = state_ == State::kReady;
  disconnect();
  for (auto& [id, lost] : std::exchange(in_flight_, {})) {
    reactor_->cancel_call(lost.timer);
    lost.done(why);
  }
  fail_waiting(why);
  if (was_up) {
    tell_listeners(Link::kLost);
  }
  if (!listeners_.empty()) {
    retry_later();
  }
}

void MonitorSession::find_nobody() {
  disconnect();
  for (const auto& told : std::exchange(reaching_, {})) {
    told(Peer{});
  }
  fail_waiting(make_error(ErrorKind::kMonitorLost,
                          text("nobody listens on monitor '", path_, "': the guest has ended"))
                   .with_path(path_));
  tell_listeners(Link::kGone);
  if (!listeners_.empty()) {
    retry_later();
  }
}

void MonitorSession::fail_waiting(const Error& why) {
  for (const auto& told : std::exchange(reaching_, {})) {
    told(why);
  }
  for (Waiting& waiting : std::exchange(waiting_, {})) {
    waiting.done(why);
  }
}

void MonitorSession::tell_listeners(Link link) {
  for (const auto& [id, listener] : listeners_) {
    listener.on_link(link);
  }
}

void MonitorSession::retry_later() {
  if (closed_) {
    return;
  }
  state_ = State::kBackoff;
  backoff_ = backoff_ == Nanoseconds(0) ? kFirstBackoff : std::min(2 * backoff_, kLongestBackoff);
  timer_ = start_timer(backoff_, &MonitorSession::connect);
}

void MonitorSession::rest_if_unused() {
  if ((state_ == State::kBackoff || state_ == State::kQueued) && !is_used()) {
    disconnect();
  }
  if (state_ == State::kReady && !is_used() && timer_ == 0) {
    timer_ = start_timer(kRest, &MonitorSession::end_rest);
  }
}

/// If the monitor is in use again, the next end of use starts a new rest.
void MonitorSession::end_rest() {
  if (state_ == State::kReady && !is_used()) {
    disconnect();
  }
}

}  // namespace blockpull::qmp
