// F9: after many takeovers the newest session is there, and no other. F11: who is told to go goes, and nobody
// else; nothing is lost or doubled.
#include "tests/chaos/scene.hpp"

#include <algorithm>

namespace beeline::chaos {
namespace {

// Certain without any clock of the servers: the one had its CONNACK before the other began to connect.
bool certainly_older(const session_view& a, const session_view& b) { return a.connack < b.opened; }

} // namespace

void judge_takeovers(scene& s) {
  const run_view& v = s.v;
  constexpr std::uint8_t taken_over = 0x8e;
  std::uint64_t kicked = 0, refused = 0, crossed = 0, not_one = 0;
  for (std::uint32_t c = 0; c < v.sessions_of.size(); ++c) {
    const auto& its = v.sessions_of[c];
    std::uint64_t live = 0;
    for (const std::uint32_t i : its) {
      const session_view& x = v.sessions[i];
      const auto newer = [&](std::uint32_t n) { return certainly_older(x, v.sessions[n]); };
      const auto rival = [&](std::uint32_t n) { return n != i && !certainly_older(v.sessions[n], x); };
      const bool kick = x.how == ending::server_disconnect && x.code == taken_over && x.end != never;
      kicked += kick;
      refused += x.how == ending::refused && x.end != never;
      crossed += std::any_of(its.begin(), its.end(), [&](std::uint32_t n) {
        const session_view& o = v.sessions[n];
        return n > i && !certainly_older(x, o) && o.opened < std::min(x.connack, x.end);
      });
      if (kick && std::none_of(its.begin(), its.end(), rival))
        s.broken("closed for a session that is older for certain: " + v.name(i));
      if (x.connack == never || x.connack > v.facts.load_end || x.end < v.facts.load_end) continue;
      ++live;
      if (std::any_of(its.begin(), its.end(), newer)) s.broken("an older session survived: " + v.name(i));
    }
    not_one += live != 1;
  }
  s.add("sessions closed for another (0x8E)", kicked, 1);
  s.add("connects refused for another that waited", refused);
  s.add("connects that crossed another of the id", crossed, 1);
  s.add("ids without exactly one live session after it", not_one, 0, 0);
}

void judge_rolling_restart(scene& s) {
  const run_view& v = s.v;
  constexpr std::uint8_t elsewhere = 0x9c;
  constexpr std::int64_t second = 1'000'000;
  std::uint64_t sent_away = 0, cut_off = 0, elsewhere_ended = 0, told_unknown = 0, lost = 0, doubled = 0;
  for (std::uint32_t i = 0; i < v.sessions.size(); ++i) {
    const session_view& x = v.sessions[i];
    if (x.client == nobody || x.connack == never || x.end >= v.facts.load_end) continue;
    const bool its_edge = std::any_of(v.facts.faults.begin(), v.facts.faults.end(), [&](const fault_fact& f) {
      return f.kind == fault::edge_term && f.edge == x.edge && f.begin <= x.end &&
             x.end <= f.end + second / 2;
    });
    if (!its_edge) {
      ++elsewhere_ended;
      s.broken("its edge was not restarted, and it ended: " + v.name(i));
    } else if (x.how == ending::server_disconnect && x.code == elsewhere) ++sent_away;
    else ++cut_off;
  }
  s.each_message([&](const session_view& x, std::uint32_t i, const message_view& m, std::uint32_t n) {
    doubled += m.receipts > 1;
    if (!m.qos1 || m.answered == never || m.answered > v.facts.load_end - second / 2) return;
    told_unknown += m.code != 0 && m.text == words::unknown;
    if (!x.v5 || m.code != 0 || m.receipts) return;
    ++lost;
    s.broken("told success, and nobody received it: " + v.name(i, n));
  });
  s.add("sessions told to go (0x9C)", sent_away, 1);
  s.add("sessions of restarted edges that ended otherwise", cut_off, 0, 0);
  s.add("sessions of untouched edges that ended", elsewhere_ended, 0, 0);
  s.add("messages acknowledged and not received", lost, 0, 0);
  s.add("messages received twice", doubled, 0, 0);
  s.add("senders told unknown (0x83)", told_unknown);
}

} // namespace beeline::chaos
