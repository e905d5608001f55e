// SPDX-License-Identifier: Apache-2.0
//
// Users hold the monitor as a handle: its calls are posted to the session on the reactor's thread.
// The end of the handle closes the session there. A posted call holds the session, so an answer on
// its way still finds it.

#include "core/qmp/shared_monitor.h"

#include <atomic>
#include <map>
#include <mutex>
#include <utility>

#include "core/qmp/monitor_session.h"

namespace blockpull::qmp {
namespace {

class Handle final : public Monitor {
 public:
  Handle(std::shared_ptr<net::Reactor> reactor, const std::string& path, const Deadlines& deadlines)
      : reactor_(std::move(reactor)),
        path_(path),
        session_(std::make_shared<MonitorSession>(reactor_, path, deadlines)) {}

  ~Handle() override {
    reactor_->post([session = std::move(session_)] { session->close(); });
  }

  [[nodiscard]] const std::string& path() const override { return path_; }

  [[nodiscard]] bool is_up() const override { return session_->is_up(); }

  [[nodiscard]] Nanoseconds silent_for() const override { return session_->silent_for(); }

  void reach(std::function<void(Result<Peer>)> done) override {
    reactor_->post([session = session_, done = std::move(done)]() mutable {
      session->reach(std::move(done));
    });
  }

  void execute(Command command, Answer done) override {
    reactor_->post(
        [session = session_, command = std::move(command), done = std::move(done)]() mutable {
          session->execute(std::move(command), std::move(done));
        });
  }

  void call_later(Nanoseconds delay, std::function<void()> callback) override {
    reactor_->post([reactor = reactor_.get(), delay, callback = std::move(callback)]() mutable {
      reactor->call_at(reactor->clock().now() + delay, std::move(callback));
    });
  }

  [[nodiscard]] std::uint64_t listen(Listener listener) override {
    const std::uint64_t id = next_listener_++;
    reactor_->post([session = session_, id, listener = std::move(listener)]() mutable {
      session->add_listener(id, std::move(listener));
    });
    return id;
  }

  void ignore(std::uint64_t listener) override {
    reactor_->post([session = session_, listener] { session->remove_listener(listener); });
  }

 private:
  const std::shared_ptr<net::Reactor> reactor_;
  const std::string path_;
  std::shared_ptr<MonitorSession> session_;
  std::atomic<std::uint64_t> next_listener_{1};
};

}  // namespace

std::shared_ptr<Monitor> shared_monitor(const std::shared_ptr<net::Reactor>& reactor,
                                        const std::string& path, const Deadlines& deadlines) {
  static std::mutex mutex;
  static auto* const known = new std::map<std::string, std::weak_ptr<Monitor>>;
  const std::lock_guard lock(mutex);
  std::erase_if(*known, [](const auto& entry) { return entry.second.expired(); });
  auto& entry = (*known)[path];
  auto monitor = entry.lock();
  if (monitor == nullptr) {
    monitor = std::make_shared<Handle>(reactor, path, deadlines);
    entry = monitor;
  }
  return monitor;
}

}  // namespace blockpull::qmp
