// The version of the link protocol that this build speaks. Alone in its file, so that tests can link the
// programs with another one (tests/versions) and run old and new ones side by side.
#include "common/wire/frame.hpp"

namespace beeline::wire {

const std::uint16_t protocol_version = 3;

} // namespace beeline::wire
