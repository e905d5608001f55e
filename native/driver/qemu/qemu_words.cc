// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/qemu_words.h"

namespace blockpull::driver::qemu::words {
namespace {

constexpr std::string_view kNoSpaceWords = "No space left on device";
constexpr std::string_view kIoWords = "Input/output error";

/// Whether QEMU's sentence contains one of these.
template <typename... Texts>
bool says(const Error& error, Texts... texts) {
  return error.qemu && ((error.qemu->words.find(texts) != std::string::npos) || ...);
}

bool has_class(const Error& error, std::string_view error_class) {
  return error.qemu && error.qemu->error_class == error_class;
}

}  // namespace

bool disk_has_job(const Error& error) {
  return says(error, "already in use", "is busy");
}

bool no_such_base(const Error& error) {
  return says(error, "is not a backing image of", "in the backing chain",
              "Cannot find device='' nor node-name='");
}

bool no_such_disk(const Error& error) {
  return says(error, "Cannot find device=") || has_class(error, "DeviceNotFound");
}

bool is_read_only(const Error& error) {
  return says(error, "read-only");
}

bool node_is_read_only(const Error& error) {
  return says(error, "is read-only");
}

bool command_unknown(const Error& error) {
  return says(error, "'auto-finalize' is unexpected") || has_class(error, "CommandNotFound");
}

bool no_such_node(const Error& error) {
  return says(error, "Failed to find node");
}

bool node_exists(const Error& error) {
  return says(error, "Duplicate nodes");
}

bool child_is_fixed(const Error& error) {
  return says(error, "Cannot change the option 'image'");
}

bool lacks_driver(const Error& error) {
  return says(error, "Unknown driver 'blkdebug'", "does not accept value 'blkdebug'",
              "is not whitelisted");
}

bool already_paused(const Error& error) {
  return says(error, "already paused");
}

bool not_paused(const Error& error) {
  return says(error, "not paused");
}

bool takes_no_command(const Error& error) {
  return says(error, "cannot accept command");
}

bool no_such_job(const Error& error) {
  return has_class(error, "DeviceNotActive");
}

ErrorKind kind_of_job_error(std::string_view said) {
  if (said == kNoSpaceWords) {
    return ErrorKind::kNoSpace;
  }
  return said == kIoWords ? ErrorKind::kIo : ErrorKind::kJobFailed;
}

std::string_view words_for(ErrorKind kind) {
  return kind == ErrorKind::kNoSpace ? kNoSpaceWords : kIoWords;
}

}  // namespace blockpull::driver::qemu::words
