#include "tests/chaos/falsify.hpp"

#include <algorithm>
#include <functional>
#include <set>
#include <stdexcept>
#include <tuple>
#include <utility>

namespace beeline::chaos {
namespace {

using changed = bool;

auto find_last(history& h, const std::function<bool(const record&)>& is) {
  const auto at = std::find_if(h.rbegin(), h.rend(), is);
  return at == h.rend() ? h.end() : at.base() - 1;
}
bool is_last_receipt(const record& r) {
  return r.what == seen::receive && r.flags & flag_last && r.flags & flag_qos1;
}

changed drop_receipt(run_facts&, history& h) {
  const auto at = find_last(h, is_last_receipt);
  if (at == h.end()) return false;
  h.erase(at);
  return true;
}
changed repeat_receipt(run_facts&, history& h) {
  const auto at = find_last(h, is_last_receipt);
  if (at == h.end()) return false;
  const record r = *at;
  h.insert(at + 1, r);
  return true;
}
// Two messages of one flow change places, of which both were published before either came.
changed swap_receipts(run_facts&, history& h) {
  std::map<std::tuple<std::uint32_t, std::uint32_t, int>, std::size_t> newest;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::size_t> published;
  for (std::size_t i = 0; i < h.size(); ++i) {
    if (h[i].what == seen::publish) published[{h[i].session, h[i].count}] = i;
    if (h[i].what != seen::receive) continue;
    auto& before = newest[{h[i].session, h[i].other, h[i].flags & flag_qos1}];
    const std::size_t first = std::exchange(before, i);
    if (first == 0 || published[{h[i].other, h[i].count}] > first) continue;
    std::swap(h[i].count, h[first].count);
    return true;
  }
  return false;
}
// The one who still lives hears nothing.
changed drop_answer(run_facts&, history& h) {
  std::set<std::uint32_t> ended;
  for (const record& r : h)
    if (r.what == seen::end) ended.insert(r.session);
  const auto at =
      find_last(h, [&](const record& r) { return r.what == seen::answer && !ended.contains(r.session); });
  if (at == h.end()) return false;
  h.erase(at);
  return true;
}
// A sender is told something else of a message that was received.
changed answer_otherwise(history& h, std::uint8_t code) {
  std::set<std::pair<std::uint32_t, std::uint32_t>> received;
  std::set<std::uint32_t> v5;
  for (const record& r : h) {
    if (r.what == seen::receive) received.insert({r.other, r.count});
    if (r.what == seen::connect && r.flags & flag_v5) v5.insert(r.session);
  }
  const auto at = find_last(h, [&](const record& r) {
    return r.what == seen::answer && r.code == 0 && v5.contains(r.session) &&
           received.contains({r.session, r.count});
  });
  if (at == h.end()) return false;
  at->code = code;
  return true;
}
// Nobody has acknowledged what a sender was told success of, who had asked for that.
changed no_acknowledgement(run_facts&, history& h) {
  std::set<std::pair<std::uint32_t, std::uint32_t>> good;
  for (const record& r : h)
    if (r.what == seen::answer && r.code == 0) good.insert({r.session, r.count});
  const auto at = find_last(h, [&](const record& r) {
    return r.what == seen::acknowledge && good.contains({r.other, r.count});
  });
  if (at == h.end()) return false;
  const record gone = *at;
  std::erase_if(h, [&](const record& r) {
    return r.what == seen::acknowledge && r.other == gone.other && r.count == gone.count;
  });
  return true;
}
// One that had no deadline is said to be past it.
changed expired_early(run_facts&, history& h) {
  std::set<std::pair<std::uint32_t, std::uint32_t>> no_deadline;
  std::set<std::uint32_t> v5;
  for (const record& r : h) {
    if (r.what == seen::publish && r.code == 0) no_deadline.insert({r.session, r.count});
    if (r.what == seen::connect && r.flags & flag_v5) v5.insert(r.session);
  }
  const auto at = find_last(h, [&](const record& r) {
    return r.what == seen::answer && v5.contains(r.session) && no_deadline.contains({r.session, r.count});
  });
  if (at == h.end()) return false;
  at->code = 0x83, at->detail = static_cast<std::uint8_t>(words::expired);
  return true;
}
// A sender waits in vain, though its recipient has acknowledged and nothing is in the way.
changed receipt_lost(run_facts& f, history& h) {
  std::set<std::pair<std::uint32_t, std::uint32_t>> acknowledged;
  std::set<std::uint32_t> ended;
  for (const record& r : h)
    if (r.what == seen::end) ended.insert(r.session);
  for (const record& r : h)
    if (r.what == seen::acknowledge && !ended.contains(r.session)) acknowledged.insert({r.other, r.count});
  const auto at = find_last(h, [&](const record& r) {
    return r.what == seen::answer && r.code == 0 && acknowledged.contains({r.session, r.count}) &&
           !ended.contains(r.session);
  });
  if (at == h.end()) return false;
  record late = *at;
  h.erase(at);
  late.at += f.receipt_timeout, late.code = 0x83, late.detail = static_cast<std::uint8_t>(words::not_in_time);
  h.insert(std::upper_bound(h.begin(), h.end(), late,
                            [](const record& a, const record& b) { return a.at < b.at; }),
           late);
  f.faults.clear();
  f.faults_wanted = 0;
  return true;
}
changed another_receives(run_facts&, history& h) {
  const auto at = find_last(h, is_last_receipt);
  if (at == h.end()) return false;
  at->flags |= flag_not_for_me;
  return true;
}
changed damage(run_facts&, history& h) {
  const auto at = find_last(h, is_last_receipt);
  if (at == h.end()) return false;
  at->flags |= flag_damaged;
  return true;
}
changed lose_connection(run_facts& f, history& h) {
  // In the last exchange no fault is near that could explain it.
  const auto at = find_last(h, is_last_receipt);
  if (at == h.end()) return false;
  h.push_back(
      {f.run_end, at->session, 0, 0, seen::end, 0, 0, static_cast<std::uint8_t>(ending::server_closed)});
  f.faults.clear();
  f.faults_wanted = 0;
  return true;
}
changed second_session(run_facts& f, history&) {
  for (auto& e : f.rest.edges)
    if (!e.clients.empty()) return e.clients.push_back(e.clients.front()), true;
  return false;
}
changed ghost(run_facts& f, history&) { return f.rest.presence["nobody-has-this"] = {0, false}, true; }
changed forgotten(run_facts& f, history&) {
  if (f.rest.presence.empty()) return false;
  f.rest.presence.erase(f.rest.presence.begin());
  return true;
}
changed link_missing(run_facts& f, history&) { return f.rest.edges.at(0).links_in_sync -= 1, true; }
changed crash(run_facts& f, history&) { return f.ends.push_back({"e1", f.load_end, false, 139, 0}), true; }
changed no_rest(run_facts& f, history&) { return f.rest.reached = false, true; }

using tell = changed (*)(run_facts&, history&);
constexpr tell tells[] = {
    drop_receipt,
    repeat_receipt,
    swap_receipts,
    drop_answer,
    [](run_facts&, history& h) { return answer_otherwise(h, 0x10); },
    [](run_facts&, history& h) { return answer_otherwise(h, 0x97); },
    no_acknowledgement,
    expired_early,
    receipt_lost,
    another_receives,
    damage,
    lose_connection,
    second_session,
    ghost,
    forgotten,
    link_missing,
    crash,
    no_rest,
};
static_assert(std::size(tells) == std::size(lies));

} // namespace

bool falsify(std::string_view name, run_facts& f, history& h) {
  const auto at =
      std::find_if(std::begin(lies), std::end(lies), [&](const lie& l) { return l.name == name; });
  if (at == std::end(lies)) throw std::runtime_error("no lie is called " + std::string(name));
  return tells[at - std::begin(lies)](f, h);
}

} // namespace beeline::chaos
