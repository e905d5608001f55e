// SPDX-License-Identifier: Apache-2.0
//
// Everything that a way has started and that has not ended: requests to the queue, and work on a
// thread that may block. Each is counted for its piece.
//
//     submit, run_blocking ─▶ in flight, +1 for the piece ─▶ −1, then `ended`
//
// A piece stays in memory as long as anything of it is in flight, even after a failure or a stop:
// the disk may still write to its buffer.

#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <utility>

#include "core/io/request.h"
#include "driver/local/move/moving.h"
#include "job/host.h"

namespace blockpull::driver {

class Transfers {
 public:
  using Ended = std::function<void(Moving&, Result<void>)>;

  Transfers(job::Host& host, Ended ended) : host_(host), ended_(std::move(ended)) {}

  void submit(Moving& moving, io::Request request);
  void run_blocking(Moving& moving, std::function<Result<void>()> work);

  /// Requests and blocking calls in flight, of all pieces.
  [[nodiscard]] std::uint64_t in_flight() const { return in_flight_; }

 private:
  struct Transfer {
    Moving& owner;
    io::Request request;
  };

  void begin(Moving& moving);
  void end(Moving& moving, Result<void> result);

  job::Host& host_;
  const Ended ended_;
  /// The queue holds references to these.
  std::list<Transfer> transfers_;
  std::uint64_t in_flight_ = 0;
};

}  // namespace blockpull::driver
