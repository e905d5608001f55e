// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/last_cluster.h"

#include "core/image/qcow2/disk_tail.h"
#include "driver/qemu/guest_files.h"

namespace blockpull::driver::qemu {

std::string warn_of_last_cluster(const StreamPlan& plan) {
  const bool may_have_one = plan.has_work && plan.layers.size() > 1 &&
                            plan.layers[1].virtual_size > plan.layers[0].virtual_size;
  if (!may_have_one) {
    return {};
  }
  auto chain = open_beside_qemu({plan.layers[0]});
  if (!chain.ok()) {
    return {};
  }
  image::Qcow2Image& image = *chain->active_qcow2();
  const auto tails = image::qcow2::find_disk_tails(image, image::qcow2::DiskStates(image));
  return tails.ok() && !tails->empty() ? warning_of(plan.path, image, tails->front())
                                       : std::string();
}

}  // namespace blockpull::driver::qemu
