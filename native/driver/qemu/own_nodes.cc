// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/own_nodes.h"

#include <chrono>

#include <unistd.h>

#include "core/base/text.h"
#include "driver/qemu/job_id.h"

namespace blockpull::driver::qemu {
namespace {

constexpr std::string_view kPrefix = "blockpull-";

/// Distinguishes this process, on that monitor, from every other client of a QEMU.
std::string client_digits(const std::string& monitor) {
  static const auto began = std::chrono::system_clock::now().time_since_epoch().count();
  return hash_digits(text(::getpid(), " since ", began, " on ", monitor));
}

}  // namespace

std::string name_of_own_node(const std::string& purpose, const std::string& monitor) {
  return text(kPrefix, hash_digits(purpose), "-", client_digits(monitor));
}

bool is_own_node(std::string_view name) {
  if (!name.starts_with(kPrefix)) {
    return false;
  }
  const std::string_view hashes = name.substr(kPrefix.size());
  const std::size_t dash = hashes.find('-');
  return dash != std::string_view::npos && is_hash(hashes.substr(0, dash)) &&
         is_hash(hashes.substr(dash + 1));
}

qmp::Command removal_of_own_node(const std::string& name) {
  return {"blockdev-del", qmp::JsonWriter().member("node-name", name).text(), true};
}

void remove_orphaned_nodes(const std::shared_ptr<qmp::Monitor>& monitor,
                           const std::vector<std::string>& names) {
  const std::string own = client_digits(monitor->path());
  for (const std::string& name : names) {
    if (is_own_node(name) && !name.ends_with(own)) {
      monitor->execute(removal_of_own_node(name), [](const Result<qmp::Json>& /*answer*/) {});
    }
  }
}

}  // namespace blockpull::driver::qemu
