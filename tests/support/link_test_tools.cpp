#include "tests/support/link_test_tools.hpp"

#include <stdexcept>

namespace beeline::test {
namespace {
using wire::frame_type;

std::string number(std::uint64_t n) { return std::to_string(n); }

template <class Record, class F> lines records(const_bytes payload, F&& print) {
  lines all;
  if (!wire::for_each_record<Record>(payload, [&](const Record& r) { all.push_back(print(r)); }))
    all.push_back("malformed batch");
  return all;
}
std::string print(const wire::kick& k) {
  constexpr const char* wishes[] = {"kick ", "ask ", "full ", "busy "};
  return wishes[k.wish] + text_of_handle(k.client) + " for " + std::string(k.claimant);
}
std::string print(const wire::answer_record& a) {
  return "answer " + number(a.number) + " " + std::string(name_of(a.what)) +
         (a.lane == no_member ? "" : " about " + number(a.lane)) + (a.detail ? ", receipt follows" : "");
}
std::string print(const wire::member& m) {
  return (m.joined ? "joined " : "left ") + number(m.index) + " " + std::string(m.edge_name) + "/" +
         number(m.lane_number);
}
std::string print(const wire::message_view& m) {
  return (m.qos1() ? "message " + number(m.number()) : std::string("message-qos0")) + " to " +
         text_of_handle(m.target()) + " from " + number(m.origin()) + ": " +
         std::string(as_text(m.payload()));
}
template <class M, class F> lines one(const_bytes payload, F&& print_it) {
  M m;
  return {m.get(payload) ? print_it(m) : "malformed " + std::string(wire::name_of(M::type))};
}
} // namespace

id_hash hash_of(std::string_view id, unsigned bits) { return id_hasher{test_secret().id_key(), bits}(id); }

wire::nonce nonce_of(unsigned fill) {
  wire::nonce n;
  n.fill(static_cast<std::byte>(fill));
  return n;
}

byte_vector taken_bytes(output_chain& chain) {
  byte_vector b(chain.size());
  chain.peek(0, b.data(), b.size());
  chain.clear();
  return b;
}

byte_vector taken_bytes(conn& c) {
  byte_vector b;
  iovec io[16];
  for (std::size_t n; (n = c.gather(io, 16)) != 0;) {
    std::size_t size = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const auto* p = static_cast<const std::byte*>(io[i].iov_base);
      b.insert(b.end(), p, p + io[i].iov_len);
      size += io[i].iov_len;
    }
    c.consume(size);
  }
  return b;
}

std::vector<heard_frame> split_frames(byte_vector b) {
  std::vector<heard_frame> all;
  for (std::size_t at = 0; at < b.size();) {
    wire::frame f;
    if (wire::next_frame(mutable_bytes(b).subspan(at), limits::frame_bytes_max, f) != wire::parse::done)
      throw std::runtime_error("not a row of whole, good frames");
    all.push_back({byte_vector(f.bytes.begin(), f.bytes.end())});
    at += f.bytes.size();
  }
  return all;
}

lines words(heard_frame& f) {
  const const_bytes p = f.payload();
  const std::string name(wire::name_of(f.type()));
  switch (f.type()) {
  case frame_type::message_qos0:
  case frame_type::message_qos1: return {print(f.message())};
  case frame_type::hello:
    return one<wire::hello>(
        p, [](auto& m) { return "hello " + number(m.version_min) + "-" + number(m.version); });
  case frame_type::challenge:
    return one<wire::challenge>(p, [](auto& m) { return "challenge " + number(m.version); });
  case frame_type::auth:
    return one<wire::auth>(p, [](auto& m) { return "auth " + std::string(m.edge_name); });
  case frame_type::welcome:
    return one<wire::welcome>(p, [](auto& m) { return "welcome " + number(m.index); });
  case frame_type::error: return one<wire::error>(p, [](auto& m) { return "error: " + std::string(m.text); });
  case frame_type::go_away:
    return one<wire::go_away>(p, [](auto& m) { return "go-away: " + std::string(m.text); });
  case frame_type::slot_map:
    return records<wire::slot_range>(
        p, [](auto& r) { return "slots " + number(r.first) + "-" + number(r.last); });
  case frame_type::members_seen:
    return records<wire::member>(p, [](auto& m) { return "seen " + std::string(m.edge_name); });
  case frame_type::members: return records<wire::member>(p, [](auto& m) { return print(m); });
  case frame_type::register_clients:
    return records<wire::registration>(p, [](auto& r) {
      return "register " + text_of_handle(r.client) + " " + std::string(r.id) +
             (r.since ? " since " + number(r.since) : "");
    });
  case frame_type::registered:
    return records<wire::registered_client>(p,
                                            [](auto& r) { return "registered " + text_of_handle(r.client); });
  case frame_type::unregister:
    return records<wire::unregistration>(p, [](auto& r) { return "unregister " + text_of_handle(r.client); });
  case frame_type::kick: return records<wire::kick>(p, [](auto& k) { return print(k); });
  case frame_type::identity:
    return records<wire::identity>(p, [](auto& w) {
      return "identity " + text_of_handle(w.client) + (w.same ? " is " : " is not, but ") + std::string(w.id);
    });
  case frame_type::answers: return records<wire::answer_record>(p, [](auto& a) { return print(a); });
  case frame_type::receipts:
    return records<wire::receipt_record>(p, [](auto& r) {
      static constexpr const char* kinds[] = {"received", "session ended", "expired", "rejected", "heard"};
      return "receipt " + number(r.number) + " " + kinds[static_cast<int>(r.what)] + ", " + number(r.lane);
    });
  case frame_type::floors:
    return records<wire::floor_record>(
        p, [](auto& r) { return "floor of " + number(r.origin) + " " + number(r.floor); });
  case frame_type::report:
    return one<wire::report>(p, [](auto& r) {
      return "report " + number(r.answered.count()) + ", " + number(r.answered.sum_us) + " us, at most " +
             number(r.answered.max_us);
    });
  case frame_type::in_service:
    return one<wire::in_service>(
        p, [](auto& m) { return std::string(m.complete ? "in-service" : "in-service incomplete"); });
  case frame_type::path_lost: {
    wire::lane_event e;
    return {e.get(p) ? name + " " + number(e.index) : "malformed " + name};
  }
  case frame_type::back:
  case frame_type::gone: {
    std::vector<member_index> links;
    if (!wire::get_lanes(p, links)) return {"malformed " + name};
    lines all;
    for (member_index i : links) all.push_back(name + " " + number(i));
    return all;
  }
  default: return {name};
  }
}

lines words(std::vector<heard_frame>& frames, bool with_heartbeats) {
  lines all;
  for (heard_frame& f : frames) {
    if (!with_heartbeats && (f.type() == frame_type::heartbeat || f.type() == frame_type::floors ||
                             f.type() == frame_type::report))
      continue;
    for (std::string& s : words(f)) all.push_back(std::move(s));
  }
  return all;
}

byte_vector make_frame(wire::frame_type t, std::string_view payload) {
  chunk_pool pool;
  output_chain out(pool);
  wire::frame_writer w;
  w.begin(t);
  w.put_bytes(as_bytes(payload));
  w.finish(out);
  return taken_bytes(out);
}

byte_vector make(const test_message& m) {
  wire::message_parts parts;
  parts.hash = hash_of(m.to, m.hash_bits);
  parts.destination = m.to;
  parts.sender = m.from;
  parts.channel = m.channel;
  parts.payload = as_bytes(m.payload);
  byte_vector b(wire::message_bytes(parts, m.qos1));
  wire::write_message(b.data(), parts, m.qos1, m.deadline);
  if (m.qos1)
    wire::message_view(b).set_stamp({m.number, m.prev, static_cast<std::uint32_t>(m.number - m.floor),
                                     m.deadline, m.first_sent, m.flags});
  return b;
}

std::vector<heard_frame> sample_frames() {
  std::vector<heard_frame> all;
  const auto add = [&](byte_vector b) { all.push_back({std::move(b)}); };
  add(make(wire::hello{}));
  add(make(wire::challenge{}));
  wire::auth who;
  who.edge_name = "edge-1";
  add(make(who));
  wire::welcome w;
  w.index = 3;
  add(make(w));
  add(make(wire::error{wire::error_code::limit, "too much"}));
  add(make(wire::go_away{0, "bye"}));
  add(make(wire::heartbeat{1, 2, 3, 4}));
  add(make_batch<wire::slot_range>(frame_type::slot_map, {{0, 4095, 1900, "router"}}));
  add(make_batch<wire::member>(frame_type::members,
                               {{1, 1, lane_id{9}, 0, "edge-1"}, {2, 0, lane_id{8}, 1, "edge-2"}}));
  add(make_batch<wire::member>(frame_type::members_seen, {{1, 1, lane_id{9}, 0, "edge-1"}}));
  histogram answered;
  answered.record_us(100), answered.record_us(300), answered.record_us(300);
  add(make(wire::report{answered.snapshot()}));
  add(make_batch<wire::registration>(frame_type::register_clients,
                                     {{{1, 2}, 3, 4, "ann"}, {{5, 6}, 7, 8, "bob"}}));
  add(make_batch<wire::registered_client>(frame_type::registered, {{{1, 2}, 3}}));
  add(make_batch<wire::unregistration>(frame_type::unregister, {{1, {2, 3}}}));
  add(make_frame(frame_type::in_sync));
  add(make_batch<wire::kick>(frame_type::kick, {{1, {2, 3}, 0, "ann"}}));
  add(make_batch<wire::identity>(frame_type::identity, {{1, {2, 3}, 1, "ann"}}));
  add(make_batch<wire::answer_record>(frame_type::answers,
                                      {{1, 2, answer::accepted, 0}, {2, 2, answer::busy, 0}}));
  add(make_event(frame_type::path_lost, 1));
  add(make(wire::in_service{5, 1}));
  add(make_event(frame_type::back, 1));
  add(make_event(frame_type::gone, 1));
  add(make_batch<wire::receipt_record>(frame_type::receipts, {{7, 1, wire::receipt::session_ended}}));
  add(make_batch<wire::floor_record>(frame_type::floors, {{1, 77}}));
  test_message m;
  m.channel = "chat";
  m.qos1 = false;
  add(make(m));
  m.qos1 = true;
  add(make(m));
  return all;
}

} // namespace beeline::test
