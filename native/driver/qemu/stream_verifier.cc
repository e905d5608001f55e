// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/stream_verifier.h"

#include <utility>

namespace blockpull::driver::qemu {
namespace {

class ContentCheck : public std::enable_shared_from_this<ContentCheck> {
 public:
  ContentCheck(job::Host& host, const StreamPlan& plan, IsWanted is_wanted,
               std::function<void(Result<ContentSeen>)> done)
      : host_(host),
        layers_(plan.layers),
        base_(plan.base_index),
        is_wanted_(std::move(is_wanted)),
        done_(std::move(done)) {}

  void go_on() {
    host_.run_blocking([self = shared_from_this()] { self->walk(); },
                       [self = shared_from_this()] { self->take(); });
  }

 private:
  void walk() {
    if (witness_ == nullptr) {
      auto opened = StreamWitness::open(layers_, base_);
      if (!opened.ok()) {
        seen_.unseen = opened.error().message;
        is_over_ = true;
        return;
      }
      witness_ = std::move(opened).value();
    }
    const auto lacking = witness_->next();
    is_over_ = !lacking.ok() || lacking->finished;
    if (!lacking.ok()) {
      error_ = lacking.error();
    } else {
      seen_.lacking = *lacking;
    }
    if (is_over_) {
      // Here, because closing the files may take some time.
      witness_.reset();
    }
  }

  void take() {
    if (!is_wanted_()) {
      return;
    }
    if (!is_over_) {
      go_on();
    } else if (error_ && error_->kind == ErrorKind::kImageCorrupt) {
      done_(*error_);
    } else {
      if (error_) {
        seen_.unseen = error_->message;
      }
      done_(std::move(seen_));
    }
  }

  job::Host& host_;
  const std::vector<BlockNode> layers_;
  const std::size_t base_;
  const IsWanted is_wanted_;
  const std::function<void(Result<ContentSeen>)> done_;
  std::unique_ptr<StreamWitness> witness_;
  ContentSeen seen_;
  std::optional<Error> error_;
  bool is_over_ = false;
};

}  // namespace

PromisedHeader promise_of(const StreamPlan& plan) {
  PromisedHeader promised;
  promised.top = plan.layers.front();
  if (!plan.has_work) {
    // The header must not change, whatever it states.
    promised.keeps_base = !promised.top.stated_backing.empty();
    return promised;
  }
  if (!plan.was_there) {
    promised.backing_name = plan.backing_file;
  }
  if (plan.base_index < plan.layers.size()) {
    promised.keeps_base = true;
    promised.base = plan.layers[plan.base_index];
  }
  return promised;
}

void check_content(job::Host& host, const StreamPlan& plan, IsWanted is_wanted,
                   std::function<void(Result<ContentSeen>)> done) {
  if (plan.layers.empty()) {
    done(ContentSeen{"QEMU does not show the disk any more", {}});
    return;
  }
  std::make_shared<ContentCheck>(host, plan, std::move(is_wanted), std::move(done))->go_on();
}

void check_header(job::Host& host, const StreamPlan& plan,
                  std::function<void(Result<std::string>)> done) {
  if (plan.layers.empty()) {
    done(std::string("QEMU does not show the disk any more"));
    return;
  }
  struct Check {
    PromisedHeader promised;
    Result<std::string> unseen = std::string();
  };
  const auto check = std::make_shared<Check>();
  check->promised = promise_of(plan);
  host.run_blocking([check] { check->unseen = read_back(check->promised); },
                    [check, done = std::move(done)] { done(check->unseen); });
}

}  // namespace blockpull::driver::qemu
