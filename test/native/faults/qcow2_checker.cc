// SPDX-License-Identifier: Apache-2.0
//
// Counts references by walking the header, the refcount table, L1 and L2. Then compares them with
// the refcount blocks, as `qemu-img check` does.

#include "faults/qcow2_checker.h"

#include <algorithm>
#include <sstream>

namespace blockpull::faults {
namespace {

constexpr std::uint64_t kCopied = std::uint64_t{1} << 63U;
constexpr std::uint64_t kCompressed = std::uint64_t{1} << 62U;
constexpr std::uint64_t kOffset = 0x00fffffffffffe00;

std::uint64_t number(const std::vector<std::byte>& bytes, std::uint64_t at, std::uint64_t width) {
  std::uint64_t value = 0;
  for (std::uint64_t i = 0; i < width; ++i) {
    value = value << 8U | std::to_integer<std::uint64_t>(bytes[at + i]);
  }
  return value;
}

std::string characters(const std::vector<std::byte>& bytes, std::uint64_t at,
                       std::uint64_t length) {
  std::string out;
  for (std::uint64_t i = 0; i < length; ++i) {
    out += static_cast<char>(bytes[at + i]);
  }
  return out;
}

struct Fields {
  std::uint64_t version = 0;
  std::uint64_t cluster = 0;
  std::uint64_t virtual_size = 0;
  std::uint64_t l1_entries = 0;
  std::uint64_t l1_offset = 0;
  std::uint64_t table_offset = 0;
  std::uint64_t table_clusters = 0;
  std::uint64_t refcount_bits = 16;
  std::uint64_t header_length = 72;
  std::uint64_t backing_offset = 0;
  std::uint64_t backing_length = 0;
  std::uint64_t autoclear = 0;
  /// Bytes of an L2 entry, 16 with a bitmap of subclusters.
  std::uint64_t entry = 8;

  [[nodiscard]] std::uint64_t per_table() const { return cluster / entry; }
};

/// An L2 entry. For an entry of 8 bytes the bitmap says the same of the whole cluster.
struct Entry {
  std::uint64_t word = 0;
  std::uint64_t allocated = 0;
  std::uint64_t zero = 0;

  [[nodiscard]] std::uint64_t offset() const { return word & kOffset; }
};

constexpr std::uint64_t kAll = 0xffffffff;

Fields read_fields(const Content& image) {
  const std::vector<std::byte> head = image.read(0, 112);
  Fields fields;
  fields.version = number(head, 4, 4);
  fields.backing_offset = number(head, 8, 8);
  fields.backing_length = number(head, 16, 4);
  fields.cluster = std::uint64_t{1} << std::min<std::uint64_t>(number(head, 20, 4), 21);
  fields.virtual_size = number(head, 24, 8);
  fields.l1_entries = number(head, 36, 4);
  fields.l1_offset = number(head, 40, 8);
  fields.table_offset = number(head, 48, 8);
  fields.table_clusters = number(head, 56, 4);
  if (fields.version >= 3) {
    fields.entry = (number(head, 72, 8) >> 4U & 1U) != 0 ? 16 : 8;
    fields.autoclear = number(head, 88, 8);
    fields.refcount_bits = std::uint64_t{1} << std::min<std::uint64_t>(number(head, 96, 4), 6);
    fields.header_length = number(head, 100, 4);
  }
  return fields;
}

Entry read_entry(const Content& image, const Fields& fields, std::uint64_t at) {
  const auto bytes = image.read(at, fields.entry);
  Entry entry{number(bytes, 0, 8), 0, 0};
  if (fields.entry == 16) {
    entry.zero = number(bytes, 8, 4);
    entry.allocated = number(bytes, 12, 4);
  } else if ((entry.word & 1U) != 0) {
    entry.zero = kAll;
  } else if (entry.offset() != 0) {
    entry.allocated = kAll;
  }
  return entry;
}

class Check {
 public:
  explicit Check(const Content& image)
      : image_(image), fields_(read_fields(image)), cluster_(fields_.cluster) {}

  Verdict run() {
    const std::vector<std::byte> head = image_.read(0, 24);
    if (number(head, 0, 4) != 0x514649fb || fields_.version < 2 || fields_.version > 3 ||
        number(head, 20, 4) < 9 || number(head, 20, 4) > 21) {
      corrupt("the header is no qcow2 header", 0);
      return std::move(verdict_);
    }
    verdict_.autoclear = fields_.autoclear;
    read_extensions();
    if (fields_.l1_entries > 100000 || fields_.table_clusters > 1000) {
      corrupt("a table is longer than any of these tests makes", fields_.l1_entries);
      return std::move(verdict_);
    }
    count_references();
    compare();
    const std::uint64_t end = references_.empty() ? 0 : references_.rbegin()->first + 1;
    verdict_.trailing_bytes = image_.size() > end * cluster_ ? image_.size() - end * cluster_ : 0;
    count_behind_disk();
    return std::move(verdict_);
  }

 private:
  void count_behind_disk() {
    const std::uint64_t part = fields_.entry == 16 ? cluster_ / 32 : cluster_;
    const std::uint64_t past = fields_.virtual_size % part;
    const std::uint64_t guest = fields_.virtual_size / cluster_;
    const std::uint64_t index = guest / fields_.per_table();
    if (past == 0 || index >= fields_.l1_entries) {
      return;
    }
    const std::uint64_t table =
        number(image_.read(fields_.l1_offset + index * 8, 8), 0, 8) & kOffset;
    if (table == 0) {
      return;
    }
    const Entry entry =
        read_entry(image_, fields_, table + guest % fields_.per_table() * fields_.entry);
    const std::uint64_t in_cluster = fields_.virtual_size % cluster_;
    const std::uint64_t which = fields_.entry == 16 ? in_cluster / part : 0;
    if ((entry.allocated >> which & 1U) == 0) {
      return;
    }
    const auto behind = image_.read(entry.offset() + in_cluster, part - past);
    verdict_.bytes_behind_disk = behind.size() - static_cast<std::uint64_t>(std::count(
                                                     behind.begin(), behind.end(), std::byte{0}));
  }

  void corrupt(const char* what, std::uint64_t where) {
    std::ostringstream sentence;
    sentence << what << " (0x" << std::hex << where << ")";
    verdict_.corruptions.push_back(sentence.str());
  }

  void read_extensions() {
    const std::vector<std::byte> first = image_.read(0, cluster_);
    const std::uint64_t end = fields_.backing_offset != 0 ? fields_.backing_offset : cluster_;
    if (end > cluster_ || fields_.backing_length > cluster_ - end) {
      corrupt("the backing name lies outside the first cluster", fields_.backing_offset);
      return;
    }
    for (std::uint64_t at = fields_.header_length; at + 8 <= end;) {
      const std::uint64_t type = number(first, at, 4);
      const std::uint64_t length = number(first, at + 4, 4);
      if (type == 0) {
        break;
      }
      if (length > end - at - 8) {
        corrupt("a header extension is too long", at);
        return;
      }
      if (type == 0xe2792aca) {
        verdict_.backing_format = characters(first, at + 8, length);
      }
      at += 8 + (length + 7) / 8 * 8;
    }
    if (fields_.backing_offset != 0) {
      verdict_.backing_name = characters(first, fields_.backing_offset, fields_.backing_length);
    }
  }

  /// Notes a reference to a structure that must be aligned and lie completely in the file.
  bool refer(std::uint64_t offset, std::uint64_t bytes, const char* what) {
    if (offset == 0 || offset % cluster_ != 0 || offset + bytes > image_.size()) {
      corrupt(what, offset);
      return false;
    }
    for (std::uint64_t at = 0; at < bytes; at += cluster_) {
      ++references_[(offset + at) / cluster_];
    }
    return true;
  }

  void count_references() {
    ++references_[0];
    if (refer(fields_.table_offset, fields_.table_clusters * cluster_,
              "the refcount table is not in the file")) {
      read_blocks();
    }
    if (!refer(fields_.l1_offset, fields_.l1_entries * 8, "the L1 table is not in the file")) {
      return;
    }
    const auto l1 = image_.read(fields_.l1_offset, fields_.l1_entries * 8);
    for (std::uint64_t index = 0; index < fields_.l1_entries; ++index) {
      const std::uint64_t entry = number(l1, index * 8, 8);
      if (entry == 0) {
        continue;
      }
      copied_.emplace_back((entry & kOffset) / cluster_, (entry & kCopied) != 0);
      if (refer(entry & kOffset, cluster_, "an L2 table is not in the file")) {
        count_data(entry & kOffset);
      }
    }
  }

  void count_data(std::uint64_t table) {
    for (std::uint64_t at = 0; at < cluster_; at += fields_.entry) {
      const Entry entry = read_entry(image_, fields_, table + at);
      const std::uint64_t word = entry.word;
      const bool is_odd = (word & kCompressed) != 0 || (word & 0x3f000000000001fe) != 0 ||
                          ((fields_.version < 3 || fields_.entry == 16) && (word & 1U) != 0) ||
                          entry.offset() % cluster_ != 0;
      const bool is_both = (entry.allocated & entry.zero) != 0;
      if (is_odd || is_both || (entry.allocated != 0 && entry.offset() == 0)) {
        corrupt("an L2 entry is none that a pull makes", word);
      } else if (entry.offset() != 0) {
        ++references_[entry.offset() / cluster_];
        copied_.emplace_back(entry.offset() / cluster_, (word & kCopied) != 0);
      } else if ((word & kCopied) != 0) {
        corrupt("an L2 entry without a cluster says copied", word);
      }
    }
  }

  void read_blocks() {
    const auto table = image_.read(fields_.table_offset, fields_.table_clusters * cluster_);
    const std::uint64_t per_block = cluster_ * 8 / fields_.refcount_bits;
    for (std::uint64_t index = 0; index < table.size() / 8; ++index) {
      const std::uint64_t offset = number(table, index * 8, 8);
      if (offset == 0 || !refer(offset, cluster_, "a refcount block is not in the file")) {
        continue;
      }
      const std::vector<std::byte> block = image_.read(offset, cluster_);
      for (std::uint64_t i = 0; i < per_block; ++i) {
        if (const std::uint64_t count = refcount(block, i); count != 0) {
          refcounts_[index * per_block + i] = count;
        }
      }
    }
  }

  [[nodiscard]] std::uint64_t refcount(const std::vector<std::byte>& block, std::uint64_t i) const {
    const std::uint64_t bits = fields_.refcount_bits;
    if (bits >= 8) {
      return number(block, i * bits / 8, bits / 8);
    }
    const std::uint64_t shift = i * bits % 8;
    return std::to_integer<std::uint64_t>(block[i * bits / 8]) >> shift & ((1U << bits) - 1);
  }

  void compare() {
    for (const auto& [cluster, count] : references_) {
      const auto found = refcounts_.find(cluster);
      if (found == refcounts_.end() || found->second < count) {
        corrupt("a cluster has more references than its refcount says", cluster);
      }
    }
    for (const auto& [cluster, count] : refcounts_) {
      const auto found = references_.find(cluster);
      if (found == references_.end() || found->second < count) {
        verdict_.leaks.push_back(cluster);
      }
    }
    for (const auto& [cluster, copied] : copied_) {
      const auto found = refcounts_.find(cluster);
      if (copied != (found != refcounts_.end() && found->second == 1)) {
        corrupt("an entry says copied where the refcount does not, or the other way", cluster);
      }
    }
  }

  const Content& image_;
  const Fields fields_;
  const std::uint64_t cluster_;
  Verdict verdict_;
  std::map<std::uint64_t, std::uint64_t> references_;
  std::map<std::uint64_t, std::uint64_t> refcounts_;
  /// Host cluster, and whether the entry that refers to it has "copied" set.
  std::vector<std::pair<std::uint64_t, bool>> copied_;
};

/// Reads the layers below, then this one over them.
std::vector<std::byte> read_layer(const Content& image, bool is_raw, const BackingFiles& backings) {
  if (is_raw) {
    return image.read(0, (image.size() + 511) / 512 * 512);
  }
  const Fields fields = read_fields(image);
  const std::uint64_t cluster = fields.cluster;
  std::vector<std::byte> disk;
  if (fields.backing_offset != 0) {
    const auto name = image.read(fields.backing_offset, fields.backing_length);
    const auto below = backings.find(characters(name, 0, name.size()));
    if (below == backings.end()) {
      return {};
    }
    disk = read_layer(below->second.content, below->second.is_raw, backings);
  }
  disk.resize((fields.virtual_size + cluster - 1) / cluster * cluster);
  const auto l1 = image.read(fields.l1_offset, fields.l1_entries * 8);
  for (std::uint64_t at = 0; at < disk.size(); at += cluster) {
    const std::uint64_t index = at / cluster / fields.per_table();
    const std::uint64_t table = number(l1, index * 8, 8) & kOffset;
    if (table == 0) {
      continue;
    }
    const std::uint64_t slot = at / cluster % fields.per_table() * fields.entry;
    const Entry entry = read_entry(image, fields, table + slot);
    const std::uint64_t parts = fields.entry == 16 ? 32 : 1;
    const std::uint64_t part = cluster / parts;
    for (std::uint64_t i = 0; i < parts; ++i) {
      const auto place = disk.begin() + static_cast<std::ptrdiff_t>(at + i * part);
      if ((entry.zero >> i & 1U) != 0) {
        std::fill_n(place, part, std::byte{0});
      } else if ((entry.allocated >> i & 1U) != 0) {
        const std::vector<std::byte> bytes = image.read(entry.offset() + i * part, part);
        std::copy(bytes.begin(), bytes.end(), place);
      }
    }
  }
  disk.resize(fields.virtual_size);
  return disk;
}

}  // namespace

std::string Verdict::summary() const {
  std::ostringstream out;
  for (const std::string& sentence : corruptions) {
    out << sentence << "; ";
  }
  out << leaks.size() << " leaks";
  for (std::size_t i = 0; i < std::min<std::size_t>(leaks.size(), 8); ++i) {
    out << (i == 0 ? " at " : ", ") << leaks[i];
  }
  out << "; " << trailing_bytes << " bytes behind the end";
  return out.str();
}

Verdict check_image(const Content& image) {
  return Check(image).run();
}

std::vector<std::byte> read_disk(const Content& image, const BackingFiles& backings) {
  return read_layer(image, false, backings);
}

}  // namespace blockpull::faults
