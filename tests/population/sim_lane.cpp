#include "tests/population/sim_lane.hpp"

#include "common/link/endpoint.ipp"
#include "tests/population/ids.hpp"

#include <algorithm>

namespace beeline::population {
namespace {

using namespace std::chrono_literals;
constexpr auto tick = 1ms;
constexpr std::uint32_t attaches_a_turn = 2'000;
constexpr std::size_t attach_output_max =
    limits::MiB; // registrations of new clients that wait for their links
constexpr std::uint32_t probes_under_way_max = 16'384;
constexpr std::size_t news_kept = 20;

constexpr std::uint64_t token_of(const stamp& s) { return std::uint64_t{s.flow} << 32 | s.sequence; }

} // namespace

void latency_line::record(std::uint64_t sent_us, std::uint64_t now_us) {
  if (begin_us_ == 0) begin_us_ = sent_us;
  const std::size_t k = sent_us > begin_us_ ? (sent_us - begin_us_) / slot_us : 0;
  while (slots_.size() <= k) slots_.emplace_back();
  slots_[k].record_us(now_us > sent_us ? now_us - sent_us : 0);
}

histogram_snapshot latency_line::between(std::uint64_t from_us, std::uint64_t to_us) const {
  histogram_snapshot all;
  for (std::size_t k = 0; k < slots_.size(); ++k)
    if (const std::uint64_t at = begin_us_ + k * slot_us; at >= from_us && at + slot_us <= to_us)
      all.merge(slots_[k].snapshot());
  return all;
}

sim_lane::sim_lane(sim_lane_settings s, time_point now)
    : settings_(std::move(s)), endpoint_(settings_.link, *this, pool_, blocks_, dirty_, now),
      last_time_(now) {}
sim_lane::~sim_lane() = default;

// --- shell --------------------------------------------------------------------------------------------

void sim_lane::begin_turn(time_point now) {
  last_time_ = now;
  if (!dead_) endpoint_.begin_turn(now);
}

void sim_lane::end_turn(time_point now) {
  if (dead_) return;
  endpoint_.end_turn(now);
  if (endpoint_.counters.link_losses.get() != losses_seen_) count_registered();
  figures.queue_bytes.set(endpoint_.output_bytes());
  figures.queue_bytes_most.see(figures.queue_bytes.get());
  figures.waiting.set(endpoint_.outgoing.messages());
  figures.waiting_most.see(figures.waiting.get());
}

void sim_lane::on_up(conn& c, time_point now) {
  conns_.push_back(&c);
  if (dead_) c.close_now = true, dirty_.mark(c);
  else endpoint_.on_up(c, now);
}
std::size_t sim_lane::on_bytes(conn& c, mutable_bytes in, time_point now) {
  return dead_ ? in.size() : endpoint_.on_bytes(c, in, now);
}
void sim_lane::on_drained(conn& c, time_point now) {
  if (!dead_) endpoint_.on_drained(c, now);
}
void sim_lane::on_down(conn& c, close_reason why, time_point now) {
  std::erase(conns_, &c);
  if (!dead_) endpoint_.on_down(c, why, now);
}
bool sim_lane::take_connect(connect_request& r) { return !dead_ && endpoint_.take_connect(r, last_time_); }
void sim_lane::on_connect_failed(std::uint32_t link, std::string_view why, time_point now) {
  if (!dead_) endpoint_.on_connect_failed(link, why, now);
}
void sim_lane::shutdown(time_point now) {
  if (!dead_) endpoint_.say_goodbye(now);
}

void sim_lane::on_time(time_point now) {
  if (dead_) return;
  endpoint_.on_time(now);
  attach_some(now);
  send_due(now);
  send_probes(now);
}

time_point sim_lane::next_deadline() const noexcept {
  if (dead_) return never;
  if (own_.size() < wanted_ && may_attach()) return time_point{};
  if (!probes_.empty() && probes_under_way_ < probes_under_way_max / 2) return time_point{};
  time_point t = std::min(endpoint_.next_deadline(), next_tick_);
  if (arrived_ < arrivals_.size() && may_attach()) t = std::min(t, arrivals_[arrived_].at);
  return t;
}

// --- clients ------------------------------------------------------------------------------------------

bool sim_lane::may_attach() const noexcept { return endpoint_.output_bytes() < attach_output_max; }

void sim_lane::attach(std::uint32_t number, time_point now) {
  const handle h = endpoint_.attach(id_text(number).view(), now);
  if (number % settings_.lanes == settings_.number) own_.push_back(h);
  if (h.index >= numbers_.size())
    numbers_.resize(h.index + 1u), registered_.resize(numbers_.size()), probed_.resize(numbers_.size());
  numbers_[h.index] = number;
  registered_[h.index] = false;
  figures.attached.add();
}

void sim_lane::attach_some(time_point now) {
  for (std::uint32_t n = 0; n < attaches_a_turn && own_.size() < wanted_ && may_attach(); ++n)
    attach(static_cast<std::uint32_t>(own_.size()) * settings_.lanes + settings_.number, now);
  for (; arrived_ < arrivals_.size() && arrivals_[arrived_].at <= now && may_attach(); ++arrived_)
    attach(arrivals_[arrived_].number, now);
}

void sim_lane::receive_later(std::vector<arrival> all) {
  CHECK_INVARIANT(arrived_ == arrivals_.size());
  arrivals_ = std::move(all);
  arrived_ = 0;
}

void sim_lane::on_registered(handle h, time_point now) {
  if (figures.registered.get() == 0) figures.first_registered_us.set(to_us(now));
  figures.last_registered_us.set(to_us(now));
  if (!registered_[h.index]) figures.registered.add();
  registered_[h.index] = true;
}

// Links were lost, and with them what their shards had confirmed.
void sim_lane::count_registered() {
  losses_seen_ = endpoint_.counters.link_losses.get();
  std::uint64_t n = 0;
  for (std::uint32_t i = 0; i < numbers_.size(); ++i) {
    const link::client* c = endpoint_.find({i, 1}); // no client here ever has a successor
    registered_[i] = c && c->registered;
    n += registered_[i];
  }
  figures.registered.set(n);
}

void sim_lane::on_kicked(handle h, close_reason, time_point now) {
  figures.kicked.add();
  endpoint_.detach(h, now);
}

void sim_lane::die() {
  dead_ = true;
  for (conn* c : conns_) {
    c->owner = none;
    c->close_now = true;
    c->why = close_reason::shutdown;
    dirty_.mark(*c);
  }
  figures.ready.set(0), figures.registered.set(0), figures.attached.set(0), figures.waiting.set(0);
  figures.queue_bytes.set(0);
}

void sim_lane::on_ready(bool ready, time_point now) {
  figures.ready.set(ready);
  figures.ready_changed_us.set(to_us(now));
  if (!ready) figures.lost_us.set(to_us(now));
}

void sim_lane::on_event(link::event_level level, std::string_view line) {
  if (level == link::event_level::info) return;
  if (news.size() == news_kept) news.pop_front();
  news.emplace_back(line);
}

// --- messages -----------------------------------------------------------------------------------------

void sim_lane::begin_load(std::vector<sent_flow> flows, double messages_per_second, time_point now) {
  flows_ = std::move(flows);
  per_tick_ = messages_per_second * std::chrono::duration<double>(tick).count();
  next_tick_ = now + tick;
}

void sim_lane::send_due(time_point now) {
  for (; next_tick_ <= now; next_tick_ += tick)
    for (due_ += per_tick_; due_ >= 1; due_ -= 1) {
      send(flows_[next_flow_], next_tick_);
      next_flow_ = (next_flow_ + 1) % flows_.size();
    }
}

void sim_lane::send(sent_flow& f, time_point now) {
  const stamp s{f.id, f.send(to_us(now)), to_us(now)};
  send_stamped(own_[f.sender / settings_.lanes], f.sender, f.recipient, s, last_time_);
}

void sim_lane::probe(std::uint32_t first, std::uint32_t step, std::uint32_t count) {
  if (count) probes_.push_back({first, step, count});
}

void sim_lane::forget_probes() {
  probed_.assign(probed_.size(), false);
  figures.probes_settled.set(0), figures.probes_accepted.set(0), figures.probes_nobody.set(0);
  figures.probes_taken.set(0);
}

void sim_lane::send_probes(time_point now) {
  while (!probes_.empty() && probes_under_way_ < probes_under_way_max) {
    probe_range& p = probes_.front();
    ++probes_under_way_;
    send_stamped(own_[0], settings_.number, p.next, {stamp::probe, p.next, to_us(now)}, now);
    p.next += p.step;
    if (--p.left == 0) probes_.pop_front();
  }
}

void sim_lane::send_stamped(handle from, std::uint32_t sender, std::uint32_t recipient, const stamp& s,
                            time_point now) {
  const id_text to(recipient), by(sender);
  std::byte payload[stamp::bytes];
  s.write(payload);
  wire::message_parts m;
  m.hash = endpoint_.hash(to.view());
  m.destination = to.view();
  m.sender = by.view();
  m.payload = payload;
  endpoint_.send_qos1(from, token_of(s), m, now);
}

answer sim_lane::deliver(handle h, const wire::message_view& m, std::uint32_t, time_point now) {
  const std::uint32_t number = numbers_[h.index];
  stamp s;
  if (number_in(m.destination()) != number || !s.read(m.payload())) {
    figures.wrong_place.add();
    return answer::refused;
  }
  if (s.flow == stamp::probe) {
    if (s.sequence != number || probed_[h.index]) figures.wrong_place.add();
    probed_[h.index] = true;
    figures.probes_taken.add();
    return answer::accepted;
  }
  received_flow& f = (*settings_.received)[s.flow];
  if (f.recipient != number) figures.wrong_place.add();
  f.take(s.sequence);
  delivered[f.to_victim].record(s.sent_us, to_us(now));
  const std::uint64_t last = figures.last_delivery_us.get();
  if (last && to_us(now) - last > figures.gap_us.get())
    figures.gap_us.set(to_us(now) - last), figures.gap_end_us.set(to_us(now));
  figures.last_delivery_us.set(to_us(now));
  return answer::accepted;
}

void sim_lane::forget_marks() {
  figures.gap_us.set(0), figures.gap_end_us.set(0);
  figures.queue_bytes_most.set(0), figures.waiting_most.set(0);
}

void sim_lane::on_outcome(const link::outbox::outcome& o, time_point now) {
  const stamp s{static_cast<std::uint32_t>(o.token >> 32), static_cast<std::uint32_t>(o.token)};
  if (s.flow == stamp::probe) {
    --probes_under_way_;
    figures.probes_settled.add();
    figures.probes_accepted.add(o.what == answer::accepted);
    figures.probes_nobody.add(o.what == answer::nobody);
    return;
  }
  sent_flow& f = flows_[s.flow / settings_.lanes];
  f.settle(s.sequence, o.what);
  answered[f.to_victim].record(f.sent_us[s.sequence], to_us(now));
  figures.settled.add();
  figures.accepted.add(o.what == answer::accepted);
}

} // namespace beeline::population
