// SPDX-License-Identifier: Apache-2.0
//
// What QEMU's sentences mean. Nearly every error of QEMU has the class GenericError, so what went
// wrong is told by its words alone, and these differ between versions. Here is the only place that
// reads them; everything above sees what they mean.
//
// Each is a question about the answer to one command, since the same words may mean another thing
// in the answer to another one. Source: QEMU 7.2 to 10.0, block/stream.c, blockdev.c, blockjob.c,
// job.c, block.c; test/native/driver/qemu/qemu_words_test.cc has the sentences.
//
// Pure functions.

#pragma once

#include <string_view>

#include "core/base/error.h"

namespace blockpull::driver::qemu::words {

// Of block-stream.
[[nodiscard]] bool disk_has_job(const Error& error);
[[nodiscard]] bool no_such_base(const Error& error);
[[nodiscard]] bool no_such_disk(const Error& error);
[[nodiscard]] bool is_read_only(const Error& error);
/// The command, or an argument of it that is always sent, is not known: an old QEMU.
[[nodiscard]] bool command_unknown(const Error& error);

// Of blockdev-add and blockdev-reopen, for the filter of a flush.
/// The filter that was just added is not there.
[[nodiscard]] bool no_such_node(const Error& error);
[[nodiscard]] bool node_exists(const Error& error);
[[nodiscard]] bool node_is_read_only(const Error& error);
/// Another filter was put between ours and the node since ours was added.
[[nodiscard]] bool child_is_fixed(const Error& error);
/// QEMU was built, or is allowed to run, without the filter's driver.
[[nodiscard]] bool lacks_driver(const Error& error);

// Of block-job-pause, -resume, -set-speed and their like.
[[nodiscard]] bool already_paused(const Error& error);
[[nodiscard]] bool not_paused(const Error& error);
/// The job is in a state in which it takes no such command: all is copied.
[[nodiscard]] bool takes_no_command(const Error& error);
/// There is no such job.
[[nodiscard]] bool no_such_job(const Error& error);

/// The kind of the error that a job ended with, in QEMU's words.
[[nodiscard]] ErrorKind kind_of_job_error(std::string_view said);
/// The words for such a kind; kNoSpace or kIo.
[[nodiscard]] std::string_view words_for(ErrorKind kind);

}  // namespace blockpull::driver::qemu::words
