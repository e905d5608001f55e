// SPDX-License-Identifier: Apache-2.0
//
// A folder for one test, removed with the test, and a few ways to put files into it. If a test
// crashed or was killed, the next process that creates such a folder removes what it left.

#pragma once

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <stdlib.h>
#include <unistd.h>

namespace blockpull::files {

/// blockpull-test-PID-XXXXXX
constexpr std::string_view kTempPrefix = "blockpull-test-";

/// Returns how many there were.
inline std::size_t remove_folders_of_the_dead(const std::filesystem::path& above) {
  std::size_t removed = 0;
  std::error_code ignored;
  for (std::filesystem::directory_iterator entry(above, ignored), end; entry != end && !ignored;
       entry.increment(ignored)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with(kTempPrefix)) {
      const std::string rest = name.substr(kTempPrefix.size());
      const std::string pid = rest.substr(0, rest.find('-'));
      if (!std::filesystem::exists("/proc/" + pid, ignored)) {
        std::filesystem::remove_all(entry->path(), ignored);
        ++removed;
      }
    }
  }
  return removed;
}

class TempFolder {
 public:
  TempFolder() {
    const auto above = std::filesystem::temp_directory_path();
    [[maybe_unused]] static const std::size_t once = remove_folders_of_the_dead(above);
    std::string pattern =
        above / (std::string(kTempPrefix) + std::to_string(::getpid()) + "-XXXXXX");
    if (::mkdtemp(pattern.data()) == nullptr) {
      std::perror("mkdtemp");
      std::abort();
    }
    path_ = std::filesystem::canonical(pattern).string();
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(std::string_view name) const {
    return path_ + "/" + std::string(name);
  }

  /// Writes a file and returns its path.
  std::string write(std::string_view name, std::string_view content) const {
    std::ofstream(*this / name, std::ios::binary) << content;
    return *this / name;
  }

  /// Number of entries in the folder.
  [[nodiscard]] std::size_t count() const {
    std::size_t entries = 0;
    for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator(path_)) {
      ++entries;
    }
    return entries;
  }

 private:
  std::string path_;
};

/// The whole file as text.
[[nodiscard]] inline std::string content_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace blockpull::files
