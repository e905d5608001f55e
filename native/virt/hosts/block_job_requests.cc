// SPDX-License-Identifier: Apache-2.0

#include "virt/hosts/block_job_requests.h"

namespace blockpull::virt {

const char* name_of(PullCall call) {
  return call == PullCall::kBlockRebase ? "virDomainBlockRebase" : "virDomainBlockPull";
}

const char* name_of(JobActivity what) {
  switch (what) {
    case JobActivity::kPause:
      return "paused";
    case JobActivity::kStop:
      return "stopped";
    case JobActivity::kWaitForEnd:
      return "pending";
    case JobActivity::kAbort:
      return "aborting";
    default:
      return "running";
  }
}

}  // namespace blockpull::virt
