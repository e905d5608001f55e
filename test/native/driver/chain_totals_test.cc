// SPDX-License-Identifier: Apache-2.0
//
// Counting in rows of clusters must give the same as counting run by run. Random chains, whose
// layers differ in cluster size, length and kinds of clusters, are measured and inspected both
// ways. One chain in eight has a damaged entry, and both ways must name the same one.

#include <algorithm>
#include <bit>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/image/chain_walk.h"
#include "core/image/inspect.h"
#include "core/image/qcow2/qcow2_image.h"
#include "driver/plan/pull_survey.h"
#include "files/table_graph.h"
#include "files/temp_folder.h"
#include "files/test_seed.h"

namespace blockpull::driver {
namespace {

using files::TableGraph;
using image::Status;
using image::qcow2::kCompressed;
using image::qcow2::kCopied;
using image::qcow2::kZero;

class RandomFiles {
 public:
  explicit RandomFiles(std::uint64_t seed) : random_(seed) {}

  /// Files "0", the active image, "1" and so on.
  void write(const files::TempFolder& folder) {
    const std::uint64_t layers = 2 + below(3);
    const auto usual_bits = static_cast<std::uint32_t>(9 + below(3));
    const std::uint64_t usual_size = 512 * (1 + below(6000));
    const std::uint64_t damaged = below(8) == 0 ? below(layers) : layers;
    const bool ends_raw = below(3) == 0;
    for (std::uint64_t layer = 0; layer < layers; ++layer) {
      const bool is_last = layer + 1 == layers;
      const std::uint64_t size = below(3) > 0 ? usual_size : 512 * (1 + below(6000));
      if (is_last && ends_raw) {
        write_raw(folder / std::to_string(layer), size);
        continue;
      }
      TableGraph graph;
      graph.cluster_bits = below(4) > 0 ? usual_bits : static_cast<std::uint32_t>(9 + below(5));
      graph.version = below(4) == 0 ? 2 : 3;
      if (below(12) == 0) {
        graph.cluster_bits = 14;
        graph.version = 3;
        graph.has_extended_l2 = true;
      }
      graph.virtual_size = size;
      if (!is_last) {
        graph.backing_name = std::to_string(layer + 1);
        graph.backing_format = layer + 2 == layers && ends_raw ? "raw" : "qcow2";
      }
      fill(graph, layer == damaged);
      const auto bytes = graph.bytes();
      (void)folder.write(std::to_string(layer),
                         {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }
  }

  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

 private:
  void fill(TableGraph& graph, bool is_damaged) {
    graph.l1.resize(graph.needed_l1() + below(3));
    for (std::uint64_t& entry : graph.l1) {
      if (below(4) > 0) {
        graph.tables.emplace_back(graph.table_words());
        entry = graph.tables.size();
      }
    }
    for (std::uint64_t& entry : graph.l1) {
      entry = entry == 0 ? 0 : graph.table_at(entry - 1) | kCopied;
    }
    for (auto& table : graph.tables) {
      fill_table(graph, table);
    }
    if (is_damaged && !graph.tables.empty()) {
      auto& table = graph.tables[below(graph.tables.size())];
      const std::uint64_t entry = below(table.size() / graph.entry_words());
      table[entry * graph.entry_words()] = graph.cluster_size() * 8 + graph.cluster_size() / 2;
      if (graph.cluster_bits == 9) {
        // An offset in clusters of 512 bytes cannot be unaligned: use a compressed cluster behind
        // the end of the file.
        table[entry] = kCompressed | std::uint64_t{1} << 50U;
      }
    }
  }

  /// Either long runs, or a different kind for every entry.
  void fill_table(const TableGraph& graph, std::vector<std::uint64_t>& table) {
    const std::uint64_t longest = below(2) == 0 ? 1 : 1 + below(200);
    const std::uint64_t entries = table.size() / graph.entry_words();
    for (std::uint64_t entry = 0; entry < entries;) {
      const std::uint64_t kind = below(6);
      const std::uint64_t host = (1000 + below(1000)) * graph.cluster_size();
      const std::uint64_t run = std::min(1 + below(longest), entries - entry);
      for (std::uint64_t i = 0; i < run; ++i, ++entry) {
        put(graph, table, entry, kind, host + i * graph.cluster_size());
      }
    }
  }

  void put(const TableGraph& graph, std::vector<std::uint64_t>& table, std::uint64_t entry,
           std::uint64_t kind, std::uint64_t host) {
    std::uint64_t& word = table[entry * graph.entry_words()];
    if (graph.has_extended_l2 && kind >= 2) {
      const auto allocated = static_cast<std::uint32_t>(random_());
      const auto zero = static_cast<std::uint32_t>(random_()) & ~allocated;
      word = host | kCopied;
      table[entry * 2 + 1] = std::uint64_t{zero} << 32U | allocated;
    } else if (kind == 2 || kind == 3) {
      word = host | kCopied;
    } else if (kind == 4 && graph.version >= 3) {
      word = kZero | (below(2) == 0 ? host | kCopied : 0);
    } else if (kind == 5) {
      word = kCompressed | below(graph.table_at(graph.tables.size()));
    }
  }

  void write_raw(const std::string& path, std::uint64_t size) {
    std::ofstream file(path, std::ios::binary);
    for (std::uint64_t at = 0; at < size; at += 4096) {
      if (below(2) == 0) {
        file.seekp(static_cast<std::streamoff>(at));
        file << 'x';
      }
    }
    file.close();
    std::filesystem::resize_file(path, size);
  }

  std::mt19937_64 random_;
};

/// An error's sentence without the offset at its end.
std::string what_of(const Error& error) {
  return error.message.substr(0, error.message.find(" (guest offset"));
}

std::string told(const PullSurvey::Totals& totals) {
  return text("move ", totals.bytes_to_move, ", allocate ", totals.bytes_to_allocate);
}

/// What there is of a cluster with subclusters need not be allocated again.
std::uint64_t allocated_by(const Piece& piece, std::uint64_t cluster_size) {
  std::uint64_t bytes = piece.clusters * cluster_size;
  for (const SubclusterFill& fill : piece.fills) {
    const auto there = static_cast<std::uint64_t>(std::popcount(~fill.data));
    bytes -= fill.host_cluster == 0 ? 0 : there * (cluster_size / 32);
  }
  return bytes;
}

/// Adds up the planner's own steps.
std::string planned(const PullTarget& target) {
  image::Qcow2Image& active = target.active();
  PullPlanner planner(target.chain, target.base, target.can_write_zero_clusters(), nullptr);
  PullSurvey::Totals totals;
  std::set<std::uint64_t> tables;
  const auto note = [&](const GuestRun& run) {
    for (std::uint64_t cluster = 0; cluster < run.count; ++cluster) {
      tables.insert((run.first_cluster + cluster) / active.header().l2_entries());
    }
  };
  for (bool at_end = false; !at_end;) {
    const auto step = planner.next(limits::kPiece);
    if (!step.ok()) {
      return what_of(step.error());
    }
    for (const Segment& segment : step->piece.segments) {
      totals.bytes_to_move += segment.status == Status::kZero ? 0 : segment.length;
    }
    totals.bytes_to_allocate += allocated_by(step->piece, active.cluster_size());
    std::for_each(step->piece.runs.begin(), step->piece.runs.end(), note);
    note(step->zeros);
    at_end = step->at_end;
  }
  for (const std::uint64_t table : tables) {
    const auto entry = active.tables().load(active.header().l1_offset + table * 8);
    totals.bytes_to_allocate += *entry == 0 ? active.cluster_size() : 0;
  }
  return told(totals);
}

std::string surveyed(const PullTarget& target) {
  const auto totals = survey(target, [] { return true; });
  return totals.ok() ? told(*totals) : what_of(totals.error());
}

image::Chain open_again(const files::TempFolder& folder) {
  auto chain = image::open_chain(folder / "0", {});
  EXPECT_TRUE(chain.ok()) << chain.error().message;
  return std::move(chain).value();
}

/// The byte counts of inspect_chain(), or its error.
std::string inspected(const files::TempFolder& folder) {
  const auto layers = image::inspect_chain(folder / "0", {}, [] { return true; });
  if (!layers.ok()) {
    return what_of(layers.error());
  }
  std::string out;
  for (const image::LayerInfo& layer : *layers) {
    out += text(" data ", layer.data_bytes, " visible ", layer.visible_bytes);
  }
  return out;
}

/// The same counts, run by run.
std::string walked(const image::Chain& chain) {
  std::vector<std::uint64_t> data(chain.layers.size());
  std::vector<std::uint64_t> visible(chain.layers.size());
  image::ChainWalk walk(chain);
  for (std::size_t layer = 0; layer < data.size(); ++layer) {
    const std::uint64_t size = chain.layers[layer].image->virtual_size();
    for (std::uint64_t at = 0; at < size;) {
      const auto extent = walk.status(layer, at, size - at);
      if (!extent.ok()) {
        return what_of(extent.error());
      }
      const bool is_data = extent->status == Status::kData || extent->status == Status::kCompressed;
      data[layer] += is_data ? extent->length : 0;
      at += extent->length;
    }
  }
  const std::uint64_t size = chain.active().virtual_size();
  for (std::uint64_t at = 0; at < size;) {
    const auto owner = walk.who_has(0, data.size(), {at}, size - at);
    if (owner->layer < data.size() && at < chain.layers[owner->layer].image->virtual_size()) {
      visible[owner->layer] += owner->extent.length;
    }
    at += owner->extent.length;
  }
  std::string out;
  for (std::size_t layer = 0; layer < data.size(); ++layer) {
    out += text(" data ", data[layer], " visible ", visible[layer]);
  }
  return out;
}

TEST(ChainTotals, RowsAndRunsCountTheSame) {
  const std::uint64_t chains = is_soak() ? 20000 : 1000;
  std::uint64_t damaged = 0;
  for (std::uint64_t round = 0; round < chains; ++round) {
    const files::TempFolder folder;
    RandomFiles files(test_seed() + round);
    files.write(folder);
    PullTarget target;
    target.chain = open_again(folder);
    target.base = 2 + files.below(target.chain.layers.size() - 1);
    target.has_work = true;
    const std::string by_rows = surveyed(target);
    target.chain = open_again(folder);
    ASSERT_EQ(by_rows, planned(target)) << "BLOCKPULL_SEED=" << test_seed() + round;
    damaged += by_rows.starts_with("move") ? 0 : 1;
    ASSERT_EQ(inspected(folder), walked(open_again(folder)))
        << "BLOCKPULL_SEED=" << test_seed() + round;
  }
  EXPECT_GT(damaged, 0U);
  EXPECT_LT(damaged, chains / 2);
}

}  // namespace
}  // namespace blockpull::driver
