// SPDX-License-Identifier: Apache-2.0
//
// QEMU's end of a monitor, controlled by the test: it listens, accepts, reads requests and sends
// anything, byte by byte if necessary. Every wait is for a condition and gives up in the end.
//
// Thread rule: one thread at a time.

#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/unique_fd.h"
#include "core/qmp/json.h"

namespace blockpull::qmp {

inline constexpr std::string_view kGreetingText =
    R"({"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, )"
    R"("capabilities": ["oob"]}})"
    "\r\n";

/// A command as it arrived.
struct Request {
  std::string name;
  std::uint64_t id = 0;
  Json arguments;
};

class ServedClient {
 public:
  explicit ServedClient(UniqueFd fd) : fd_(std::move(fd)) {}

  void say(std::string_view bytes);
  /// `value` is JSON.
  void answer(const Request& request, std::string_view value);
  void refuse(const Request& request, std::string_view error_class, std::string_view words);
  /// `data` is JSON.
  void tell(std::string_view event, std::string_view data = "{}");

  /// The next command; absent if none comes or the client has gone.
  [[nodiscard]] std::optional<Request> read();
  /// The same without a time limit.
  [[nodiscard]] std::optional<Request> read_or_end() {
    is_patient_ = true;
    return read();
  }
  /// Like read(), but fails the test unless the command is called `name`.
  Request expect(std::string_view name);

  /// Greets, answers the negotiation and offers `commands`, a JSON array of names in objects.
  void greet(std::string_view commands = R"([{"name": "query-block"}, {"name": "query-status"}])");

  /// Whether the client closes its end; reads and drops everything that it sent before.
  [[nodiscard]] bool is_left();
  /// Whether the client has sent nothing so far.
  [[nodiscard]] bool is_quiet() const;
  void hang_up() { fd_.reset(); }
  /// The same; a read() on another thread sees the end of the stream.
  void shut_down() const;

 private:
  /// False at the end of the stream, or if nothing comes.
  [[nodiscard]] bool read_more();

  UniqueFd fd_;
  std::string received_;
  bool is_patient_ = false;
};

class ScriptedServer {
 public:
  explicit ScriptedServer(const std::string& path);
  ~ScriptedServer() { stop(); }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  /// Waits for a client to connect.
  [[nodiscard]] std::optional<ServedClient> accept();
  /// Whether a client waits to be accepted, or comes within that time.
  [[nodiscard]] bool has_waiting(std::chrono::milliseconds patience) const;

  /// Stops listening and removes the socket's file.
  void stop();

 private:
  const std::string path_;
  UniqueFd listener_;
};

}  // namespace blockpull::qmp
