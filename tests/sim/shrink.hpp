// Looks for a smaller run that breaks the same promise as a seed that fails.
//
// One thing after the other is taken away - faults, time, messages, clients, processes, small limits, the
// network's whims - and what still breaks the promise with a lower weight is kept, until nothing more can be
// taken away. A run that has lost something takes another course, so each is tried with some streams of
// chance. Each run has a process of its own, for a CHECK that fails is a promise too. In all this nothing is
// drawn and no clock is read, but for the limit on time: the same seed shrinks to the same run.
#pragma once
#include "tests/sim/run.hpp"

namespace beeline::sim {

struct shrink_limits {
  unsigned seconds = 60;
  std::uint64_t runs = ~std::uint64_t{0};
};

// Prints what it finds. False: the seed does not fail.
bool shrink(const draw_options& o, const shrink_limits& limits);

} // namespace beeline::sim
