// In place of common/wire/version.cpp, for the programs of an upgrade test: the version before this one.
#include "common/wire/frame.hpp"

namespace beeline::wire {

const std::uint16_t protocol_version = 2;

} // namespace beeline::wire
