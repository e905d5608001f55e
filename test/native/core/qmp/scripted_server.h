// SPDX-License-Identifier: Apache-2.0
//
// QEMU's end of a monitor, moved by hand: a test listens, accepts, reads what it was sent and says
// what it likes, byte by byte if it must be. Every wait is for a condition and gives up in the end.
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

/// A command as it came.
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

  /// The next command; absent when none comes, or the client has gone.
  [[nodiscard]] std::optional<Request> read();
  /// The same without an end to its patience.
  [[nodiscard]] std::optional<Request> read_or_end() {
    is_patient_ = true;
    return read();
  }
  /// The same as read(), and a failure of the test unless it is called `name`.
  Request expect(std::string_view name);

  /// Greets, takes the negotiation and offers `commands`, a JSON array of names in objects.
  void greet(std::string_view commands = R"([{"name": "query-block"}, {"name": "query-status"}])");

  /// Whether the client closes its end, with all that it sent before read and dropped.
  [[nodiscard]] bool is_left();
  /// Whether the client has sent nothing so far.
  [[nodiscard]] bool is_quiet() const;
  void hang_up() { fd_.reset(); }
  /// The same, seen by a read() on another thread as the stream's end.
  void shut_down() const;

 private:
  /// False at the end of the stream, or when nothing comes.
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

  /// Waits for one to connect.
  [[nodiscard]] std::optional<ServedClient> accept();
  /// Whether somebody waits to be accepted, or comes in that time.
  [[nodiscard]] bool has_waiting(std::chrono::milliseconds patience) const;

  /// Nobody listens any more; the socket's file goes.
  void stop();

 private:
  const std::string path_;
  UniqueFd listener_;
};

}  // namespace blockpull::qmp
