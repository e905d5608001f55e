// SPDX-License-Identifier: Apache-2.0
//
// The one program that runs inside the test guest: it writes to /dev/vda, checks what it reads
// from there, and takes its orders from a serial line. It is process 1, since /init becomes it.
//
// The idea: for every block of 4 KiB it keeps a fingerprint of what the block must hold, learned
// from reading it ('remember') or from having written it. Whatever happens below the guest, each
// read must match. All I/O is O_DIRECT, so that the guest's page cache never answers for the disk.
//
//   order                  answer: one line, which starts with 'ok' or 'error'
//   remember               ok BLOCKS   learns every block of the disk as it is now
//   write SEED COUNT       ok BYTES    COUNT extents of 4 to 64 KiB, one in 16 of zeros
//   verify                 ok BLOCKS   reads and compares every block that is known
//   loop start SEED PAUSE  ok          writes, flushes and verifies; PAUSE ms between the turns
//   loop stop              ok WRITES BYTES VERIFIED_BLOCKS MILLISECONDS
//   sum [OFFSET LENGTH]    ok SHA256   of the disk, or of a range (multiples of 4096)
//   sync                   ok
//   poweroff               (none)      flushes, then turns the machine off
//
// 'write' and 'loop' begin only in every other MiB, and leave the rest to the pull. A cluster that
// the guest has written needs no copy, and one that it reads while QEMU streams is copied then and
// there (QEMU puts a copy-on-read filter on top), whatever the speed limit: a guest that is
// everywhere ends a pull within a second. It starts with 'ready BYTES', the size of the disk.

#include <algorithm>
#include <array>
#include <cerrno>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/reboot.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <time.h>
#include <unistd.h>

#include <termios.h>

namespace {

constexpr uint64_t kBlockBytes = 4096;
constexpr uint64_t kMostBlocksAWrite = 16;  // 64 KiB: one cluster, and mostly parts of two.
constexpr uint64_t kMostBlocksARead = 256;  // 1 MiB.
constexpr uint64_t kBlocksAMebibyte = (1 << 20) / kBlockBytes;
constexpr uint64_t kZerosEvery = 16;        // Writes of zeros among writes: QEMU treats them apart.
constexpr uint64_t kLoopWritesAFlush = 32;  // A guest with a file system flushes about so often.
constexpr uint64_t kLoopBlocksAVerify = 16;  // As much as is written, so neither half starves.

/// xorshift64*: fast under emulation, and the same everywhere for a seed.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 + 0x1234567) {}

  uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1d;
  }

  uint64_t below(uint64_t limit) { return (next() >> 16) % limit; }

 private:
  uint64_t state_;
};

uint64_t milliseconds_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1000000;
}

/// Depends on each word and its place; never 0, which stands for a block that is not known.
uint64_t fingerprint(std::span<const uint64_t> block) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const uint64_t word : block) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15;
    hash ^= hash >> 29;
  }
  return hash | 1;
}

struct Extent {
  uint64_t first_block;
  uint64_t blocks;
};

/// What a comparison found: how many blocks were compared, and the first that differed.
struct Findings {
  uint64_t blocks = 0;
  std::string error;  // Empty while all is well; the first complaint stays.

  void complain(const std::string& complaint) {
    if (error.empty()) {
      error = complaint;
    }
  }
};

class Disk {
 public:
  explicit Disk(int file) : file_(file) {
    if (ioctl(file_, BLKGETSIZE64, &size_bytes_) == 0) {
      expected_.resize(size_bytes_ / kBlockBytes);
    }
    void* memory = nullptr;
    if (posix_memalign(&memory, kBlockBytes, kMostBlocksARead * kBlockBytes) != 0) {
      abort();
    }
    words_ = static_cast<uint64_t*>(memory);
  }

  uint64_t size_bytes() const { return size_bytes_; }
  uint64_t blocks() const { return expected_.size(); }

  /// Writes one extent at a random place; gives its bytes, or 0 after a complaint.
  uint64_t write_somewhere(Random& random, Findings& findings) {
    const Extent extent = somewhere(random, kMostBlocksAWrite);
    const bool zeros = random.below(kZerosEvery) == 0;
    for (size_t at = 0; at < extent.blocks * kWordsABlock; at++) {
      words_[at] = zeros ? 0 : random.next();
    }
    if (!put(extent, zeros)) {
      findings.complain("write" + place_of(extent) + ": " + strerror(errno));
      return 0;
    }
    for (uint64_t index = 0; index < extent.blocks; index++) {
      expected_[extent.first_block + index] = fingerprint(block(index));
    }
    return extent.blocks * kBlockBytes;
  }

  void verify_somewhere(Random& random, Findings& findings) {
    verify(somewhere(random, kLoopBlocksAVerify), findings);
  }

  void verify_all(Findings& findings) {
    for_each_piece([&](const Extent& piece) { verify(piece, findings); });
  }

  /// Takes whatever the disk holds now as what it must hold.
  void remember_all(Findings& findings) {
    for_each_piece([&](const Extent& piece) {
      const bool read = get(piece, findings);
      for (uint64_t index = 0; read && index < piece.blocks; index++) {
        expected_[piece.first_block + index] = fingerprint(block(index));
        findings.blocks++;
      }
    });
  }

  bool flush() { return fdatasync(file_) == 0; }

 private:
  static constexpr size_t kWordsABlock = kBlockBytes / sizeof(uint64_t);

  Extent somewhere(Random& random, uint64_t most_blocks) {
    uint64_t first = random.below(blocks());
    if (first / kBlocksAMebibyte % 2 == 1) {
      first -= kBlocksAMebibyte;
    }
    const uint64_t wanted = 1 + random.below(most_blocks);
    return {first, std::min(wanted, blocks() - first)};
  }

  template <typename Each>
  void for_each_piece(Each each) {
    for (uint64_t first = 0; first < blocks(); first += kMostBlocksARead) {
      each(Extent{first, std::min(kMostBlocksARead, blocks() - first)});
    }
  }

  std::span<const uint64_t> block(uint64_t index) const {
    return {words_ + index * kWordsABlock, kWordsABlock};
  }

  static std::string place_of(const Extent& extent) {
    return " of " + std::to_string(extent.blocks * kBlockBytes) + " bytes at offset " +
           std::to_string(extent.first_block * kBlockBytes);
  }

  bool put(const Extent& extent, bool zeros) {
    const uint64_t length = extent.blocks * kBlockBytes;
    const uint64_t offset = extent.first_block * kBlockBytes;
    if (zeros) {
      std::array<uint64_t, 2> range{offset, length};
      return ioctl(file_, BLKZEROOUT, range.data()) == 0;
    }
    return pwrite(file_, words_, length, static_cast<off_t>(offset)) ==
           static_cast<ssize_t>(length);
  }

  bool get(const Extent& extent, Findings& findings) {
    const uint64_t length = extent.blocks * kBlockBytes;
    const auto offset = static_cast<off_t>(extent.first_block * kBlockBytes);
    if (pread(file_, words_, length, offset) == static_cast<ssize_t>(length)) {
      return true;
    }
    findings.complain("read" + place_of(extent) + ": " + strerror(errno));
    return false;
  }

  void verify(const Extent& extent, Findings& findings) {
    if (!get(extent, findings)) {
      return;
    }
    for (uint64_t index = 0; index < extent.blocks; index++) {
      const uint64_t expected = expected_[extent.first_block + index];
      if (expected == 0) {
        continue;
      }
      findings.blocks++;
      if (fingerprint(block(index)) != expected) {
        std::array<char, 17> word{};
        snprintf(word.data(), word.size(), "%016" PRIx64, block(index)[0]);
        findings.complain("mismatch" + place_of({extent.first_block + index, 1}) +
                          ", which reads " + word.data());
      }
    }
  }

  int file_;
  uint64_t size_bytes_ = 0;
  uint64_t* words_ = nullptr;       // kMostBlocksARead blocks; lives as long as the machine.
  std::vector<uint64_t> expected_;  // A fingerprint a block; 0 where nothing is known yet.
};

/// What 'loop start' began.
struct Loop {
  Random random;
  int pause_ms;
  Findings findings;
  uint64_t started_ms = milliseconds_now();
  uint64_t writes = 0;
  uint64_t bytes = 0;

  void turn(Disk& disk) {
    bytes += disk.write_somewhere(random, findings);
    writes++;
    disk.verify_somewhere(random, findings);
    if (writes % kLoopWritesAFlush == 0 && !disk.flush()) {
      findings.complain(std::string("flush: ") + strerror(errno));
    }
  }
};

/// The digest comes from busybox, whose dd can read past the page cache too.
std::string sum(const std::string& skip, const std::string& count) {
  const std::string command =
      "dd if=/dev/vda iflag=direct,skip_bytes,count_bytes bs=1M skip=" + skip + " count=" + count +
      " 2>/dev/null | sha256sum";
  std::array<char, 65> digest{};
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) {
    return "error popen: " + std::string(strerror(errno));
  }
  const bool read = fgets(digest.data(), digest.size(), pipe) != nullptr;
  const bool ended_well = pclose(pipe) == 0;
  return read && ended_well ? "ok " + std::string(digest.data()) : "error sha256sum failed";
}

class Worker {
 public:
  explicit Worker(Disk& disk) : disk_(disk) {}

  void turn_loop() {
    if (loop_ != nullptr) {
      loop_->turn(disk_);
    }
  }

  /// How long to wait for an order before the next turn, as poll() takes it.
  int pause_ms() const { return loop_ == nullptr ? -1 : loop_->pause_ms; }

  std::string obey(const std::string& order) {
    Findings findings;
    unsigned long long first = 0;
    unsigned long long second = 0;
    if (order == "remember") {
      disk_.remember_all(findings);
      return answer(findings, std::to_string(findings.blocks));
    }
    if (sscanf(order.c_str(), "write %llu %llu", &first, &second) == 2) {
      Random random(first);
      uint64_t bytes = 0;
      for (uint64_t done = 0; done < second; done++) {
        bytes += disk_.write_somewhere(random, findings);
      }
      return answer(findings, std::to_string(bytes));
    }
    if (order == "verify") {
      disk_.verify_all(findings);
      return answer(findings, std::to_string(findings.blocks));
    }
    if (sscanf(order.c_str(), "loop start %llu %llu", &first, &second) == 2 && loop_ == nullptr) {
      loop_ = std::make_unique<Loop>(Loop{Random(first), static_cast<int>(second), {}});
      return "ok";
    }
    if (order == "loop stop" && loop_ != nullptr) {
      return stop_loop();
    }
    if (order == "sum") {
      return sum("0", std::to_string(disk_.size_bytes()));
    }
    if (sscanf(order.c_str(), "sum %llu %llu", &first, &second) == 2) {
      return sum(std::to_string(first), std::to_string(second));
    }
    if (order == "sync") {
      return disk_.flush() ? "ok" : "error flush: " + std::string(strerror(errno));
    }
    return "error unknown order '" + order + "'";
  }

 private:
  static std::string answer(const Findings& findings, const std::string& result) {
    return findings.error.empty() ? "ok " + result : "error " + findings.error;
  }

  std::string stop_loop() {
    const std::unique_ptr<Loop> loop = std::move(loop_);
    return answer(loop->findings, std::to_string(loop->writes) + " " + std::to_string(loop->bytes) +
                                      " " + std::to_string(loop->findings.blocks) + " " +
                                      std::to_string(milliseconds_now() - loop->started_ms));
  }

  Disk& disk_;
  std::unique_ptr<Loop> loop_;
};

void say(int line, const std::string& text) {
  const std::string with_end = text + "\n";
  for (size_t done = 0; done < with_end.size();) {
    const ssize_t written = write(line, with_end.data() + done, with_end.size() - done);
    if (written <= 0) {
      return;
    }
    done += static_cast<size_t>(written);
  }
}

int open_line(const char* path) {
  const int line = open(path, O_RDWR | O_NOCTTY);
  termios settings{};
  if (line < 0 || tcgetattr(line, &settings) != 0) {
    return -1;
  }
  cfmakeraw(&settings);
  return tcsetattr(line, TCSANOW, &settings) == 0 ? line : -1;
}

[[noreturn]] void power_off() {
  sync();
  reboot(static_cast<int>(LINUX_REBOOT_CMD_POWER_OFF));
  abort();
}

[[noreturn]] void serve(int line, Worker& worker) {
  std::string order;
  for (;;) {
    pollfd waiting{line, POLLIN, 0};
    if (poll(&waiting, 1, worker.pause_ms()) <= 0) {
      worker.turn_loop();
      continue;
    }
    char character = 0;
    if (read(line, &character, 1) != 1) {
      power_off();
    }
    if (character != '\n') {
      order += character;
      continue;
    }
    if (order == "poweroff") {
      power_off();
    }
    say(line, worker.obey(order));
    order.clear();
  }
}

}  // namespace

int main() {
  const int line = open_line("/dev/ttyS1");
  const int file = open("/dev/vda", O_RDWR | O_DIRECT | O_CLOEXEC);
  if (file < 0) {
    say(line, "error /dev/vda: " + std::string(strerror(errno)));
    power_off();
  }
  Disk disk(file);
  Worker worker(disk);
  say(line, "ready " + std::to_string(disk.size_bytes()));
  serve(line, worker);
}
