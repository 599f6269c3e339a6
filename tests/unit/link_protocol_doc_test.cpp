// docs/link-protocol.md against the code: its worked example byte by byte, its table of frame types, its
// limits. A block of the example begins with ```hex NAME; what follows a # is a comment.
#include "tests/support/link_test_tools.hpp"

#include "common/link/handshake.hpp"

#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>

using namespace beeline;
using namespace beeline::test;
using wire::frame_type;

namespace {

std::string document() {
  std::ifstream in(BEELINE_DOCS_DIR "/link-protocol.md");
  std::stringstream s;
  s << in.rdbuf();
  return s.str();
}
std::string hex(const byte_vector& b) {
  std::string s;
  char two[4];
  for (std::byte x : b) {
    std::snprintf(two, sizeof two, "%02x", static_cast<unsigned>(x));
    s += two;
  }
  return s;
}
std::map<std::string, std::string> hex_blocks() {
  std::map<std::string, std::string> all;
  std::istringstream in(document());
  std::string name;
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("```hex ", 0) == 0) {
      name = line.substr(7);
      all[name];
    } else if (line.rfind("```", 0) == 0) {
      name.clear();
    } else if (!name.empty()) {
      for (char c : line.substr(0, line.find('#')))
        if (c != ' ') all[name] += c;
    }
  }
  return all;
}

// The conversation that the page shows.
struct example {
  example() {
    const link::cluster_secret secret = test_secret();
    link::lane_handshake lane;
    link::shard_handshake shard;
    lane.start(nonce_of(0x11), w, out);
    heard_frame f = take("hello");
    REQUIRE(shard.on_frame({f.type(), f.bytes}, secret, nonce_of(0x22), 0x0102030405060708, t0, w, out));
    f = take("challenge");
    const link::lane_identity who{lane_id{0xa1a2a3a4a5a6a7a8}, "edge-1", 0, 1};
    REQUIRE(lane.on_frame({f.type(), f.bytes}, secret, who, 1'000'000, 0, w, out));
    f = take("auth");
    REQUIRE(shard.on_frame({f.type(), f.bytes}, secret, {}, 0, t0, w, out));
    wire::welcome welcome;
    welcome.index = 0, welcome.shard_time = 5'000'000, welcome.shards = 1;
    shard.accept(secret, welcome, w, out);
    f = take("welcome");
    REQUIRE(lane.on_frame({f.type(), f.bytes}, secret, who, 0, 0, w, out));
    frames["register"] =
        make_batch<wire::registration>(frame_type::register_clients, {{{3, 1}, 1'200'000, 0, "C1"}});
    frames["registered"] = make_batch<wire::registered_client>(frame_type::registered, {{{3, 1}, 5'200'100}});
    test_message m;
    m.to = "C2", m.from = "C1", m.channel = "chat", m.payload = "hi", m.first_sent = 5'000'000;
    byte_vector b = frames["message-from-origin"] = make(m);
    wire::message_view(b).route({7, 2}, 0);
    frames["message-to-owner"] = b;
    histogram answered;
    for (const int us : {410, 410, 1'290}) answered.record_us(static_cast<std::uint64_t>(us));
    frames["report"] = make(wire::report{answered.snapshot()});
    frames["answer-from-owner"] =
        make_batch<wire::answer_record>(frame_type::answers, {{1, 0, answer::accepted, 0}});
    frames["answer-to-origin"] =
        make_batch<wire::answer_record>(frame_type::answers, {{1, no_member, answer::accepted, 0}});
  }
  heard_frame take(const std::string& name) {
    heard_frame f = split_frames(taken_bytes(out)).at(0);
    frames[name] = f.bytes;
    return f;
  }
  chunk_pool pool;
  output_chain out{pool};
  wire::frame_writer w;
  std::map<std::string, byte_vector> frames;
};

bool says(const std::string& text) { return document().find(text) != std::string::npos; }

} // namespace

TEST_CASE("link_protocol_doc: the worked example is what the code says, byte for byte") {
  const auto blocks = hex_blocks();
  const example e;
  CHECK(blocks.size() == e.frames.size());
  for (const auto& [name, bytes] : e.frames) {
    INFO(name << ": " << hex(bytes));
    REQUIRE(blocks.contains(name));
    CHECK(blocks.at(name) == hex(bytes));
  }
}

TEST_CASE("link_protocol_doc: every frame type is in the table under its code and name") {
  for (unsigned t = 0; t < 256; ++t) {
    const auto type = static_cast<frame_type>(t);
    char code[8];
    std::snprintf(code, sizeof code, "`%02x`", t);
    INFO(code);
    if (const std::string name(wire::name_of(type)); name.empty())
      CHECK_FALSE(says("| " + std::string(code) + " |"));
    else CHECK(says("| " + std::string(code) + " | `" + name + "` |"));
  }
}

TEST_CASE("link_protocol_doc: every answer is in the table under its code and name") {
  for (std::size_t a = 0; a < answer_count; ++a) {
    const std::string row = "| " + std::to_string(a) + " | `" + std::string(answer_names[a]) + "` |";
    INFO(row);
    CHECK(says(row));
  }
}

TEST_CASE("link_protocol_doc: the limits it names are the limits") {
  const auto row = [](std::string_view what, auto value) {
    const std::string text = "| " + std::string(what) + " | " + std::to_string(value) + " |";
    INFO(text);
    CHECK(says(text));
  };
  const auto ms = [](duration d) { return std::chrono::duration_cast<std::chrono::milliseconds>(d).count(); };
  row("frame, bytes", limits::frame_bytes_max);
  row("frame before the handshake is done, bytes", limits::handshake_frame_bytes_max);
  row("client id, bytes", limits::client_id_bytes_max);
  row("edge name, bytes", limits::edge_name_bytes_max);
  row("lanes of an edge", limits::lanes_max);
  row("shards of a router", limits::shards_per_router_max);
  row("member indexes", limits::members_max);
  row("connections without `welcome` of a shard", limits::handshakes_max);
  row("between notices of lost links, ms", ms(limits::notice_interval));
  row("data queued for a link, bytes", limits::link_output_bytes_max);
  row("messages in flight of a lane", limits::window_messages_max);
  row("bytes in flight on a link", limits::link_window_bytes_max);
  row("heartbeat interval, ms", ms(limits::heartbeat_interval));
  row("report interval, ms", ms(limits::report_interval));
  row("messages in a report", limits::report_messages_max);
  row("buckets of a histogram", histogram_shape::buckets);
  row("silence of a link, ms", ms(limits::silence_max));
  row("handshake, ms", ms(limits::handshake_max));
  row("link that takes no bytes, ms", ms(limits::write_stall_max));
  row("pause of the own process, ms", ms(limits::pause_max));
  row("linger, ms", ms(limits::linger));
  row("warm-up, ms", ms(limits::warm_up));
  row("reconnect, longest wait, ms", ms(limits::reconnect_max));
  row("member index in quarantine, ms", ms(limits::index_quarantine));
  row("resends of a message", limits::resends_max);
  row("receipts waited for by a lane, and owed by it", limits::receipts_max);
  row("receipt that nobody has heard, ms", ms(limits::receipt_kept));
}
