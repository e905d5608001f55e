// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/cancel_stream.h"

#include <utility>

#include "core/qmp/commands.h"

namespace blockpull::driver {
namespace {

/// How often, and how far apart, it is looked whether the job has concluded.
constexpr int kLooks = 100;
constexpr Nanoseconds kPause{100'000'000};

class Cancellation : public std::enable_shared_from_this<Cancellation> {
 public:
  Cancellation(std::shared_ptr<qmp::Monitor> monitor, std::string job_id)
      : monitor_(std::move(monitor)), job_id_(std::move(job_id)) {}

  void begin() {
    // Refused when there is no such job, or it has concluded; the look tells which.
    monitor_->execute(qmp::job_cancel(job_id_),
                      [self = shared_from_this()](const Result<qmp::Json>& answer) {
                        if (answer.ok() || answer.error().kind == ErrorKind::kQemuError) {
                          self->look();
                        }
                      });
  }

 private:
  void look() {
    monitor_->execute(qmp::query_block_jobs(),
                      [self = shared_from_this()](const Result<qmp::Json>& answer) {
                        if (answer.ok()) {
                          self->take_jobs(*answer);
                        }
                      });
  }

  void take_jobs(const qmp::Json& answer) {
    for (const qmp::BlockJob& job : qmp::read_block_jobs(answer)) {
      if (job.id != job_id_) {
        continue;
      }
      if (job.status == qmp::JobStatus::kConcluded) {
        monitor_->execute(qmp::job_dismiss(job_id_), [](const Result<qmp::Json>& /*answer*/) {});
      } else if (++looks_ < kLooks) {
        monitor_->call_later(kPause, [self = shared_from_this()] { self->look(); });
      }
      return;
    }
  }

  const std::shared_ptr<qmp::Monitor> monitor_;
  const std::string job_id_;
  int looks_ = 0;
};

}  // namespace

void cancel_stream(const std::shared_ptr<qmp::Monitor>& monitor, const std::string& job_id) {
  std::make_shared<Cancellation>(monitor, job_id)->begin();
}

}  // namespace blockpull::driver
