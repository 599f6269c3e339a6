// F13: what the others, who have nothing to do with those that suffer, notice of it; what those who send to
// the suffering ones are told; and that all goes on by itself.
#include "tests/chaos/scene.hpp"

#include <algorithm>
#include <array>

namespace beeline::chaos {
namespace {

constexpr unsigned others = 0, suffering = 1, feeding = 2;
constexpr std::int64_t second = 1'000'000;

double quantile_ms(std::vector<std::int64_t>& times, double q) {
  if (times.empty()) return -1;
  const auto at = std::min(times.size() - 1, static_cast<std::size_t>(q * static_cast<double>(times.size())));
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(at), times.end());
  return static_cast<double>(times[at]) / 1e3;
}

struct window {
  std::int64_t from, to;
  std::vector<std::int64_t> times{}; // publish to receipt
  std::uint64_t sent = 0;
  void take(const message_view& m) {
    if (m.at < from || m.at >= to) return;
    ++sent;
    if (m.receipts) times.push_back(m.first.at - m.at);
  }
  double rate() const { return static_cast<double>(sent) * second / static_cast<double>(to - from); }
};

void compare(scene& s, window& before, window& during) {
  const double p99_before = quantile_ms(before.times, 0.99), p99_during = quantile_ms(during.times, 0.99);
  s.add("others: p50 before", quantile_ms(before.times, 0.5), "ms");
  s.add("others: p50 during it", quantile_ms(during.times, 0.5), "ms");
  s.add("others: p99 before", p99_before, "ms");
  s.add("others: p99 during it", p99_during, "ms");
  // Seconds beside other tests have a p99 of their own: judged in full size alone.
  s.add("others: p99 during it, by that before", p99_during / p99_before, "", 0, s.v.facts.full ? 2 : -1);
  s.add("others: rate during it, by that before", during.rate() / before.rate(), "", 0.5);
}

// Who sends to a client that takes nothing is told so when its queue is full. Who sends to an edge that is
// silent is told when that is given up, for which the short size leaves no time.
void senders_told(scene& s, std::int64_t from, std::int64_t to) {
  const double not_taken_least = s.v.facts.full || s.name() == "f13_slow_client" ? 1 : 0;
  std::array<std::uint64_t, 256> codes{};
  std::uint64_t silent = 0;
  std::int64_t longest = 0;
  s.each_message([&](const session_view& x, std::uint32_t, const message_view& m, std::uint32_t) {
    if (s.v.facts.groups[x.client] != feeding || !m.qos1 || m.at < from || m.at >= to) return;
    if (m.answered == never) silent += x.end == never;
    else ++codes[m.code], longest = std::max(longest, m.answered - m.at);
  });
  s.add("senders to it: success", codes[0]);
  s.add("senders to it: nobody (0x10)", codes[0x10]);
  s.add("senders to it: unknown (0x83)", codes[0x83]);
  s.add("senders to it: queue full (0x97)", codes[0x97]);
  s.add("senders to it: told that it was not taken", codes[0x10] + codes[0x83] + codes[0x97],
        not_taken_least);
  s.add("senders to it: no answer", silent, 0, 0);
  s.add("senders to it: longest wait", static_cast<double>(longest) / 1e3, "ms", 0, 30'000);
}

} // namespace

void judge_suffering(scene& s) {
  const std::int64_t fault = s.moment("fault"), over = s.moment("over");
  window before{s.v.facts.load_begin + second / 2, fault}, during{fault, over};
  std::int64_t resumed = never;
  s.each_message([&](const session_view& x, std::uint32_t, const message_view& m, std::uint32_t) {
    const unsigned to = s.v.facts.groups[m.to];
    if (s.v.facts.groups[x.client] == others && to == others) before.take(m), during.take(m);
    // What waited in sockets is not meant: it was sent afterwards.
    if (to == suffering && m.at > over && m.receipts) resumed = std::min(resumed, m.first.at);
  });
  compare(s, before, during);
  senders_told(s, fault, over);
  if (resumed == never) s.broken("they get nothing any more");
  else s.add("it gets messages again after", static_cast<double>(resumed - over) / 1e3, "ms", 0, 15'000);
}

} // namespace beeline::chaos
