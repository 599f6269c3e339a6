// How many connections a process takes in: in all, and from one address. Loops share it.
//
// A slot is one connection's place. It travels with the socket, from lane to lane too, and is given back
// with it. The total is one atomic number. Addresses are counted in a table in stripes, each under a lock
// of its own, which is taken when a connection comes and when it goes, never for a message, and not at all
// without a limit for addresses. The table has an entry for an address only as long as it has a
// connection, so the total bounds it.
//
// Any thread; it outlives every slot.
#pragma once
#include "common/base/siphash.hpp"

#include <array>
#include <atomic>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <mutex>
#include <sys/socket.h>
#include <utility>

namespace beeline::net {

// Who a connection comes from, as far as limits go: an IPv4 address, or the first 64 bits of an IPv6
// address, since one host usually has all the addresses that begin so.
enum class source_address : std::uint64_t {};
source_address source_of(const sockaddr_storage& a) noexcept; // 0 for other families

class connection_budget {
public:
  class slot;
  enum class verdict : std::uint8_t { taken, full, address_full };

  // `per_address` 0: no limit.
  explicit connection_budget(std::uint64_t max, std::uint64_t per_address = 0);
  connection_budget(const connection_budget&) = delete;
  connection_budget& operator=(const connection_budget&) = delete;

  verdict take(source_address from, slot& out) noexcept; // `out` is empty unless it is taken
  bool counts_addresses() const noexcept { return per_address_ != 0; }
  std::uint64_t open() const noexcept { return open_.load(std::memory_order_relaxed); }
  std::uint64_t max() const noexcept { return max_.load(std::memory_order_relaxed); }
  void set_max(std::uint64_t max) noexcept { max_.store(max, std::memory_order_relaxed); } // who is in stays
  std::size_t addresses() const; // that have connections

private:
  struct stripe {
    mutable std::mutex lock;
    boost::unordered_flat_map<std::uint64_t, std::uint64_t> open;
  };
  static constexpr std::size_t stripe_count = 16;

  stripe& stripe_of(source_address a) noexcept;
  bool take_address(source_address from) noexcept;
  void give(source_address from) noexcept;

  std::atomic<std::uint64_t> open_{0}, max_;
  const std::uint64_t per_address_;
  const siphash_key key_; // nobody can choose addresses that meet in one stripe
  std::array<stripe, stripe_count> stripes_;
};

// Empty for sockets that no budget covers.
class connection_budget::slot {
public:
  slot() = default;
  slot(slot&& other) noexcept : budget_(std::exchange(other.budget_, nullptr)), from_(other.from_) {}
  slot& operator=(slot&& other) noexcept {
    if (this == &other) return *this;
    reset();
    budget_ = std::exchange(other.budget_, nullptr);
    from_ = other.from_;
    return *this;
  }
  ~slot() { reset(); }
  void reset() noexcept {
    if (auto* b = std::exchange(budget_, nullptr)) b->give(from_);
  }
  explicit operator bool() const noexcept { return budget_ != nullptr; }

private:
  friend class connection_budget;
  connection_budget* budget_ = nullptr;
  source_address from_{};
};
using budget_slot = connection_budget::slot;

} // namespace beeline::net
