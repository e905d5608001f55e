// SPDX-License-Identifier: Apache-2.0
//
// Walks over random graphs of tables, some of them hostile: tables that are listed twice, lie
// outside the file, or are the L1 table, the refcount table or the header itself. In every case a
// walk ends, reads no slice of a table twice, and reads no more than the length of the file.

#include <algorithm>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "core/base/checked.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/image/chain_rows.h"
#include "core/image/qcow2/qcow2_image.h"
#include "core/image/qcow2/references.h"
#include "faults/memory_file.h"
#include "files/table_graph.h"
#include "files/test_seed.h"

namespace blockpull::image::qcow2 {
namespace {

using files::TableGraph;

class Graphs : public testing::Test {
 protected:
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

  TableGraph random_graph() {
    // Clusters of one table slice and of four.
    TableGraph graph;
    graph.cluster_bits = below(4) == 0 ? 16 : 14;
    const std::uint64_t tables = 1 + below(12);
    // Mostly sound, or damaged in every other entry.
    const std::uint64_t hostility = below(3) == 0 ? 2 : 50;
    graph.tables.resize(tables);
    for (auto& table : graph.tables) {
      fill(graph, table, hostility);
    }
    // Sometimes a long L1 table of only absent entries.
    graph.l1.resize(tables + below(40) + (below(20) == 0 ? 3 * graph.table_words() : 0));
    for (std::size_t index = 0; index < graph.l1.size(); ++index) {
      graph.l1[index] = index < tables && below(4) > 0 ? graph.table_at(index) | kCopied : 0;
      graph.l1[index] = below(hostility * tables) == 0 ? odd_table(graph) : graph.l1[index];
    }
    std::shuffle(graph.l1.begin(), graph.l1.end(), random_);
    const std::uint64_t entries = graph.l1.size() * graph.table_words();
    graph.virtual_size = (entries - below(graph.table_words())) * graph.cluster_size();
    return graph;
  }

  void fill(const TableGraph& graph, std::vector<std::uint64_t>& table, std::uint64_t hostility) {
    table.resize(graph.table_words());
    const std::uint64_t mean_run = 1 + below(3000);
    std::uint64_t entry = 0;
    std::uint64_t step = 0;
    for (std::uint64_t& word : table) {
      if (below(mean_run) == 0) {
        const std::uint64_t kind = below(8);
        entry = kind < 3 ? 0 : kind == 3 ? kZero : (2000 + below(5000)) * graph.cluster_size();
        entry |= kind > 3 ? kCopied : 0;
        step = kind > 3 ? graph.cluster_size() : 0;
      }
      word = entry;
      entry += step;
    }
    if (below(hostility) == 0) {
      table[below(table.size())] = random_();
    }
  }

  std::uint64_t odd_table(const TableGraph& graph) {
    const std::uint64_t places[] = {0,
                                    graph.refcount_table_at(),
                                    graph.l1_at(),
                                    graph.table_at(0),
                                    graph.table_at(graph.tables.size() - 1),
                                    graph.table_at(0) + 512,
                                    graph.table_at(graph.tables.size()),
                                    std::uint64_t{1} << 50U,
                                    random_()};
    return places[below(std::size(places))] | (below(8) > 0 ? kCopied : 0);
  }

  std::mt19937_64 random_{test_seed()};
};

/// One image, opened again for each walk.
class Walked {
 public:
  explicit Walked(const TableGraph& graph) : graph_(graph), bytes_(graph.bytes()) {}

  /// Whether check_walk() refuses the image.
  [[nodiscard]] bool is_refused() {
    open();
    const bool refused = !image().check_walk().ok();
    expect_bounded("check_walk");
    return refused;
  }

  void by_rows() {
    open();
    ChainWalk walk(chain_);
    ChainRows rows(chain_, walk, 0, 1);
    const std::uint64_t size = image().virtual_size();
    std::uint64_t windows = 0;
    for (std::uint64_t at = 0; at < size; ++windows) {
      const auto window = rows.next(at, size);
      if (!window.ok()) {
        EXPECT_EQ(window.error().kind, ErrorKind::kImageCorrupt);
        break;
      }
      at += window->length();
    }
    EXPECT_LE(windows, bytes_.size() / 8);
    expect_bounded("rows");
  }

  void by_runs() {
    open();
    ChainWalk walk(chain_);
    const std::uint64_t size = image().virtual_size();
    for (std::uint64_t at = 0; at < size;) {
      const auto owner = walk.who_has(0, 1, {at}, size - at);
      if (!owner.ok()) {
        EXPECT_EQ(owner.error().kind, ErrorKind::kImageCorrupt);
        break;
      }
      at += owner->extent.length;
    }
    expect_bounded("runs");
  }

  [[nodiscard]] bool by_references() {
    open();
    const auto found = find_references(image(), [] { return true; });
    EXPECT_TRUE(found.ok() || found.error().kind == ErrorKind::kImageCorrupt ||
                found.error().kind == ErrorKind::kFeatureUnsupported);
    expect_bounded("references");
    return found.ok();
  }

 private:
  void open() {
    auto file = std::make_unique<faults::MemoryFile>(bytes_);
    file_ = file.get();
    auto opened = Qcow2Image::open(std::move(file));
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    chain_.layers.clear();
    chain_.layers.push_back({"graph", nullptr, std::move(opened).value()});
    file_->forget_reads();
  }

  Qcow2Image& image() { return static_cast<Qcow2Image&>(chain_.active()); }

  void expect_bounded(const char* walk) {
    std::map<std::uint64_t, std::size_t> times;
    for (const std::uint64_t offset : file_->read_offsets()) {
      ++times[offset];
    }
    const std::uint64_t l1_end = graph_.table_at(0);
    for (const auto& [offset, count] : times) {
      // The L1 table may also be an L2 table, and is then read as both.
      const bool is_l1 = offset >= graph_.l1_at() && offset < l1_end;
      EXPECT_LE(count, is_l1 ? 2U : 1U) << walk << " read the slice at " << offset;
    }
    EXPECT_LE(file_->reads(), (bytes_.size() + l1_end) / limits::kTableSlice) << walk;
  }

  const TableGraph& graph_;
  const std::vector<std::byte> bytes_;
  Chain chain_;
  faults::MemoryFile* file_ = nullptr;
};

TEST_F(Graphs, EveryWalkEndsAndReadsNoTableTwice) {
  const int graphs = is_soak() ? 10000 : 200;
  int refused = 0;
  int sound = 0;
  for (int round = 0; round < graphs && !HasFailure(); ++round) {
    SCOPED_TRACE(text("BLOCKPULL_SEED=", test_seed(), ", graph ", round));
    const TableGraph graph = random_graph();
    Walked walked(graph);
    sound += walked.by_references() ? 1 : 0;
    if (walked.is_refused()) {
      ++refused;
      continue;
    }
    walked.by_rows();
    walked.by_runs();
  }
  // There were some of each kind.
  EXPECT_GT(refused, 0);
  EXPECT_GT(sound, 0);
  EXPECT_LT(refused + sound, graphs);
}

}  // namespace
}  // namespace blockpull::image::qcow2
