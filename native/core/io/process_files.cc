// SPDX-License-Identifier: Apache-2.0

#include "core/io/process_files.h"

#include <array>
#include <memory>

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <limits.h>

#include "core/base/text.h"

namespace blockpull::io {
namespace {

/// Most descriptors to examine; a guest has hundreds.
constexpr int kMostDescriptors = 16384;

constexpr std::string_view kDeleted = " (deleted)";

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

/// The target of a link in /proc; "" if it cannot be read.
std::string read_link(const std::string& link) {
  std::array<char, PATH_MAX> target;
  const ssize_t length = ::readlink(link.c_str(), target.data(), target.size());
  return length > 0 ? std::string(target.data(), static_cast<std::size_t>(length)) : std::string();
}

}  // namespace

std::optional<ProcessFiles> ProcessFiles::of(pid_t pid) {
  const std::string process = text("/proc/", pid);
  const std::unique_ptr<DIR, CloseDirectory> descriptors(
      pid > 0 ? ::opendir(text(process, "/fd").c_str()) : nullptr);
  if (descriptors == nullptr) {
    return std::nullopt;
  }
  ProcessFiles files;
  int looked_at = 0;
  while (const dirent* const entry = ::readdir(descriptors.get())) {
    if (entry->d_name[0] == '.') {
      continue;
    }
    if (++looked_at > kMostDescriptors) {
      break;
    }
    const std::string link = text(process, "/fd/", entry->d_name);

    struct stat about {};
    if (::stat(link.c_str(), &about) != 0 || (!S_ISREG(about.st_mode) && !S_ISBLK(about.st_mode))) {
      continue;
    }
    files.ids_.insert({about.st_dev, about.st_ino});
    const std::string target = read_link(link);
    if (about.st_nlink == 0 && target.ends_with(kDeleted)) {
      files.deleted_.insert(target.substr(0, target.size() - kDeleted.size()));
    }
  }
  files.folder_ = read_link(text(process, "/cwd"));
  files.root_ = text(process, "/root");
  return files;
}

bool ProcessFiles::finds(const std::string& path, const FileId& id) const {
  const auto there = identify(text(root_, path));
  return there.ok() && *there == id;
}

bool ProcessFiles::has_deleted(std::string_view path) const {
  return deleted_.contains(path);
}

}  // namespace blockpull::io
