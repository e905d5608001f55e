// SPDX-License-Identifier: Apache-2.0

#include "core/qmp/scripted_server.h"

#include <array>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "core/base/inbox.h"
#include "core/base/text.h"

namespace blockpull::qmp {
namespace {

bool has_input(int fd, std::chrono::milliseconds patience) {
  pollfd wanted{fd, POLLIN, 0};
  return ::poll(&wanted, 1, static_cast<int>(patience.count())) == 1;
}

}  // namespace

void ServedClient::say(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      // The client may have left.
      return;
    }
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

void ServedClient::answer(const Request& request, std::string_view value) {
  say(text(R"({"return": )", value, R"(, "id": )", request.id, "}\r\n"));
}

void ServedClient::refuse(const Request& request, std::string_view error_class,
                          std::string_view words) {
  say(text(R"({"id": )", request.id, R"(, "error": {"class": ")", error_class, R"(", "desc": ")",
           words, "\"}}\r\n"));
}

void ServedClient::tell(std::string_view event, std::string_view data) {
  say(text(R"({"event": ")", event, R"(", "data": )", data,
           R"(, "timestamp": {"seconds": 1, "microseconds": 2}})", "\r\n"));
}

bool ServedClient::read_more() {
  std::array<char, 4096> buffer;
  if (!fd_.is_open() || (!is_patient_ && !has_input(fd_.get(), kPatience))) {
    return false;
  }
  const ssize_t count = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
  if (count <= 0) {
    return false;
  }
  received_.append(buffer.data(), static_cast<std::size_t>(count));
  return true;
}

std::optional<Request> ServedClient::read() {
  std::size_t end = received_.find('\n');
  while (end == std::string::npos) {
    if (!read_more()) {
      return std::nullopt;
    }
    end = received_.find('\n');
  }
  const auto parsed = Json::parse(std::string_view(received_).substr(0, end));
  received_.erase(0, end + 1);
  if (!parsed.ok()) {
    ADD_FAILURE() << parsed.error().message;
    return std::nullopt;
  }
  return Request{parsed->member("execute").text_or_empty(),
                 parsed->member("id").number().value_or(0), parsed->member("arguments")};
}

Request ServedClient::expect(std::string_view name) {
  auto request = read();
  EXPECT_TRUE(request) << "nothing came instead of " << name;
  if (!request) {
    return {};
  }
  EXPECT_EQ(request->name, name);
  return *std::move(request);
}

void ServedClient::greet(std::string_view commands) {
  say(kGreetingText);
  answer(expect("qmp_capabilities"), "{}");
  answer(expect("query-commands"), commands);
}

void ServedClient::shut_down() const {
  ::shutdown(fd_.get(), SHUT_RDWR);
}

bool ServedClient::is_left() {
  while (read_more()) {
    received_.clear();
  }
  pollfd wanted{fd_.get(), POLLIN, 0};
  return ::poll(&wanted, 1, 0) == 1;
}

bool ServedClient::is_quiet() const {
  return received_.empty() && !has_input(fd_.get(), std::chrono::milliseconds(0));
}

ScriptedServer::ScriptedServer(const std::string& path)
    : path_(path), listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
  EXPECT_EQ(::bind(listener_.get(), generic, sizeof address), 0) << std::strerror(errno);
  EXPECT_EQ(::listen(listener_.get(), 1), 0) << std::strerror(errno);
}

bool ScriptedServer::has_waiting(std::chrono::milliseconds patience) const {
  return has_input(listener_.get(), patience);
}

std::optional<ServedClient> ScriptedServer::accept() {
  if (!has_input(listener_.get(), kPatience)) {
    return std::nullopt;
  }
  return ServedClient(UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
}

void ScriptedServer::stop() {
  if (listener_.is_open()) {
    listener_.reset();
    ::unlink(path_.c_str());
  }
}

}  // namespace blockpull::qmp
