// The records of the control frames and the message frame: round trips, and decoders cut at every byte.
#include "tests/support/link_test_tools.hpp"

#include <catch2/catch.hpp>
#include <numeric>
#include <optional>

using namespace beeline;
using namespace beeline::test;
using wire::frame_type;

namespace {

template <class M> byte_vector payload_of(const M& m) {
  const byte_vector f = make(m);
  return byte_vector(f.begin() + wire::header_bytes, f.end());
}
template <class Record> byte_vector record_bytes(const Record& r) {
  const byte_vector f = make_batch<Record>(frame_type::members, {r});
  return byte_vector(f.begin() + wire::header_bytes + 2, f.end());
}
// Encodes, decodes and encodes again; and the decoder refuses every shorter and a longer payload.
template <class M> M through(const M& m, bool may_be_longer = false) {
  static byte_vector bytes; // views in the result live here
  bytes = payload_of(m);
  M got;
  REQUIRE(got.get(bytes));
  CHECK(payload_of(got) == bytes);
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    const byte_vector exact(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    M cut;
    CHECK_FALSE(cut.get(exact));
  }
  byte_vector longer = bytes;
  longer.push_back(std::byte{0});
  M more;
  CHECK(more.get(longer) == may_be_longer);
  return got;
}
template <class Record> Record record_through(const Record& r) {
  static byte_vector bytes;
  bytes = record_bytes(r);
  Record got;
  byte_reader in(bytes);
  REQUIRE(got.get(in));
  CHECK(in.done());
  CHECK(record_bytes(got) == bytes);
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    const byte_vector exact(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    Record cut;
    byte_reader short_in(exact);
    CHECK_FALSE(cut.get(short_in));
  }
  return got;
}
template <class Record> bool decodes(const Record& r) {
  const byte_vector b = record_bytes(r);
  Record got;
  byte_reader in(b);
  return got.get(in);
}
std::string all_bytes() {
  std::string s;
  for (int c = 0; c < 256; ++c) s += static_cast<char>(c);
  return s;
}

} // namespace

TEST_CASE("wire_messages: handshake records survive the round trip and refuse every cut") {
  wire::hello h;
  h.version = 7, h.version_min = 3, h.lane_nonce = nonce_of(9);
  const auto hello = through(h, true); // a newer hello may say more
  CHECK(hello.version == 7);
  CHECK(hello.version_min == 3);
  CHECK(hello.lane_nonce == nonce_of(9));
  const auto challenge = through(wire::challenge{1, nonce_of(4), 99});
  CHECK(challenge.shard_life == 99);
  CHECK(challenge.shard_nonce == nonce_of(4));
  const auto auth = through(wire::auth{nonce_of(1), lane_id{5}, 2, 4, 10, 11, "edge-1"});
  CHECK(auth.lane == lane_id{5});
  CHECK(auth.lane_number == 2);
  CHECK(auth.lanes == 4);
  CHECK(auth.lane_clock == 10);
  CHECK(auth.last_shard_time == 11);
  CHECK(auth.edge_name == "edge-1");
  const auto welcome = through(wire::welcome{nonce_of(2), 6, 7, 1, 2, 1});
  CHECK(welcome.index == 6);
  CHECK(welcome.shard_time == 7);
  CHECK(welcome.shard_number == 1);
  CHECK(welcome.shards == 2);
  CHECK(welcome.warming_up == 1);
}

TEST_CASE("wire_messages: link records survive the round trip and refuse every cut") {
  const auto e = through(wire::error{wire::error_code::limit, "too many"});
  CHECK(e.code == wire::error_code::limit);
  CHECK(e.text == "too many");
  const auto g = through(wire::go_away{0, "bye"});
  CHECK(g.for_good == 0);
  CHECK(g.text == "bye");
  const auto h = through(wire::heartbeat{1, 2, 3, ~0ull});
  CHECK(h.sent_at == 1);
  CHECK(h.echo == 2);
  CHECK(h.held_us == 3);
  CHECK(h.value == ~0ull);
  const auto s = through(wire::in_service{12, 0});
  CHECK(s.shard_time == 12);
  CHECK(s.complete == 0);
  const byte_vector f = make_event(frame_type::path_lost, 0x1234);
  wire::lane_event got;
  CHECK(got.get(const_bytes(f).subspan(8)));
  CHECK(got.index == 0x1234);
  CHECK_FALSE(got.get(const_bytes(f).subspan(8, 1)));
  CHECK_FALSE(got.get(const_bytes(f).subspan(7)));
}

TEST_CASE("wire_messages: a list of lanes has one or more, is cut into frames, and refuses half a lane") {
  const auto lanes_of = [](const_bytes payload) {
    std::vector<member_index> all;
    CHECK(wire::get_lanes(payload, all));
    return all;
  };
  const byte_vector one = make_event(frame_type::gone, 0x1234);
  CHECK(lanes_of(const_bytes(one).subspan(8)) == std::vector<member_index>{0x1234});
  std::vector<member_index> none;
  CHECK_FALSE(wire::get_lanes({}, none));
  CHECK_FALSE(wire::get_lanes(const_bytes(one).subspan(8, 1), none));
  CHECK_FALSE(wire::get_lanes(const_bytes(one).subspan(7), none));

  std::vector<member_index> many(limits::members_max);
  std::iota(many.begin(), many.end(), member_index{0});
  chunk_pool pool;
  output_chain out(pool);
  wire::frame_writer w;
  wire::send_lanes(w, out, frame_type::back, {});
  CHECK(out.empty());
  wire::send_lanes(w, out, frame_type::back, many);
  std::vector<member_index> got;
  for (const heard_frame& f : split_frames(taken_bytes(out))) {
    CHECK(f.bytes.size() <= limits::control_batch_bytes + wire::header_bytes);
    CHECK(wire::get_lanes(f.payload(), got));
  }
  CHECK(got == many);
}

namespace {
struct pair {
  std::uint8_t bucket;
  std::uint64_t count;
};
// A report as bytes, whatever it says.
byte_vector report_of(std::uint64_t sum, std::uint32_t max, const std::vector<pair>& pairs,
                      std::optional<std::uint16_t> count = {}) {
  wire::frame_writer w;
  w.begin(frame_type::report);
  w.put(sum).put(max).put(count.value_or(static_cast<std::uint16_t>(pairs.size())));
  for (const pair& p : pairs) w.put(p.bucket).put(p.count);
  return byte_vector(w.payload().begin(), w.payload().end());
}
bool is_report(const byte_vector& payload) { return wire::report{}.get(payload); }
} // namespace

TEST_CASE("wire_messages: a report survives the round trip and refuses every cut") {
  histogram h;
  for (const std::uint64_t us : {0, 5, 300, 300, 134'217'727}) h.record_us(us);
  const wire::report r = through(wire::report{h.snapshot()});
  CHECK(r.answered.counts == h.snapshot().counts);
  CHECK(r.answered.sum_us == 134'218'332);
  CHECK(r.answered.max_us == 134'217'727);
  histogram all; // of every bucket one: the longest report
  for (std::size_t i = 0; i < histogram_shape::buckets; ++i) all.record_us(histogram_shape::last_of(i));
  CHECK(through(wire::report{all.snapshot()}).answered.count() == 200);
  CHECK(make(wire::report{all.snapshot()}).size() == 1822);
}

TEST_CASE("wire_messages: a report that cannot be true is malformed") {
  const std::uint64_t most = limits::report_messages_max;
  CHECK(is_report(report_of(900, 301, {{20, 1}, {49, 2}})));
  CHECK_FALSE(is_report(report_of(0, 0, {}))); // nothing to say
  CHECK_FALSE(is_report(report_of(900, 301, {{49, 2}, {20, 1}})));
  CHECK_FALSE(is_report(report_of(900, 301, {{49, 1}, {49, 2}})));
  CHECK_FALSE(is_report(report_of(900, 301, {{20, 0}, {49, 2}})));
  CHECK_FALSE(is_report(report_of(900, 301, {{20, 1}, {200, 2}})));
  CHECK_FALSE(is_report(report_of(900, 301, {{20, 1}, {49, 2}}, 3)));
  CHECK_FALSE(is_report(report_of(900, 301, {{20, 1}, {49, 2}}, 1)));
  CHECK_FALSE(is_report(report_of(900, 301, {{20, 1}, {49, 2}}, 0xffff)));
  CHECK(is_report(report_of(903, 301, {{20, 1}, {49, 2}})));
  CHECK_FALSE(is_report(report_of(904, 301, {{20, 1}, {49, 2}}))); // a mean above the greatest
  CHECK_FALSE(is_report(report_of(900, 350, {{20, 1}, {49, 2}}))); // a greatest of another bucket
  CHECK(is_report(report_of(0, 0, {{0, 5}})));
  CHECK_FALSE(is_report(report_of(1, 0, {{0, 5}})));
  CHECK_FALSE(is_report(report_of(0, 134'217'728, {{199, 1}})));
  CHECK_FALSE(is_report(report_of(0, ~std::uint32_t{0}, {{199, 1}})));
  CHECK(is_report(report_of(~std::uint64_t{0} / 2, 134'217'727, {{199, most}})));
  CHECK_FALSE(is_report(report_of(0, 134'217'727, {{199, most + 1}})));
  CHECK_FALSE(is_report(report_of(0, 134'217'727, {{198, most}, {199, 1}})));
  CHECK_FALSE(is_report(report_of(0, 134'217'727, {{198, 1}, {199, ~std::uint64_t{0}}})));
}

TEST_CASE("wire_messages: batch records survive the round trip and refuse every cut") {
  const auto r = record_through(wire::slot_range{5, 4095, 1900, "router"});
  CHECK(r.first == 5);
  CHECK(r.last == 4095);
  CHECK(r.port == 1900);
  CHECK(r.host == "router");
  const auto m = record_through(wire::member{7, 0, lane_id{8}, 9, "edge-1"});
  CHECK(m.index == 7);
  CHECK(m.joined == 0);
  CHECK(m.lane == lane_id{8});
  CHECK(m.lane_number == 9);
  CHECK(m.edge_name == "edge-1");
  const auto reg = record_through(wire::registration{{1, 2}, 3, 4, "ann"});
  CHECK(reg.client == handle{1, 2});
  CHECK(reg.connected_at == 3);
  CHECK(reg.since == 4);
  CHECK(reg.id == "ann");
  const auto done = record_through(wire::registered_client{{1, 2}, 3});
  CHECK(done.client == handle{1, 2});
  CHECK(done.since == 3);
  const auto un = record_through(wire::unregistration{9, {1, 2}});
  CHECK(un.hash == 9);
  CHECK(un.client == handle{1, 2});
  const auto k = record_through(wire::kick{9, {1, 2}, 1, "ann"});
  CHECK(k.hash == 9);
  CHECK(k.client == handle{1, 2});
  CHECK(k.wish == wire::kick::ask);
  CHECK(k.claimant == "ann");
  const auto i = record_through(wire::identity{9, {1, 2}, 1, "ann"});
  CHECK(i.hash == 9);
  CHECK(i.client == handle{1, 2});
  CHECK(i.same == 1);
  CHECK(i.id == "ann");
  const auto a = record_through(wire::answer_record{0xfedcba98, 7, answer::later_lane, 1});
  CHECK(a.number == 0xfedcba98);
  CHECK(a.lane == 7);
  CHECK(a.what == answer::later_lane);
  CHECK(a.detail == 1);
  CHECK(record_bytes(a).size() == 8);
  CHECK_FALSE(decodes(wire::answer_record{1, 7, answer::accepted, 2}));
  const auto said = record_through(wire::receipt_record{0xfedcba98, 7, wire::receipt::heard});
  CHECK(said.number == 0xfedcba98);
  CHECK(said.lane == 7);
  CHECK(said.what == wire::receipt::heard);
  CHECK(record_bytes(said).size() == 8);
  CHECK_FALSE(decodes(wire::receipt_record{1, 7, static_cast<wire::receipt>(5)}));
  CHECK_FALSE(decodes(wire::receipt_record{1, 7, wire::receipt::heard, 1}));
  const auto f = record_through(wire::floor_record{3, 1ull << 40});
  CHECK(f.origin == 3);
  CHECK(f.floor == 1ull << 40);
}

TEST_CASE("wire_messages: a batch whose count and records disagree is malformed") {
  const auto ok = [](std::string_view payload) {
    return wire::for_each_record<wire::floor_record>(as_bytes(payload), [](const auto&) {});
  };
  const std::string record(10, 'x');
  CHECK_FALSE(ok(""));
  CHECK_FALSE(ok(std::string(1, '\0')));
  CHECK(ok(std::string(2, '\0')));
  CHECK(ok(std::string("\1\0", 2) + record));
  CHECK_FALSE(ok(std::string("\1\0", 2) + record + "y"));
  CHECK_FALSE(ok(std::string("\2\0", 2) + record));
  CHECK_FALSE(ok(std::string("\xff\xff", 2) + record));
}

TEST_CASE("wire_messages: values beyond their limits are refused") {
  CHECK(decodes(wire::registration{{}, 0, 0, std::string(128, 'a')}));
  CHECK_FALSE(decodes(wire::registration{{}, 0, 0, std::string(129, 'a')}));
  CHECK_FALSE(decodes(wire::registration{{}, 0, 0, ""}));
  CHECK_FALSE(decodes(wire::kick{0, {}, 0, ""}));
  CHECK_FALSE(decodes(wire::identity{0, {}, 0, std::string(200, 'a')}));
  CHECK_FALSE(decodes(wire::slot_range{5, 4, 1, ""}));
  CHECK_FALSE(decodes(wire::slot_range{0, 4096, 1, ""}));
  CHECK_FALSE(decodes(wire::slot_range{0, 1, 0, ""}));
  CHECK_FALSE(decodes(wire::member{0, 1, {}, 0, std::string(65, 'e')}));
  CHECK_FALSE(decodes(wire::answer_record{1, 1, static_cast<answer>(answer_count), 0}));
  wire::auth a;
  CHECK_FALSE(wire::auth{}.get(payload_of(a))); // no name
  a.edge_name = "e";
  CHECK(wire::auth{}.get(payload_of(a)));
  a.lane_number = 1;
  CHECK_FALSE(wire::auth{}.get(payload_of(a))); // of one lane, the second
  a.lanes = limits::lanes_max + 1;
  CHECK_FALSE(wire::auth{}.get(payload_of(a)));
  wire::welcome w;
  CHECK_FALSE(wire::welcome{}.get(payload_of(w))); // no index
  w.index = 0, w.shard_number = 1;
  CHECK_FALSE(wire::welcome{}.get(payload_of(w)));
}

TEST_CASE("wire_messages: any byte survives in ids, channel, properties and payload (CAT-27)") {
  const std::string all = all_bytes();
  const std::string low = all.substr(0, 128), high = all.substr(128);
  for (bool qos1 : {false, true}) {
    const const_bytes pieces[] = {as_bytes(low), as_bytes(all), as_bytes(high)};
    wire::message_parts p;
    p.hash = 0x1122334455667788;
    p.destination = low, p.sender = high, p.channel = all, p.properties = pieces, p.payload = as_bytes(all);
    byte_vector b(wire::message_bytes(p, qos1));
    wire::write_message(b.data(), p, qos1, 5000);
    wire::message_view m(b);
    if (qos1) m.set_stamp({7, 2, 3, 4000, 99, wire::flag_again});
    wire::frame f;
    REQUIRE(wire::next_frame(b, limits::frame_bytes_max, f) == wire::parse::done);
    const wire::message_view got(f.bytes);
    CHECK(got.body_intact());
    CHECK(got.destination() == low);
    CHECK(got.sender() == high);
    CHECK(got.channel() == all);
    CHECK(as_text(got.properties()) == low + all + high);
    CHECK(as_text(got.payload()) == all);
    CHECK(got.hash() == 0x1122334455667788);
    CHECK(got.deadline() == (qos1 ? 4000u : 5000u));
    if (!qos1) continue;
    CHECK(got.number() == 7);
    CHECK(got.prev() == 2);
    CHECK(got.floor_back() == 3);
    CHECK(got.first_sent() == 99);
    CHECK(got.again());
  }
  const auto r = record_through(wire::registration{{1, 1}, 1, 0, low});
  CHECK(r.id == low);
  const auto k = record_through(wire::kick{1, {1, 1}, 0, high});
  CHECK(k.claimant == high);
}

TEST_CASE(
    "wire_messages: an empty message is whole, and lengths that overlap its end are malformed (CAT-58)") {
  for (bool qos1 : {false, true}) {
    wire::message_parts p;
    byte_vector b(wire::message_bytes(p, qos1));
    wire::write_message(b.data(), p, qos1);
    if (qos1) wire::message_view(b).set_stamp({1});
    const wire::message_view m(b);
    CHECK(m.valid());
    CHECK(m.body_intact());
    CHECK(m.payload().empty());
    const std::size_t lengths = b.size() - 8;
    for (std::size_t at : {lengths, lengths + 1, lengths + 2, lengths + 3, lengths + 4, lengths + 7}) {
      byte_vector bad = b;
      bad[at] = std::byte{0xff};
      CHECK_FALSE(wire::message_view(bad).valid());
    }
  }
}

TEST_CASE("wire_messages: the patches of the shard and of a resend leave every other byte alone") {
  test_message t;
  t.channel = "chat";
  const byte_vector before = make(t);
  byte_vector b = before;
  wire::message_view m(b);
  m.route({0x01020304, 0x0506}, 0x0708);
  CHECK(m.valid());
  CHECK(m.target() == handle{0x01020304, 0x0506});
  CHECK(m.origin() == 0x0708);
  for (std::size_t i = 0; i < b.size(); ++i)
    if (!(i >= 4 && i < 16)) CHECK(b[i] == before[i]); // check, handle, origin
  byte_vector again = before;
  wire::message_view r(again);
  r.set_stamp({t.number, 0, 0, 77, 0, wire::flag_again | wire::flag_resent});
  CHECK(r.valid());
  CHECK(r.body_intact());
  for (std::size_t i = wire::fixed_bytes_qos1; i < again.size(); ++i) CHECK(again[i] == before[i]);
}
