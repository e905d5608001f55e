// SPDX-License-Identifier: Apache-2.0

#include "driver/local/move/transfers.h"

#include <iterator>
#include <memory>
#include <utility>

namespace blockpull::driver {

void Transfers::submit(Moving& moving, io::Request request) {
  transfers_.push_back({moving, std::move(request)});
  const auto submitted = std::prev(transfers_.end());
  submitted->request.done = [this, submitted](Result<void> result) {
    // Copied, since what the lambda captures is destroyed with the request.
    Transfers& transfers = *this;
    Moving& owner = submitted->owner;
    transfers.transfers_.erase(submitted);
    transfers.end(owner, std::move(result));
  };
  begin(moving);
  host_.queue().submit(submitted->request);
}

void Transfers::run_blocking(Moving& moving, std::function<Result<void>()> work) {
  begin(moving);
  auto result = std::make_shared<Result<void>>();
  host_.run_blocking([result, work = std::move(work)] { *result = work(); },
                     [this, &moving, result] { end(moving, std::move(*result)); });
}

void Transfers::begin(Moving& moving) {
  ++in_flight_;
  ++moving.under_way;
}

void Transfers::end(Moving& moving, Result<void> result) {
  --in_flight_;
  --moving.under_way;
  ended_(moving, std::move(result));
}

}  // namespace blockpull::driver
