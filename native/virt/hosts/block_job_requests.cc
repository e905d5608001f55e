// SPDX-License-Identifier: Apache-2.0

#include "virt/hosts/block_job_requests.h"

namespace blockpull::virt {

const char* name_of(PullCall call) {
  return call == PullCall::kBlockRebase ? "virDomainBlockRebase" : "virDomainBlockPull";
}

const char* name_of(JobDoes what) {
  switch (what) {
    case JobDoes::kPause:
      return "paused";
    case JobDoes::kStop:
      return "stopped";
    case JobDoes::kWaitForEnd:
      return "pending";
    case JobDoes::kAbort:
      return "aborting";
    default:
      return "running";
  }
}

}  // namespace blockpull::virt
