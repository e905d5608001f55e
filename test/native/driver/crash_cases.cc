// SPDX-License-Identifier: Apache-2.0
//
// The places of the data are computed: a refcount block covers cluster × 8 / width clusters, a
// table of one cluster covers cluster / 8 blocks.

#include "driver/crash_cases.h"

#include <algorithm>

#include "core/base/checked.h"

namespace blockpull::driver {
namespace {

using faults::BackingFile;
using faults::BackingFiles;
using faults::Content;
using faults::ImageRecipe;

constexpr std::uint64_t kKiB = 1024;

/// A raw file: runs of bytes with holes between them.
BackingFile raw_file(std::uint64_t size, std::uint64_t seed) {
  Content content;
  content.resize(size);
  std::mt19937_64 random(seed);
  for (std::uint64_t at = 0; at < size;) {
    const std::uint64_t length = std::min(size - at, (random() % 12 + 1) * kKiB);
    if (random() % 3 != 0) {
      content.write(at, faults::pattern(random(), length));
    }
    at += length;
  }
  return {std::move(content), true};
}

/// Every `stride`-th of `count` clusters, from `first` on.
std::vector<std::uint64_t> every(std::uint64_t stride, std::uint64_t first, std::uint64_t count) {
  std::vector<std::uint64_t> clusters;
  for (std::uint64_t cluster = first; cluster < count; cluster += stride) {
    clusters.push_back(cluster);
  }
  return clusters;
}

/// A version 3 overlay with clusters of 512 bytes over a raw file.
CrashCase small_case(std::string name, std::uint32_t refcount_order) {
  CrashCase made;
  made.name = std::move(name);
  made.top.refcount_order = refcount_order;
  made.top.virtual_size = 72 * kKiB;
  made.top.backing_name = "base.raw";
  made.top.backing_format = "raw";
  made.top.data_clusters = every(7, 3, 40);
  made.backings["base.raw"] = raw_file(72 * kKiB, 11);
  return made;
}

/// The same over two layers, the lower of which stays.
CrashCase base_case(std::string name, std::uint32_t refcount_order) {
  CrashCase made = small_case(std::move(name), refcount_order);
  ImageRecipe middle;
  middle.cluster_bits = 10;
  middle.virtual_size = 64 * kKiB;
  middle.backing_name = "base.raw";
  middle.backing_format = "raw";
  middle.data_clusters = every(2, 5, 60);
  middle.zero_clusters = every(6, 4, 60);
  middle.seed = 77;
  made.top.backing_name = "middle.qcow2";
  made.top.backing_format = "qcow2";
  made.backings["middle.qcow2"] = {faults::build_image(middle), false};
  made.base = "base.raw";
  return made;
}

/// Version 2, which supports only refcounts of 16 bits.
CrashCase old_case(CrashCase made, std::uint32_t cluster_bits) {
  made.top.version = 2;
  made.top.refcount_order = 4;
  made.top.cluster_bits = cluster_bits;
  return made;
}

void add_growing_tables(std::vector<CrashCase>& cases) {
  // 64 bits: 64 clusters a block, 64 blocks a table.
  CrashCase grows = small_case("TableGrows64Bit", 6);
  grows.top.first_data_cluster = 64 * 64 - 20;
  cases.push_back(grows);
  grows.name = "TableGrowsWithoutEndMarker";
  grows.top.has_end_marker = false;
  grows.top.first_data_cluster = 64 * 64 - 60;
  cases.push_back(grows);
  // 16 bits: 256 clusters a block.
  CrashCase wide = base_case("TableGrowsOverBase16Bit", 4);
  wide.top.first_data_cluster = 256 * 64 - 13;
  cases.push_back(wide);
  // 1 bit: 4096 clusters a block.
  CrashCase narrow = small_case("TableGrows1Bit", 0);
  narrow.top.first_data_cluster = 4096 * 64 - 14;
  narrow.top.leaked_clusters = 5;
  cases.push_back(narrow);
  CrashCase old = old_case(small_case("TableGrowsVersion2", 4), 9);
  old.top.has_end_marker = false;
  old.top.first_data_cluster = 256 * 64 - 30;
  cases.push_back(old);
}

void add_new_blocks(std::vector<CrashCase>& cases) {
  for (const std::uint64_t before_end : {1, 2, 7}) {
    CrashCase made = small_case("BlocksInRounds" + std::to_string(before_end), 6);
    made.top.first_data_cluster = 5 * 64 - before_end;
    made.top.data_clusters = {90};
    cases.push_back(made);
  }
  CrashCase unlimited = small_case("BlocksAtOnce", 6);
  unlimited.bandwidth = 0;
  unlimited.top.first_data_cluster = 62;
  unlimited.top.data_clusters = {1};
  cases.push_back(unlimited);
}

/// A grown disk must not show bytes behind its old end in the last cluster.
void add_short_disks(std::vector<CrashCase>& cases) {
  CrashCase last = small_case("EndsInsideACluster", 4);
  last.top.cluster_bits = 12;
  last.top.virtual_size = 66 * kKiB + 512;
  last.top.data_clusters = {2, 16};
  cases.push_back(last);
  CrashCase over = base_case("EndsInsideAClusterOverBase", 4);
  over.top.cluster_bits = 13;
  over.top.virtual_size = 60 * kKiB + 512;
  over.top.data_clusters = {1, 7};
  cases.push_back(over);
}

/// Bytes of another program behind the image.
void add_trailers(std::vector<CrashCase>& cases) {
  CrashCase one = small_case("Trailer1Byte", 4);
  one.keeps_trailer = true;
  one.top.garbage_behind = 1;
  cases.push_back(one);
  CrashCase leaky = small_case("TrailerBehindLeaks64Bit", 6);
  leaky.keeps_trailer = true;
  leaky.top.garbage_behind = 700;
  leaky.top.leaked_clusters = 5;
  leaky.top.first_data_cluster = 60;
  cases.push_back(leaky);
  CrashCase over = base_case("TrailerOverBase", 4);
  over.keeps_trailer = true;
  over.top.cluster_bits = 12;
  over.top.data_clusters = {3, 9};
  over.top.garbage_behind = 9000;
  cases.push_back(over);
}

void add_larger_clusters(std::vector<CrashCase>& cases) {
  CrashCase four = small_case("Clusters4KiB1Bit", 0);
  four.top.cluster_bits = 12;
  four.top.data_clusters = {3, 9};
  four.top.leaked_clusters = 3;
  cases.push_back(four);
  CrashCase sixty_four = small_case("Clusters64KiB", 4);
  sixty_four.top.cluster_bits = 16;
  sixty_four.top.virtual_size = 500 * kKiB + 512;
  sixty_four.top.data_clusters = {2};
  sixty_four.backings["base.raw"] = raw_file(400 * kKiB, 12);
  sixty_four.bandwidth = 64 * kKiB;
  cases.push_back(sixty_four);
  // Strips of zeros are not written, so earlier bytes there would show.
  CrashCase garbage = sixty_four;
  garbage.name = "Clusters64KiBInStripsOverGarbage";
  garbage.top.garbage_behind = 640 * kKiB;
  cases.push_back(garbage);
  CrashCase old = old_case(base_case("Version2OverBase4KiB", 4), 12);
  old.top.data_clusters = {3, 9};
  old.top.backing_format.clear();
  cases.push_back(old);
}

/// Every state that a cluster with subclusters can have.
void add_subclusters_to(ImageRecipe& top) {
  top.has_extended_l2 = true;
  top.cluster_bits = std::max(top.cluster_bits, 14U);
  top.data_clusters = {1, 6};
  top.zero_clusters = {5};
  top.subclusters = {{2, 0x0000ff0f, 0xf0000000, true}, {3, 0, 0, true},
                     {4, 0, 0x00ff00ff, false},         {7, 0x80000000, 0x00000001, true},
                     {8, 0, 0xffff0000, true},          {9, 0x00000003, 0, true}};
}

void add_subclusters(std::vector<CrashCase>& cases) {
  CrashCase full = small_case("Subclusters", 4);
  add_subclusters_to(full.top);
  full.top.virtual_size = 200 * kKiB;
  full.top.ends_with_subcluster = true;
  full.backings["base.raw"] = raw_file(190 * kKiB, 13);
  full.bandwidth = 32 * kKiB;
  cases.push_back(full);
  CrashCase trailer = full;
  trailer.name = "SubclustersBeforeTrailer";
  trailer.keeps_trailer = true;
  trailer.top.garbage_behind = 1000;
  cases.push_back(trailer);
  // Only what the host clusters lack: no new cluster.
  trailer.name = "SubclustersBeforeTrailerInPlace";
  trailer.top.subclusters = {{2, 0x0000ff0f, 0xf0000000, true}, {9, 0x00000003, 0, true}};
  trailer.top.zero_clusters = {0, 3, 4, 5, 7, 8, 10, 11, 12};
  cases.push_back(trailer);
  CrashCase last = full;
  last.name = "EndsInsideASubcluster";
  last.top.cluster_bits = 15;
  last.top.virtual_size = 9 * 32 * kKiB + 2 * kKiB + 512;
  last.backings["base.raw"] = raw_file(400 * kKiB, 14);
  cases.push_back(last);
  CrashCase over = base_case("SubclustersOverBase", 5);
  add_subclusters_to(over.top);
  over.top.virtual_size = 200 * kKiB;
  over.backings["base.raw"] = raw_file(200 * kKiB, 15);
  ImageRecipe middle;
  add_subclusters_to(middle);
  middle.virtual_size = 180 * kKiB;
  middle.backing_name = "base.raw";
  middle.backing_format = "raw";
  middle.data_clusters = {2, 4};
  middle.zero_clusters = {3, 10};
  middle.subclusters = {{0, 0x00ff00ff, 0x0f000f00, true},
                        {7, 0x11111111, 0x44444444, true},
                        {8, 0, 0xffffffff, false},
                        {9, 0, 0x0000fff0, false}};
  middle.seed = 78;
  over.backings["middle.qcow2"] = {faults::build_image(middle), false};
  over.bandwidth = 32 * kKiB;
  cases.push_back(over);
}

/// Clusters of 16 or 32 KiB, with subclusters in any state.
void make_extended(CrashCase& made, std::mt19937_64& random) {
  made.top.has_extended_l2 = true;
  made.top.cluster_bits = static_cast<std::uint32_t>(14 + random() % 2);
  made.top.data_clusters = {random() % 3};
  const std::uint64_t clusters = divide_up(made.top.virtual_size, made.top.cluster_size());
  for (std::uint64_t cluster = made.top.data_clusters[0] + 1; cluster < clusters; ++cluster) {
    const bool has_host = random() % 2 == 0;
    const auto sparse = static_cast<std::uint32_t>(random() & random());
    const std::uint32_t allocated = has_host && random() % 4 != 0 ? sparse : 0;
    const auto zero = static_cast<std::uint32_t>(random() & random()) & ~allocated;
    if (random() % 4 != 0) {
      made.top.subclusters.push_back({cluster, allocated, random() % 2 == 0 ? zero : 0, has_host});
    }
  }
}

}  // namespace

std::vector<CrashCase> crash_cases() {
  std::vector<CrashCase> cases;
  cases.push_back(small_case("Plain16Bit", 4));
  cases.push_back(base_case("OverBase64Bit", 6));
  CrashCase leaky = small_case("LeaksAndAutoclear", 3);
  leaky.top.leaked_clusters = 12;
  leaky.top.autoclear = 0x30;
  cases.push_back(leaky);
  CrashCase unknown = base_case("UnknownExtension", 4);
  unknown.top.has_unknown_extension = true;
  unknown.top.autoclear = 0x40;
  unknown.top.leaked_clusters = 4;
  cases.push_back(unknown);
  CrashCase old = old_case(small_case("Version2WithoutEndMarker", 4), 9);
  old.top.has_end_marker = false;
  old.top.leaked_clusters = 2;
  cases.push_back(old);
  CrashCase full = small_case("NothingToMove", 4);
  full.top.data_clusters = every(1, 0, 144);
  full.top.leaked_clusters = 3;
  cases.push_back(full);
  add_new_blocks(cases);
  add_growing_tables(cases);
  add_larger_clusters(cases);
  add_short_disks(cases);
  add_trailers(cases);
  add_subclusters(cases);
  return cases;
}

CrashCase random_case(std::mt19937_64& random) {
  const auto order = static_cast<std::uint32_t>(random() % 7);
  CrashCase made = random() % 2 == 0 ? small_case("Random", order) : base_case("Random", order);
  made.top.cluster_bits = static_cast<std::uint32_t>(9 + random() % 6);
  made.top.virtual_size = (random() % 120 + 8) * kKiB + random() % 2 * 512;
  const std::uint64_t clusters = made.top.virtual_size >> made.top.cluster_bits;
  made.top.data_clusters = every(random() % 9 + 2, random() % 5, clusters);
  if (random() % 3 == 0) {
    make_extended(made, random);
  }
  made.top.leaked_clusters = random() % 3 == 0 ? random() % 9 : 0;
  made.top.autoclear = random() % 4 == 0 ? 0x50 : 0;
  // If an unknown feature may own unreferenced clusters, old copies stay.
  made.keeps_trailer = random() % 4 == 0 && made.top.autoclear == 0;
  made.top.garbage_behind = made.keeps_trailer || random() % 3 == 0 ? random() % (100 * kKiB) : 0;
  if (!made.keeps_trailer) {
    // Whole clusters, as a killed writer leaves them.
    made.top.garbage_behind &= ~(made.top.cluster_size() - 1);
  }
  made.top.has_end_marker = random() % 3 != 0;
  made.top.seed = random();
  made.bandwidth = random() % 3 == 0 ? 0 : 8192;
  const std::uint64_t per_block = (std::uint64_t{8} << made.top.cluster_bits) >> order;
  const std::uint64_t per_table = per_block << made.top.cluster_bits >> 3U;
  // The recipe has a table of one cluster, so the data must fit before its end.
  const std::uint64_t places = made.top.data_clusters.size() + made.top.subclusters.size() +
                               made.top.leaked_clusters + random() % 40;
  switch (random() % 3) {
    case 0:
      made.top.first_data_cluster = (random() % 8 + 1) * per_block - std::min(per_block, places);
      break;
    case 1:
      made.top.first_data_cluster = per_table - places;
      break;
    default:
      break;
  }
  if (made.keeps_trailer && made.top.data_clusters.empty()) {
    // The trailer would be too long to keep, or the hole too long to try.
    made.top.first_data_cluster = 0;
  }
  made.top.ends_with_subcluster = made.top.has_extended_l2 && made.top.leaked_clusters == 0 &&
                                  (made.keeps_trailer || made.top.garbage_behind == 0);
  if (!made.top.has_extended_l2 && random() % 4 == 0) {
    made = old_case(std::move(made), made.top.cluster_bits);
    made.top.first_data_cluster = 0;
  }
  return made;
}

}  // namespace blockpull::driver
