// In place of common/wire/version.cpp, for the programs of an upgrade test: one that does not exist yet: its
// hello names 4, and 1 as the oldest that it understands.
#include "common/wire/frame.hpp"

namespace beeline::wire {

const std::uint16_t protocol_version = 4;

} // namespace beeline::wire
