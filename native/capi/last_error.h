// SPDX-License-Identifier: Apache-2.0
//
// The error of a thread's last call, and the program's error handler. libvirt has two shapes, which
// programs see in the fields of virError:
//
//                       message            str1                   str2       int1, int2
//     report            prefix + detail    "<prefix>%s"           detail     -1 (errno for 38), -1
//     argument check    the whole text     function               argument   0, 0
//
// It is kept behind a pthread key, not in a thread_local object: a program may call from its
// atexit() handlers, when the main thread's objects are gone.
//
// Thread rule: any thread; each sees its own error. The handler is the process's, and is called on
// the thread that failed.

#pragma once

#include "capi/abi.h"
#include "virt/words/error_map.h"

namespace blockpull::capi {

/// Stores `failure` as this thread's last error and calls the error handler.
void raise(const virt::Failure& failure);

/// As libvirt does if a call fails without an error.
void raise_unknown();

}  // namespace blockpull::capi
