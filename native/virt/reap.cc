// SPDX-License-Identifier: Apache-2.0

#include "virt/reap.h"

#include <atomic>
#include <utility>

#include "virt/checks.h"
#include "virt/guest_jobs.h"

namespace blockpull::virt {
namespace {

constexpr const char* kReap = "reap";

/// Answers on the engine's thread, with the last of the ends.
void answer_when_ended(Connection& connection, std::vector<AdoptedJob> jobs,
                       Answer<std::vector<ReapedJob>> answer) {
  struct Waiting {
    std::vector<AdoptedJob> jobs;
    Answer<std::vector<ReapedJob>> answer;
    std::atomic<std::size_t> left{0};
  };
  if (jobs.empty()) {
    answer(std::vector<ReapedJob>());
    return;
  }
  const auto waiting = std::make_shared<Waiting>();
  waiting->left = jobs.size();
  waiting->jobs = std::move(jobs);
  waiting->answer = std::move(answer);
  for (const AdoptedJob& adopted : waiting->jobs) {
    if (!connection.jobs().is_asked_for(*adopted.job)) {
      adopted.job->fail_rather_than_stop();
    }
    adopted.job->when_ended([waiting] {
      if (--waiting->left > 0) {
        return;
      }
      std::vector<ReapedJob> reaped;
      for (const AdoptedJob& ended : waiting->jobs) {
        reaped.push_back(
            {ended.disk.target, ended.disk.source, ended.job->outcome().value_or(job::Outcome{})});
      }
      waiting->answer(std::move(reaped));
    });
  }
}

}  // namespace

void reap_jobs(const std::shared_ptr<Connection>& connection, const std::string& uuid,
               Answer<std::vector<ReapedJob>> answer) {
  const auto find = [&]() -> Result<std::optional<Domain>> {
    BLOCKPULL_CHECK(connection->check_open(kReap));
    BLOCKPULL_CHECK(check_writable(connection->is_read_only(), kReap));
    BLOCKPULL_TRY(domain, connection->domain_of(uuid));
    BLOCKPULL_TRY(state, connection->state_of(domain));
    return state == DomainState::kRunning ? std::optional(std::move(domain)) : std::nullopt;
  };
  auto domain = find();
  if (!domain.ok()) {
    answer(std::move(domain).error());
  } else if (!domain->has_value()) {
    answer(std::vector<ReapedJob>());
  } else {
    const auto flush = [connection, on = **domain, answer](Result<std::vector<ReapedJob>> reaped) {
      flush_disks_in_guest(connection, on, [answer, reaped](Result<void> flushed) {
        // A connection that was closed meanwhile has let go of its jobs, and they tell of it.
        const bool is_told = flushed.ok() || flushed.error().error.kind == ErrorKind::kClosed;
        answer(is_told ? reaped : std::move(flushed).error());
      });
    };
    adopt_in_guest(connection, **domain,
                   [connection, answer, flush](Result<std::vector<AdoptedJob>> adopted) {
                     if (adopted.ok()) {
                       answer_when_ended(*connection, std::move(adopted).value(), flush);
                     } else {
                       answer(std::move(adopted).error());
                     }
                   });
  }
}

}  // namespace blockpull::virt
