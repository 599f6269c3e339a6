// Counters that stand in an array by an enum: by close_reason, drop_reason or answer. No state.
#pragma once
#include "common/base/counters.hpp"

#include <cstddef>
#include <cstdint>

namespace beeline::test {

template <class Enum, std::size_t N> std::uint64_t counter_of(const counter (&all)[N], Enum which) noexcept {
  return all[static_cast<std::size_t>(which)].get();
}

} // namespace beeline::test
