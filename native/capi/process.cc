// SPDX-License-Identifier: Apache-2.0

#include "capi/process.h"

#include <cstdlib>
#include <utility>

#include <unistd.h>

#include "core/base/text.h"

namespace blockpull::capi {
namespace {

std::vector<std::string> default_uris() {
  std::vector<std::string> uris;
  for (const char* const name : virt::kUriVariables) {
    const char* const uri = std::getenv(name);
    uris.emplace_back(uri == nullptr ? "" : uri);
  }
  return uris;
}

}  // namespace

Process& Process::get() {
  static auto* const process = new Process;
  return *process;
}

bool Process::is_forked() const {
  return users_ != 0 && owner_ != ::getpid();
}

virt::Result<void> Process::check_not_forked(std::string_view function) const {
  if (is_forked()) {
    return virt::report(ErrorKind::kClosed, virt::ErrorCode::kOperationInvalid,
                        virt::ErrorDomain::kPublic,
                        text(function, " in a child of fork(): process ", owner_.load(),
                             " had connections open; close them before fork(), or exec() in the "
                             "child"));
  }
  return {};
}

virt::Result<std::shared_ptr<virt::Connect>> Process::open(virt::ConnectOptions options,
                                                           virt::OnEvent on_event) {
  owner_ = ::getpid();
  ++users_;
  const auto opened = [&]() -> virt::Result<std::shared_ptr<virt::Connect>> {
    BLOCKPULL_TRY(engine, virt::lifted(job::Engine::shared(), &virt::reported));
    BLOCKPULL_TRY(connection, virt::open_connect(std::move(engine), std::move(options),
                                                 default_uris(), std::move(on_event)));
    BLOCKPULL_CHECK(keep(connection));
    return connection;
  };
  auto connection = opened();
  if (!connection.ok()) {
    --users_;
  }
  return connection;
}

virt::Result<void> Process::keep(const std::shared_ptr<virt::Connect>& connection) {
  const std::lock_guard lock(mutex_);
  if (is_ending_) {
    return virt::report(ErrorKind::kClosed, virt::ErrorCode::kOperationInvalid,
                        virt::ErrorDomain::kPublic,
                        "process is ending; no connection can be opened");
  }
  connections_.push_back(connection);
  // Registered after the engine's own statics exist, so that it runs before they are destroyed.
  if (!std::exchange(ends_at_exit_, true) && std::atexit([] { get().end(); }) != 0) {
    std::abort();
  }
  return {};
}

void Process::close(std::shared_ptr<virt::Connect> connection) {
  connection->driver().close();
  connection->driver().wait_until_idle();
  connection.reset();
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(connections_, [](const auto& weak) { return weak.expired(); });
  }
  --users_;
}

std::vector<std::shared_ptr<virt::Connect>> Process::open_connections() {
  std::vector<std::shared_ptr<virt::Connect>> open;
  for (const auto& weak : connections_) {
    if (auto connection = weak.lock()) {
      open.push_back(std::move(connection));
    }
  }
  return open;
}

void Process::end() {
  if (is_forked()) {
    return;
  }
  std::vector<std::shared_ptr<virt::Connect>> open;
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
    open = open_connections();
  }
  for (const auto& connection : open) {
    connection->driver().abandon();
  }
  for (const auto& connection : open) {
    connection->driver().wait_until_idle();
  }
}

}  // namespace blockpull::capi
