// SPDX-License-Identifier: Apache-2.0
//
// What QEMU's sentences mean. Nearly every error of QEMU has the class GenericError, so only its
// words show what went wrong, and they differ between versions. Only this file reads them; all
// other code uses their meaning.
//
// Each function is about the answer to one command, since the same words may mean something else in
// the answer to another. Source: QEMU 7.2 to 10.0, block/stream.c, blockdev.c, blockjob.c, job.c,
// block.c; test/native/driver/qemu/qemu_words_test.cc has the sentences.
//
// Pure functions.

#pragma once

#include <string_view>

#include "core/base/error.h"

namespace blockpull::driver::qemu::words {

// Answers to block-stream.
[[nodiscard]] bool disk_has_job(const Error& error);
[[nodiscard]] bool no_such_base(const Error& error);
[[nodiscard]] bool no_such_disk(const Error& error);
[[nodiscard]] bool is_read_only(const Error& error);
/// QEMU is old and does not know the command, or an argument that is always sent.
[[nodiscard]] bool command_unknown(const Error& error);

// Answers to blockdev-add and blockdev-reopen, for the filter of a flush.
/// The filter that was just added is missing.
[[nodiscard]] bool no_such_node(const Error& error);
[[nodiscard]] bool node_exists(const Error& error);
[[nodiscard]] bool node_is_read_only(const Error& error);
/// Another filter was put between ours and the node after ours was added.
[[nodiscard]] bool child_is_fixed(const Error& error);
/// QEMU was built without the filter's driver, or may not use it.
[[nodiscard]] bool lacks_driver(const Error& error);

// Answers to block-job-pause, -resume, -set-speed and the like.
[[nodiscard]] bool already_paused(const Error& error);
[[nodiscard]] bool not_paused(const Error& error);
/// The job accepts no such command in its state: everything is copied.
[[nodiscard]] bool takes_no_command(const Error& error);
/// There is no such job.
[[nodiscard]] bool no_such_job(const Error& error);

/// The kind of the error that a job ended with, from QEMU's words.
[[nodiscard]] ErrorKind kind_of_job_error(std::string_view said);
/// QEMU's words for such a kind; kNoSpace or kIo.
[[nodiscard]] std::string_view words_for(ErrorKind kind);

}  // namespace blockpull::driver::qemu::words
