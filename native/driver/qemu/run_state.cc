// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/run_state.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "core/base/text.h"

namespace blockpull::driver::qemu {
namespace {

template <std::size_t Count>
bool is_among(std::string_view word, const std::array<std::string_view, Count>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// The states in which QEMU surely owns the images. In every other state, even an unknown one, QEMU
/// is assumed not to write.
bool is_owner_of_images(std::string_view status) {
  constexpr std::array<std::string_view, 10> kOwns{
      "",          "running", "paused",    "io-error", "watchdog",
      "suspended", "debug",   "prelaunch", "shutdown", "guest-panicked"};
  return is_among(status, kOwns);
}

/// A number of `object`, or "-".
std::string number_in(const qmp::Json& object, const char* name) {
  const auto number = object.member(name).number();
  return number ? text(*number) : std::string("-");
}

}  // namespace

RunState read_run_state(const qmp::Json& query_status, const qmp::Json& query_migrate) {
  RunState state;
  state.status = query_status.member("status").text_or_empty();
  state.migration = query_migrate.member("status").text_or_empty();
  if (state.migration == "none") {
    state.migration.clear();
  }
  if (!state.migration.empty()) {
    const qmp::Json ram = query_migrate.member("ram");
    for (const char* const name : {"total-time", "downtime", "setup-time"}) {
      state.migration_mark += text(number_in(query_migrate, name), " ");
    }
    for (const char* const name : {"transferred", "normal", "duplicate", "dirty-sync-count"}) {
      state.migration_mark += text(number_in(ram, name), " ");
    }
  }
  return state;
}

bool is_migrating(const RunState& state) {
  constexpr std::array<std::string_view, 4> kOver{"", "completed", "failed", "cancelled"};
  return !is_among(state.migration, kOver);
}

bool is_inactive(const RunState& state) {
  constexpr std::array<std::string_view, 5> kHandsOver{
      "device", "pre-switchover", "postcopy-active", "postcopy-paused", "postcopy-recover"};
  return !is_owner_of_images(state.status) || is_among(state.migration, kHandsOver);
}

Result<void> check_may_write(const RunState& state) {
  if (!is_owner_of_images(state.status)) {
    return make_error(ErrorKind::kGuestBusy,
                      text("guest is in state '", state.status,
                           "', in which QEMU may not write to its images; try again once it runs "
                           "or is stopped here"));
  }
  if (is_migrating(state)) {
    return make_error(ErrorKind::kGuestBusy,
                      text("guest is being migrated or saved (its migration is '", state.migration,
                           "'); try again when that has ended"));
  }
  return {};
}

}  // namespace blockpull::driver::qemu
