// SPDX-License-Identifier: Apache-2.0
//
// Random walks of the tracker. QEMU, its storage, the link, migrations, other programs and the
// user act in any order; the tracker must end once and keep its promises. A failure prints its
// seed.

#include <array>
#include <random>

#include <gtest/gtest.h>

#include "driver/qemu/tracker_rig.h"
#include "files/test_seed.h"

namespace blockpull::driver::qemu {
namespace {

class Walk {
 public:
  explicit Walk(std::uint64_t seed) : random_(seed), rig_(seed) {
    if (is_one_in(2)) {
      rig_.keep_base();
    }
    rig_.start();
  }

  /// Empty if all went well.
  std::string run() {
    for (int turn = 0; turn < 400 && rig_.ends.empty(); ++turn) {
      happen();
      if (const std::string broken = rig_.broken_promise(); !broken.empty()) {
        return broken;
      }
    }
    return settle();
  }

 private:
  bool is_one_in(std::uint64_t chances) { return random_() % chances == 0; }

  void happen() {
    FakeQemu& qemu = rig_.qemu;
    const bool is_alive = qemu.job.has_value();
    switch (random_() % 40) {
      case 0:
        if (is_alive) {
          qemu.finish_copying();
        }
        break;
      case 1:
        if (is_alive && is_one_in(8)) {
          qemu.conclude("Input/output error");
        }
        break;
      case 2:
        qemu.flush_fault = is_one_in(6) ? std::optional<std::string>("I/O error") : std::nullopt;
        break;
      case 3:
        rig_.monitor->restore();
        break;
      case 4:
        if (is_one_in(30)) {
          rig_.tracker->stop(job::Stop::kCancel);
          was_stopped_ = true;
        }
        break;
      case 5:
        if (is_alive && is_one_in(30)) {
          be_another_program();
        }
        break;
      case 6:
        if (is_one_in(60)) {
          rig_.monitor->end_qemu();
        }
        break;
      case 7:
        rig_.monitor->tell_change();
        break;
      case 8:
        if (is_alive && qemu.job->status == "pending" && qemu.is_active() && is_one_in(3)) {
          // Another program, whose own flush succeeded.
          qemu.flush_fault.reset();
          qemu.conclude(std::nullopt);
        }
        break;
      case 9:
        migrate();
        break;
      default:
        step();
    }
  }

  void be_another_program() {
    if (is_one_in(2)) {
      rig_.qemu.job.reset();
    } else {
      rig_.qemu.cancel();
      was_cancelled_elsewhere_ = true;
    }
  }

  /// One step of a migration. It takes the images no sooner than a poll could have shown it:
  /// copying the memory takes longer than a finalize in flight.
  void migrate() {
    constexpr std::size_t kLooks = 3;
    FakeQemu& qemu = rig_.qemu;
    const std::size_t looks = qemu.count("query-migrate");
    if (!qemu.is_active()) {
      qemu.come_back(is_one_in(2) ? "completed" : "failed");
    } else if (qemu.migration != "active") {
      if (is_one_in(4)) {
        qemu.begin_migration();
        looks_before_ = looks;
      }
    } else if (looks >= looks_before_ + kLooks) {
      if (is_one_in(4)) {
        qemu.migration = "cancelled";
      } else {
        qemu.hand_over();
      }
    }
  }

  void step() {
    if (is_one_in(2)) {
      rig_.host->step();
      return;
    }
    constexpr std::array<Failing, 4> kFailures{Failing::kRefused, Failing::kLate,
                                               Failing::kLostBefore, Failing::kLostAfter};
    const Failing how = is_one_in(8) ? kFailures[random_() % kFailures.size()] : Failing::kNothing;
    if (how == Failing::kLate || how == Failing::kLostAfter) {
      // A failed flush whose answer is lost looks like one that was not done.
      rig_.qemu.flush_fault.reset();
    }
    rig_.monitor->step(how);
  }

  /// From now on everything succeeds.
  std::string settle() {
    FakeQemu& qemu = rig_.qemu;
    qemu.flush_fault.reset();
    if (!qemu.is_active()) {
      qemu.come_back("completed");
    } else if (qemu.migration == "active") {
      qemu.migration = "cancelled";
    }
    for (int turns = 0; turns < TrackerRig::kTurns && rig_.ends.empty(); ++turns) {
      if (qemu.job && qemu.job->status == "running") {
        qemu.finish_copying();
      }
      rig_.monitor->restore();
      rig_.step();
    }
    if (rig_.ends.size() != 1) {
      return rig_.ends.empty() ? "it does not end" : "it ended twice";
    }
    const bool is_asked_for = was_stopped_ || was_cancelled_elsewhere_;
    if (rig_.ended_with() == ErrorKind::kCancelled && !is_asked_for) {
      return "it was cancelled, and nobody had asked";
    }
    while (rig_.step()) {
    }
    rig_.tracker.reset();
    return rig_.monitor->listeners() > 0 ? "it listens after its end" : rig_.broken_promise();
  }

  std::mt19937_64 random_;
  TrackerRig rig_;
  bool was_stopped_ = false;
  bool was_cancelled_elsewhere_ = false;
  std::size_t looks_before_ = 0;
};

TEST(TrackerWalkTest, KeepsItsPromisesOnAnyPath) {
  constexpr std::uint64_t kWalks = 3000;
  const std::uint64_t first = test_seed();
  for (std::uint64_t seed = first; seed < first + kWalks; ++seed) {
    const std::string broken = Walk(seed).run();
    ASSERT_EQ(broken, "") << "BLOCKPULL_SEED=" << seed;
  }
}

}  // namespace
}  // namespace blockpull::driver::qemu
