// SPDX-License-Identifier: Apache-2.0
//
// Copies share pages until one of them writes to a page. Bytes of a page behind the end of the file
// are kept zero, so that growing the file never touches the last page.

#include "faults/content.h"

#include <algorithm>
#include <cstring>

namespace blockpull::faults {

Content::Page& Content::own_page(std::uint64_t index) {
  std::shared_ptr<Page>& page = pages_[index];
  if (page == nullptr) {
    page = std::make_shared<Page>();
  } else if (page.use_count() > 1) {
    page = std::make_shared<Page>(*page);
  }
  return *page;
}

void Content::resize(std::uint64_t size) {
  if (size < size_) {
    const std::uint64_t first_gone = size / kPage + (size % kPage == 0 ? 0 : 1);
    pages_.erase(pages_.lower_bound(first_gone), pages_.end());
    if (size % kPage != 0 && pages_.contains(size / kPage)) {
      Page& last = own_page(size / kPage);
      std::fill(last.begin() + static_cast<std::ptrdiff_t>(size % kPage), last.end(), std::byte{0});
    }
  }
  size_ = size;
}

void Content::read(std::uint64_t offset, std::span<std::byte> into) const {
  while (!into.empty()) {
    const std::uint64_t in_page = offset % kPage;
    const std::size_t count = std::min<std::uint64_t>(into.size(), kPage - in_page);
    const auto page = pages_.find(offset / kPage);
    if (page == pages_.end()) {
      std::memset(into.data(), 0, count);
    } else {
      std::memcpy(into.data(), page->second->data() + in_page, count);
    }
    offset += count;
    into = into.subspan(count);
  }
}

std::vector<std::byte> Content::read(std::uint64_t offset, std::uint64_t length) const {
  std::vector<std::byte> bytes(length);
  read(offset, bytes);
  return bytes;
}

void Content::write(std::uint64_t offset, std::span<const std::byte> from) {
  size_ = std::max(size_, offset + from.size());
  while (!from.empty()) {
    const std::uint64_t in_page = offset % kPage;
    const std::size_t count = std::min<std::uint64_t>(from.size(), kPage - in_page);
    std::memcpy(own_page(offset / kPage).data() + in_page, from.data(), count);
    offset += count;
    from = from.subspan(count);
  }
}

void Content::zero(std::uint64_t offset, std::uint64_t length) {
  const std::uint64_t end = std::min(offset + length, size_);
  // A hole may have any length.
  for (offset = next_data(offset); offset < end; offset = next_data(offset)) {
    const std::uint64_t in_page = offset % kPage;
    const std::uint64_t count = std::min(end - offset, kPage - in_page);
    if (count == kPage) {
      pages_.erase(offset / kPage);
    } else {
      std::memset(own_page(offset / kPage).data() + in_page, 0, count);
    }
    offset += count;
  }
}

std::uint64_t Content::next_data(std::uint64_t offset) const {
  const auto page = pages_.lower_bound(offset / kPage);
  return page == pages_.end() ? size_ : std::min(size_, std::max(offset, page->first * kPage));
}

std::uint64_t Content::next_hole(std::uint64_t offset) const {
  std::uint64_t index = offset / kPage;
  while (pages_.contains(index)) {
    ++index;
  }
  return std::min(size_, std::max(offset, index * kPage));
}

std::vector<std::byte> pattern(std::uint64_t seed, std::uint64_t length) {
  std::vector<std::byte> bytes(length);
  std::uint64_t state = seed * 0x9e3779b97f4a7c15U + 1;
  for (std::byte& byte : bytes) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    byte = static_cast<std::byte>((state >> 56U) | 1U);
  }
  return bytes;
}

}  // namespace blockpull::faults
