// SPDX-License-Identifier: Apache-2.0

#include "files/test_seed.h"

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>

namespace blockpull {

bool is_soak() {
  const char* const value = std::getenv("BLOCKPULL_SOAK");
  return value != nullptr && std::string(value) == "1";
}

std::uint64_t test_seed() {
  static const std::uint64_t seed = [] {
    const char* const value = std::getenv("BLOCKPULL_SEED");
    const auto now = std::chrono::system_clock::now().time_since_epoch().count();
    const std::uint64_t chosen = value != nullptr ? std::strtoull(value, nullptr, 10)
                                                  : static_cast<std::uint64_t>(now) % 1000000000;
    std::cout << "seed: BLOCKPULL_SEED=" << chosen << std::endl;
    return chosen;
  }();
  return seed;
}

}  // namespace blockpull
