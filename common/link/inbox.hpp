// The owner's side of the delivery contract: which identities this lane has accepted, for every
// origin lane, and the owner's tests (docs/link-protocol.md, rules).
//
// An origin lane's record outlives its links, since the lane may come back and send again. When
// records have to be forgotten (limits::origins_remembered_max), messages marked `again` that were
// first sent before that moment are answered `unknown`.
// No I/O, no clock. Owner: one lane's thread.
#pragma once
#include "common/base/counters.hpp"
#include "common/base/ids.hpp"
#include "common/base/reasons.hpp"
#include "common/base/slab.hpp"
#include "common/link/accepted_window.hpp"
#include "common/wire/message.hpp"

#include <boost/unordered/unordered_flat_map.hpp>
#include <deque>
#include <iterator>
#include <vector>

namespace beeline::link {

struct inbox_counters {
  counter origins;           // records kept, now
  counter origins_forgotten; // above limits::origins_remembered_max
  counter memory_bytes;      // of the accepted numbers, now
  counter duplicates;        // copies of accepted messages, answered again
  counter late_copies;       // of settled messages, dropped
  counter retries;           // answered `retry`
  counter not_here;          // answered `not here`
  counter unknown;           // answered `unknown`
};

// Planted bugs for the simulator.
struct inbox_plants {
  bool prev_not_checked = false, duplicate_not_answered = false, no_dedup = false, again_accepted = false,
       again_unknown = false;
};

class inbox {
public:
  // An origin is announced, and later withdrawn, once for each link that lists it.
  std::uint32_t acquire(lane_id origin);
  // True: records had to be forgotten; `again` messages first sent before now are in doubt.
  bool release(std::uint32_t i);

  enum class verdict {
    take,
    answer_accepted,
    drop,
    answer_not_here,
    answer_unknown,
    answer_retry,
    answer_busy,
    answer_full, // as it was answered first: these three
    answer_refused,
    answer_expired
  };
  // Judges a QoS 1 message. `here`: its handle names a live session with that id; `since`: when
  // that session became the owner, in shard time (or records were last forgotten). `take` means: deliver it,
  // then, if the session took it, call accepted().
  verdict judge(std::uint32_t i, const wire::message_view& m, bool here, std::uint64_t since);
  void accepted(std::uint32_t i, std::uint64_t number);
  // The session did not take it, and that was its final answer (full, refused or expired): it is settled like
  // an accepted one, so that what follows in its flow need not be sent again.
  void refused(std::uint32_t i, std::uint64_t number, answer final_answer);
  void raise_floor(std::uint32_t i, std::uint64_t floor);
  lane_id origin(std::uint32_t i) const { return records_[i].id; }

  inbox_counters counters;
  inbox_plants plant;

private:
  struct refusal {
    answer said;
    verdict again; // to a copy
  };
  static constexpr refusal refusals[] = {{answer::full, verdict::answer_full},
                                         {answer::refused, verdict::answer_refused},
                                         {answer::expired, verdict::answer_expired}};
  struct record {
    lane_id id{};
    accepted_window window;
    accepted_window refused[std::size(refusals)]; // never to be taken any more
    bool any_refused = false;   // else those windows are not looked at: most origins have none
    std::uint32_t links = 0;    // that list it
    std::uint32_t released = 0; // which release this is, for the queue of the forgotten
    std::size_t memory_bytes() const noexcept {
      std::size_t n = window.memory_bytes();
      for (const accepted_window& w : refused) n += w.memory_bytes();
      return n;
    }
    int refusal_of(std::uint64_t number) const noexcept { // -1: it was not refused
      if (!any_refused) return -1;
      for (std::size_t k = 0; k < std::size(refusals); ++k)
        if (refused[k].contains(number)) return static_cast<int>(k);
      return -1;
    }
  };
  bool forget_oldest();
  void insert(std::uint32_t i, accepted_window& w, std::uint64_t number);

  slab<record> records_;
  boost::unordered_flat_map<std::uint64_t, std::uint32_t> by_id_;
  std::deque<std::pair<std::uint32_t, std::uint32_t>> released_; // (record, which release), oldest first
};

} // namespace beeline::link
