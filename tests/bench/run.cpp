#include "tests/bench/run.hpp"

#include "tests/bench/load.hpp"
#include "tests/support/proc_stats.hpp"

#include <fmt/format.h>

namespace beeline::bench {
namespace {

constexpr std::pair<workload, std::string_view> names[] = {
    {workload::trunk, "trunk"},         {workload::crowd, "crowd"}, {workload::steady, "steady"},
    {workload::ping_pong, "ping-pong"}, {workload::storm, "storm"}, {workload::idle, "idle"}};
constexpr std::size_t unwritten_max = std::size_t{512} << 20; // beyond it the servers have long not kept up
constexpr double quiet_seconds = 2;                           // without an arrival: nothing more comes

std::int64_t ns(double seconds) { return static_cast<std::int64_t>(seconds * second_ns); }

// Who there is: `senders` clients from 0 on, `clients` in all.
struct cast {
  std::uint32_t senders = 0, first_receiver = 0, clients = 0;
};
cast cast_of(const settings& s) {
  switch (s.what) {
  case workload::trunk: return {s.pairs, s.pairs, 2 * s.pairs};
  case workload::crowd: return {s.senders, s.senders, s.senders + s.receivers};
  case workload::steady: return {1, 1, 2};
  case workload::ping_pong: return {2, 0, 2};
  case workload::storm:
  case workload::idle: return {0, 0, s.clients};
  }
  return {};
}

std::unique_ptr<load> load_of(const settings& s, const dialect& d) {
  switch (s.what) {
  case workload::trunk: return std::make_unique<windowed>(s.pairs, s.window, s.pairs, s.qos > 0);
  case workload::crowd:
    return std::make_unique<paced>(s.senders, s.receivers, s.rate, d.is_called_back(), s.seed);
  case workload::steady: return std::make_unique<paced>(1, 1, s.rate, true, s.seed);
  case workload::ping_pong: return std::make_unique<ping_pong>();
  default: return nullptr;
  }
}

// Senders at the first address, receivers at the last; clients that only connect, at all in turn.
std::vector<client> make_clients(const settings& s, const cast& c) {
  std::vector<client> all(c.clients);
  const auto last = static_cast<std::uint32_t>(s.targets.size()) - 1;
  for (std::uint32_t i = 0; i < c.clients; ++i) {
    all[i].me = {fmt::format("b{}-{}", s.seed, i), i, i >= c.first_receiver};
    if (s.what == workload::ping_pong) all[i].target = i == 0 ? 0 : last;
    else if (c.senders > 0) all[i].target = i < c.senders ? 0 : last;
    else all[i].target = i % (last + 1);
  }
  return all;
}

class run {
public:
  run(const settings& s)
      : settings_(s), cast_(cast_of(s)), dialect_(make_dialect(s.protocol, s.direct, s.qos)),
        load_(load_of(s, *dialect_)), swarm_(*dialect_, options(), make_clients(s, cast_)) {}

  result go() {
    connect();
    if (is_well()) rest(settings_.settle);
    for (const server& one : settings_.servers) result_.rss_after.push_back(test::rss_bytes(one.pid));
    if (load_) {
      work(settings_.warm_up);
      measure();
      drain();
    } else if (settings_.what == workload::idle) {
      rest(settings_.seconds);
      result_.rss_after.clear();
      for (const server& one : settings_.servers) result_.rss_after.push_back(test::rss_bytes(one.pid));
    }
    count();
    return std::move(result_);
  }

private:
  swarm_options options() const {
    swarm_options o;
    o.targets = settings_.targets;
    o.payload = settings_.payload;
    o.qos = settings_.qos;
    o.connecting_max = settings_.connecting;
    o.senders = cast_.senders;
    o.first_receiver = cast_.first_receiver;
    o.far_end = std::max(cast_.first_receiver, 1u);
    o.callback_port = settings_.callback_port;
    return o;
  }
  bool is_well() const { return swarm_.fault().empty(); }

  void connect() {
    for (const server& one : settings_.servers) result_.rss_before.push_back(test::rss_bytes(one.pid));
    const usage before = look(settings_.servers);
    const std::int64_t begun = now_ns();
    std::int64_t heard = begun;
    for (std::size_t up = 0; is_well() && swarm_.up() < swarm_.size();) {
      swarm_.connect_some();
      swarm_.flush();
      swarm_.turn(now_ns() + second_ns / 10);
      if (swarm_.up() != up) up = swarm_.up(), heard = now_ns();
      if (now_ns() - heard > 15 * second_ns)
        throw std::runtime_error(
            fmt::format("{} of {} clients connected, and no more for 15 s", swarm_.up(), swarm_.size()));
    }
    result_.connect_seconds = static_cast<double>(now_ns() - begun) / second_ns;
    const usage after = look(settings_.servers);
    for (std::size_t i = 0; i < after.cpu.size(); ++i)
      result_.connect_cpu_us.push_back(1e6 * (after.cpu[i] - before.cpu[i]) /
                                       static_cast<double>(swarm_.size()));
  }

  // Without load.
  void rest(double seconds) {
    const std::int64_t end = now_ns() + ns(seconds);
    while (is_well() && now_ns() < end) {
      swarm_.turn(end);
      swarm_.flush();
    }
  }

  void work(double seconds) {
    const std::int64_t end = now_ns() + ns(seconds);
    for (std::int64_t now = now_ns(); is_well() && now < end; now = now_ns()) {
      const std::int64_t next = load_->produce(swarm_, now);
      swarm_.flush();
      swarm_.turn(std::min(next, end));
      if (swarm_.unwritten() > unwritten_max) result_.fault = "the servers take far less than is sent";
      if (!result_.fault.empty()) return;
    }
  }

  void measure() {
    if (!is_well() || !result_.fault.empty()) return;
    const usage before = look(settings_.servers);
    const std::uint64_t arrived = swarm_.book().arrived();
    const std::int64_t begun = now_ns();
    swarm_.record_into(&result_.latency);
    work(settings_.seconds);
    swarm_.record_into(nullptr);
    result_.measured_seconds = static_cast<double>(now_ns() - begun) / second_ns;
    const usage after = look(settings_.servers);
    result_.delivered = swarm_.book().arrived() - arrived;
    const double microseconds_each = 1e6 / static_cast<double>(std::max<std::uint64_t>(1, result_.delivered));
    for (std::size_t i = 0; i < after.cpu.size(); ++i)
      result_.cpu_us.push_back((after.cpu[i] - before.cpu[i]) * microseconds_each);
    result_.own_us = (after.own - before.own) * microseconds_each;
  }

  bool all_told() const {
    return swarm_.book().missing() == 0 && (settings_.qos == 0 || swarm_.settled() == swarm_.book().sent());
  }
  void drain() {
    const std::int64_t end = now_ns() + ns(settings_.drain_max);
    std::int64_t heard = now_ns();
    std::uint64_t seen = 0;
    while (is_well() && !all_told() && now_ns() < end && now_ns() - heard < ns(quiet_seconds)) {
      swarm_.turn(now_ns() + second_ns / 10);
      swarm_.flush();
      const std::uint64_t now_seen = swarm_.book().arrived() + swarm_.settled();
      if (now_seen != seen) seen = now_seen, heard = now_ns();
    }
    rest(0.1); // what comes twice comes now
  }

  void count() {
    const ledger& b = swarm_.book();
    result_.sent = b.sent();
    result_.lost = b.missing();
    result_.doubled = b.doubled();
    result_.reordered = b.reordered();
    result_.astray = b.astray();
    result_.damaged = b.damaged();
    result_.refused = swarm_.refused();
    result_.unanswered = settings_.qos > 0 ? b.sent() - std::min(b.sent(), swarm_.settled()) : 0;
    if (result_.fault.empty()) result_.fault = swarm_.fault();
  }

  const settings& settings_;
  cast cast_;
  std::unique_ptr<dialect> dialect_;
  std::unique_ptr<load> load_;
  swarm swarm_;
  result result_;
};

} // namespace

std::optional<workload> workload_of(std::string_view name) {
  for (const auto& [w, text] : names)
    if (text == name) return w;
  return std::nullopt;
}
std::string_view name_of(workload w) {
  for (const auto& [each, text] : names)
    if (each == w) return text;
  return "";
}
bool has_load(workload w) { return w != workload::storm && w != workload::idle; }

bool held_rate(const settings& s, const result& r) {
  return (s.what != workload::crowd && s.what != workload::steady) || r.a_second() >= 0.98 * s.rate;
}

std::vector<std::string> problems(const settings& s, const result& r) {
  std::vector<std::string> out;
  if (!r.fault.empty()) out.push_back(r.fault);
  const auto some = [&out](std::uint64_t n, std::string_view what) {
    if (n > 0) out.push_back(fmt::format("{} messages {}", n, what));
  };
  some(r.lost, "did not arrive");
  some(r.doubled, "arrived twice");
  some(r.reordered, "arrived out of order");
  some(r.astray, "arrived at somebody else's");
  some(r.damaged, "arrived damaged");
  some(r.refused, "were refused");
  some(r.unanswered, "were not answered");
  if (has_load(s.what) && r.fault.empty() && !held_rate(s, r))
    out.push_back(
        fmt::format("the rate was not held: {:.0f} of {:.0f} messages a second", r.a_second(), s.rate));
  return out;
}

result run_once(const settings& s) { return run(s).go(); }

} // namespace beeline::bench
