// SPDX-License-Identifier: Apache-2.0

#include "faults/crash_states.h"

#include <algorithm>
#include <span>
#include <utility>

namespace blockpull::faults {
namespace {

constexpr std::uint64_t kSector = 512;
/// Filesystems punch whole blocks.
constexpr std::uint64_t kPunchedBlock = 4096;
constexpr std::size_t kFewFragments = 8;

void add_fragments(const Change& change, std::uint64_t size, std::vector<Fragment>& fragments) {
  if (change.kind == Change::Kind::kResize) {
    fragments.push_back({&change, 0, 0, false});
    return;
  }
  const bool is_write = change.kind == Change::Kind::kWrite;
  const std::uint64_t unit = is_write ? kSector : kPunchedBlock;
  const std::uint64_t end = change.offset + (is_write ? change.bytes.size() : change.length);
  for (std::uint64_t at = change.offset; at < end;) {
    const std::uint64_t unit_end = std::min(end, (at / unit + 1) * unit);
    fragments.push_back({&change, at, unit_end - at, is_write && unit_end > size});
    at = unit_end;
  }
}

void apply_fragment(const Fragment& fragment, Content& content) {
  const Change& change = *fragment.change;
  switch (change.kind) {
    case Change::Kind::kWrite:
      content.write(
          fragment.offset,
          std::span(change.bytes).subspan(fragment.offset - change.offset, fragment.length));
      break;
    case Change::Kind::kPunch:
      content.zero(fragment.offset, fragment.length);
      break;
    case Change::Kind::kResize:
      content.resize(change.length);
      break;
    case Change::Kind::kSync:
    case Change::Kind::kFailedSync:
      break;
  }
}

}  // namespace

Content CrashPoint::state(const Kept& kept) const {
  Content content = durable;
  std::uint64_t size = durable.size();
  for (std::size_t i = 0; i < pending.size(); ++i) {
    if (!kept[i]) {
      continue;
    }
    const Fragment& fragment = pending[i];
    apply_fragment(fragment, content);
    if (fragment.change->kind == Change::Kind::kResize) {
      size = fragment.change->length;
    } else if (fragment.grows) {
      size = std::max(size, fragment.offset + fragment.length);
    }
  }
  content.resize(size);
  return content;
}

CrashWalk::CrashWalk(Content start, const std::vector<Change>& log) : log_(log) {
  size_ = start.size();
  here_.durable = std::move(start);
}

bool CrashWalk::next() {
  if (position_ == log_.size()) {
    return false;
  }
  const Change& change = log_[position_++];
  if (change.kind == Change::Kind::kSync) {
    here_.durable = here_.state(Kept(here_.pending.size(), true));
    here_.pending.clear();
  } else if (change.kind != Change::Kind::kFailedSync) {
    add_fragments(change, size_, here_.pending);
    if (change.kind == Change::Kind::kResize) {
      size_ = change.length;
    } else if (change.kind == Change::Kind::kWrite) {
      size_ = std::max(size_, change.offset + change.bytes.size());
    }
  }
  return true;
}

std::vector<Kept> choose_subsets(std::size_t pending, std::size_t most, std::mt19937_64& random) {
  std::vector<Kept> subsets;
  if (pending <= kFewFragments && most >= (std::size_t{1} << pending)) {
    for (std::size_t mask = 0; mask < (std::size_t{1} << pending); ++mask) {
      Kept kept(pending);
      for (std::size_t i = 0; i < pending; ++i) {
        kept[i] = (mask >> i & 1U) != 0;
      }
      subsets.push_back(std::move(kept));
    }
    return subsets;
  }
  subsets.emplace_back(pending, false);
  subsets.emplace_back(pending, true);
  std::vector<std::size_t> order(pending);
  for (std::size_t i = 0; i < pending; ++i) {
    order[i] = i;
  }
  std::shuffle(order.begin(), order.end(), random);
  // A third each: one fragment lost, one alone, and random subsets.
  for (std::size_t i = 0; i < pending && i < most / 3; ++i) {
    subsets.emplace_back(pending, true).at(order[i]) = false;
    subsets.emplace_back(pending, false).at(order[i]) = true;
  }
  while (subsets.size() < most) {
    Kept kept(pending);
    const std::uint64_t odds = random() % 7 + 1;
    for (std::size_t i = 0; i < pending; ++i) {
      kept[i] = random() % 8 < odds;
    }
    subsets.push_back(std::move(kept));
  }
  subsets.resize(std::min(subsets.size(), most));
  return subsets;
}

}  // namespace blockpull::faults
