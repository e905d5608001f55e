// SPDX-License-Identifier: Apache-2.0

#include "virt/session/pull_refusal.h"

#include <string>
#include <utility>

#include "virt/session/base_name.h"
#include "virt/session/checks.h"

namespace blockpull::virt {
namespace {

Failure with_hint(Failure failure, std::string hint) {
  failure.error.hint = std::move(hint);
  return failure;
}

}  // namespace

Failure pull_refused(Error error, const AskedPull& asked) {
  if (error.kind == ErrorKind::kJobActive) {
    return with_hint(job_active_on(asked.disk.target), std::move(error.message));
  }
  // libvirt's sentence names the active layer, so it needs a source.
  if (error.kind == ErrorKind::kNoBase && asked.base && !asked.disk.source.empty()) {
    // QEMU's message adds something; ours would repeat the sentence.
    return with_hint(no_such_base(*asked.base, asked.disk),
                     error.qemu ? std::move(error.message) : std::string());
  }
  // An error without a path is about the request, not about a file.
  if (error.kind == ErrorKind::kUnsupported && asked.require_relative && error.path.empty()) {
    return report(error.kind, ErrorCode::kOperationInvalid, ErrorDomain::kQemu,
                  "can't keep relative backing relationship");
  }
  return reported(std::move(error));
}

}  // namespace blockpull::virt
