// An origin's window under test: an outbox with links, whose other ends a test plays.
//
// Time moves only by `wait` (or by the test itself, in `now`).
#pragma once
#include "common/link/outbox.hpp"
#include "tests/support/link_test_tools.hpp"

#include <catch2/catch.hpp>

namespace beeline::test {

inline constexpr handle ann{1, 1}, eve{2, 1};

// An outbox with links that a test reads: each copy is a line, "1", "2<1" (predecessor one back),
// with "again" and "resent" when it says so.
struct origin {
  using outbox = link::outbox;
  explicit origin(outbox::settings s = {}, unsigned link_count = 1, drop_ring* drops = nullptr)
      : box(blocks, dirty, s, drops) {
    for (unsigned k = 0; k < link_count; ++k) {
      conns.push_back(std::make_unique<conn>(conn::kind_t::link, pool));
      box.add_link();
      up(k);
    }
  }
  void up(unsigned k = 0) { box.link_up(static_cast<std::uint16_t>(k), *conns[k], now, terms); }
  void down(unsigned k = 0) {
    box.link_down(static_cast<std::uint16_t>(k), now);
    conns[k]->link->clear();
  }
  void submit(std::uint64_t token, std::string_view to = "bob", handle from = ann, std::uint32_t ttl_ms = 0,
              std::uint16_t link = 0) {
    wire::message_parts m;
    m.hash = hash_of(to);
    m.destination = to, m.sender = "ann", m.ttl_ms = ttl_ms;
    const std::string payload = std::to_string(token) + padding;
    m.payload = as_bytes(payload);
    box.submit(from, token, link, m, now);
  }
  lines sends(unsigned k = 0) {
    lines all;
    copies = split_frames(taken_bytes(*conns[k]));
    for (heard_frame& f : copies) {
      const wire::message_view v = f.message();
      REQUIRE(v.body_intact());
      std::string s = std::to_string(v.number());
      if (v.prev()) s += "<" + std::to_string(v.prev());
      if (v.again()) s += " again";
      else if (v.flags() & wire::flag_resent) s += " resent";
      all.push_back(s);
    }
    return all;
  }
  // The payloads of what `sends` returned last.
  std::string tokens() {
    std::string s;
    for (heard_frame& f : copies) s += (s.empty() ? "" : " ") + std::string(as_text(f.message().payload()));
    return s;
  }
  void hears(std::uint32_t number, answer a, member_index about = no_member, unsigned k = 0) {
    box.on_answer(static_cast<std::uint16_t>(k), {number, about, a, 0}, now);
  }
  void settled(const std::vector<member_index>& lanes) { box.on_lanes_settled(0, lanes, now); }
  lines outcomes() {
    lines all;
    for (const outbox::outcome& o : box.outcomes)
      all.push_back(std::to_string(o.token) + " " + std::string(name_of(o.what)));
    box.outcomes.clear();
    return all;
  }
  void wait(duration d) {
    now += d;
    box.on_time(now);
  }
  time_point now = t0;
  chunk_pool pool;
  block_pool blocks;
  dirty_list dirty;
  link::peer_terms terms; // of all links
  std::string padding;
  std::vector<std::unique_ptr<conn>> conns;
  std::vector<heard_frame> copies;
  outbox box;
};

} // namespace beeline::test
