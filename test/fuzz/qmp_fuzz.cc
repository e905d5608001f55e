// SPDX-License-Identifier: Apache-2.0
//
// What a monitor sends, taken as any bytes at all. Of every input it must hold that
//
//   - the splitter hands out the same objects, and fails or not, wherever the reads end: in one
//     piece, byte by byte, and cut where a hash of the input says (so that samples stay what QEMU
//     sent, with no bytes that mean something to the fuzzer alone);
//   - together the objects are what was sent, but for white space and what follows an error;
//   - reading a message ends in a message or an error, and every value of it can be asked for;
//   - a string that was read is written, by JsonWriter, as what reads back alike, or is refused
//     before it is sent.
//
// Built twice (CMakeLists.txt): with clang's libFuzzer, and with replay.cc, which any compiler can.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/qmp/message.h"
#include "core/qmp/splitter.h"

namespace blockpull::qmp {
namespace {

void require(bool holds, const char* what) {
  if (!holds) {
    std::fprintf(stderr, "qmp_fuzz: %s\n", what);
    std::abort();
  }
}

/// FNV-1a: small, and spread well enough to choose where to cut.
std::uint64_t hash(std::string_view bytes) {
  std::uint64_t value = 0xcbf29ce484222325U;
  for (const char byte : bytes) {
    value = (value ^ static_cast<unsigned char>(byte)) * 0x100000001b3U;
  }
  return value;
}

struct Split {
  std::vector<std::string> objects;
  bool failed = false;
  bool inside = false;

  bool operator==(const Split&) const = default;
};

/// Feeds `sent` in pieces as long as `next_piece` says.
Split split(std::string_view sent, const std::function<std::size_t()>& next_piece) {
  Splitter splitter;
  Split result;
  while (!sent.empty() && !result.failed) {
    // A copy of its own, so that a read beyond its end is seen.
    const std::string bytes(sent.substr(0, next_piece()));
    sent.remove_prefix(bytes.size());
    result.failed = !splitter
                         .feed(bytes,
                               [&](std::string_view object) {
                                 result.objects.emplace_back(object);
                                 return true;
                               })
                         .ok();
  }
  result.inside = !result.failed && splitter.is_inside();
  return result;
}

/// The objects lie in `sent` one after another, with nothing but white space between them.
void require_all_there(std::string_view sent, const Split& whole) {
  for (const std::string& object : whole.objects) {
    const std::size_t begin = sent.find_first_not_of(" \t\r\n");
    require(begin != std::string_view::npos, "an object that was not sent");
    require(sent.substr(begin, object.size()) == object, "an object that was not sent there");
    require(object.size() <= kObjectBytes, "an object beyond its limit");
    sent.remove_prefix(begin + object.size());
  }
  const bool all_space = sent.find_first_not_of(" \t\r\n") == std::string_view::npos;
  require(all_space != (whole.failed || whole.inside), "bytes that went nowhere");
}

/// Asks a value for everything, and its elements as well.
void ask(const Json& value) {
  const auto number = value.number();
  const auto negative = value.signed_number();
  require(!number || !negative || *number == static_cast<std::uint64_t>(*negative),
          "a number that is another one with a sign");
  require(!value.boolean() || !value.text(), "a boolean that is a text");
  require(value.is_object() || !value.has("id"), "a member of what is no object");
  for (std::size_t i = 0; i < value.size(); ++i) {
    ask(value.at(i));
  }
  require(!value.at(value.size()).exists(), "an element behind the last one");
}

void write_and_read(const std::string& name) {
  const std::string written = JsonWriter().member("name", name).number("id", 1).text();
  const auto read = Json::parse(written);
  require(read.ok() == check_sendable(written).ok(), "a request that is sent and not read");
  require(!read.ok() || read->member("name").text() == name, "a name that reads back as another");
}

void read_object(std::string_view object) {
  const auto message = read_message(object);
  if (!message.ok()) {
    require(message.error().kind == ErrorKind::kMonitorLost, "an error of another kind");
    require(!message.error().message.empty(), "an error without a word");
    return;
  }
  if (const auto* const event = std::get_if<Event>(&*message)) {
    write_and_read(event->name);
    ask(event->data);
  } else if (const auto* const reply = std::get_if<Reply>(&*message)) {
    write_and_read(reply->error ? reply->error->description : reply->value.text_or_empty());
    ask(reply->value);
  }
}

void run(std::string_view sent) {
  const Split whole = split(sent, [&] { return sent.size(); });
  require(split(sent, [] { return std::size_t{1}; }) == whole, "other objects byte by byte");
  std::uint64_t choice = hash(sent);
  const auto chosen = [&choice] {
    choice = choice * 6364136223846793005U + 1442695040888963407U;
    return static_cast<std::size_t>(1 + (choice >> 33U) % 64);
  };
  require(split(sent, chosen) == whole, "other objects in pieces");
  require_all_there(sent, whole);
  for (const std::string& object : whole.objects) {
    read_object(object);
  }
  read_object(sent);
}

}  // namespace
}  // namespace blockpull::qmp

// The name is libFuzzer's.
// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  blockpull::qmp::run({reinterpret_cast<const char*>(bytes), size});
  return 0;
}
