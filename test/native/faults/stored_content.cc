// SPDX-License-Identifier: Apache-2.0

#include "faults/stored_content.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <sys/wait.h>

namespace blockpull::faults {

void store(const Content& content, const std::string& path) {
  std::ofstream out(path, std::ios::binary);
  for (std::uint64_t at = content.next_data(0); at < content.size();) {
    const std::uint64_t end = content.next_hole(at);
    const std::vector<std::byte> bytes = content.read(at, end - at);
    out.seekp(static_cast<std::streamoff>(at));
    out.write(reinterpret_cast<const char*>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
    at = content.next_data(end);
  }
  out.close();
  std::filesystem::resize_file(path, content.size());
}

Content load(const std::string& path) {
  Content content;
  std::ifstream in(path, std::ios::binary);
  std::vector<std::byte> page(Content::kPage);
  for (std::uint64_t at = 0; in.good(); at += page.size()) {
    in.read(reinterpret_cast<char*>(page.data()), static_cast<std::streamsize>(page.size()));
    const auto count = static_cast<std::size_t>(in.gcount());
    const auto bytes = std::span(page).first(count);
    if (std::any_of(bytes.begin(), bytes.end(),
                    [](std::byte byte) { return byte != std::byte{}; })) {
      content.write(at, bytes);
    }
    content.resize(at + count);
  }
  return content;
}

int exit_code(const std::string& command) {
  const int status = std::system((command + " >/dev/null 2>&1").c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace blockpull::faults
