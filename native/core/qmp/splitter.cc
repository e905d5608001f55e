// SPDX-License-Identifier: Apache-2.0

#include "core/qmp/splitter.h"

#include "core/base/text.h"

namespace blockpull::qmp {
namespace {

bool is_space(char byte) {
  return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

}  // namespace

Result<void> Splitter::fail(std::string_view what) {
  failed_ = true;
  begun_.clear();
  return make_error(ErrorKind::kMonitorLost, std::string(what));
}

/// One byte: moves the state on. An object has ended when depth_ comes back to 0.
void Splitter::take(char byte) {
  if (in_string_) {
    if (escaped_) {
      escaped_ = false;
    } else if (byte == '\\') {
      escaped_ = true;
    } else if (byte == '"') {
      in_string_ = false;
    }
    return;
  }
  switch (byte) {
    case '"':
      in_string_ = true;
      break;
    case '{':
    case '[':
      ++depth_;
      break;
    case '}':
    case ']':
      --depth_;
      break;
    default:
      break;
  }
}

Result<void> Splitter::feed(std::string_view bytes, const Receiver& receive) {
  if (failed_) {
    return fail("what was sent before is no QMP");
  }
  std::size_t start = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    const char byte = bytes[at];
    if (depth_ == 0) {
      if (is_space(byte)) {
        continue;
      }
      if (byte != '{') {
        return fail(text("byte ", Hex{static_cast<unsigned char>(byte)}, " begins no message"));
      }
      start = at;
    }
    take(byte);
    if (depth_ > kObjectDepth) {
      return fail(text("a message nests deeper than ", kObjectDepth, " levels"));
    }
    if (begun_.size() + (at - start) >= kObjectBytes) {
      return fail(text("a message has more than ", kObjectBytes, " bytes"));
    }
    if (depth_ > 0) {
      continue;
    }
    const std::string_view rest = bytes.substr(start, at + 1 - start);
    bool goes_on = true;
    if (begun_.empty()) {
      goes_on = receive(rest);
    } else {
      begun_ += rest;
      const std::string whole = std::move(begun_);
      begun_.clear();
      goes_on = receive(whole);
    }
    if (!goes_on) {
      return {};
    }
  }
  if (depth_ > 0) {
    begun_ += bytes.substr(start);
  }
  return {};
}

}  // namespace blockpull::qmp
