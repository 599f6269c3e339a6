// How long a fault kept messages from flowing.
//
// Streams: the first deliveries from the clients of one edge to those of another whose ids one shard has. A
// fault concerns those whose way it lies on. Its outage is the longest time that one of them stood still,
// seen from the last delivery before the fault; `back` is the time from the fault's end to the end of that
// gap. Of clients that had a session where the fault hit: the longest time in which one got neither a message
// nor an answer.
//
// Pure functions of the view.
#pragma once
#include "tests/chaos/view.hpp"

namespace beeline::chaos {

struct outage {
  fault_fact what;
  bool overlapped = false;        // by another fault, so that the times are not of this one alone
  std::int64_t gap = 0, back = 0; // µs; of the stream that stood still the longest. Negative: before its end
  std::int64_t gap_median = 0;    // of the streams concerned
  unsigned streams = 0, clients = 0;
  std::int64_t client_gap_median = 0, client_gap_max = 0;
};

struct outages {
  outage calm; // the same before the first fault: what the load alone has
  std::vector<outage> faults;
};
outages measure(const run_view& v);

// By 100 ms from the begin of the load.
struct series {
  std::vector<unsigned> published, answered, refused, received;
};
series count_by_time(const run_view& v);

} // namespace beeline::chaos
