// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/job_id.h"

#include <algorithm>
#include <cstdint>

#include "core/base/hash/fnv.h"
#include "core/base/text.h"

namespace blockpull::driver::qemu {
namespace {

constexpr std::string_view kPrefix = "blockpull-";

constexpr std::string_view kDigits = "0123456789abcdef";
constexpr std::size_t kHashDigits = 8;

/// QEMU's ids are [A-Za-z][A-Za-z0-9._-]*.
char id_character(char byte) {
  const bool is_letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
  const bool is_digit = byte >= '0' && byte <= '9';
  return is_letter || is_digit || byte == '.' || byte == '_' ? byte : '-';
}

}  // namespace

std::string hash_digits(std::string_view name) {
  std::uint32_t hash = fnv1a(name);
  std::string digits(kHashDigits, '0');
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit) {
    *digit = kDigits[hash & 0xfU];
    hash >>= 4U;
  }
  return digits;
}

bool is_hash(std::string_view text) {
  return text.size() == kHashDigits && text.find_first_not_of(kDigits) == std::string_view::npos;
}

std::string job_id_for(job::Kind kind, std::string_view disk_name, std::string_view node_name) {
  constexpr std::size_t kLongestName = 64;
  std::string id = text(kPrefix, job::kind_name(kind), "-");
  for (const char byte : disk_name.substr(0, kLongestName)) {
    id += id_character(byte);
  }
  return text(id, "-", hash_digits(node_name));
}

const qmp::BlockJob* find_own_job(const std::vector<qmp::BlockJob>& jobs,
                                  std::string_view node_name) {
  const auto own = std::find_if(jobs.begin(), jobs.end(), [node_name](const qmp::BlockJob& job) {
    return is_job_on(job.id, node_name);
  });
  return own == jobs.end() ? nullptr : &*own;
}

bool is_our_job(std::string_view id) {
  return id.starts_with(kPrefix);
}

bool is_job_on(std::string_view id, std::string_view node_name) {
  return is_our_job(id) && id.ends_with(text("-", hash_digits(node_name)));
}

}  // namespace blockpull::driver::qemu
