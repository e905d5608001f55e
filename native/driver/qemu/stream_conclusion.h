// SPDX-License-Identifier: Apache-2.0
//
// What is special about a stream: the checks of its end, before the header changes and after, that
// do not rely on QEMU's word.
//
//     prepare     view: any snapshot? ─▶ flush ─▶ sync ─▶ files: does anything lack? ─▶ ready
//                                         ▲                     │ yes, once (the guest writes)
//                                         └─────────────────────┘
//     confirm     flush ─▶ sync ─▶ files, if not read yet ─▶ header ─▶ view ─▶ confirmation
//
// QEMU flushes what it has in memory. This process syncs the file as well, because a node below may
// ignore flushes; QEMU shows that only for a disk's topmost node.
//
// The files are read by a separate reader, not by the QEMU that wrote them (stream_witness.h). If
// this process cannot see them, the end is reported as not verified, with the reason, and no file
// is reported as released.
//
// Thread rule: the host's thread.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "driver/qemu/flush.h"
#include "driver/qemu/guest_view.h"
#include "driver/qemu/host_calls.h"
#include "driver/qemu/job_operations.h"
#include "driver/qemu/node_witness.h"
#include "driver/qemu/stream_plan.h"
#include "driver/qemu/stream_verifier.h"
#include "job/host.h"

namespace blockpull::driver::qemu {

/// The result of a pull: filled before the job's `before_end` runs.
struct GuestPullEnd {
  /// Absent: the active layer stands on its own.
  std::optional<KeptLayer> base;
};

class StreamConclusion final : public JobOperations,
                               public std::enable_shared_from_this<StreamConclusion> {
 public:
  /// `end` is filled when the pull is confirmed.
  StreamConclusion(std::shared_ptr<qmp::Monitor> monitor, StreamPlan plan,
                   std::shared_ptr<GuestPullEnd> end, job::Host& host,
                   std::shared_ptr<HostCalls> calls)
      : monitor_(std::move(monitor)),
        plan_(std::move(plan)),
        end_(std::move(end)),
        host_(host),
        calls_(std::move(calls)) {}

  [[nodiscard]] const char* command() const override { return "block-stream"; }
  void prepare(const RunState& state, std::function<void(Preparation)> done) override;
  void confirm(std::function<void(std::optional<Result<Confirmation>>)> done) override;
  void was_done(std::function<void(std::optional<bool>)> done) override;
  void restart(std::uint64_t bandwidth,
               std::function<void(Result<std::shared_ptr<JobWatch>>)> done) override;
  void forget() override;

 private:
  enum class Content : std::uint8_t { kNotLooked, kWhole, kUnseen };

  using TakeView = void (StreamConclusion::*)(const std::shared_ptr<Result<GuestView>>&);

  /// A callback that hands what it is given to `take`, unless the job has ended by then.
  template <typename T>
  [[nodiscard]] auto if_alive(void (StreamConclusion::*take)(const T&)) {
    return [weak = weak_from_this(), take](const T& given) {
      if (const auto self = weak.lock()) {
        (self.get()->*take)(given);
      }
    };
  }

  /// Queries a view, and calls `then` on the host's thread.
  void ask_view(TakeView then);
  void take_snapshots(const std::shared_ptr<Result<GuestView>>& told);
  using TakeFlush = void (StreamConclusion::*)(const Result<Flushed>&);

  void flush(FlushTime time, TakeFlush then);
  void sync(const Flushed& flushed, TakeFlush then);
  void look_at_content(std::function<void(Result<ContentSeen>)> done);
  [[nodiscard]] bool has_old_chain(const BlockGraph& graph, std::size_t top) const;
  [[nodiscard]] std::optional<Error> judge(const Result<ContentSeen>& seen);
  void take_preparing_flush(const Result<Flushed>& flushed);
  void take_content(const Result<ContentSeen>& seen);
  void take_last_flush(const Result<Flushed>& flushed);
  void take_late_content(const Result<ContentSeen>& seen);
  void read_header();
  void take_header(const Result<std::string>& unseen);
  void take_verdict(const Result<NodeSeen>& verdict);
  void header_is_wrong(Error why);
  void look_at_chain();
  void see_chain(const std::shared_ptr<Result<GuestView>>& view);
  void take_view(const Result<GuestView>& view);
  void decide_durability();
  void release_layers(const GuestView* view);
  void not_verified(const std::string& why);
  void note(const Flushed& flushed);
  void answer(Preparation preparation);
  void answer(std::optional<Result<Confirmation>> confirmation);

  const std::shared_ptr<qmp::Monitor> monitor_;
  const StreamPlan plan_;
  const std::shared_ptr<GuestPullEnd> end_;
  job::Host& host_;
  const std::shared_ptr<HostCalls> calls_;
  RunState state_;
  std::function<void(Preparation)> prepared_;
  std::function<void(std::optional<Result<Confirmation>>)> confirmed_;
  Content content_ = Content::kNotLooked;
  std::string why_unseen_;
  /// How often bytes were missing since the last start.
  std::uint32_t times_lacking_ = 0;
  /// How often QEMU refused to list its images.
  std::uint32_t views_refused_ = 0;
  bool is_certain_ = true;
  /// QEMU shows a node over the file that ignores flushes.
  bool ignores_flushes_ = false;
  /// Names of the layers whose files are still in place.
  std::set<std::string> in_place_;
  Confirmation told_;
};

}  // namespace blockpull::driver::qemu
