// The simulated world: one clock, one heap of events, one source of chance, one hash of all that
// happened. Everything in a run comes from the seed, so a run can be repeated byte for byte.
//
// Events of one moment happen in the order in which they were planned. Actors are told by a plain
// virtual call; an actor lives as long as the world. Owner: the thread that runs the seed.
#pragma once
#include "common/base/rng.hpp"
#include "common/base/time.hpp"

#include <cstdarg>
#include <string>
#include <vector>

namespace beeline::sim {

using namespace std::chrono_literals;

class actor {
public:
  actor() = default;
  actor(const actor&) = delete;
  actor& operator=(const actor&) = delete;
  virtual ~actor() = default;
  virtual void on_event(std::uint32_t what, std::uint64_t argument) = 0;
};

class world {
public:
  explicit world(std::uint64_t seed, bool trace) : random(seed * 0x9e3779b97f4a7c15ull + 1), tracing(trace) {}

  rng random;
  const bool tracing;
  time_point now{};
  std::string violation; // the first broken promise: its name and what was seen

  void plan(time_point at, actor& who, std::uint32_t what, std::uint64_t argument = 0);
  // The next event, if there is one up to `end` and no promise is broken. False: there was none.
  bool step(time_point end);
  // Lets everything happen up to `end`, or until a promise is broken.
  void run_until(time_point end);

  // Chance. Shares are in percent.
  bool chance(unsigned percent) noexcept { return random.below(100) < percent; }
  std::uint64_t between(std::uint64_t low, std::uint64_t high) noexcept {
    return low + random.below(high - low + 1);
  }
  duration between(duration low, duration high) noexcept {
    return duration(static_cast<duration::rep>(between(to_us(low), to_us(high))));
  }

  // Everything that matters goes into the hash of the run.
  void note(std::uint64_t a, std::uint64_t b = 0) noexcept {
    hash_ = (hash_ ^ a) * 0xff51afd7ed558ccdull;
    hash_ = (hash_ ^ hash_ >> 32 ^ b) * 0xc4ceb9fe1a85ec53ull;
    hash_ ^= hash_ >> 29;
  }
  std::uint64_t hash() const noexcept { return hash_; }
  std::uint64_t events() const noexcept { return sequence_; }

  void say(const char* format, ...) const __attribute__((format(printf, 2, 3))); // only when tracing
  void broken(const char* promise, const char* format, ...) __attribute__((format(printf, 3, 4)));

private:
  struct event {
    time_point at;
    std::uint64_t sequence;
    actor* who;
    std::uint64_t argument;
    std::uint32_t what;
    bool operator<(const event& o) const noexcept { // for a heap whose front is the earliest
      return at != o.at ? at > o.at : sequence > o.sequence;
    }
  };
  std::vector<event> heap_;
  std::uint64_t sequence_ = 0, hash_ = 0x6265656c696e65ull;
};

} // namespace beeline::sim
