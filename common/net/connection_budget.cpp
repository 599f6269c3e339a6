#include "common/net/connection_budget.hpp"

#include "common/net/random.hpp"

#include <cstring>
#include <netinet/in.h>
#include <new>

namespace beeline::net {
namespace {

// No IPv6 source begins with these bits: they are multicast addresses.
constexpr std::uint64_t v4_prefix = 0xffff'ffff'0000'0000;

source_address of_v4(const void* address) noexcept {
  std::uint32_t a;
  std::memcpy(&a, address, sizeof a);
  return source_address{v4_prefix | ntohl(a)};
}

} // namespace

source_address source_of(const sockaddr_storage& a) noexcept {
  if (a.ss_family == AF_INET) return of_v4(&reinterpret_cast<const sockaddr_in&>(a).sin_addr);
  if (a.ss_family != AF_INET6) return {};
  const in6_addr& v6 = reinterpret_cast<const sockaddr_in6&>(a).sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) return of_v4(v6.s6_addr + 12);
  std::uint64_t prefix = 0;
  for (std::size_t i = 0; i < sizeof prefix; ++i) prefix = prefix << 8 | v6.s6_addr[i];
  return source_address{prefix};
}

connection_budget::connection_budget(std::uint64_t max, std::uint64_t per_address)
    : max_(max), per_address_(per_address), key_{random_number(), random_number()} {}

connection_budget::stripe& connection_budget::stripe_of(source_address a) noexcept {
  const auto v = static_cast<std::uint64_t>(a);
  return stripes_[siphash(key_, {reinterpret_cast<const char*>(&v), sizeof v}) % stripe_count];
}

bool connection_budget::take_address(source_address from) noexcept try {
  stripe& s = stripe_of(from);
  const std::lock_guard guard(s.lock);
  std::uint64_t& open = s.open[static_cast<std::uint64_t>(from)];
  if (open >= per_address_) return false; // at least 1: no entry was made
  ++open;
  return true;
} catch (const std::bad_alloc&) {
  return false; // not to be counted is not to be let in
}

auto connection_budget::take(source_address from, slot& out) noexcept -> verdict {
  out.reset();
  if (open_.fetch_add(1, std::memory_order_relaxed) >= max()) {
    open_.fetch_sub(1, std::memory_order_relaxed);
    return verdict::full;
  }
  if (per_address_ && !take_address(from)) {
    open_.fetch_sub(1, std::memory_order_relaxed);
    return verdict::address_full;
  }
  out.budget_ = this;
  out.from_ = from;
  return verdict::taken;
}

void connection_budget::give(source_address from) noexcept {
  open_.fetch_sub(1, std::memory_order_relaxed);
  if (!per_address_) return;
  stripe& s = stripe_of(from);
  const std::lock_guard guard(s.lock);
  const auto at = s.open.find(static_cast<std::uint64_t>(from));
  if (--at->second == 0) s.open.erase(at);
}

std::size_t connection_budget::addresses() const {
  std::size_t n = 0;
  for (const stripe& s : stripes_) {
    const std::lock_guard guard(s.lock);
    n += s.open.size();
  }
  return n;
}

} // namespace beeline::net
