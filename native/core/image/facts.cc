// SPDX-License-Identifier: Apache-2.0

#include "core/image/facts.h"

#include "core/io/lock.h"

namespace blockpull::image {

Result<ImageFacts> facts_of(const std::string& path, io::PosixFile& file, const Image& image) {
  ImageFacts facts;
  facts.path = path;
  facts.format = image.format();
  facts.virtual_size = image.virtual_size();
  facts.backing = image.backing();
  BLOCKPULL_TRY(allocated_bytes, file.allocated_bytes());
  facts.allocated_bytes = allocated_bytes;
  BLOCKPULL_TRY(file_size, file.size());
  facts.file_size = file_size;
  facts.in_use_by = io::find_writer(file);
  return facts;
}

}  // namespace blockpull::image
