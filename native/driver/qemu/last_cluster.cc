// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/last_cluster.h"

#include "core/base/text.h"
#include "core/image/chain.h"
#include "core/image/qcow2/disk_tail.h"
#include "driver/tail_warning.h"

namespace blockpull::driver {

std::string warn_of_last_cluster(const StreamPlan& plan) {
  const bool may_have_one = plan.has_work && plan.layers.size() > 1 && plan.layers[0].seen &&
                            plan.layers[1].virtual_size > plan.layers[0].virtual_size;
  if (!may_have_one) {
    return {};
  }
  const SeenFile& file = *plan.layers[0].seen;
  auto chain = image::open_listed({{file.path, image::Format::kQcow2}});
  if (!chain.ok() || chain->layers.front().file->id() != file.id) {
    return {};
  }
  const auto tail = image::qcow2::find_disk_tail(*chain->active_qcow2());
  return tail.ok() && *tail
             ? tail_warning(plan.path, chain->active().virtual_size(), (*tail)->length)
             : std::string();
}

}  // namespace blockpull::driver
