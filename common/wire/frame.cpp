#include "common/wire/frame.hpp"

#include "common/base/check.hpp"
#include "common/base/crc32c.hpp"
#include "common/wire/message.hpp"

namespace beeline::wire {

std::string_view name_of(frame_type t) noexcept {
  switch (t) {
  case frame_type::hello: return "hello";
  case frame_type::challenge: return "challenge";
  case frame_type::auth: return "auth";
  case frame_type::welcome: return "welcome";
  case frame_type::error: return "error";
  case frame_type::go_away: return "go-away";
  case frame_type::heartbeat: return "heartbeat";
  case frame_type::slot_map: return "slot-map";
  case frame_type::members: return "members";
  case frame_type::members_seen: return "members-seen";
  case frame_type::report: return "report";
  case frame_type::register_clients: return "register";
  case frame_type::registered: return "registered";
  case frame_type::unregister: return "unregister";
  case frame_type::in_sync: return "in-sync";
  case frame_type::kick: return "kick";
  case frame_type::identity: return "identity";
  case frame_type::answers: return "answers";
  case frame_type::path_lost: return "path-lost";
  case frame_type::in_service: return "in-service";
  case frame_type::back: return "back";
  case frame_type::gone: return "gone";
  case frame_type::floors: return "floors";
  case frame_type::receipts: return "receipts";
  case frame_type::message_qos0: return "message-qos0";
  case frame_type::message_qos1: return "message-qos1";
  }
  return {};
}

namespace {
std::uint32_t control_check(const_bytes f) noexcept { return crc32c(f.subspan(8), crc32c(f.first(4))); }
} // namespace

parse next_frame(mutable_bytes in, std::size_t frame_max, frame& out) noexcept {
  if (in.size() < 4) return parse::need_more;
  const std::size_t length = load_u24(in.data());
  const auto type = static_cast<frame_type>(in[3]);
  if (length < header_bytes || length > frame_max) return parse::malformed;
  if (name_of(type).empty()) return parse::malformed;
  if (in.size() < length) return parse::need_more;
  out.type = type;
  out.bytes = in.first(length);
  if (type == frame_type::message_qos0 || type == frame_type::message_qos1)
    return message_view(out.bytes).valid() ? parse::done : parse::malformed;
  return load_le<std::uint32_t>(in.data() + 4) == control_check(out.bytes) ? parse::done : parse::malformed;
}

void frame_writer::begin(frame_type t) {
  buffer_.assign(header_bytes, std::byte{0});
  buffer_[3] = static_cast<std::byte>(t);
}

frame_writer& frame_writer::put_text8(std::string_view s) {
  s = s.substr(0, 255);
  put(static_cast<std::uint8_t>(s.size()));
  return put_bytes(as_bytes(s));
}

void frame_writer::finish(output_chain& to) {
  CHECK_INVARIANT(buffer_.size() >= header_bytes && buffer_.size() <= limits::frame_bytes_max);
  store_u24(buffer_.data(), static_cast<std::uint32_t>(buffer_.size()));
  store_le(buffer_.data() + 4, control_check(buffer_));
  to.append(buffer_);
  buffer_.clear();
}

} // namespace beeline::wire
