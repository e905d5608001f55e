// SPDX-License-Identifier: Apache-2.0

#include "virt/calls/guest_reads.h"

#include "core/base/limits.h"
#include "driver/chain_file.h"

namespace blockpull::virt {
namespace {

/// Bytes to read in one turn, before other calls get theirs: some hundred milliseconds.
constexpr std::uint64_t kTurn = 32 * limits::kMiB;

/// Bytes to read between two checks for cancellation: some milliseconds. An abort, or the end of
/// the process, waits that long at most.
constexpr std::uint64_t kStep = 2 * limits::kMiB;

/// Works for one turn; false when there is no more to do.
template <typename Reading>
blockpull::Result<bool> read_on(Reading& reading, const WalkWatch& watch) {
  const std::uint64_t from = reading.position();
  while (reading.position() - from < kTurn) {
    BLOCKPULL_CHECK(watch.check());
    BLOCKPULL_TRY(goes_on, reading.step(kStep));
    watch.reach(reading.position());
    if (!goes_on) {
      return false;
    }
  }
  return true;
}

}  // namespace

blockpull::Result<void> ReadChain::open(const ImageRequest& request) {
  BLOCKPULL_TRY(options, chain_options(request));
  BLOCKPULL_TRY(chain, image::open_chain(request.path, options));
  BLOCKPULL_CHECK(chain.check_walk());
  chain_.emplace(std::move(chain));
  entry_ = OpenChains::of_process()->add(driver::files_of(*chain_));
  return {};
}

blockpull::Result<bool> DigestCall::turn() {
  BLOCKPULL_CHECK(watch_.check());
  if (!digest_) {
    BLOCKPULL_CHECK(chain_.open(request_));
    digest_.emplace(chain_.chain());
    watch_.begin(WalkPhase::kData, chain_.chain().active().virtual_size());
  }
  return read_on(*digest_, watch_);
}

std::optional<Result<image::Digest>> DigestCall::step() {
  const auto goes_on = turn();
  if (!goes_on.ok()) {
    return Result<image::Digest>(plain(goes_on.error()));
  }
  return *goes_on ? std::nullopt : std::optional(Result<image::Digest>(digest_->finish()));
}

blockpull::Result<bool> CompareCall::turn() {
  BLOCKPULL_CHECK(watch_.check());
  if (!comparison_) {
    BLOCKPULL_CHECK(a_chain_.open(a_));
    BLOCKPULL_CHECK(b_chain_.open(b_));
    comparison_.emplace(a_chain_.chain(), b_chain_.chain());
    watch_.begin(WalkPhase::kData, comparison_->total());
  }
  return read_on(*comparison_, watch_);
}

std::optional<Result<image::Comparison>> CompareCall::step() {
  const auto goes_on = turn();
  if (!goes_on.ok()) {
    return Result<image::Comparison>(plain(goes_on.error()));
  }
  return *goes_on ? std::nullopt : std::optional(Result<image::Comparison>(comparison_->result()));
}

}  // namespace blockpull::virt
