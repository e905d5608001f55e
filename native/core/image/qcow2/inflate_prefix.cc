// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/inflate_prefix.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

namespace blockpull::image::qcow2 {
namespace {

constexpr unsigned kMaxBits = 15;
constexpr std::size_t kLiterals = 288;
constexpr std::size_t kDistances = 32;
constexpr unsigned kEndOfBlock = 256;

enum class Step : std::uint8_t { kGoOn, kFull, kNoInput, kBad };

/// A canonical Huffman code: how many symbols have each length, and the symbols in order.
struct Code {
  std::array<std::uint16_t, kMaxBits + 1> count{};
  std::array<std::uint16_t, kLiterals> symbol{};
};

/// False if the lengths form no code. An incomplete code is refused too, except, if `may_be_short`,
/// for a single symbol of one bit or no symbol at all.
bool build(Code& code, std::span<const std::uint8_t> lengths, bool may_be_short) {
  code = {};
  for (const std::uint8_t length : lengths) {
    ++code.count[length];
  }
  int left = 1;
  for (unsigned bits = 1; bits <= kMaxBits; ++bits) {
    left = left * 2 - code.count[bits];
    if (left < 0) {
      return false;
    }
  }
  const std::size_t used = lengths.size() - code.count[0];
  if (left > 0 && !(may_be_short && (used == 0 || (used == 1 && code.count[1] == 1)))) {
    return false;
  }
  std::array<std::uint16_t, kMaxBits + 2> next{};
  for (unsigned bits = 1; bits <= kMaxBits; ++bits) {
    next[bits + 1] = static_cast<std::uint16_t>(next[bits] + code.count[bits]);
  }
  for (std::size_t symbol = 0; symbol < lengths.size(); ++symbol) {
    if (lengths[symbol] != 0) {
      code.symbol[next[lengths[symbol]]++] = static_cast<std::uint16_t>(symbol);
    }
  }
  return true;
}

constexpr std::array<std::uint16_t, 29> kLengthBase{3,  4,  5,  6,   7,   8,   9,   10,  11, 13,
                                                    15, 17, 19, 23,  27,  31,  35,  43,  51, 59,
                                                    67, 83, 99, 115, 131, 163, 195, 227, 258};
constexpr std::array<std::uint8_t, 29> kLengthExtra{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                                    2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
constexpr std::array<std::uint16_t, 30> kDistanceBase{
    1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
    193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
constexpr std::array<std::uint8_t, 19> kCodeLengthOrder{16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                        11, 4,  12, 3, 13, 2, 14, 1, 15};

class Decoder {
 public:
  Decoder(std::span<const std::byte> stream, std::span<std::byte> into)
      : stream_(stream), into_(into) {}

  bool run() {
    bool last = false;
    Step step = Step::kGoOn;
    while (step == Step::kGoOn && !last) {
      const auto head = bits(3);
      if (!head) {
        step = Step::kNoInput;
        break;
      }
      last = (*head & 1U) != 0;
      step = block(*head >> 1U);
    }
    // A stream that has ended, or has run out of input, is judged by its output.
    return step != Step::kBad && done_ == into_.size();
  }

 private:
  std::optional<unsigned> bits(unsigned count) {
    while (held_ < count) {
      if (position_ == stream_.size()) {
        return std::nullopt;
      }
      buffer_ |= std::to_integer<std::uint32_t>(stream_[position_++]) << held_;
      held_ += 8;
    }
    const unsigned value = buffer_ & ((1U << count) - 1);
    buffer_ >>= count;
    held_ -= count;
    return value;
  }

  Step block(unsigned type) {
    switch (type) {
      case 0:
        return stored();
      case 1:
        fixed_codes();
        return compressed();
      case 2: {
        const Step read = read_codes();
        return read == Step::kGoOn ? compressed() : read;
      }
      default:
        return Step::kBad;
    }
  }

  Step stored() {
    buffer_ = 0;
    held_ = 0;
    const auto length = bits(16);
    const auto complement = length ? bits(16) : std::nullopt;
    if (!complement) {
      return Step::kNoInput;
    }
    if (*length != (*complement ^ 0xffffU)) {
      return Step::kBad;
    }
    const std::size_t wanted =
        std::min({std::size_t{*length}, stream_.size() - position_, into_.size() - done_});
    std::copy_n(stream_.begin() + static_cast<std::ptrdiff_t>(position_), wanted,
                into_.begin() + static_cast<std::ptrdiff_t>(done_));
    done_ += wanted;
    position_ += wanted;
    return wanted == *length ? Step::kGoOn : done_ == into_.size() ? Step::kFull : Step::kNoInput;
  }

  void fixed_codes() {
    std::array<std::uint8_t, kLiterals> lengths{};
    std::fill(lengths.begin(), lengths.begin() + 144, 8);
    std::fill(lengths.begin() + 144, lengths.begin() + 256, 9);
    std::fill(lengths.begin() + 256, lengths.begin() + 280, 7);
    std::fill(lengths.begin() + 280, lengths.end(), 8);
    static_cast<void>(build(literals_, lengths, false));
    std::array<std::uint8_t, kDistances> distances{};
    distances.fill(5);
    static_cast<void>(build(distances_, distances, false));
  }

  Step read_codes() {
    const auto head = bits(14);
    if (!head) {
      return Step::kNoInput;
    }
    const std::size_t literals = (*head & 31U) + 257;
    const std::size_t distances = (*head >> 5U & 31U) + 1;
    const std::size_t lengths_given = (*head >> 10U) + 4;
    if (literals > 286 || distances > 30) {
      return Step::kBad;
    }
    std::array<std::uint8_t, 19> code_lengths{};
    for (std::size_t i = 0; i < lengths_given; ++i) {
      const auto length = bits(3);
      if (!length) {
        return Step::kNoInput;
      }
      code_lengths[kCodeLengthOrder[i]] = static_cast<std::uint8_t>(*length);
    }
    Code code;
    if (!build(code, code_lengths, false)) {
      return Step::kBad;
    }
    std::array<std::uint8_t, kLiterals + kDistances> lengths{};
    const Step read = read_lengths(code, std::span(lengths).first(literals + distances));
    if (read != Step::kGoOn) {
      return read;
    }
    const std::span<const std::uint8_t> all(lengths);
    const bool sound = lengths[kEndOfBlock] != 0 && build(literals_, all.first(literals), true) &&
                       build(distances_, all.subspan(literals, distances), true);
    return sound ? Step::kGoOn : Step::kBad;
  }

  Step read_lengths(const Code& code, std::span<std::uint8_t> lengths) {
    for (std::size_t at = 0; at < lengths.size();) {
      unsigned symbol = 0;
      if (const Step read = decode(code, symbol); read != Step::kGoOn) {
        return read;
      }
      if (symbol < 16) {
        lengths[at++] = static_cast<std::uint8_t>(symbol);
        continue;
      }
      const auto more = bits(symbol == 16 ? 2 : symbol == 17 ? 3 : 7);
      if (!more) {
        return Step::kNoInput;
      }
      const std::size_t repeat = *more + (symbol == 18 ? 11 : 3);
      if (repeat > lengths.size() - at || (symbol == 16 && at == 0)) {
        return Step::kBad;
      }
      const std::uint8_t value = symbol == 16 ? lengths[at - 1] : 0;
      std::fill_n(lengths.begin() + static_cast<std::ptrdiff_t>(at), repeat, value);
      at += repeat;
    }
    return Step::kGoOn;
  }

  Step decode(const Code& code, unsigned& symbol) {
    unsigned value = 0;
    unsigned first = 0;
    unsigned index = 0;
    for (unsigned length = 1; length <= kMaxBits; ++length) {
      const auto bit = bits(1);
      if (!bit) {
        return Step::kNoInput;
      }
      value |= *bit;
      const unsigned count = code.count[length];
      if (value < first + count) {
        symbol = code.symbol[index + value - first];
        return Step::kGoOn;
      }
      index += count;
      first = (first + count) << 1U;
      value <<= 1U;
    }
    return Step::kBad;
  }

  Step compressed() {
    for (;;) {
      unsigned symbol = 0;
      if (const Step read = decode(literals_, symbol); read != Step::kGoOn) {
        return read;
      }
      if (symbol == kEndOfBlock) {
        return Step::kGoOn;
      }
      const Step step = symbol < kEndOfBlock ? literal(symbol) : match(symbol - kEndOfBlock - 1);
      if (step != Step::kGoOn) {
        return step;
      }
    }
  }

  Step literal(unsigned symbol) {
    if (done_ == into_.size()) {
      return Step::kFull;
    }
    into_[done_++] = static_cast<std::byte>(symbol);
    return Step::kGoOn;
  }

  Step match(unsigned length_symbol) {
    if (length_symbol >= kLengthBase.size()) {
      return Step::kBad;
    }
    const auto length_extra = bits(kLengthExtra[length_symbol]);
    unsigned symbol = 0;
    if (!length_extra) {
      return Step::kNoInput;
    }
    if (const Step read = decode(distances_, symbol); read != Step::kGoOn) {
      return read;
    }
    if (symbol >= kDistanceBase.size()) {
      return Step::kBad;
    }
    const auto distance_extra = bits(symbol < 4 ? 0 : symbol / 2 - 1);
    if (!distance_extra) {
      return Step::kNoInput;
    }
    const std::size_t length = kLengthBase[length_symbol] + *length_extra;
    const std::size_t distance = kDistanceBase[symbol] + *distance_extra;
    if (done_ == into_.size()) {
      return Step::kFull;
    }
    if (distance > done_) {
      return Step::kBad;
    }
    const std::size_t end = std::min(done_ + length, into_.size());
    const bool is_whole = end == done_ + length;
    for (; done_ < end; ++done_) {
      into_[done_] = into_[done_ - distance];
    }
    return is_whole ? Step::kGoOn : Step::kFull;
  }

  const std::span<const std::byte> stream_;
  const std::span<std::byte> into_;
  std::size_t position_ = 0;
  std::size_t done_ = 0;
  std::uint32_t buffer_ = 0;
  unsigned held_ = 0;
  Code literals_;
  Code distances_;
};

}  // namespace

bool inflate_prefix(std::span<const std::byte> stream, std::span<std::byte> into) {
  return Decoder(stream, into).run();
}

}  // namespace blockpull::image::qcow2
