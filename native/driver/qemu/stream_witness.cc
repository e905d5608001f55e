// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/stream_witness.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/base/text.h"
#include "core/image/backing_name.h"
#include "driver/qemu/guest_files.h"

namespace blockpull::driver::qemu {
namespace {

using image::GuestOffset;
using image::Status;

/// Approximate duration of a call of next(), for which a cancel waits.
constexpr std::chrono::milliseconds kTurn{20};

/// Most bytes per lookup; a run is as long as the tables make it.
constexpr std::uint64_t kLongestRun = std::uint64_t{1} << 30U;

Error is_not_promised(const BlockNode& top, const std::string& stated, const std::string& why) {
  return make_error(ErrorKind::kJobFailed, text("QEMU reports success, but the header of '",
                                                top.filename, "' states ", stated, " where ", why))
      .with_path(top.filename);
}

std::string quoted(const std::optional<std::string>& name) {
  return name ? text("backing file '", *name, "'") : std::string("no backing file");
}

/// Whether the stated name leads from the image to the layer that was to stay.
Result<void> check_opens(const PromisedHeader& promised, const std::string& stated) {
  if (!promised.base || !promised.base->seen || image::has_protocol(stated)) {
    // Nothing is claimed about a file that cannot be opened from here; open() says why it cannot.
    return {};
  }
  BLOCKPULL_TRY(path, image::resolve_backing(promised.top.seen->path, stated));
  const auto there = io::identify(path);
  if (there.ok() && *there == promised.base->seen->id) {
    return {};
  }
  return is_not_promised(promised.top, quoted(stated),
                         text("that name leads to ", there.ok() ? "another file" : "no file",
                              ", and the layer that stays is '", promised.base->filename, "'"));
}

}  // namespace

StreamWitness::StreamWitness(image::Chain chain, std::size_t base)
    : chain_(std::move(chain)),
      base_(base),
      walk_(chain_),
      end_(chain_.layers.front().image->virtual_size()) {}

Result<std::unique_ptr<StreamWitness>> StreamWitness::open(const std::vector<BlockNode>& layers,
                                                           std::size_t base) {
  BLOCKPULL_TRY(chain, open_beside_qemu(layers));
  BLOCKPULL_CHECK(chain.check_walk());
  return std::unique_ptr<StreamWitness>(new StreamWitness(std::move(chain), base));
}

Result<StreamWitness::Lacking> StreamWitness::next() {
  const auto until = std::chrono::steady_clock::now() + kTurn;
  while (position_ < end_ && std::chrono::steady_clock::now() < until) {
    BLOCKPULL_TRY(length, step());
    position_ += length;
  }
  lacking_.finished = position_ >= end_;
  return lacking_;
}

/// Judges the run at `position_` and returns its length.
Result<std::uint64_t> StreamWitness::step() {
  const GuestOffset at{position_};
  const std::uint64_t most = std::min(end_ - position_, kLongestRun);
  BLOCKPULL_TRY(top, walk_.who_has(0, 1, at, most));
  if (top.extent.status != Status::kUnallocated || base_ <= 1) {
    return top.extent.length;
  }
  BLOCKPULL_TRY(dropped, walk_.who_has(1, base_, at, top.extent.length));
  if (dropped.extent.status == Status::kUnallocated) {
    return dropped.extent.length;
  }
  if (dropped.extent.status != Status::kZero) {
    add_lacking(dropped.extent.length);
    return dropped.extent.length;
  }
  // Zeros that hide nothing may be dropped with their layer.
  if (base_ == chain_.layers.size()) {
    return dropped.extent.length;
  }
  BLOCKPULL_TRY(below, walk_.who_has(base_, chain_.layers.size(), at, dropped.extent.length));
  if (below.extent.status != Status::kUnallocated && below.extent.status != Status::kZero) {
    add_lacking(below.extent.length);
  }
  return below.extent.length;
}

void StreamWitness::add_lacking(std::uint64_t length) {
  if (lacking_.bytes == 0) {
    lacking_.first = position_;
  }
  lacking_.bytes += length;
}

Result<void> check_stated(const PromisedHeader& promised,
                          const std::optional<std::string>& stated) {
  const bool is_other_name = promised.backing_name && stated != promised.backing_name;
  if (stated.has_value() != promised.keeps_base || is_other_name) {
    return is_not_promised(
        promised.top, quoted(stated),
        promised.backing_name
            ? text(quoted(promised.backing_name), " was expected")
            : std::string(promised.keeps_base ? "one should stay" : "none should stay"));
  }
  return {};
}

Result<std::string> read_back(const PromisedHeader& promised) {
  const auto opened = open_beside_qemu({promised.top});
  if (!opened.ok()) {
    return opened.error().message;
  }
  const auto& backing = opened->active().backing();
  const std::optional<std::string> stated =
      backing ? std::optional(backing->name) : std::optional<std::string>();
  BLOCKPULL_CHECK(check_stated(promised, stated));
  if (stated) {
    BLOCKPULL_CHECK(check_opens(promised, *stated));
    const bool is_other_format =
        promised.base && !backing->format.empty() && backing->format != promised.base->driver;
    if (is_other_format) {
      return is_not_promised(
          promised.top, text("format '", backing->format, "'"),
          text("'", promised.base->filename, "' is '", promised.base->driver, "'"));
    }
  }
  return std::string();
}

}  // namespace blockpull::driver::qemu
