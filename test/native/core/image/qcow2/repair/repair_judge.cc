// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/repair/repair_judge.h"

#include <algorithm>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/text.h"

namespace blockpull::image::qcow2 {

using faults::Content;

namespace {

constexpr std::uint64_t kFlag = std::uint64_t{1} << 63U;
constexpr std::uint64_t kPacked = std::uint64_t{1} << 62U;
constexpr std::uint64_t kPlace = 0x00fffffffffffe00;

std::uint64_t number(const Content& image, std::uint64_t at, std::uint64_t width) {
  std::uint64_t value = 0;
  for (const std::byte byte : image.read(at, width)) {
    value = value << 8U | std::to_integer<std::uint64_t>(byte);
  }
  return value;
}

class Reading {
 public:
  explicit Reading(const Content& image)
      : image_(image),
        bits_(number(image, 20, 4)),
        size_(std::uint64_t{1} << bits_),
        is_new_(number(image, 4, 4) >= 3) {}

  Picture run() {
    picture_.cluster_size = size_;
    picture_.incompatible = is_new_ ? number(image_, 72, 8) : 0;
    picture_.refcount_table = number(image_, 48, 8);
    use(0, size_);
    walk_l1(number(image_, 40, 8), number(image_, 36, 4), true);
    walk_snapshots();
    walk_extensions();
    walk_refcounts(picture_.refcount_table, number(image_, 56, 4) * size_);
    return std::move(picture_);
  }

 private:
  void count(std::map<std::uint64_t, std::uint64_t>& counts, std::uint64_t at,
             std::uint64_t bytes) {
    // What does not lie in the file is no cluster of it.
    if (bytes == 0 || at >= image_.size() || bytes > image_.size() + size_ - at) {
      return;
    }
    for (std::uint64_t cluster = at / size_; cluster <= (at + bytes - 1) / size_; ++cluster) {
      ++counts[cluster];
    }
  }

  void use(std::uint64_t at, std::uint64_t bytes) { count(picture_.used, at, bytes); }

  void note(std::uint64_t place, std::uint64_t entry, bool is_active) {
    if (is_active) {
      picture_.entries[place] = (entry & kPlace) / size_;
      if ((entry & kFlag) != 0) {
        picture_.copied.insert(place);
      }
    }
  }

  void walk_l1(std::uint64_t table, std::uint64_t entries, bool is_active) {
    use(table, entries * 8);
    for (std::uint64_t place = table; place < table + entries * 8; place += 8) {
      const std::uint64_t entry = number(image_, place, 8);
      if (entry != 0) {
        note(place, entry, is_active);
        use(entry & kPlace, size_);
        walk_l2(entry & kPlace, is_active);
      }
    }
  }

  void walk_l2(std::uint64_t table, bool is_active) {
    if (table >= image_.size()) {
      return;
    }
    const std::uint64_t step = (picture_.incompatible & 16U) != 0 ? 16 : 8;
    for (std::uint64_t place = table; place < table + size_; place += step) {
      const std::uint64_t entry = number(image_, place, 8);
      if ((entry & kPacked) != 0) {
        const std::uint64_t width = 62 - (bits_ - 8);
        const std::uint64_t at = entry & ((std::uint64_t{1} << width) - 1);
        const std::uint64_t sectors = ((entry & (kPacked - 1)) >> width) + 1;
        use(at, sectors * 512 - at % 512);
      } else if ((entry & kPlace) != 0) {
        const bool is_elsewhere = (picture_.incompatible & 4U) != 0;
        if (!is_elsewhere) {
          note(place, entry, is_active);
          use(entry & kPlace, size_);
        }
      }
    }
  }

  void walk_snapshots() {
    const std::uint64_t begin = number(image_, 64, 8);
    std::uint64_t end = begin;
    std::uint64_t at = begin;
    for (std::uint64_t left = number(image_, 60, 4); left > 0; --left) {
      walk_l1(number(image_, at, 8), number(image_, at + 8, 4), false);
      end = at + 40 + number(image_, at + 36, 4) + number(image_, at + 12, 2) +
            number(image_, at + 14, 2);
      at = (end + 7) / 8 * 8;
    }
    use(begin, end - begin);
  }

  void walk_extensions() {
    std::uint64_t at = is_new_ ? number(image_, 100, 4) : 72;
    while (at + 8 <= size_ && number(image_, at, 4) != 0) {
      if (number(image_, at, 4) == 0x23852875 && (number(image_, 88, 8) & 1U) != 0) {
        walk_bitmaps(number(image_, at + 24, 8), number(image_, at + 16, 8),
                     number(image_, at + 8, 4));
      }
      at += 8 + (number(image_, at + 4, 4) + 7) / 8 * 8;
    }
  }

  void walk_bitmaps(std::uint64_t directory, std::uint64_t bytes, std::uint64_t bitmaps) {
    use(directory, bytes);
    std::uint64_t at = directory;
    for (; bitmaps > 0; --bitmaps) {
      const std::uint64_t table = number(image_, at, 8);
      const std::uint64_t entries = number(image_, at + 8, 4);
      use(table, entries * 8);
      for (std::uint64_t place = table; place < table + entries * 8; place += 8) {
        if (const std::uint64_t entry = number(image_, place, 8); (entry & kPlace) != 0) {
          use(entry & kPlace, size_);
        }
      }
      at += (24 + number(image_, at + 18, 2) + number(image_, at + 20, 4) + 7) / 8 * 8;
    }
  }

  void walk_refcounts(std::uint64_t table, std::uint64_t bytes) {
    count(picture_.used_by_refcounts, table, bytes);
    const std::uint64_t width = std::uint64_t{1} << (is_new_ ? number(image_, 96, 4) : 4);
    const std::uint64_t per_block = size_ * 8 / width;
    picture_.most = ~std::uint64_t{0} >> (64 - width);
    for (std::uint64_t index = 0; index < bytes / 8; ++index) {
      const std::uint64_t block = number(image_, table + index * 8, 8);
      if (block == 0 || block % size_ != 0 || block >= image_.size()) {
        continue;
      }
      count(picture_.used_by_refcounts, block, size_);
      picture_.blocks.insert(block / size_);
      const std::vector<std::byte> content = image_.read(block, size_);
      for (std::uint64_t i = 0; i < per_block; ++i) {
        if (const std::uint64_t value = stored(content, i, width); value != 0) {
          picture_.refcounts[index * per_block + i] = value;
        }
      }
    }
  }

  static std::uint64_t stored(const std::vector<std::byte>& block, std::uint64_t i,
                              std::uint64_t width) {
    if (width < 8) {
      const auto byte = std::to_integer<std::uint64_t>(block[i * width / 8]);
      return byte >> (i * width % 8) & ((std::uint64_t{1} << width) - 1);
    }
    std::uint64_t value = 0;
    for (std::uint64_t at = i * width / 8; at < (i + 1) * width / 8; ++at) {
      value = value << 8U | std::to_integer<std::uint64_t>(block[at]);
    }
    return value;
  }

  const Content& image_;
  const std::uint64_t bits_;
  const std::uint64_t size_;
  const bool is_new_;
  Picture picture_;
};

std::uint64_t count_in(const std::map<std::uint64_t, std::uint64_t>& counts, std::uint64_t key) {
  const auto found = counts.find(key);
  return found == counts.end() ? 0 : found->second;
}

}  // namespace

Picture picture_of(const Content& image) {
  return Reading(image).run();
}

std::uint64_t Picture::references(std::uint64_t cluster) const {
  return count_in(used, cluster) + count_in(used_by_refcounts, cluster);
}

std::uint64_t Picture::refcount(std::uint64_t cluster) const {
  return count_in(refcounts, cluster);
}

unsigned RepairJudge::free_bits(std::uint64_t at) const {
  constexpr unsigned kAll = 0xff;
  const bool is_table_place = at >= 48 && at < 60;
  const bool is_feature =
      number(start_, 4, 4) >= 3 && ((at >= 72 && at < 80) || (at >= 88 && at < 96));
  if (is_table_place || is_feature) {
    return kAll;
  }
  const std::uint64_t cluster = at / before_.cluster_size;
  if (count_in(before_.used, cluster) == 0 && before_.blocks.contains(cluster)) {
    return kAll;
  }
  return at % 8 == 0 && before_.entries.contains(at) ? 0x80 : 0;
}

std::string RepairJudge::changed_byte(const Content& image) const {
  if (image.size() < start_.size()) {
    return text("the file has ", image.size(), " bytes, and had ", start_.size());
  }
  const std::uint64_t size = before_.cluster_size;
  const bool is_switched = number(image, 48, 8) != before_.refcount_table;
  const auto next = [&](std::uint64_t from) {
    return std::min(start_.next_data(from), image.next_data(from));
  };
  for (std::uint64_t from = next(0); from < start_.size();) {
    const std::uint64_t part = std::min(size - from % size, start_.size() - from);
    const auto was = start_.read(from, part);
    const auto is = image.read(from, part);
    const bool is_free = is_understood_ && count_in(before_.used, from / size) == 0 &&
                         (is_switched || count_in(before_.used_by_refcounts, from / size) == 0);
    const bool is_punched = is_free && all_zero(is);
    for (std::uint64_t i = 0; i < part && was != is && !is_punched; ++i) {
      const auto differing = std::to_integer<unsigned>(was[i] ^ is[i]);
      if ((differing & ~free_bits(from + i)) != 0) {
        return text("the byte at ", from + i, " has changed, in cluster ", (from + i) / size);
      }
    }
    from = next(from + part);
  }
  return {};
}

std::string RepairJudge::wrong_flag(const Picture& now) const {
  for (const std::uint64_t place : now.copied) {
    const std::uint64_t cluster = now.entries.at(place);
    const bool is_new = !before_.copied.contains(place);
    if (is_new && count_in(now.used, cluster) > 1) {
      return text("the entry at ", place, " says copied, and cluster ", cluster, " is shared");
    }
    if (is_new && !is_understood_) {
      return text("the entry at ", place, " says copied, and not all is understood");
    }
  }
  return {};
}

std::string RepairJudge::low_refcount(const Picture& now) const {
  const bool is_switched = now.refcount_table != before_.refcount_table;
  const auto fault_at = [&](std::uint64_t cluster) -> std::string {
    const std::uint64_t references = now.references(cluster);
    const std::uint64_t least =
        std::min(references, is_switched ? now.most : before_.refcount(cluster));
    const std::uint64_t kept = is_understood_ ? 0 : before_.refcount(cluster);
    const bool is_in_file = cluster * before_.cluster_size < start_.size();
    if (now.refcount(cluster) < std::max(least, is_in_file ? kept : 0)) {
      return text("cluster ", cluster, " has refcount ", now.refcount(cluster), ", had ",
                  before_.refcount(cluster), ", and has ", references, " references");
    }
    return {};
  };
  for (const auto* counts : {&now.used, &now.used_by_refcounts, &before_.refcounts}) {
    for (const auto& each : *counts) {
      if (std::string fault = fault_at(each.first); !fault.empty()) {
        return fault;
      }
    }
  }
  return {};
}

std::string RepairJudge::fault_of(const Content& image) const {
  if (std::string fault = changed_byte(image); !fault.empty()) {
    return fault;
  }
  const Picture now = picture_of(image);
  if (now.used != before_.used) {
    return "other clusters are referred to";
  }
  if (std::string fault = wrong_flag(now); !fault.empty()) {
    return fault;
  }
  return low_refcount(now);
}

}  // namespace blockpull::image::qcow2
