// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/repair/repair_cases.h"

#include <cstdlib>
#include <fstream>

#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/base/text.h"
#include "core/image/qcow2/repair/repair_judge.h"
#include "faults/image_recipe.h"
#include "files/temp_folder.h"

namespace blockpull::image::qcow2 {

using faults::Content;
using faults::ImageRecipe;

namespace {

constexpr std::uint64_t kFlag = std::uint64_t{1} << 63U;

std::uint64_t load(const Content& image, std::uint64_t at) {
  return be_at<std::uint64_t>(image.read(at, 8), 0);
}

void store(Content& image, std::uint64_t at, std::uint64_t value) {
  std::byte bytes[8];
  store_be<std::uint64_t>(bytes, value);
  image.write(at, bytes);
}

/// An image, and where things are in it.
class Place {
 public:
  explicit Place(Content& image, std::mt19937_64& random)
      : image_(image),
        random_(random),
        picture_(picture_of(image)),
        version_(be_at<std::uint32_t>(image.read(4, 4), 0)),
        order_(version_ >= 3 ? be_at<std::uint32_t>(image.read(96, 4), 0) : 4) {}

  [[nodiscard]] const Picture& picture() const { return picture_; }
  [[nodiscard]] std::uint64_t cluster_size() const { return picture_.cluster_size; }
  [[nodiscard]] std::uint64_t per_block() const { return cluster_size() * 8 >> order_; }
  [[nodiscard]] std::uint64_t clusters() const {
    return (image_.size() + cluster_size() - 1) / cluster_size();
  }

  [[nodiscard]] std::uint64_t any(std::uint64_t below) { return random_() % below; }

  template <typename Container>
  [[nodiscard]] const auto& any_of(const Container& container) {
    return *std::next(container.begin(), static_cast<std::ptrdiff_t>(any(container.size())));
  }

  /// Of the refcount table, for a block that exists; 0: there is none.
  [[nodiscard]] std::uint64_t any_block_entry() {
    std::vector<std::uint64_t> found;
    for (std::uint64_t at = picture_.refcount_table; load(image_, at) != 0; at += 8) {
      found.push_back(at);
    }
    return found.empty() ? 0 : any_of(found);
  }

  /// An entry of an active table that has a cluster.
  [[nodiscard]] std::uint64_t any_entry() { return any_of(picture_.entries).first; }

  /// An entry of an active L2 table for a plain cluster; 0: there is none.
  [[nodiscard]] std::uint64_t any_data_entry() {
    const std::uint64_t l1 = load(image_, 40);
    const std::uint64_t l1_end = l1 + 8 * be_at<std::uint32_t>(image_.read(36, 4), 0);
    std::vector<std::uint64_t> found;
    for (const auto& each : picture_.entries) {
      if (each.first < l1 || each.first >= l1_end) {
        found.push_back(each.first);
      }
    }
    return found.empty() ? 0 : any_of(found);
  }

  void set_refcount(std::uint64_t cluster, std::uint64_t value) {
    const std::uint64_t entry = picture_.refcount_table + cluster / per_block() * 8;
    const std::uint64_t block = load(image_, entry);
    if (block == 0 || !picture_.blocks.contains(block / cluster_size())) {
      return;
    }
    const std::uint64_t bits = std::uint64_t{1} << order_;
    const std::uint64_t bit = cluster % per_block() * bits;
    std::vector<std::byte> bytes =
        image_.read(block + bit / 8, std::max<std::uint64_t>(bits / 8, 1));
    if (bits < 8) {
      const auto mask = static_cast<std::byte>(((1U << bits) - 1) << (bit % 8));
      bytes[0] = (bytes[0] & ~mask) | (static_cast<std::byte>(value << (bit % 8)) & mask);
    } else {
      for (std::size_t i = bytes.size(); i-- > 0; value >>= 8U) {
        bytes[i] = static_cast<std::byte>(value & 0xffU);
      }
    }
    image_.write(block + bit / 8, bytes);
  }

 private:
  Content& image_;
  std::mt19937_64& random_;
  const Picture picture_;
  const std::uint32_t version_;
  const std::uint32_t order_;
};

void damage_block(Content& image, Place& place, Damage kind) {
  const std::uint64_t entry = place.any_block_entry();
  if (entry == 0) {
    return;
  }
  const std::uint64_t block = load(image, entry);
  switch (kind) {
    case Damage::kMissingBlock:
      return store(image, entry, 0);
    case Damage::kReservedBlock:
      return store(image, entry, block | 1U);
    case Damage::kBlockOutside:
      return store(image, entry, (place.clusters() + 7) * place.cluster_size());
    case Damage::kBlockTwice:
      return store(image, entry + 8, block);
    default:
      if (const std::uint64_t data = place.any_data_entry();
          data != 0 && place.picture().blocks.contains(block / place.cluster_size())) {
        store(image, data, block | (place.any(2) == 0 ? kFlag : 0));
      }
      return;
  }
}

void damage_data(Content& image, Place& place, Damage kind) {
  const std::uint64_t entry = place.any_data_entry();
  if (entry == 0) {
    return;
  }
  const std::uint64_t word = load(image, entry);
  switch (kind) {
    case Damage::kSharedData:
      return store(image, entry, load(image, place.any_data_entry()) ^ place.any(2) * kFlag);
    case Damage::kReservedBit:
      return store(image, entry, word | 2U);
    case Damage::kReferenceOutside:
      return store(image, entry, (place.clusters() + 1 + place.any(3)) * place.cluster_size());
    default: {
      // Behind everything that one cluster of the refcount table counts.
      const std::uint64_t cluster = place.cluster_size() / 8 * place.per_block() + place.any(3);
      if (cluster * place.cluster_size() < (std::uint64_t{64} << 20U)) {
        image.write(cluster * place.cluster_size(), faults::pattern(5, place.cluster_size()));
        store(image, entry, (cluster * place.cluster_size()) | kFlag);
      }
      return;
    }
  }
}

/// Whether a refcount can state every number of references.
bool has_wide_refcounts(const Content& image) {
  const Picture picture = picture_of(image);
  for (const auto* counts : {&picture.used, &picture.used_by_refcounts}) {
    for (const auto& each : *counts) {
      if (picture.references(each.first) > picture.most) {
        return false;
      }
    }
  }
  return true;
}

RepairCase written(const std::string& name, std::uint32_t version, std::uint32_t bits,
                   std::uint32_t order) {
  ImageRecipe recipe;
  recipe.version = version;
  recipe.cluster_bits = bits;
  recipe.refcount_order = order;
  recipe.virtual_size = recipe.cluster_size() * 150;
  recipe.data_clusters = {0, 1, 2, 3, 64, 66, 70, 149};
  recipe.leaked_clusters = 3;
  return {name, faults::build_image(recipe), true};
}

int run(const std::string& command) {
  return std::system(("(" + command + ") >/dev/null 2>&1").c_str());
}

Content load_file(const std::string& path) {
  const std::string text = files::content_of(path);
  const auto bytes = std::as_bytes(std::span(text));
  Content content;
  for (std::size_t at = 0; at < bytes.size(); at += Content::kPage) {
    const auto page = bytes.subspan(at, std::min<std::size_t>(Content::kPage, bytes.size() - at));
    if (!all_zero(page)) {
      content.write(at, page);
    }
  }
  content.resize(bytes.size());
  return content;
}

RepairCase made(const std::string& name, const std::string& options, const std::string& steps) {
  const files::TempFolder folder;
  const std::string path = folder / "image.qcow2";
  const std::string create =
      "cd " + folder.path() + " && qemu-img create -f qcow2 -o " + options + " image.qcow2 640k";
  EXPECT_EQ(run(create), 0) << create;
  EXPECT_EQ(run("cd " + folder.path() + " && " + steps), 0) << steps;
  return {name, load_file(path), true};
}

std::string io(const std::string& writes) {
  return "qemu-io -t unsafe -f qcow2 " + writes + " image.qcow2";
}

}  // namespace

std::vector<RepairCase> written_images() {
  std::vector<RepairCase> cases;
  cases.push_back(written("Version2", 2, 9, 4));
  for (std::uint32_t order = 0; order <= 6; ++order) {
    cases.push_back(written(text("Refcounts", 1U << order), 3, order % 2 == 0 ? 9 : 12, order));
  }
  ImageRecipe recipe;
  recipe.virtual_size = 20480;
  recipe.data_clusters = {0, 5, 7};
  recipe.leaked_clusters = 2;
  recipe.has_unknown_extension = true;
  cases.push_back({"UnknownExtension", faults::build_image(recipe), false});
  recipe.has_unknown_extension = false;
  recipe.autoclear = 0x80;
  cases.push_back({"UnknownAutoclearBit", faults::build_image(recipe), false});
  return cases;
}

std::vector<RepairCase> images_by_qemu() {
  const std::string small = "cluster_size=512";
  const std::string two_writes = io("-c 'write -P 1 0 9k' -c 'write -P 2 300k 3k'");
  const std::string snapshot = "qemu-img snapshot -c one image.qcow2";
  const std::string packed = io("-c 'write -c -P 3 20k 512' -c 'write -c -P 3 21k 512'");
  const std::string later = io("-c 'write -P 4 1k 2k' -c 'write -z 5k 1k'");
  const std::string bitmap =
      "qemu-img bitmap --add -g 512 image.qcow2 b0 && " + io("-c 'write -P 5 2k 1k'");
  std::vector<RepairCase> cases;
  cases.push_back(made("Snapshots", small,
                       two_writes + " && " + packed + " && " + snapshot + " && " + later +
                           " && qemu-img snapshot -c two image.qcow2 && " + two_writes));
  cases.push_back(made("SnapshotsOfVersion2", small + ",compat=0.10",
                       two_writes + " && " + snapshot + " && " + two_writes + " && " + packed));
  cases.push_back(made("SnapshotAndBitmap", small + ",refcount_bits=4",
                       two_writes + " && " + snapshot + " && " + bitmap + " && " + packed));
  cases.push_back(made("Subclusters", "cluster_size=16k,extended_l2=on,refcount_bits=64",
                       two_writes + " && " + snapshot + " && " + later));
  cases.push_back(made("DataFile", "cluster_size=512,data_file=data.raw", two_writes));
  return cases;
}

void damage(RepairCase& repair_case, Damage kind, std::mt19937_64& random) {
  Content& image = repair_case.image;
  Place place(image, random);
  const Picture& picture = place.picture();
  switch (kind) {
    case Damage::kLowRefcount: {
      const std::uint64_t cluster = place.any_of(picture.used).first;
      place.set_refcount(cluster, place.any(std::max<std::uint64_t>(picture.refcount(cluster), 1)));
      break;
    }
    case Damage::kHighRefcount: {
      const std::uint64_t cluster = place.any_of(picture.used).first;
      place.set_refcount(cluster,
                         std::min(picture.refcount(cluster) + 1 + place.any(3), picture.most));
      break;
    }
    case Damage::kLeak: {
      const std::uint64_t cluster = place.any(place.clusters());
      place.set_refcount(cluster, std::max<std::uint64_t>(picture.refcount(cluster), 1));
      break;
    }
    case Damage::kFlag: {
      const std::uint64_t entry = place.any_entry();
      store(image, entry, load(image, entry) ^ kFlag);
      break;
    }
    case Damage::kMissingBlock:
    case Damage::kReservedBlock:
    case Damage::kBlockOutside:
    case Damage::kBlockTwice:
    case Damage::kBlockWithData:
      damage_block(image, place, kind);
      break;
    case Damage::kBehindTable:
    case Damage::kSharedData:
    case Damage::kReservedBit:
    case Damage::kReferenceOutside:
      damage_data(image, place, kind);
      break;
  }
  const bool is_odd = kind >= Damage::kReservedBit && place.any_data_entry() != 0;
  if (is_odd) {
    repair_case.is_understood = repair_case.may_become_understood = false;
  } else if (repair_case.is_understood && !has_wide_refcounts(image)) {
    repair_case.is_understood = false;
    repair_case.may_become_understood = true;
  }
}

}  // namespace blockpull::image::qcow2
