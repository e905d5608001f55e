// SPDX-License-Identifier: Apache-2.0
//
// The system calls behind xml_file.h. Nothing is cached: other programs write these files too.

#include "virt/domains/xml_file.h"

#include <cerrno>
#include <cstdio>
#include <memory>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/text.h"
#include "core/base/unique_fd.h"
#include "core/io/folder.h"
#include "virt/domains/domain_xml.h"

namespace blockpull::virt {
namespace {

blockpull::Result<void> write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      return system_error("write", errno, path);
    }
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

/// The file that `path` resolves to; `path` itself if there is none.
std::string resolved(const std::string& path) {
  const std::unique_ptr<char, decltype(&::free)> real(::realpath(path.c_str(), nullptr), &::free);
  return real == nullptr ? path : std::string(real.get());
}

/// Gives the new file the owner and mode of the old one. If we may not change the owner, it stays
/// ours.
blockpull::Result<void> copy_access(int fd, const std::string& path, const std::string& temporary) {
  struct stat old {};

  mode_t mode = 0644;
  if (::stat(path.c_str(), &old) == 0) {
    mode = old.st_mode & 07777U;
    if (::fchown(fd, old.st_uid, old.st_gid) != 0 && errno != EPERM) {
      return system_error("fchown", errno, temporary);
    }
  }
  if (::fchmod(fd, mode) != 0) {
    return system_error("fchmod", errno, temporary);
  }
  return {};
}

blockpull::Result<void> write_durably(int fd, std::string_view xml, const std::string& path,
                                      const std::string& temporary) {
  BLOCKPULL_CHECK(copy_access(fd, path, temporary));
  BLOCKPULL_CHECK(write_all(fd, xml, temporary));
  // If we die here, the next open sees the old text: nobody reads the temporary file's name.
  if (::fsync(fd) != 0) {
    return system_error("fsync", errno, temporary);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    return system_error("rename", errno, temporary);
  }
  return {};
}

}  // namespace

blockpull::Result<std::string> read_xml_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.is_open()) {
    return system_error("open", errno, path);
  }

  struct stat about {};

  if (::fstat(fd.get(), &about) != 0) {
    return system_error("fstat", errno, path);
  }
  if (!S_ISREG(about.st_mode)) {
    return make_error(
               ErrorKind::kUnsupported,
               text("file '", path, "' is not a regular file; put a file with domain XML there"))
        .with_path(path);
  }
  std::string xml;
  char piece[65536];
  while (true) {
    const ssize_t count = ::read(fd.get(), piece, sizeof piece);
    if (count == 0) {
      return xml;
    }
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      return system_error("read", errno, path);
    }
    xml.append(piece, static_cast<std::size_t>(count));
    if (xml.size() > kXmlBytes) {
      return make_error(ErrorKind::kInvalidArgument,
                        text("domain XML in '", path, "' is longer than ", kXmlBytes,
                             " bytes; remove everything but the domain definition"))
          .with_path(path);
    }
  }
}

blockpull::Result<void> replace_xml_file(const std::string& path, std::string_view xml) {
  const std::string target = resolved(path);
  std::string temporary = text(target, ".XXXXXX");
  const UniqueFd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd.is_open()) {
    return system_error("mkostemp", errno, temporary);
  }
  if (auto written = write_durably(fd.get(), xml, target, temporary); !written.ok()) {
    ::unlink(temporary.c_str());
    return written;
  }
  // If we die here, the next open sees the old text or the new one. After the sync it sees the new
  // one.
  return io::sync_folder(target);
}

}  // namespace blockpull::virt
