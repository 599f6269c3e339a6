// Runs a fuzz target without libFuzzer: replays the files it is given, then seeded random inputs made of
// them by small changes. The same seed makes the same inputs.
//
//   two_clients_fuzz [--runs N] [--seed S] [--max-bytes N] [FILE or FOLDER]...
//
// An input that fails is left in fuzz-failed.bin in the working folder: give that file to replay it.
#include "common/base/rng.hpp"
#include "tests/fuzz/fuzz_input.hpp"

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace {

using bytes = std::vector<std::uint8_t>;
bytes current; // for the handler of SIGABRT and SIGSEGV

void keep_failed(int signal) {
  if (std::FILE* f = std::fopen("fuzz-failed.bin", "wb")) {
    std::fwrite(current.data(), 1, current.size(), f);
    std::fclose(f);
    std::fputs("the input is in fuzz-failed.bin\n", stderr);
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run(bytes b) {
  current = std::move(b);
  LLVMFuzzerTestOneInput(current.data(), current.size());
}

bytes read(const std::filesystem::path& p) {
  std::ifstream f(p, std::ios::binary);
  return bytes(std::istreambuf_iterator<char>(f), {});
}

bytes changed(const std::vector<bytes>& corpus, beeline::rng& random, std::size_t bytes_max) {
  bytes b = corpus[random.below(corpus.size())];
  if (random.one_in(3)) // nothing but noise
    for (b.resize(random.below(bytes_max) + 1); auto& x : b) x = static_cast<std::uint8_t>(random());
  for (std::uint64_t n = random.below(12); n; --n) {
    const std::size_t at = b.empty() ? 0 : random.below(b.size());
    const auto place = b.begin() + static_cast<std::ptrdiff_t>(at);
    switch (random.below(5)) {
    case 0: b.insert(place, static_cast<std::uint8_t>(random())); break;
    case 1:
      if (!b.empty()) b.erase(place);
      break;
    case 2:
      if (!b.empty()) *place = static_cast<std::uint8_t>(random());
      break;
    case 3: { // a part of another input
      const bytes& other = corpus[random.below(corpus.size())];
      if (other.empty()) break;
      const std::size_t from = random.below(other.size()), k = random.below(other.size() - from) + 1;
      b.insert(place, other.begin() + static_cast<std::ptrdiff_t>(from),
               other.begin() + static_cast<std::ptrdiff_t>(from + k));
      break;
    }
    default: // noise behind it
      for (std::uint64_t k = random.below(40); k; --k) b.push_back(static_cast<std::uint8_t>(random()));
    }
  }
  if (b.size() > bytes_max) b.resize(bytes_max);
  return b;
}

} // namespace

int main(int argc, char** argv) {
  std::uint64_t runs = 1'000, seed = 1;
  std::size_t bytes_max = 600;
  std::vector<bytes> corpus{{}};
  for (int i = 1; i < argc; ++i) {
    const std::string a = argv[i];
    const auto value = [&] { return i + 1 < argc ? std::strtoull(argv[++i], nullptr, 10) : 0; };
    if (a == "--runs") runs = value();
    else if (a == "--seed") seed = value();
    else if (a == "--max-bytes") bytes_max = value();
    else if (std::filesystem::is_directory(a)) {
      for (const auto& e : std::filesystem::directory_iterator(a)) corpus.push_back(read(e.path()));
    } else if (std::filesystem::exists(a)) {
      corpus.push_back(read(a));
    } else {
      std::fprintf(stderr, "no file %s\n", argv[i]);
      return 2;
    }
  }
  std::signal(SIGABRT, keep_failed);
  std::signal(SIGSEGV, keep_failed);
  for (const bytes& b : corpus) run(b);
  beeline::rng random(seed);
  for (std::uint64_t i = 0; i < runs; ++i) run(changed(corpus, random, bytes_max));
  std::printf("%zu files and %llu changed inputs of seed %llu: all held\n", corpus.size() - 1,
              static_cast<unsigned long long>(runs), static_cast<unsigned long long>(seed));
}
