// SPDX-License-Identifier: Apache-2.0

#include "virt/pull_refusal.h"

#include <utility>

#include "core/base/text.h"
#include "virt/base_name.h"
#include "virt/checks.h"

namespace blockpull::virt {
namespace {

/// QEMU's own words stay, behind libvirt's. They have an operation: the class of QEMU's error.
Failure with_words_of_qemu(Failure failure, const Error& said) {
  if (!said.operation.empty()) {
    failure.error.message += text(" (", said.message, ")");
  }
  return failure;
}

}  // namespace

Failure pull_refused(Error error, const AskedPull& asked) {
  if (error.kind == ErrorKind::kJobActive) {
    return with_words_of_qemu(job_active_on(asked.disk.target), error);
  }
  // libvirt's sentence names the active layer, of which only a source tells.
  if (error.kind == ErrorKind::kNoBase && asked.base && !asked.disk.source.empty()) {
    return with_words_of_qemu(no_such_base(*asked.base, asked.disk), error);
  }
  // Without a path: nothing is wrong with a file, but with what was asked.
  if (error.kind == ErrorKind::kUnsupported && asked.require_relative && error.path.empty()) {
    return report(error.kind, ErrorCode::kOperationInvalid, ErrorDomain::kQemu,
                  "can't keep relative backing relationship");
  }
  return reported(std::move(error));
}

}  // namespace blockpull::virt
