// SPDX-License-Identifier: Apache-2.0

#include "driver/pull_rig.h"

#include <cstdlib>
#include <utility>

#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/image/qcow2/qcow2_image.h"
#include "core/image/qcow2/support.h"
#include "core/image/raw/raw_image.h"
#include "driver/local/local_pull.h"
#include "faults/inline_host.h"

namespace blockpull::driver {
namespace {

using faults::BackingFiles;
using faults::RecordedDisk;
using faults::RecordingFile;

/// More steps than a pull of these sizes takes, unless it is stuck.
constexpr std::uint64_t kManySteps = 1000000;

/// One arena for all pulls of the process, so small that pieces wait for each other.
io::BufferArena& small_arena() {
  static const std::unique_ptr<io::BufferArena> arena = [] {
    auto created = io::BufferArena::create(2 * limits::kMiB);
    if (!created.ok()) {
      std::abort();
    }
    return std::move(created).value();
  }();
  return *arena;
}

Result<std::unique_ptr<image::Image>> open_image(std::shared_ptr<RecordedDisk> disk, bool is_raw) {
  auto file = std::make_unique<RecordingFile>(std::move(disk));
  if (is_raw) {
    BLOCKPULL_TRY(raw, image::RawImage::open(std::move(file)));
    return std::unique_ptr<image::Image>(std::move(raw));
  }
  BLOCKPULL_TRY(qcow2, image::Qcow2Image::open(std::move(file)));
  return std::unique_ptr<image::Image>(std::move(qcow2));
}

Result<std::unique_ptr<PullMetadata>> judge(PullTarget& target) {
  if (!target.has_work) {
    return std::unique_ptr<PullMetadata>();
  }
  BLOCKPULL_CHECK(image::qcow2::check_writable(target.active().header(), "active.qcow2"));
  return PullMetadata::open(target, [] { return true; });
}

}  // namespace

std::string PullRun::summary() const {
  if (refused) {
    return text("refused: ", refused->message);
  }
  if (!finished) {
    return text("not finished after ", steps, " steps");
  }
  return ending.error ? text("ended with: ", ending.error->message) : "completed";
}

Result<image::Chain> open_recorded(const std::shared_ptr<RecordedDisk>& disk,
                                   const BackingFiles& backings) {
  image::Chain chain;
  BLOCKPULL_TRY(active, open_image(disk, false));
  chain.layers.push_back({disk->path(), nullptr, std::move(active)});
  while (chain.layers.back().image->backing()) {
    const std::string name = chain.layers.back().image->backing()->name;
    const auto found = backings.find(name);
    if (found == backings.end()) {
      return make_error(ErrorKind::kNotFound, text("no backing file '", name, "'"));
    }
    const auto& [content, is_raw] = found->second;
    BLOCKPULL_TRY(layer, open_image(std::make_shared<RecordedDisk>(content, name), is_raw));
    chain.layers.push_back({name, nullptr, std::move(layer)});
  }
  return chain;
}

std::unique_ptr<PullTarget> target_of(image::Chain chain, const std::string& base,
                                      const BackingFiles& backings) {
  auto target = std::make_unique<PullTarget>();
  target->chain = std::move(chain);
  const auto& layers = target->chain.layers;
  target->base = layers.size();
  for (std::size_t i = 1; i < layers.size(); ++i) {
    if (layers[i].path == base) {
      target->base = i;
      target->new_backing =
          image::BackingReference{base, backings.at(base).is_raw ? "raw" : "qcow2"};
    }
  }
  target->has_work = layers.size() > 1 && target->base != 1;
  return target;
}

PullRun run_pull(const std::shared_ptr<RecordedDisk>& disk, const BackingFiles& backings,
                 const PullScript& script) {
  PullRun run;
  auto chain = open_recorded(disk, backings);
  if (!chain.ok()) {
    run.refused = std::move(chain).error();
    return run;
  }
  auto target = target_of(std::move(chain).value(), script.base, backings);
  target->trailing = script.trailing;
  target->open_anew = [disk]() -> Result<std::unique_ptr<io::File>> {
    return std::unique_ptr<io::File>(std::make_unique<RecordingFile>(disk));
  };
  auto metadata = judge(*target);
  if (!metadata.ok()) {
    run.refused = std::move(metadata).error();
    return run;
  }
  faults::InlineHost host(small_arena(), script.seed);
  job::ProgressCounters counters;
  LocalPull pull(std::move(target), std::move(metadata).value());
  pull.set_bandwidth(script.bandwidth);
  pull.start(host, counters, [&run](job::Ending ending) {
    run.finished = true;
    run.ending = std::move(ending);
  });
  for (; !run.finished && run.steps < kManySteps; ++run.steps) {
    if (run.steps == script.stop_at) {
      pull.stop(script.stop);
    }
    if (run.steps == script.lift_limit_at) {
      pull.set_bandwidth(0);
    }
    if (!run.finished && !host.step()) {
      break;
    }
  }
  run.left_behind = host.outstanding();
  run.settled = counters.settled;
  run.total = pull.total();
  return run;
}

}  // namespace blockpull::driver
