// SPDX-License-Identifier: Apache-2.0
//
// The native half of bench/qmp-framing.mjs: splits, parses and reads what a monitor sent.
//
//     qmp_framing FILE READ_BYTES SECONDS [split]
//
// Takes FILE again and again for about SECONDS, in reads of READ_BYTES, and prints one line of
// JSON: the median CPU time of a pass in nanoseconds, and its messages. With `split`, only
// the splitter runs.

#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <time.h>

#include "core/qmp/message.h"
#include "core/qmp/splitter.h"

namespace {

using blockpull::qmp::read_message;
using blockpull::qmp::Splitter;

/// Messages in `sent`; 0 when something in it is none.
std::uint64_t pass(std::string_view sent, std::size_t read_bytes, bool only_split) {
  Splitter splitter;
  std::uint64_t messages = 0;
  const Splitter::Receiver receive = [&](std::string_view object) {
    const bool taken = only_split || read_message(object).ok();
    messages += taken ? 1 : 0;
    return taken;
  };
  for (; !sent.empty(); sent.remove_prefix(std::min(read_bytes, sent.size()))) {
    if (!splitter.feed(sent.substr(0, read_bytes), receive).ok()) {
      return 0;
    }
  }
  return messages;
}

std::int64_t cpu_nanoseconds() {
  timespec now = {};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4 && count != 5) {
    std::fprintf(stderr, "usage: %s FILE READ_BYTES SECONDS [split]\n", arguments[0]);
    return 2;
  }
  std::ifstream file(arguments[1], std::ios::binary);
  const std::string sent((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto read_bytes = static_cast<std::size_t>(std::strtoull(arguments[2], nullptr, 10));
  const bool only_split = count == 5;
  const std::int64_t end =
      cpu_nanoseconds() + static_cast<std::int64_t>(std::strtod(arguments[3], nullptr) * 1e9);
  std::vector<std::int64_t> passes;
  std::uint64_t messages = 0;
  while (passes.empty() || cpu_nanoseconds() < end) {
    const std::int64_t begin = cpu_nanoseconds();
    messages = pass(sent, std::max<std::size_t>(read_bytes, 1), only_split);
    passes.push_back(cpu_nanoseconds() - begin);
  }
  if (messages == 0) {
    std::fprintf(stderr, "'%s' is not what a monitor sends\n", arguments[1]);
    return 1;
  }
  std::sort(passes.begin(), passes.end());
  std::printf("{\"nanoseconds\":%" PRId64 ",\"messages\":%" PRIu64 "}\n", passes[passes.size() / 2],
              messages);
  return 0;
}
