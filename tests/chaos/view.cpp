#include "tests/chaos/view.hpp"

#include <algorithm>
#include <cstdio>

namespace beeline::chaos {

void findings::add(const std::string& promise, std::string text) {
  constexpr std::uint64_t shown_max = 10;
  if (counts[promise]++ < shown_max) shown.push_back({promise, std::move(text)});
}

std::string run_view::name(std::uint32_t session) const {
  char text[160];
  const session_view& s = sessions[session];
  std::snprintf(text, sizeof text, "session %u (%s at e%d, from %.3f s)", session,
                s.client < facts.ids.size() ? facts.ids[s.client].c_str() : "?", s.edge + 1,
                static_cast<double>(s.opened) / 1e6);
  return text;
}

std::string run_view::name(std::uint32_t session, std::uint32_t count) const {
  char text[120];
  const message_view& m = sessions[session].messages[count];
  std::snprintf(text, sizeof text, "message %u to %s, published at %.3f s, of ", count,
                m.to < facts.ids.size() ? facts.ids[m.to].c_str() : "?", static_cast<double>(m.at) / 1e6);
  return text + name(session);
}

run_view::run_view(run_facts f, std::span<const record> h, findings& wrong)
    : facts(std::move(f)), sessions_of(facts.ids.size()) {
  for (const record& r : h) take(r, wrong);
}

session_view* run_view::session_of(std::uint32_t number) {
  return number < sessions.size() && sessions[number].client != nobody ? &sessions[number] : nullptr;
}

void run_view::take(const record& r, findings& wrong) {
  if (r.what == seen::connect) {
    if (r.session >= sessions.size()) sessions.resize(r.session + 1u);
    session_view& s = sessions[r.session];
    s.client = r.other, s.edge = r.code, s.v5 = r.flags & flag_v5, s.opened = r.at;
    if (r.other < sessions_of.size()) sessions_of[r.other].push_back(r.session);
    return;
  }
  session_view* s = session_of(r.session);
  if (!s)
    return wrong.add("history",
                     "something was seen by session " + std::to_string(r.session) + ", which is none");
  switch (r.what) {
  case seen::connack: s->connack = r.at; return;
  case seen::end: s->end = r.at, s->how = static_cast<ending>(r.detail), s->code = r.code; return;
  case seen::publish: {
    if (r.count >= s->messages.size()) s->messages.resize(r.count + 1u);
    message_view& m = s->messages[r.count];
    m.to = r.other, m.at = r.at, m.published = true;
    m.qos1 = r.flags & flag_qos1, m.last = r.flags & flag_last;
    m.wants_receipt = r.detail != 0;
    if (r.code) m.deadline = r.code * 100'000;
    with_receipt += m.wants_receipt, with_deadline += r.code != 0;
    ++publishes;
    publishes_qos1 += m.qos1;
    return;
  }
  case seen::answer: {
    if (r.flags & flag_unasked || r.count >= s->messages.size())
      return wrong.add("P1", "an answer to nothing that waited for one, to " + name(r.session));
    message_view& m = s->messages[r.count];
    if (m.answered != never) return wrong.add("P1", "answered twice: " + name(r.session, r.count));
    m.answered = r.at, m.code = r.code, m.text = static_cast<words>(r.detail);
    ++answers;
    return;
  }
  case seen::acknowledge: return acknowledge(r, wrong);
  default: return receive(r, wrong);
  }
}

void run_view::acknowledge(const record& r, findings& wrong) {
  session_view* from = session_of(r.other);
  if (!from || r.count >= from->messages.size() || !from->messages[r.count].wants_receipt)
    return wrong.add("history", name(r.session) + " acknowledged to one who had not asked for it");
  message_view& m = from->messages[r.count];
  if (r.at < m.acknowledged) m.acknowledged = r.at, m.acknowledged_by = r.session;
}

void run_view::receive(const record& r, findings& wrong) {
  ++receipts;
  if (r.flags & flag_damaged) return wrong.add("isolation", "a damaged message came to " + name(r.session));
  session_view* from = session_of(r.other);
  if (!from || r.count >= from->messages.size() || !from->messages[r.count].published)
    return wrong.add("isolation", "a message that nobody sent came to " + name(r.session));
  message_view& m = from->messages[r.count];
  const std::string what =
      r.flags & (flag_not_for_me | flag_wrong_sender) || m.to != sessions[r.session].client
          ? name(r.other, r.count) + " came to " + name(r.session)
          : "";
  if (r.flags & flag_wrong_sender) return wrong.add("isolation", what + " as from another");
  if (!what.empty()) return wrong.add("isolation", what);
  if (sessions[r.session].end < r.at)
    return wrong.add("history", name(r.session) + " received after its end");
  receipt& place = m.receipts++ == 0 ? m.first : m.second;
  if (m.receipts <= 2) place = {r.at, r.session};
  if (!m.qos1) return;
  std::uint32_t& newest = newest_[std::uint64_t{r.session} << 32 | r.other];
  newest = std::max(newest, r.count);
}

std::size_t run_view::waited(std::uint32_t client, std::int64_t from, std::int64_t to) const {
  std::size_t n = 0;
  for (const session_view& s : sessions)
    for (const message_view& m : s.messages) {
      if (m.to != client || !m.qos1 || !m.published || m.at > to) continue;
      const bool taken = m.code == 0 || m.text == words::unknown; // it may be; and the run is over
      n += m.receipts ? m.first.at >= from : taken || m.answered >= from;
    }
  return n;
}

} // namespace beeline::chaos
