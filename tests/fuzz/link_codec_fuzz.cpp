// CAT-6, CAT-27, CAT-58: frames of the link protocol, bytes to fields and back.
//
// What must hold: what a decoder takes, its encoder writes again byte for byte; a payload that ends early is
// malformed and never read beyond; a good frame cut anywhere is need_more, and with a byte changed it is no
// good frame; whatever bytes ids, channels, properties and payloads have, they come out as they went in;
// lengths that say 2^31 or the most there is are malformed.
#include "common/base/crc32c.hpp"
#include "common/wire/message.hpp"
#include "common/wire/messages.hpp"
#include "common/wire/properties.hpp"
#include "tests/fuzz/fuzz_input.hpp"
#include "tests/support/mqtt_test_tools.hpp"

using namespace beeline;
using test::exact_bytes;
using wire::frame_type;

namespace {

mutable_bytes writable(const exact_bytes& b) {
  return {const_cast<std::byte*>(b.view().data()), b.view().size()};
}
std::string framed(frame_type t, std::string_view payload) {
  chunk_pool pool;
  output_chain out(pool);
  wire::frame_writer w;
  w.begin(t);
  w.put_bytes(as_bytes(payload));
  w.finish(out);
  return test::taken(out);
}
wire::parse parsed(const exact_bytes& b, wire::frame& f) {
  return wire::next_frame(writable(b), limits::frame_bytes_max, f);
}

// --- payloads ------------------------------------------------------------------------------------

template <class M> std::string written(const M& m) {
  wire::frame_writer w;
  w.begin(frame_type::hello);
  m.put(w);
  return std::string(as_text(w.payload()));
}

template <class M> bool one(std::string_view payload, std::size_t open_end = SIZE_MAX) {
  const exact_bytes memory(payload);
  M m;
  if (!m.get(memory.view())) return false;
  const std::string again = written(m);
  if (open_end == SIZE_MAX) MUST_HOLD(again == payload);
  else MUST_HOLD(payload.starts_with(again));
  for (std::size_t n = 0; n < again.size(); ++n) {
    const exact_bytes cut(payload.substr(0, n));
    M x;
    MUST_HOLD(!x.get(cut.view()));
  }
  return true;
}

template <class Record> bool batch(std::string_view payload) {
  const exact_bytes memory(payload);
  std::string again;
  const bool good =
      wire::for_each_record<Record>(memory.view(), [&](const Record& r) { again += written(r); });
  if (!good) return false;
  MUST_HOLD(again == payload.substr(2));
  const std::size_t step = payload.size() / 64 + 1;
  for (std::size_t n = 0; n < payload.size(); n += step) {
    const exact_bytes cut(payload.substr(0, n));
    MUST_HOLD(!wire::for_each_record<Record>(cut.view(), [](const Record&) {}));
  }
  return true;
}

bool lanes(std::string_view payload) {
  const exact_bytes memory(payload);
  std::vector<member_index> links;
  if (!wire::get_lanes(memory.view(), links)) return false;
  chunk_pool pool;
  output_chain out(pool);
  wire::frame_writer w;
  wire::send_lanes(w, out, frame_type::gone, links);
  if (payload.size() < limits::control_batch_bytes)
    MUST_HOLD(test::taken(out).substr(wire::header_bytes) == payload);
  return true;
}

bool payload_of(frame_type t, std::string_view p) {
  switch (t) {
  case frame_type::hello: return one<wire::hello>(p, 0); // a newer one may be longer
  case frame_type::challenge: return one<wire::challenge>(p);
  case frame_type::auth: return one<wire::auth>(p);
  case frame_type::welcome: return one<wire::welcome>(p);
  case frame_type::error: return one<wire::error>(p);
  case frame_type::go_away: return one<wire::go_away>(p);
  case frame_type::heartbeat: return one<wire::heartbeat>(p);
  case frame_type::report: return one<wire::report>(p);
  case frame_type::path_lost: return one<wire::lane_event>(p);
  case frame_type::in_service: return one<wire::in_service>(p);
  case frame_type::slot_map: return batch<wire::slot_range>(p);
  case frame_type::members:
  case frame_type::members_seen: return batch<wire::member>(p);
  case frame_type::register_clients: return batch<wire::registration>(p);
  case frame_type::registered: return batch<wire::registered_client>(p);
  case frame_type::unregister: return batch<wire::unregistration>(p);
  case frame_type::kick: return batch<wire::kick>(p);
  case frame_type::identity: return batch<wire::identity>(p);
  case frame_type::answers: return batch<wire::answer_record>(p);
  case frame_type::receipts: return batch<wire::receipt_record>(p);
  case frame_type::floors: return batch<wire::floor_record>(p);
  case frame_type::back:
  case frame_type::gone: return lanes(p);
  case frame_type::in_sync:
  case frame_type::message_qos0:
  case frame_type::message_qos1: return false;
  }
  return false;
}

// --- frames --------------------------------------------------------------------------------------

void cut_anywhere(std::string_view frame) {
  const std::size_t step = frame.size() / 128 + 1;
  for (std::size_t n = 0; n < frame.size(); n += n < 80 ? 1 : step) {
    const exact_bytes cut(frame.substr(0, n));
    wire::frame f{};
    MUST_HOLD(parsed(cut, f) == wire::parse::need_more);
  }
  const exact_bytes whole(frame);
  wire::frame f{};
  MUST_HOLD(wire::next_frame(writable(whole), frame.size() - 1, f) == wire::parse::malformed);
}

// A control frame with a byte changed behind its length, which moves what is checked.
void change_a_byte(std::string frame, fuzz::input& in) {
  const std::size_t at = 3 + in.two() % (frame.size() - 3);
  frame[at] = static_cast<char>(frame[at] ^ (in.byte() | 1));
  wire::frame f{};
  MUST_HOLD(parsed(exact_bytes(frame), f) == wire::parse::malformed);
}

void control(fuzz::input& in) {
  const auto t = static_cast<frame_type>(in.byte());
  if (wire::name_of(t).empty() || t == frame_type::message_qos0 || t == frame_type::message_qos1) return;
  const std::string_view payload = in.text(in.two());
  payload_of(t, payload);
  const std::string frame = framed(t, payload);
  const exact_bytes memory(frame);
  wire::frame f{};
  MUST_HOLD(parsed(memory, f) == wire::parse::done);
  MUST_HOLD(f.type == t && as_text(f.payload()) == payload);
  cut_anywhere(frame);
  change_a_byte(frame, in);
}

// Records from fields, by the encoders; what they write the decoders take.
void from_fields(fuzz::input& in) {
  const auto id = [&] { return in.text(1 + in.byte() % limits::client_id_bytes_max); };
  const auto name = [&] { return in.text(in.byte() % (limits::edge_name_bytes_max + 1)); };
  const auto number32 = [&] { return static_cast<std::uint32_t>(in.number()); };
  const auto some_handle = [&] { return handle{number32(), in.two()}; };
  chunk_pool pool;
  output_chain out(pool);
  const auto records = [&](frame_type t, auto record) {
    wire::batch_writer b(t);
    for (unsigned n = in.byte(); n; --n) record().put(b.next(out));
    b.flush(out);
  };
  const auto single = [&](const auto& m) {
    wire::frame_writer w;
    wire::send(w, out, m);
  };
  switch (in.byte() % 14) {
  case 0:
    records(frame_type::register_clients, [&] {
      return wire::registration{some_handle(), in.number(), in.number(), id()};
    });
    break;
  case 1:
    records(frame_type::unregister, [&] { return wire::unregistration{in.number(), some_handle()}; });
    break;
  case 2:
    records(frame_type::kick, [&] { return wire::kick{in.number(), some_handle(), in.byte(), id()}; });
    break;
  case 3:
    records(frame_type::identity, [&] {
      return wire::identity{in.number(), some_handle(), in.byte(), id()};
    });
    break;
  case 4:
    if (in.byte() & 1)
      records(frame_type::receipts, [&] {
        return wire::receipt_record{number32(), in.two(),
                                    static_cast<wire::receipt>(in.byte() % wire::receipt_count)};
      });
    else
      records(frame_type::answers, [&] {
        return wire::answer_record{number32(), in.two(), static_cast<answer>(in.byte() % answer_count),
                                   static_cast<std::uint8_t>(in.byte() & 1)};
      });
    break;
  case 5: records(frame_type::floors, [&] { return wire::floor_record{in.two(), in.number()}; }); break;
  case 6:
    records(frame_type::members, [&] {
      return wire::member{in.two(), in.byte(), lane_id{in.number()}, in.two(), name()};
    });
    break;
  case 7:
    records(frame_type::registered, [&] { return wire::registered_client{some_handle(), in.number()}; });
    break;
  case 8: {
    histogram h;
    for (unsigned n = 1 + in.byte() % 32; n; --n) h.record_us(in.number());
    single(wire::report{h.snapshot()});
    break;
  }
  case 9: single(wire::heartbeat{in.number(), in.number(), number32(), in.number()}); break;
  case 10: single(wire::go_away{in.byte(), in.text(in.byte())}); break;
  case 11: single(wire::error{static_cast<wire::error_code>(in.two()), in.text(in.byte())}); break;
  case 12: single(wire::in_service{in.number(), in.byte()}); break;
  default: {
    std::vector<member_index> links(1 + in.byte());
    for (member_index& i : links) i = in.two();
    wire::frame_writer w;
    wire::send_lanes(w, out, frame_type::back, links, in.byte() & 1 ? 1 : 2);
  }
  }
  const std::string bytes = test::taken(out);
  for (std::string_view left = bytes; !left.empty();) {
    const exact_bytes memory(left);
    wire::frame f{};
    MUST_HOLD(parsed(memory, f) == wire::parse::done);
    // An id from the end of the input may be empty, which no decoder takes.
    MUST_HOLD(payload_of(f.type, as_text(f.payload())) || in.empty());
    left.remove_prefix(f.bytes.size());
  }
}

// --- messages ------------------------------------------------------------------------------------

struct made_message {
  std::string bytes;
  wire::message_parts parts;
  wire::message_view::stamp stamp;
  bool qos1;
  std::uint32_t deadline = 0;
  std::size_t head() const { return qos1 ? wire::message_header_qos1 : wire::message_header_qos0; }
};

made_message make_message(fuzz::input& in, const_bytes (&properties)[2]) {
  made_message m;
  m.qos1 = in.byte() & 1;
  m.parts.destination = in.text(in.byte());
  m.parts.sender = in.text(in.byte());
  m.parts.channel = in.text(in.two() % 2048);
  properties[0] = as_bytes(in.text(in.byte())), properties[1] = as_bytes(in.text(in.byte()));
  m.parts.properties = properties;
  m.parts.payload = as_bytes(in.text(in.two()));
  m.parts.hash = in.number();
  m.deadline = static_cast<std::uint32_t>(in.number());
  m.bytes.resize(wire::message_bytes(m.parts, m.qos1));
  const mutable_bytes frame{reinterpret_cast<std::byte*>(m.bytes.data()), m.bytes.size()};
  wire::write_message(frame.data(), m.parts, m.qos1, m.deadline);
  if (m.qos1) {
    m.stamp = {in.number() | 1, in.two(),    static_cast<std::uint32_t>(in.number()),
               m.deadline,      in.number(), in.byte()};
    wire::message_view(frame).set_stamp(m.stamp);
  }
  return m;
}

void comes_out_as_it_went_in(const made_message& made, handle owner, member_index origin) {
  const exact_bytes memory(made.bytes);
  wire::frame f{};
  MUST_HOLD(parsed(memory, f) == wire::parse::done);
  wire::message_view m(f.bytes);
  MUST_HOLD(m.valid() && m.body_intact());
  m.route(owner, origin);
  MUST_HOLD(m.valid() && m.body_intact() && m.target() == owner && m.origin() == origin);
  MUST_HOLD(m.qos1() == made.qos1 && m.hash() == made.parts.hash && m.deadline() == made.deadline);
  MUST_HOLD(m.destination() == made.parts.destination && m.sender() == made.parts.sender);
  MUST_HOLD(m.channel() == made.parts.channel && as_text(m.payload()) == as_text(made.parts.payload));
  std::string properties;
  for (const_bytes p : made.parts.properties) properties += as_text(p);
  MUST_HOLD(as_text(m.properties()) == properties);
  const exact_bytes block(properties); // libbeeline reads them from whoever sent them
  std::size_t at = 0;
  for (wire::property_record r; wire::next_property(block.view(), at, r);) MUST_HOLD(at <= properties.size());
  if (!made.qos1) return;
  MUST_HOLD(m.number() == made.stamp.number && m.prev() == made.stamp.prev && m.flags() == made.stamp.flags);
  MUST_HOLD(m.floor_back() == made.stamp.floor_back && m.first_sent() == made.stamp.first_sent);
}

// The hop's check, made anew over what it covers when the lengths are believed as far as the frame goes.
void seal(std::string& bytes, std::size_t head) {
  const std::size_t covered = std::min(bytes.size(), head + static_cast<unsigned char>(bytes[head - 8]));
  const const_bytes b = as_bytes(bytes);
  store_le(bytes.data() + 4, crc32c(b.subspan(8, covered - 8), crc32c(b.first(4))));
}

void lengths_that_lie(const made_message& made) {
  const std::size_t head = made.head();
  const std::size_t body = made.bytes.size() - head;
  const auto with = [&](std::size_t at, auto value) {
    std::string bytes = made.bytes;
    store_le(bytes.data() + at, value);
    seal(bytes, head);
    const exact_bytes memory(bytes);
    wire::frame f{};
    const auto* p = reinterpret_cast<const unsigned char*>(bytes.data()) + head - 8;
    const std::uint64_t claimed =
        std::uint64_t{p[0]} + p[1] + load_le<std::uint16_t>(p + 2) + load_le<std::uint32_t>(p + 4);
    MUST_HOLD((parsed(memory, f) == wire::parse::done) == (claimed <= body));
  };
  for (const std::uint32_t n : {0x7fffffffu, 0x80000000u, 0x80000001u, 0xffffffffu, 0u}) with(head - 4, n);
  for (const std::uint16_t n : {0x7fff, 0x8000, 0xffff, 0}) with(head - 6, n);
  for (const std::uint8_t n : {0x7f, 0x80, 0xff, 0}) with(head - 8, n), with(head - 7, n);
}

void message(fuzz::input& in) {
  const_bytes properties[2];
  made_message m = make_message(in, properties);
  const handle owner{static_cast<std::uint32_t>(in.number()), in.two()};
  comes_out_as_it_went_in(m, owner, in.two());
  cut_anywhere(m.bytes);
  lengths_that_lie(m);
  // One changed byte is seen by the shard or, at the latest, by the owner. (Not one of the frame's length or
  // type, nor the destination's length: they move what is checked.)
  std::size_t at = 4 + in.two() % (m.bytes.size() - 4);
  if (at == m.head() - 8) ++at;
  m.bytes[at] = static_cast<char>(m.bytes[at] ^ (in.byte() | 1));
  const exact_bytes memory(m.bytes);
  wire::frame f{};
  if (parsed(memory, f) == wire::parse::done) MUST_HOLD(!wire::message_view(f.bytes).body_intact());
}

// Frames as they come, through to their fields.
void stream(std::string_view bytes) {
  const exact_bytes memory(bytes);
  for (mutable_bytes left = writable(memory); !left.empty();) {
    wire::frame f{};
    if (wire::next_frame(left, limits::frame_bytes_max, f) != wire::parse::done) return;
    payload_of(f.type, as_text(f.payload()));
    left = left.subspan(f.bytes.size());
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::input in(data, size);
  switch (in.byte() % 4) {
  case 0: stream(in.text(in.left())); break;
  case 1: control(in); break;
  case 2: from_fields(in); break;
  default: message(in);
  }
  return 0;
}
