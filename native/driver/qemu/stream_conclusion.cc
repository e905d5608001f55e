// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/stream_conclusion.h"

#include <utility>

#include "core/base/text.h"
#include "driver/qemu/guest_files.h"
#include "driver/qemu/last_cluster.h"
#include "driver/qemu/stream_restart.h"

namespace blockpull::driver::qemu {
namespace {

using Verdict = Preparation::Verdict;

/// After this many checks missing bytes are really missing: a guest's writes only add bytes.
constexpr std::uint32_t kLooksBelieved = 2;

/// Names of the layers whose paths still lead to the same files as before.
std::set<std::string> still_in_place(const std::vector<BlockNode>& layers) {
  std::set<std::string> names;
  for (const BlockNode& layer : layers) {
    if (layer.seen && io::leads_to(layer.seen->path, layer.seen->id)) {
      names.insert(layer.name);
    }
  }
  return names;
}

bool may_be_tried_later(const Error& error) {
  return is_unknown(error) || error.kind == ErrorKind::kGuestBusy;
}

}  // namespace

void StreamConclusion::answer(Preparation preparation) {
  if (const auto told = std::exchange(prepared_, nullptr)) {
    told(std::move(preparation));
  }
}

void StreamConclusion::answer(std::optional<Result<Confirmation>> confirmation) {
  if (const auto told = std::exchange(confirmed_, nullptr)) {
    told(std::move(confirmation));
  }
}

void StreamConclusion::forget() {
  content_ = Content::kNotLooked;
  times_lacking_ = 0;
  why_unseen_.clear();
}

void StreamConclusion::restart(std::uint64_t bandwidth,
                               std::function<void(Result<std::shared_ptr<JobWatch>>)> done) {
  restart_stream(monitor_, plan_, bandwidth, calls_->posted(std::move(done)));
}

void StreamConclusion::prepare(const RunState& state, std::function<void(Preparation)> done) {
  state_ = state;
  prepared_ = std::move(done);
  ask_view(&StreamConclusion::take_snapshots);
}

void StreamConclusion::ask_view(TakeView then) {
  query_guest(monitor_, [take = calls_->posted(if_alive(then))](Result<GuestView> view) {
    take(std::make_shared<Result<GuestView>>(std::move(view)));
  });
}

/// QEMU allows an internal snapshot during its stream. The snapshot has only what the image had
/// then, and would lose the rest with the backing file. A snapshot taken from now on has
/// everything.
void StreamConclusion::take_snapshots(const std::shared_ptr<Result<GuestView>>& told) {
  const Result<GuestView>& view = *told;
  if (!view.ok()) {
    const bool later = may_be_tried_later(view.error()) || ++views_refused_ < kLooksBelieved;
    answer(Preparation{later ? Verdict::kTryLater : Verdict::kUnknowable, view.error()});
    return;
  }
  const auto top = view->graph.find_node(plan_.node);
  if (top && is_mirrored(*view, *top)) {
    // QEMU 7.2 may end on the flush, so the job waits for the mirror's end.
    answer(Preparation{Verdict::kTryLater,
                       make_error(ErrorKind::kJobActive,
                                  text("'", plan_.path, "' is mirrored, and cannot be flushed"))});
    return;
  }
  if (!top || !view->graph.nodes()[*top].has_internal_snapshots) {
    flush(FlushTime::kBeforeJobEnds, &StreamConclusion::take_preparing_flush);
    return;
  }
  answer(Preparation{
      Verdict::kUnknowable,
      make_error(ErrorKind::kJobFailed,
                 text("job '", plan_.job_id, "' was cancelled: '", plan_.path,
                      "' got an internal snapshot during the job, which would lose what was not "
                      "copied before it; the disk keeps its backing file, so delete the snapshot "
                      "and pull again"))
          .with_path(plan_.path)});
}

void StreamConclusion::flush(FlushTime time, TakeFlush then) {
  flush_node(monitor_, plan_.node, time,
             [weak = weak_from_this(), calls = calls_, then](Result<Flushed> flushed) {
               calls->post([weak, flushed = std::move(flushed), then] {
                 const auto self = weak.lock();
                 if (self != nullptr && flushed.ok()) {
                   self->sync(*flushed, then);
                 } else if (self != nullptr) {
                   (self.get()->*then)(flushed);
                 }
               });
             });
}

void StreamConclusion::sync(const Flushed& flushed, TakeFlush then) {
  if (plan_.layers.empty()) {
    (this->*then)(flushed);
    return;
  }
  const auto synced = std::make_shared<Result<void>>();
  host_.run_blocking(
      [synced, top = plan_.layers.front()] { *synced = sync_beside_qemu(top); },
      [weak = weak_from_this(), synced, flushed, then] {
        if (const auto self = weak.lock()) {
          (self.get()->*then)(synced->ok() ? Result<Flushed>(flushed) : synced->error());
        }
      });
}

void StreamConclusion::take_preparing_flush(const Result<Flushed>& flushed) {
  if (!flushed.ok()) {
    const bool later = may_be_tried_later(flushed.error());
    answer(Preparation{later ? Verdict::kTryLater : Verdict::kFlushFailed, flushed.error()});
    return;
  }
  note(*flushed);
  look_at_content(if_alive(&StreamConclusion::take_content));
}

void StreamConclusion::look_at_content(std::function<void(Result<ContentSeen>)> done) {
  if (!plan_.has_work) {
    done(ContentSeen{});
    return;
  }
  check_content(
      host_, plan_, [weak = weak_from_this()] { return !weak.expired(); }, std::move(done));
}

/// The fault of the content, if it has one. Records why the content could not be seen.
std::optional<Error> StreamConclusion::judge(const Result<ContentSeen>& seen) {
  std::string why;
  if (!seen.ok()) {
    why = text("the image cannot be read back: ", seen.error().message);
  } else if (!seen->unseen.empty()) {
    content_ = Content::kUnseen;
    why_unseen_ = seen->unseen;
    return std::nullopt;
  } else if (seen->lacking.bytes > 0) {
    why = text(seen->lacking.bytes, " bytes that it should have copied are missing from '",
               plan_.path, "', the first at guest offset ", seen->lacking.first,
               ", although QEMU reports that everything is copied");
  } else {
    content_ = Content::kWhole;
    return std::nullopt;
  }
  return make_error(ErrorKind::kJobFailed,
                    text("QEMU's pull of disk '", plan_.disk_name, "' failed: ", why))
      .with_path(plan_.path);
}

void StreamConclusion::take_content(const Result<ContentSeen>& seen) {
  if (auto lacks = judge(seen)) {
    if (++times_lacking_ < kLooksBelieved) {
      flush(FlushTime::kBeforeJobEnds, &StreamConclusion::take_preparing_flush);
      return;
    }
    lacks->message += "; the disk keeps its backing file";
    answer(Preparation{Verdict::kLacks, std::move(lacks)});
    return;
  }
  const bool was_migrated_unseen = plan_.was_there && !state_.migration.empty();
  if (content_ == Content::kUnseen && was_migrated_unseen) {
    answer(Preparation{
        Verdict::kUnknowable,
        make_error(
            ErrorKind::kJobFailed,
            text("job '", plan_.job_id, "' was cancelled: its guest was migrated or saved ", "(",
                 state_.migration,
                 "), and QEMU may have skipped data then, which cannot be checked from here (",
                 why_unseen_, "); the disk keeps its backing file, so pull it again"))
            .with_path(plan_.path)});
    return;
  }
  answer(Preparation{});
}

void StreamConclusion::note(const Flushed& flushed) {
  is_certain_ = is_certain_ && flushed.is_certain;
}

void StreamConclusion::was_done(std::function<void(std::optional<bool>)> done) {
  query_guest(monitor_, [weak = weak_from_this(), calls = calls_,
                         done = std::move(done)](const Result<GuestView>& view) {
    std::optional<bool> is_done;
    if (const auto self = weak.lock(); self != nullptr && view.ok()) {
      const auto top = view->graph.find_node(self->plan_.node);
      is_done = top && !self->has_old_chain(view->graph, *top);
    }
    calls->post([weak, done, is_done] {
      if (!weak.expired()) {
        done(is_done);
      }
    });
  });
}

/// Only the job makes the chain shorter while it runs.
bool StreamConclusion::has_old_chain(const BlockGraph& graph, std::size_t top) const {
  return plan_.has_work && !plan_.layers.empty() &&
         graph.chain_from(top).size() >= plan_.layers.size();
}

void StreamConclusion::confirm(std::function<void(std::optional<Result<Confirmation>>)> done) {
  confirmed_ = std::move(done);
  told_ = {};
  // If we die here, the image stands on its own and its data is durable. If the host also loses the
  // header from its memory, the next open sees the old backing file, which is then still right.
  flush(FlushTime::kAfterJobEnded, &StreamConclusion::take_last_flush);
}

void StreamConclusion::take_last_flush(const Result<Flushed>& flushed) {
  if (!flushed.ok() && may_be_tried_later(flushed.error())) {
    answer(std::nullopt);
    return;
  }
  if (!flushed.ok()) {
    Error error = flushed.error();
    error.message =
        text("pull of disk '", plan_.disk_name,
             "' is complete, but may not be durable, so keep its backing files: ", error.message);
    answer(Result<Confirmation>(std::move(error).with_path(plan_.path)));
    return;
  }
  note(*flushed);
  if (content_ != Content::kNotLooked) {
    read_header();
    return;
  }
  // QEMU or another program finalized the job before we had looked.
  look_at_content(if_alive(&StreamConclusion::take_late_content));
}

void StreamConclusion::take_late_content(const Result<ContentSeen>& seen) {
  auto lacks = judge(seen);
  if (!lacks) {
    read_header();
  } else if (++times_lacking_ < kLooksBelieved) {
    confirm(std::exchange(confirmed_, nullptr));
  } else {
    lacks->message += "; it was finalized nevertheless, so keep the backing files";
    answer(Result<Confirmation>(*std::move(lacks)));
  }
}

void StreamConclusion::read_header() {
  if (content_ == Content::kUnseen) {
    not_verified(why_unseen_);
  }
  check_header(host_, plan_, if_alive(&StreamConclusion::take_header));
}

void StreamConclusion::take_header(const Result<std::string>& unseen) {
  if (!unseen.ok()) {
    header_is_wrong(unseen.error());
    return;
  }
  if (unseen->empty() || plan_.layers.empty()) {
    look_at_chain();
    return;
  }
  if (told_.is_verified) {
    not_verified(*unseen);
  }
  read_back_by_node(monitor_, promise_of(plan_),
                    calls_->posted(if_alive(&StreamConclusion::take_verdict)));
}

void StreamConclusion::take_verdict(const Result<NodeSeen>& verdict) {
  if (verdict.ok()) {
    ignores_flushes_ = verdict->ignores_flushes;
    look_at_chain();
  } else {
    header_is_wrong(verdict.error());
  }
}

void StreamConclusion::header_is_wrong(Error why) {
  why.message = text("pull of disk '", plan_.disk_name, "' failed: ", why.message,
                     "; keep its backing files");
  answer(Result<Confirmation>(std::move(why)));
}

void StreamConclusion::look_at_chain() {
  ask_view(&StreamConclusion::see_chain);
}

void StreamConclusion::see_chain(const std::shared_ptr<Result<GuestView>>& view) {
  const auto in_place = std::make_shared<std::set<std::string>>();
  const auto warning = std::make_shared<std::string>();
  host_.run_blocking(
      [view, in_place, warning, plan = plan_] {
        if (view->ok()) {
          see_files((*view)->graph, (*view)->processes);
        }
        *in_place = still_in_place(plan.layers);
        *warning = warn_of_last_cluster(plan);
      },
      [weak = weak_from_this(), view, in_place, warning] {
        if (const auto self = weak.lock()) {
          self->in_place_ = *in_place;
          if (!warning->empty()) {
            self->told_.warnings.push_back(*warning);
          }
          self->take_view(*view);
        }
      });
}

/// Records the chain of now. A QEMU that has ended since shows nothing, but the files have been
/// seen.
void StreamConclusion::take_view(const Result<GuestView>& view) {
  end_->base = plan_.base;
  if (view.ok()) {
    if (const auto top = view->graph.find_node(plan_.node)) {
      const auto chain = view->graph.chain_from(*top);
      if (has_old_chain(view->graph, *top)) {
        answer(Result<Confirmation>(
            make_error(ErrorKind::kJobFailed, text("pull of disk '", plan_.disk_name,
                                                   "' failed: QEMU reports success, but has the "
                                                   "old chain open; keep its backing files"))
                .with_path(plan_.path)));
        return;
      }
      if (view->graph.nodes()[*top].is_backing && !plan_.layers.empty() &&
          !plan_.layers.front().is_backing) {
        told_.warnings.push_back(text("a snapshot of disk '", plan_.disk_name,
                                      "' was taken during the pull: the pull filled '", plan_.path,
                                      "', which is now a backing file of the disk"));
      }
      if (chain.size() > 1) {
        const BlockNode& below = view->graph.nodes()[chain[1]];
        end_->base = KeptLayer{below.filename, below.driver};
      }
    }
  }
  decide_durability();
  release_layers(view.ok() ? &*view : nullptr);
  answer(Result<Confirmation>(std::move(told_)));
}

void StreamConclusion::decide_durability() {
  told_.is_durable = is_certain_;
  if (!is_certain_) {
    told_.warnings.push_back(text("this QEMU does not report whether a flush of disk '",
                                  plan_.disk_name,
                                  "' worked, so the pull may not survive a power loss"));
  }
  const bool is_unsafe =
      ignores_flushes_ || (!plan_.layers.empty() && plan_.layers.front().ignores_flushes);
  if (is_unsafe) {
    told_.is_durable = false;
    told_.warnings.push_back(text("disk '", plan_.disk_name,
                                  "' ignores flushes (cache=unsafe), so the pulled data is not "
                                  "durable until the host has written it on its own"));
  }
}

void StreamConclusion::release_layers(const GuestView* view) {
  // A pull that a power loss may still undo needs its backing files.
  if (!told_.is_verified || !told_.is_durable) {
    return;
  }
  std::set<std::string> chain_before;
  for (const BlockNode& layer : plan_.layers) {
    chain_before.insert(layer.name);
  }
  if (const std::string unknown =
          view == nullptr ? std::string() : view->graph.node_of_nobody(chain_before);
      !unknown.empty()) {
    told_.warnings.push_back(text("files that '", plan_.path,
                                  "' no longer needs are not reported: QEMU has node '", unknown,
                                  "', which no disk shows, and its backing files are not known"));
    return;
  }
  for (std::size_t i = 1; plan_.has_work && i < plan_.base_index; ++i) {
    const BlockNode& layer = plan_.layers[i];
    if (!in_place_.contains(layer.name)) {
      told_.warnings.push_back(
          text("'", layer.filename,
               "' was replaced by another file, so it is not reported as released"));
    } else if (view == nullptr || !view->graph.is_read_by_others(layer, chain_before)) {
      told_.released.push_back(layer.filename);
    }
  }
}

void StreamConclusion::not_verified(const std::string& why) {
  told_.is_verified = false;
  told_.warnings.push_back(text("result of the pull of disk '", plan_.disk_name,
                                "' could not be read back from its files, so it rests on QEMU's "
                                "word alone, and no file is reported as released: ",
                                why));
}

}  // namespace blockpull::driver::qemu
