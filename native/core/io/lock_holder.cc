// SPDX-License-Identifier: Apache-2.0
//
// /proc/<pid>/fdinfo/<fd> has one line for every lock on that descriptor:
//
//     lock:  1: OFDLCK  ADVISORY  READ  -1 fe:01:1048602 100 101
//                                          dev:dev:inode start end ("EOF" for no end)
//
// The inode is compared as text first. Some filesystems show another device number here than in
// stat, so it is then compared with what /proc/<pid>/fd/<fd> leads to.

#include "core/io/lock_holder.h"

#include <array>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/text.h"

namespace blockpull::io {
namespace {

/// Descriptors to examine before the search is given up: about half a second.
constexpr int kMostDescriptors = 65536;

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

using Directory = std::unique_ptr<DIR, CloseDirectory>;

/// The beginning of a small file, as much as fits.
std::string_view read_small(const std::string& path, std::span<char> into) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::size_t done = 0;
  while (fd.is_open() && done < into.size()) {
    const ssize_t got = ::read(fd.get(), into.data() + done, into.size() - done);
    if (got <= 0) {
      break;
    }
    done += static_cast<std::size_t>(got);
  }
  return {into.data(), done};
}

std::optional<std::uint64_t> parse_number(std::string_view digits) {
  std::uint64_t value = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return failed == std::errc() && end == digits.data() + digits.size() ? std::optional(value)
                                                                       : std::nullopt;
}

/// Cuts the next word off `line`.
std::string_view next_word(std::string_view& line) {
  const std::size_t begin = std::min(line.find_first_not_of(" \t"), line.size());
  const std::size_t end = std::min(line.find_first_of(" \t", begin), line.size());
  const std::string_view word = line.substr(begin, end - begin);
  line.remove_prefix(end);
  return word;
}

/// Whether a "lock:" line is an open-file-description lock on `byte` of inode `inode`.
bool is_lock_on(std::string_view line, std::uint64_t inode, std::uint64_t byte) {
  std::array<std::string_view, 8> words;
  for (std::string_view& word : words) {
    word = next_word(line);
  }
  if (words[0] != "lock:" || words[2] != "OFDLCK") {
    return false;
  }
  const std::string_view place = words[6];
  const auto found_inode = parse_number(place.substr(place.rfind(':') + 1));
  const auto start = parse_number(words[7]);
  const std::string_view end_word = next_word(line);
  const auto end = parse_number(end_word);
  const bool reaches = end_word == "EOF" || (end && *end >= byte);
  return found_inode == inode && start && *start <= byte && reaches;
}

bool has_lock_line(std::string_view content, std::uint64_t inode, std::uint64_t byte) {
  while (!content.empty()) {
    const std::size_t end = std::min(content.find('\n'), content.size());
    if (is_lock_on(content.substr(0, end), inode, byte)) {
      return true;
    }
    content.remove_prefix(std::min(end + 1, content.size()));
  }
  return false;
}

/// Whether a descriptor of the process `pid` (its name in /proc) holds the lock. Counts the
/// descriptors that it examines.
bool holds_lock(const std::string& pid, const FileId& id, std::uint64_t byte, int& looked_at) {
  const Directory descriptors(::opendir(text("/proc/", pid, "/fdinfo").c_str()));
  if (descriptors == nullptr) {
    return false;
  }
  std::array<char, 4096> buffer;
  while (const dirent* entry = ::readdir(descriptors.get())) {
    if (entry->d_name[0] == '.') {
      continue;
    }
    if (++looked_at > kMostDescriptors) {
      return false;
    }
    const std::string_view number = entry->d_name;
    const std::string_view info = read_small(text("/proc/", pid, "/fdinfo/", number), buffer);

    struct stat about {};
    if (has_lock_line(info, id.inode, byte) &&
        ::stat(text("/proc/", pid, "/fd/", number).c_str(), &about) == 0 &&
        FileId{about.st_dev, about.st_ino} == id) {
      return true;
    }
  }
  return false;
}

std::string process_name(pid_t pid) {
  std::array<char, 64> buffer;
  std::string_view name = read_small(text("/proc/", pid, "/comm"), buffer);
  return std::string(name.substr(0, name.find('\n')));
}

}  // namespace

Holder find_lock_holder(const PosixFile& file, off_t byte, pid_t known_pid) {
  if (known_pid > 0) {
    return {known_pid, process_name(known_pid)};
  }
  const Directory processes(::opendir("/proc"));
  int looked_at = 0;
  while (processes != nullptr && looked_at <= kMostDescriptors) {
    const dirent* const entry = ::readdir(processes.get());
    if (entry == nullptr) {
      break;
    }
    const auto pid = parse_number(entry->d_name);
    if (pid && holds_lock(entry->d_name, file.id(), static_cast<std::uint64_t>(byte), looked_at)) {
      const auto holder = static_cast<pid_t>(*pid);
      return {holder, process_name(holder)};
    }
  }
  return {};
}

std::string describe_holder(const Holder& holder) {
  if (holder.pid == 0) {
    return "another process";
  }
  if (holder.pid == ::getpid()) {
    return text("this process (pid ", holder.pid, ")");
  }
  return holder.name.empty() ? text("pid ", holder.pid)
                             : text("pid ", holder.pid, " (", holder.name, ")");
}

std::string advice(const Holder& holder) {
  if (holder.name.starts_with("qemu-system") || holder.name.starts_with("qemu-kvm")) {
    return "shut the guest down first";
  }
  if (holder.pid == ::getpid()) {
    return "wait until the job that uses it has ended";
  }
  return "stop the program that uses it, or wait";
}

}  // namespace blockpull::io
