// SPDX-License-Identifier: Apache-2.0
//
// A fuzz target without a fuzzer: replays the samples of a folder, then ten thousand of their
// mutations, and ends within a second or so. It finds little that a night of libFuzzer would not,
// but it runs with every compiler and in every `npm test`, so that samples stay replayed and the
// target stays true.
//
//     qmp_fuzz_replay FOLDER             BLOCKPULL_SEED=N does again what printed that seed
//
// A target that finds something aborts, and the last line says which input it was.

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

// The name is libFuzzer's.
// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);

namespace {

constexpr int kMutations = 10'000;
constexpr std::chrono::milliseconds kTime(1000);

/// Mutations are made of inputs up to this size; longer samples are only replayed.
constexpr std::size_t kMutatedBytes = 4096;

/// What the input that is running is, for the last line.
char running[200] = "nothing\n";

void name_running(int /*signal*/) {
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, running, std::strlen(running));
}

void run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

std::vector<std::string> read_samples(const char* folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> samples;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    samples.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    std::snprintf(running, sizeof running, "it was sample '%s'\n", path.filename().c_str());
    run(samples.back());
  }
  return samples;
}

class Mutator {
 public:
  Mutator(std::vector<std::string> samples, std::uint64_t seed)
      : samples_(std::move(samples)), random_(seed) {}

  /// A piece of a sample with one to four changes.
  std::string next() {
    std::string input = piece();
    for (std::size_t changes = 1 + below(4); changes > 0; --changes) {
      change(input);
    }
    return input;
  }

 private:
  std::size_t below(std::size_t end) { return static_cast<std::size_t>(random_() % end); }

  /// From a brace on, the first one in half of the cases: what begins otherwise ends at once.
  std::string piece() {
    const std::string& sample = samples_[below(samples_.size())];
    const std::size_t brace = below(2) == 0 ? 0 : sample.find('{', below(sample.size() + 1));
    return sample.substr(brace == std::string::npos ? 0 : brace, 1 + below(kMutatedBytes));
  }

  void change(std::string& input) {
    // Bytes that mean something to a parser; others are hardly worth a try.
    constexpr std::string_view kBytes("{}[]\":,\\u0dD89eE.- \r\nt\0\x1F\x7F\x80\xC3\xED\xF4\xFF",
                                      31);
    const std::size_t at = below(input.size() + 1);
    switch (below(5)) {
      case 0:
        input.insert(at, 1, kBytes[below(kBytes.size())]);
        break;
      case 1:
        input.erase(at, 1 + below(8));
        break;
      case 2:
        input.insert(at, 1 + below(2000), kBytes[below(kBytes.size())]);
        break;
      case 3:
        input.insert(at, piece().substr(0, below(200)));
        break;
      default:
        if (at < input.size()) {
          input[at] = kBytes[below(kBytes.size())];
        }
    }
  }

  const std::vector<std::string> samples_;
  std::mt19937_64 random_;
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", arguments[0]);
    return 2;
  }
  const char* const asked = std::getenv("BLOCKPULL_SEED");
  const std::uint64_t seed =
      asked != nullptr ? std::strtoull(asked, nullptr, 10) : std::random_device()();
  std::printf("seed: BLOCKPULL_SEED=%" PRIu64 "\n", seed);
  std::fflush(stdout);
  std::signal(SIGABRT, name_running);
  const std::vector<std::string> samples = read_samples(arguments[1]);
  if (samples.empty()) {
    std::fprintf(stderr, "no sample in '%s'\n", arguments[1]);
    return 1;
  }
  Mutator mutator(samples, seed);
  const auto end = std::chrono::steady_clock::now() + kTime;
  int done = 0;
  while (done < kMutations && std::chrono::steady_clock::now() < end) {
    std::snprintf(running, sizeof running, "it was mutation %d\n", done);
    run(mutator.next());
    ++done;
  }
  std::printf("%zu samples and %d mutations held\n", samples.size(), done);
  return 0;
}
