// Link protocol: a message for one client. Two types that differ by what QoS 1 needs more.
//
//   off  QoS 0            off  QoS 1
//     0  length, type       0  length, type
//     4  check              4  check            CRC32C of the header and the destination without itself
//     8  handle index       8  handle index     | written by the shard: the owner's handle
//    12  handle generation 12  handle generation|
//    14  origin            14  origin           | written by the shard: the origin's member index
//    16  deadline          16  deadline         by the shard's clock, in ms, low 32 bits; 0 = none. Before
//                                               version 3, and where hosts see it: time to live, ms left
//                          20  flags            1 again, 2 resent, 4 receipt
//                          21  0
//                          22  prev             how far back its predecessor is; 0 = none
//                          24  floor back       number - the origin's floor
//                          28  first sent       shard time when it was first sent, µs
//   -- fixed part ends; from here on nothing changes between origin and owner --
//    20  body CRC          36  body CRC         CRC32C of all that follows
//                          40  number           of the origin lane, 1 and up
//    24  hash              48  hash             of the destination id
//    32  lengths           56  lengths          u8 destination, u8 sender, u16 channel, u32 properties
//    40  destination, sender, channel, properties, payload (the rest); QoS 1: from 64
//
// `properties` are MQTT 5 property bytes as the publisher sent them, without topic alias and expiry.
// No I/O, no state. A view lives as long as the bytes given.
#pragma once
#include "common/base/bytes.hpp"
#include "common/base/ids.hpp"
#include "common/base/output.hpp"

#include <span>

namespace beeline::wire {

inline constexpr std::size_t fixed_bytes_qos0 = 20, fixed_bytes_qos1 = 36;
inline constexpr std::size_t message_header_qos0 = 40, message_header_qos1 = 64;
inline constexpr std::uint8_t flag_again = 1;  // a copy of it may have been taken before
inline constexpr std::uint8_t flag_resent = 2; // a copy of it may have been written to an owner's link before
inline constexpr std::uint8_t flag_receipt = 4; // its sender waits for the recipient's own acknowledgement

// Deadlines and times to live, by a clock in µs. A deadline is never 0, and at most ttl_ms_max away.
inline constexpr std::uint32_t ttl_ms_max = 0x7fff'ffff; // 24 days
constexpr std::uint32_t deadline_of(std::uint32_t ttl_ms, std::uint64_t clock_us) noexcept {
  const std::uint32_t d =
      static_cast<std::uint32_t>(clock_us / 1000) + (ttl_ms < ttl_ms_max ? ttl_ms : ttl_ms_max);
  return d ? d : 1;
}
constexpr std::uint32_t ttl_of(std::uint32_t deadline, std::uint64_t clock_us) noexcept { // 0: it is over
  const auto left = static_cast<std::int32_t>(deadline - static_cast<std::uint32_t>(clock_us / 1000));
  return left > 0 ? static_cast<std::uint32_t>(left) : 0;
}

// What a message is made of at its origin. `properties` come in pieces, as views into a packet.
struct message_parts {
  id_hash hash = 0;
  std::string_view destination, sender, channel;
  std::span<const const_bytes> properties;
  const_bytes payload;
  std::uint32_t ttl_ms = 0; // 0: for ever
  bool receipt = false;     // QoS 1: the sender waits for the recipient's own acknowledgement
  std::size_t body_bytes() const noexcept {
    std::size_t n = destination.size() + sender.size() + channel.size() + payload.size();
    for (const_bytes p : properties) n += p.size();
    return n;
  }
};
inline std::size_t message_bytes(const message_parts& m, bool qos1) noexcept {
  return (qos1 ? message_header_qos1 : message_header_qos0) + m.body_bytes();
}
// Writes the whole frame to `to` (message_bytes() long). QoS 1: number, prev, floor, flags and time limit are
// set by `stamp` at each sending, which also closes the CRCs. QoS 0: `time_limit` as the link says it.
void write_message(std::byte* to, const message_parts& m, bool qos1, std::uint32_t time_limit = 0) noexcept;

class message_view {
public:
  explicit message_view(mutable_bytes frame) noexcept : p_(frame.data()), size_(frame.size()) {}

  bool qos1() const noexcept { return p_[3] == std::byte{0x41}; }
  std::size_t size() const noexcept { return size_; }
  mutable_bytes bytes() const noexcept { return {p_, size_}; }
  handle target() const noexcept { return {load_le<std::uint32_t>(p_ + 8), load_le<std::uint16_t>(p_ + 12)}; }
  member_index origin() const noexcept { return load_le<member_index>(p_ + 14); }
  std::uint32_t ttl_ms() const noexcept { return load_le<std::uint32_t>(p_ + 16); }
  std::uint32_t deadline() const noexcept { return load_le<std::uint32_t>(p_ + 16); } // the same place
  std::uint8_t flags() const noexcept { return qos1() ? static_cast<std::uint8_t>(p_[20]) : 0; }
  bool again() const noexcept { return flags() & flag_again; }
  bool wants_receipt() const noexcept { return flags() & flag_receipt; }
  std::uint16_t prev() const noexcept { return load_le<std::uint16_t>(p_ + 22); }
  std::uint32_t floor_back() const noexcept { return load_le<std::uint32_t>(p_ + 24); }
  std::uint64_t first_sent() const noexcept { return load_le<std::uint64_t>(p_ + 28); }
  std::uint64_t number() const noexcept { return load_le<std::uint64_t>(p_ + 40); }
  id_hash hash() const noexcept { return load_le<std::uint64_t>(p_ + lengths_at() - 8); }
  std::string_view destination() const noexcept { return text(0, length8(0)); }
  std::string_view sender() const noexcept { return text(length8(0), length8(1)); }
  std::string_view channel() const noexcept { return text(length8(0) + length8(1), channel_bytes()); }
  const_bytes properties() const noexcept { return {body() + names_bytes(), properties_bytes()}; }
  const_bytes payload() const noexcept {
    const std::size_t n = names_bytes() + properties_bytes();
    return {body() + n, size_ - header() - n};
  }

  bool valid() const noexcept;       // lengths fit and the check holds
  bool body_intact() const noexcept; // the body CRC holds; the owner asks before it accepts

  // How long it may take from here on; route() or set_stamp() close the check after it.
  void set_time_limit(std::uint32_t deadline_or_ttl) noexcept { store_le(p_ + 16, deadline_or_ttl); }
  // The shard's patch: where it goes and whence it came.
  void route(handle owner, member_index origin) noexcept;
  // The origin's patch, at each sending of a QoS 1 message; the first one seals the body too.
  struct stamp {
    std::uint64_t number = 0;
    std::uint16_t prev = 0;
    std::uint32_t floor_back = 0;
    std::uint32_t deadline = 0;
    std::uint64_t first_sent = 0;
    std::uint8_t flags = 0;
  };
  void set_stamp(const stamp& s) noexcept;

private:
  std::size_t header() const noexcept { return qos1() ? message_header_qos1 : message_header_qos0; }
  std::size_t lengths_at() const noexcept { return header() - 8; }
  std::size_t length8(int i) const noexcept { return static_cast<std::size_t>(p_[lengths_at() + i]); }
  std::size_t channel_bytes() const noexcept { return load_le<std::uint16_t>(p_ + lengths_at() + 2); }
  std::size_t properties_bytes() const noexcept { return load_le<std::uint32_t>(p_ + lengths_at() + 4); }
  std::size_t names_bytes() const noexcept { return length8(0) + length8(1) + channel_bytes(); }
  std::byte* body() const noexcept { return p_ + header(); }
  std::string_view text(std::size_t at, std::size_t n) const noexcept { return as_text({body() + at, n}); }
  void seal() noexcept;

  std::byte* p_;
  std::size_t size_;
};

} // namespace beeline::wire
