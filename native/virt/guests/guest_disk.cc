// SPDX-License-Identifier: Apache-2.0

#include "virt/guests/guest_disk.h"

#include <filesystem>
#include <string_view>
#include <utility>

#include "driver/qemu/guest_view.h"
#include "virt/session/checks.h"
#include "virt/session/waiting_call.h"

namespace blockpull::virt {
namespace {

constexpr std::string_view kListDisks = "listDisks";

/// The images that a guest's devices use; if it has no devices, the images that nothing is on top
/// of.
std::vector<Disk> disks_in(const driver::qemu::BlockGraph& graph) {
  std::vector<Disk> disks;
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const driver::qemu::BlockNode& node = graph.nodes()[i];
    if (graph.is_disk(i)) {
      Disk disk;
      disk.target = graph.disk_name(i);
      disk.source = node.filename;
      disk.format = node.driver;
      disks.push_back(std::move(disk));
    }
  }
  return disks;
}

}  // namespace

DiskRef ref_to(const GuestDisk& on) {
  return {on.domain.name, on.domain.uuid, on.disk.target, on.disk.source};
}

driver::qemu::DiskName name_for_qemu(const Disk& disk) {
  driver::qemu::DiskName name{disk.source, {}, disk.target, {}};
  if (!disk.source.empty()) {
    std::error_code unknown;
    name.canonical_path = std::filesystem::canonical(disk.source, unknown).string();
    if (const auto file = io::identify(disk.source); file.ok()) {
      name.file = *file;
    }
  }
  return name;
}

Disk disk_of(const Domain& domain, const driver::qemu::StreamPlan& plan) {
  for (const Disk& disk : domain.disks) {
    const auto file = io::identify(disk.source);
    const bool is_file = file.ok() && !plan.layers.empty() && plan.layers.front().seen &&
                         plan.layers.front().seen->is_qemus &&
                         plan.layers.front().seen->id == *file;
    if (disk.source == plan.path || is_file) {
      return disk;
    }
  }
  Disk unknown;
  unknown.target = plan.disk_name;
  unknown.source = plan.path;
  return unknown;
}

Failure no_such_disk(const Disk& disk, const Error& why) {
  Failure failure = no_disk(disk.target);
  failure.error.hint = why.message;
  return failure;
}

void list_disks(const std::shared_ptr<Connection>& connection, const std::string& uuid,
                Answer<std::vector<Disk>> done) {
  const auto find = [&]() -> Result<FoundDomain> {
    BLOCKPULL_TRY(domain, connection->domain_of(uuid));
    BLOCKPULL_TRY(state, connection->state_of(domain));
    return FoundDomain{std::move(domain), state};
  };
  auto found = find();
  if (!found.ok()) {
    done(std::move(found).error());
    return;
  }
  if (!found->domain.disks.empty() || found->state != DomainState::kRunning) {
    done(std::move(found->domain.disks));
    return;
  }
  const auto monitor = begin_waiting(*connection, found->domain, kListDisks, done);
  if (monitor == nullptr) {
    return;
  }
  driver::qemu::view_guest(
      connection->shared_engine(), monitor,
      [done = std::move(done)](const blockpull::Result<driver::qemu::GuestView>& view) {
        done(view.ok() ? Result<std::vector<Disk>>(disks_in(view->graph)) : reported(view.error()));
      });
}

}  // namespace blockpull::virt
