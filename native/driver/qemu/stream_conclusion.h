// SPDX-License-Identifier: Apache-2.0
//
// What a stream's end needs beside QEMU's word for it, before the header changes and after.
//
//     prepare     view: any snapshot? ─▶ flush ─▶ sync ─▶ files: does anything lack? ─▶ ready
//                                         ▲                     │ yes, once (the guest writes)
//                                         └─────────────────────┘
//     confirm     flush ─▶ sync ─▶ files, if nobody has looked ─▶ header ─▶ view ─▶ what is told
//
// QEMU flushes what it has in memory. The file is synced from here as well, as a node below may
// ignore flushes, which QEMU tells of a disk's topmost node alone.
//
// The files are read by another road than the one that filled them (stream_witness.h). Where they
// are not to be seen from here, the end is told as not verified, with the reason, and nothing is
// told as released.
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
#include "driver/qemu/node_witness.h"
#include "driver/qemu/stream_plan.h"
#include "driver/qemu/stream_verifier.h"
#include "job/host.h"

namespace blockpull::driver::qemu {

/// Whether the job at pending may be finalized.
struct Preparation {
  enum class Verdict : std::uint8_t {
    kReady,
    /// The connection broke, or the images are inactive now.
    kTryLater,
    /// What was copied may be lost for good.
    kFlushFailed,
    /// Something that was to be copied is not there.
    kLacks,
    /// The guest was migrated while nobody followed the job, and its files are not to be seen; or
    /// an internal snapshot was taken, which has only what was copied by then.
    kUnknowable,
  };
  Verdict verdict = Verdict::kReady;
  /// Why not.
  std::optional<Error> error = {};
};

/// What is told of a stream that QEMU has done.
struct Confirmation {
  bool is_verified = true;
  bool is_durable = true;
  std::vector<std::string> warnings;
  /// Layers that the image needs no more and that no other disk of this QEMU reads.
  std::vector<std::string> released;
  /// What lies below the active layer now.
  std::optional<KeptLayer> base;
};

class StreamConclusion : public std::enable_shared_from_this<StreamConclusion> {
 public:
  /// Runs a call on the host's thread, or never once the job has ended.
  using Post = std::function<void(std::function<void()>)>;

  StreamConclusion(std::shared_ptr<qmp::Monitor> monitor, StreamPlan plan, job::Host& host,
                   Post post)
      : monitor_(std::move(monitor)), plan_(std::move(plan)), host_(host), post_(std::move(post)) {}

  /// Of the job at pending. `state` is how the guest is.
  void prepare(const RunState& state, std::function<void(Preparation)> then);

  /// The stream is begun again: what was seen of it counts no more.
  void forget();

  /// Whether QEMU shows the end of a job that it lists no more; absent where it cannot be asked.
  void look_for_end(std::function<void(std::optional<bool>)> then);

  /// Of the job that has ended without an error. Absent: try later. Fails where the end is not what
  /// was promised, or may not last.
  void confirm(std::function<void(std::optional<Result<Confirmation>>)> then);

 private:
  enum class Content : std::uint8_t { kNotLooked, kWhole, kUnseen };

  using TakeView = void (StreamConclusion::*)(const std::shared_ptr<Result<GuestView>>&);

  /// What QEMU shows now, on the host's thread.
  void ask_view(TakeView then);
  void take_snapshots(const std::shared_ptr<Result<GuestView>>& told);
  using TakeFlush = void (StreamConclusion::*)(const Result<Flushed>&);

  void flush(FlushTime time, TakeFlush then);
  void sync(const Flushed& flushed, TakeFlush then);
  void look_at_content(std::function<void(Result<ContentSeen>)> then);
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
  void judge_durability();
  void release_layers(const GuestView* view);
  void not_verified(const std::string& why);
  void note(const Flushed& flushed);
  void answer(Preparation preparation);
  void answer(std::optional<Result<Confirmation>> confirmation);

  const std::shared_ptr<qmp::Monitor> monitor_;
  const StreamPlan plan_;
  job::Host& host_;
  const Post post_;
  RunState state_;
  std::function<void(Preparation)> prepared_;
  std::function<void(std::optional<Result<Confirmation>>)> confirmed_;
  Content content_ = Content::kNotLooked;
  std::string why_unseen_;
  /// How often something was seen to lack since the last begin.
  std::uint32_t times_lacking_ = 0;
  /// How often QEMU would not tell its images.
  std::uint32_t views_refused_ = 0;
  bool is_certain_ = true;
  /// QEMU shows a node over the file that ignores flushes.
  bool ignores_flushes_ = false;
  /// Names of the layers that are where they were.
  std::set<std::string> in_place_;
  Confirmation told_;
};

/// Whether it is not known if what was asked of QEMU was done: then the next look shows it.
[[nodiscard]] bool is_unknown(const Error& error);

}  // namespace blockpull::driver::qemu
