#include "common/wire/message.hpp"

#include "common/base/crc32c.hpp"
#include "common/wire/frame.hpp"

namespace beeline::wire {
namespace {
// Covers all that the shard acts on: the header and the destination.
std::uint32_t hop_check(const std::byte* p, std::size_t covered) noexcept {
  return crc32c({p + 8, covered - 8}, crc32c({p, 4}));
}
std::size_t crc_at(bool qos1) noexcept { return qos1 ? fixed_bytes_qos1 : fixed_bytes_qos0; }
std::uint32_t body_crc(const_bytes frame, bool qos1) noexcept {
  return crc32c(frame.subspan(crc_at(qos1) + 4));
}

std::byte* copy(std::byte* to, const_bytes from) noexcept {
  if (!from.empty()) std::memcpy(to, from.data(), from.size());
  return to + from.size();
}
} // namespace

void write_message(std::byte* to, const message_parts& m, bool qos1, std::uint32_t time_limit) noexcept {
  const std::size_t size = message_bytes(m, qos1);
  const std::size_t head = qos1 ? message_header_qos1 : message_header_qos0;
  std::memset(to, 0, head);
  store_u24(to, static_cast<std::uint32_t>(size));
  to[3] = static_cast<std::byte>(qos1 ? frame_type::message_qos1 : frame_type::message_qos0);
  store_le(to + 16, time_limit);
  store_le(to + head - 16, m.hash);
  to[head - 8] = static_cast<std::byte>(m.destination.size());
  to[head - 7] = static_cast<std::byte>(m.sender.size());
  store_le(to + head - 6, static_cast<std::uint16_t>(m.channel.size()));
  std::uint32_t properties = 0;
  for (const_bytes p : m.properties) properties += static_cast<std::uint32_t>(p.size());
  store_le(to + head - 4, properties);
  std::byte* at = copy(to + head, as_bytes(m.destination));
  at = copy(at, as_bytes(m.sender));
  at = copy(at, as_bytes(m.channel));
  for (const_bytes p : m.properties) at = copy(at, p);
  copy(at, m.payload);
  if (qos1) return; // sealed by set_stamp, which knows the number
  store_le(to + crc_at(false), body_crc({to, size}, false));
  store_le(to + 4, hop_check(to, head + m.destination.size()));
}

bool message_view::valid() const noexcept {
  if (size_ < 4 || size_ < header()) return false;
  if (names_bytes() + properties_bytes() > size_ - header()) return false;
  return load_le<std::uint32_t>(p_ + 4) == hop_check(p_, header() + length8(0));
}

bool message_view::body_intact() const noexcept {
  return load_le<std::uint32_t>(p_ + crc_at(qos1())) == body_crc({p_, size_}, qos1());
}

void message_view::seal() noexcept { store_le(p_ + 4, hop_check(p_, header() + length8(0))); }

void message_view::route(handle owner, member_index origin) noexcept {
  store_le(p_ + 8, owner.index);
  store_le(p_ + 12, owner.generation);
  store_le(p_ + 14, origin);
  seal();
}

void message_view::set_stamp(const stamp& s) noexcept {
  set_time_limit(s.deadline);
  p_[20] = static_cast<std::byte>(s.flags);
  store_le(p_ + 22, s.prev);
  store_le(p_ + 24, s.floor_back);
  store_le(p_ + 28, s.first_sent);
  if (number() != s.number) {
    store_le(p_ + 40, s.number);
    store_le(p_ + crc_at(true), body_crc({p_, size_}, true));
  }
  seal();
}

} // namespace beeline::wire
