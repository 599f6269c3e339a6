// Nonces for the handshakes of one life of a core, from a seed.
#pragma once
#include "common/base/bytes.hpp"
#include "common/base/rng.hpp"
#include "common/wire/messages.hpp"

#include <functional>

namespace beeline::sim {

inline std::function<wire::nonce()> nonces(std::uint64_t seed) {
  return [r = rng(seed)]() mutable {
    wire::nonce n;
    for (std::size_t i = 0; i < n.size(); i += 8) store_le(n.data() + i, r());
    return n;
  };
}

} // namespace beeline::sim
