// SPDX-License-Identifier: Apache-2.0

#include "virt/chains/released_layers.h"

#include <algorithm>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "core/base/text.h"
#include "driver/qemu/guest_view.h"
#include "virt/chains/known_chains.h"
#include "virt/chains/open_chains.h"
#include "virt/session/waiting_call.h"

namespace blockpull::virt {
namespace {

/// How long the guests of other domains may take to list their open files. QEMU answers within
/// milliseconds. A caller that waits for the end of a pull must not wait for a guest that is
/// stopped.
constexpr Nanoseconds kPatience{4'000'000'000};

/// How many of the chains that could not be read are named in the warning.
constexpr std::size_t kNamed = 4;

constexpr std::string_view kCall = "virDomainBlockPull";

/// An ended pull whose released files are not known yet.
struct End {
  Unneeded unneeded;
  bool has_connection = false;
  /// Not held: a connection that its users have released is closed.
  std::weak_ptr<Connection> connection;
  std::vector<std::string> siblings;
  image::ChainOptions sibling_options;
  std::shared_ptr<OpenChains::Entry> entry;
  job::Outcome outcome;
  std::function<void(job::Outcome)> done;
};

std::string not_reported(const std::string& path, const std::vector<std::string>& unreadable) {
  std::string whose;
  for (std::size_t i = 0; i < std::min(unreadable.size(), kNamed); ++i) {
    whose += (i == 0 ? "" : "; ") + unreadable[i];
  }
  if (unreadable.size() > kNamed) {
    whose += text("; and ", unreadable.size() - kNamed, " more");
  }
  return text("files that '", path,
              "' no longer needs are not reported as released, as a disk whose chain cannot be "
              "read may need them: ",
              whose);
}

std::vector<std::string> paths_of(const std::vector<driver::ChainFile>& files) {
  std::vector<std::string> paths;
  for (const driver::ChainFile& file : files) {
    paths.push_back(file.path);
  }
  return paths;
}

void add_all_siblings(const End& end, KnownChains& known) {
  for (const std::string& folder : end.siblings) {
    add_siblings(folder, end.sibling_options, end.unneeded, known);
  }
}

/// One search, and the ended pulls that it serves: all of one connection, or all without one.
class Look : public std::enable_shared_from_this<Look> {
 public:
  Look(job::Engine& engine, std::vector<End> ends, std::function<void()> over)
      : engine_(&engine),
        connection_(ends.front().connection.lock()),
        ends_(std::move(ends)),
        over_(std::move(over)) {}

  void begin() {
    run_blocking([this] { list_domains(); }, [this] { ask_guests(); });
  }

 private:
  struct Guest {
    Domain domain;
    std::optional<Result<driver::qemu::GuestView>> view;
  };

  void run_blocking(std::function<void()> work, std::function<void()> done) {
    engine_->run_blocking([self = shared_from_this(), work = std::move(work)] { work(); },
                          [self = shared_from_this(), done = std::move(done)] { done(); });
  }

  void list_domains() {
    if (connection_ == nullptr) {
      if (ends_.front().has_connection) {
        known_.unreadable.emplace_back("the connection is gone, and its domains with it");
      }
      return;
    }
    auto domains = connection_->store()->list();
    if (!domains.ok()) {
      known_.unreadable.push_back(std::move(domains).error().error.message);
      return;
    }
    for (Domain& domain : *domains) {
      const std::string socket = connection_->store()->monitor_path(domain.name);
      if (!socket.empty() && io::identify(socket).ok()) {
        guests_.push_back({std::move(domain), std::nullopt});
      } else {
        add_domain(domain, connection_->options().backing_paths, {}, known_);
      }
    }
  }

  void ask_guests() {
    unanswered_ = guests_.size();
    if (unanswered_ == 0) {
      read_answers();
      return;
    }
    timer_ = engine_->call_at(engine_->clock().now() + kPatience,
                              [self = shared_from_this()] { self->read_answers(); });
    for (std::size_t i = 0; i < guests_.size(); ++i) {
      ask(i);
    }
  }

  /// Only this sends a query. The answer may come on any thread, and after the search is over.
  void ask(std::size_t guest) {
    Answer<driver::qemu::GuestView> answer = [self = shared_from_this(),
                                              guest](Result<driver::qemu::GuestView> view) {
      self->post([self, guest, view = std::move(view)] { self->take(guest, view); });
    };
    const auto monitor = begin_waiting(*connection_, guests_[guest].domain, kCall, answer);
    if (monitor == nullptr) {
      return;
    }
    driver::qemu::view_guest(
        connection_->shared_engine(), monitor,
        [answer = std::move(answer)](const blockpull::Result<driver::qemu::GuestView>& view) {
          answer(view.ok() ? Result<driver::qemu::GuestView>(*view) : reported(view.error()));
        });
  }

  /// Drops callbacks that come after the search.
  void post(std::function<void()> callback) {
    const std::lock_guard lock(mutex_);
    if (!is_over_) {
      engine_->post(std::move(callback));
    }
  }

  void take(std::size_t guest, const Result<driver::qemu::GuestView>& view) {
    if (is_over_ || guests_[guest].view) {
      return;
    }
    guests_[guest].view = view;
    if (--unanswered_ == 0) {
      engine_->cancel_call(timer_);
      read_answers();
    }
  }

  void read_answers() {
    {
      const std::lock_guard lock(mutex_);
      is_over_ = true;
    }
    run_blocking([this] { read_all(); }, [this] { judge(); });
  }

  void read_all() {
    OpenChains::of_process()->look();
    for (const Guest& guest : guests_) {
      read(guest);
    }
    for (End& end : ends_) {
      end.unneeded.look();
      KnownChains siblings;
      add_all_siblings(end, siblings);
      auto unreadable = withhold(known_, end.unneeded);
      auto more = withhold(siblings, end.unneeded);
      unreadable.insert(unreadable.end(), more.begin(), more.end());
      if (!end.unneeded.files.empty() && unreadable.empty()) {
        const auto lasting = make_headers_durable(known_, end.unneeded);
        if (!lasting.ok()) {
          unreadable.push_back(lasting.error().message);
        }
      }
      if (!unreadable.empty()) {
        end.unneeded.files.clear();
        end.outcome.warnings.push_back(not_reported(end.unneeded.top.path, unreadable));
      }
    }
  }

  void read(const Guest& guest) {
    const auto cannot = [&](std::string_view why) {
      known_.unreadable.push_back(text("domain '", guest.domain.name, "': ", why));
    };
    if (!guest.view) {
      cannot(text("its monitor has not answered within ", kPatience.count() / 1'000'000'000, " s"));
    } else if (guest.view->ok()) {
      add_view(guest.domain, **guest.view, known_);
    } else if (is_shut_off(guest)) {
      add_domain(guest.domain, connection_->options().backing_paths, {}, known_);
    } else {
      cannot(guest.view->error().error.message);
    }
  }

  /// Whether nobody listens on the socket any more.
  [[nodiscard]] bool is_shut_off(const Guest& guest) const {
    if (guest.view->error().error.kind != ErrorKind::kMonitorLost) {
      return false;
    }
    const auto state = connection_->state_of(guest.domain);
    return state.ok() && *state == DomainState::kShutoff;
  }

  void judge() {
    // Reporting the last end may destroy the engine's last user, so this object must stay alive.
    const auto self = shared_from_this();
    for (End& end : ends_) {
      end.entry->leave(end.unneeded.files);
      end.outcome.released = paths_of(end.unneeded.files);
    }
    auto ends = std::move(ends_);
    over_();
    for (End& end : ends) {
      end.done(std::move(end.outcome));
    }
  }

  job::Engine* const engine_;
  const std::shared_ptr<Connection> connection_;
  std::vector<End> ends_;
  const std::function<void()> over_;
  KnownChains known_;
  std::vector<Guest> guests_;
  std::size_t unanswered_ = 0;
  std::uint64_t timer_ = 0;

  /// Guards is_over_, and the engine against answers that come after both are gone.
  std::mutex mutex_;
  bool is_over_ = false;
};

/// Serves the ended pulls in the order in which they came. There is one per process.
class Looks {
 public:
  static Looks& of_process() {
    static auto* const looks = new Looks;
    return *looks;
  }

  /// Called on the engine's thread.
  void add(job::Engine& engine, End end) {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(end));
      if (std::exchange(is_looking_, true)) {
        return;
      }
    }
    next(engine);
  }

 private:
  void next(job::Engine& engine) {
    std::vector<End> ends;
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.empty()) {
        is_looking_ = false;
        return;
      }
      const std::weak_ptr<Connection> of = waiting_.front().connection;
      const auto is_of = [&of](const End& end) {
        return !end.connection.owner_before(of) && !of.owner_before(end.connection);
      };
      const auto rest = std::stable_partition(waiting_.begin(), waiting_.end(), is_of);
      ends.assign(std::make_move_iterator(waiting_.begin()), std::make_move_iterator(rest));
      waiting_.erase(waiting_.begin(), rest);
    }
    std::make_shared<Look>(engine, std::move(ends), [this, &engine] { next(engine); })->begin();
  }

  /// Guards everything below.
  std::mutex mutex_;
  std::deque<End> waiting_;
  bool is_looking_ = false;
};

}  // namespace

ReleaseScope release_scope(const std::shared_ptr<Connection>& connection, const std::string& uuid,
                           const std::vector<std::string>& siblings) {
  ReleaseScope scope;
  scope.connection = connection;
  scope.uuid = uuid;
  scope.siblings = siblings;
  scope.sibling_options.format = image::Format::kQcow2;
  scope.sibling_options.backing_paths = connection->options().backing_paths;
  return scope;
}

job::EndJudge judge_release(job::Engine& engine, std::vector<driver::ChainFile> chain,
                            const ReleaseScope& scope) {
  End end;
  end.unneeded.top = chain.front();
  end.unneeded.uuid = scope.uuid;
  end.has_connection = scope.connection != nullptr;
  end.connection = scope.connection;
  end.siblings = scope.siblings;
  end.sibling_options = scope.sibling_options;
  end.entry = OpenChains::of_process()->add(chain);
  return [&engine, chain = std::move(chain), end](job::Outcome outcome,
                                                  std::function<void(job::Outcome)> done) {
    End judged = end;
    for (const std::string& path : outcome.released) {
      const auto layer =
          std::find_if(chain.begin(), chain.end(),
                       [&path](const driver::ChainFile& file) { return file.path == path; });
      judged.unneeded.files.push_back(layer != chain.end() ? *layer : driver::ChainFile{path, {}});
    }
    if (outcome.released.empty()) {
      judged.entry->leave(judged.unneeded.files);
      done(std::move(outcome));
      return;
    }
    judged.outcome = std::move(outcome);
    judged.done = std::move(done);
    Looks::of_process().add(engine, std::move(judged));
  };
}

void keep_needed_layers(const ReleaseScope& scope, const std::string& path,
                        driver::PullPlan& plan) {
  const auto seen = scope.is_in_guest ? &driver::guest_file : &driver::own_file;
  Unneeded unneeded{seen(path), scope.uuid, {}};
  for (const std::string& file : plan.released) {
    unneeded.files.push_back(seen(file));
  }
  if (unneeded.files.empty()) {
    return;
  }
  KnownChains known;
  if (scope.connection != nullptr) {
    auto domains = scope.connection->store()->list();
    if (!domains.ok()) {
      plan.released.clear();
      return;
    }
    for (const Domain& domain : *domains) {
      const auto state = scope.connection->state_of(domain);
      if (state.ok() && *state == DomainState::kShutoff) {
        add_domain(domain, scope.connection->options().backing_paths, unneeded.top, known);
      }
    }
  }
  for (const std::string& folder : scope.siblings) {
    add_siblings(folder, scope.sibling_options, unneeded, known);
  }
  const bool is_known = withhold(known, unneeded).empty();
  plan.released = is_known ? paths_of(unneeded.files) : std::vector<std::string>();
}

}  // namespace blockpull::virt
