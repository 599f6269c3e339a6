#include "edge-server/mqtt/message_properties.hpp"

namespace beeline::mqtt {
namespace {

// Takes the property if it ends at this hop: then it is cut out of what is forwarded.
bool taken_here(const property_value& v, message_properties& out, hop_properties& hop) noexcept {
  switch (v.id) {
  case property::topic_alias: hop.topic_alias = static_cast<std::uint16_t>(v.number); return true;
  case property::will_delay_interval: hop.will_delay = v.number; return true;
  case property::message_expiry_interval:
    if (v.number > counted_expiry_max) return false; // it says the same when it arrives
    out.message_expiry = v.number;
    return true;
  default: return false;
  }
}

void note_forwarded(const property_value& v, message_properties& out) noexcept {
  switch (v.id) {
  case property::payload_format_indicator: out.payload_is_utf8 = v.number == 1; break;
  case property::content_type: out.content_type = v.text; break;
  case property::response_topic: out.response_topic = v.text; break;
  case property::correlation_data: out.correlation_data = as_bytes(v.text); break;
  case property::user_property:
    out.user_property_bytes += v.raw.size();
    ++out.user_properties;
    if (v.text == "ack") out.ack = v.value;
    else if (v.text == "deadline-ms") out.deadline_ms = v.value;
    break;
  default: break;
  }
}

// Lengthens the last part if the property follows it at once. Three ids can be cut out, each once,
// so there are never more than four parts.
void forward(const_bytes raw, message_properties& out) noexcept {
  out.forward_bytes += raw.size();
  if (out.forward_count) {
    const_bytes& last = out.forward_parts[out.forward_count - 1];
    if (last.data() + last.size() == raw.data()) {
      last = {last.data(), last.size() + raw.size()};
      return;
    }
  }
  out.forward_parts[out.forward_count++] = raw;
}

} // namespace

reason decode_message_properties(const_bytes block, property_scope where, sender from,
                                 message_properties& out, hop_properties& hop) noexcept {
  property_walk walk(block, where, from);
  for (property_value v; walk.next(v);) {
    if (taken_here(v, out, hop)) continue;
    note_forwarded(v, out);
    forward(v.raw, out);
  }
  return walk.error();
}

} // namespace beeline::mqtt
