// SPDX-License-Identifier: Apache-2.0

#include "driver/chain_file.h"

#include <filesystem>
#include <utility>

#include "core/io/sync_file.h"

namespace blockpull::driver {

ChainFile own_file(std::string path) {
  const auto there = io::identify(path);
  return {std::move(path), there.ok() ? std::optional(*there) : std::nullopt};
}

ChainFile guest_file(std::string path) {
  return path.starts_with('/') ? own_file(std::move(path)) : ChainFile{std::move(path), {}};
}

void find_by_name(std::vector<ChainFile>& files) {
  for (ChainFile& file : files) {
    if (!file.id) {
      file = guest_file(std::move(file.path));
    }
  }
}

std::vector<ChainFile> files_of(const image::Chain& chain) {
  std::vector<ChainFile> files;
  for (const image::Layer& layer : chain.layers) {
    files.push_back({layer.path, layer.file->id()});
  }
  return files;
}

Result<void> make_durable(const ChainFile& file) {
  if (file.id) {
    BLOCKPULL_CHECK(io::sync_file(file.path, *file.id));
  }
  return {};
}

bool may_be_same_file(const ChainFile& one, const ChainFile& other) {
  if (one.id && other.id) {
    return *one.id == *other.id;
  }
  const std::filesystem::path a(one.path);
  const std::filesystem::path b(other.path);
  if (a.is_absolute() && b.is_absolute()) {
    return a.lexically_normal() == b.lexically_normal();
  }
  return a.filename() == b.filename();
}

bool is_same_file(const ChainFile& one, const ChainFile& other) {
  return one.id.has_value() == other.id.has_value() &&
         (one.id ? *one.id == *other.id : one.path == other.path);
}

}  // namespace blockpull::driver
