#include "tests/sim/clients.hpp"

#include "tests/sim/cluster.hpp"

#include <algorithm>
#include <utility>

namespace beeline::sim {

using mqtt::packet_type;
using mqtt::protocol_version;
using mqtt::reason;

namespace {
// A payload: the message's number, then bytes that follow from it.
std::string payload_of(std::uint32_t number, std::size_t size) {
  std::string s(std::max<std::size_t>(size, 4), '\0');
  store_le(s.data(), number);
  for (std::size_t i = 4; i < s.size(); ++i) s[i] = static_cast<char>(number * 31 + i * 7);
  return s;
}
constexpr std::size_t out_bytes_max = 64 * 1024;
} // namespace

client_session::client_session(world& w, device& d, std::uint32_t n, const settings& s, history& h)
    : number(n), w_(w), device_(d), set_(s), h_(h),
      version_(h.sessions[n].v5 ? protocol_version::v5 : protocol_version::v311),
      keep_alive_(static_cast<std::uint16_t>(w.between(2, 6))),
      favourite_(static_cast<std::uint32_t>(w.random.below(s.ids))) {
  publishing_ = !s.scripted;
}

void client_session::dialled(socket_end* e) {
  if (state_ != state::dialling) {
    if (e) e->close();
    return;
  }
  if (!e) return end("nobody listens");
  socket_ = e;
  e->user = this;
  state_ = state::connecting;
  test::connect_options o;
  o.version = version_;
  o.client_id = device_.name();
  o.keep_alive = keep_alive_;
  if (version_ == protocol_version::v5 && w_.chance(40)) {
    receive_maximum_ = static_cast<std::uint16_t>(w_.between(1, 30));
    o.properties = test::property_list().two_bytes(mqtt::property::receive_maximum, receive_maximum_).bytes();
  }
  h_.sessions[number].opened = w_.now;
  out_ += test::encode_connect(o);
  flush();
  w_.plan(w_.now + 9s, *this, ev_patience);
  if (socket_ && (socket_->readable() || socket_->failed)) on_readable(*socket_);
}

void client_session::end(const char* how) {
  if (state_ == state::over) return;
  w_.say("s%u(%s) ends: %s", number, device_.name().c_str(), how);
  state_ = state::over;
  h_.sessions[number].client_end = w_.now;
  if (const connection* c = wire(); c && socket_->at_end() && !socket_->failed) heard_to_the_end();
  if (socket_) std::exchange(socket_, nullptr)->close();
  device_.session_over(*this);
}

// It has everything that the server wrote to it before it closed the connection.
void client_session::heard_to_the_end() {
  h_.heard_to_the_end(number);
  for (const auto& [packet_id, m] : unanswered_) h_.judge_told_to_go(number, m);
}

void client_session::disconnect() {
  if (state_ == state::live) {
    out_ += test::encode_disconnect(version_);
    flush();
  }
  end("says DISCONNECT");
}

void client_session::crash(bool silent) {
  if (connection* c = wire()) {
    if (silent) c->vanish();
    else c->reset(true, 50ms);
  }
  end(silent ? "vanishes" : "is reset");
}

void client_session::be_slow(time_point until) { slow_until_ = until; }

// --- bytes -------------------------------------------------------------------------------------------

void client_session::flush() {
  if (!socket_ || out_head_ == out_.size()) return;
  const iovec v{out_.data() + out_head_, out_.size() - out_head_};
  out_head_ += socket_->write(&v, 1);
  if (out_head_ == out_.size()) out_.clear(), out_head_ = 0;
}

void client_session::on_readable(socket_end& e) {
  if (state_ == state::over) return;
  const std::size_t before = in_.size(), n = e.readable();
  in_.resize(before + n);
  e.read(in_.data() + before, n);
  std::size_t at = 0;
  while (state_ != state::over) {
    mqtt::packet p;
    const auto r = mqtt::next_packet(const_bytes(in_).subspan(at), limits::packet_bytes_max, p);
    if (r == mqtt::parse::need_more) break;
    if (r != mqtt::parse::done) return w_.broken("MQTT", "s%u cannot read what the server sent", number);
    at += p.total;
    on_packet(p);
  }
  in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(std::min(at, in_.size())));
  if (state_ == state::over) return;
  flush();
  if (e.failed) end("notices a reset");
  else if (e.at_end()) end("is closed by the server");
}

void client_session::on_packet(const mqtt::packet& p) {
  reason r = reason::success;
  switch (p.type()) {
  case packet_type::connack: {
    test::connack_packet c;
    r = test::decode_connack(p, version_, c);
    if (r != reason::success) break;
    if (state_ != state::connecting) return w_.broken("MQTT", "s%u got a second CONNACK", number);
    if (c.code != 0) {
      w_.say("s%u refused: 0x%02x", number, c.code);
      const close_reason why = h_.sessions[number].why;
      if (!h_.any_fault && why != close_reason::taken_over && why != close_reason::registration_busy)
        w_.broken("P1", "s%u was refused with 0x%02x without any fault", number, c.code);
      return end("was refused");
    }
    state_ = state::live;
    h_.sessions[number].connack = w_.now;
    window_ = version_ == protocol_version::v5 ? c.properties.receive_maximum.value_or(65'535)
                                               : static_cast<std::uint16_t>(set_.inflight_max + 5);
    w_.say("s%u(%s) is live on e%u", number, device_.name().c_str(), h_.sessions[number].edge);
    w_.plan(w_.now + w_.between(1ms, 100ms), *this, ev_publish);
    w_.plan(w_.now + std::chrono::milliseconds(500) * keep_alive_, *this, ev_ping);
    return;
  }
  case packet_type::publish: return on_publish(p);
  case packet_type::puback: {
    mqtt::ack_packet a;
    r = test::decode_ack(p, version_, a);
    if (r != reason::success) break;
    const auto it = unanswered_.find(a.packet_id);
    if (it == unanswered_.end())
      return w_.broken("P1", "s%u got a PUBACK for packet %u, which is not in flight", number, a.packet_id);
    const std::uint32_t m = it->second;
    unanswered_.erase(it);
    return h_.answered(m, version_ == protocol_version::v5 ? static_cast<int>(a.code) : 0x100,
                       a.reason_string);
  }
  case packet_type::disconnect: {
    mqtt::disconnect_packet d;
    r = test::decode_disconnect(p, version_, d);
    if (r != reason::success) break;
    const close_reason why = h_.sessions[number].why;
    if ((d.code == reason::session_taken_over) != (why == close_reason::taken_over) &&
        why != close_reason::none)
      return w_.broken("P4", "s%u was told 0x%02x, and the server closed it because: %s", number,
                       static_cast<unsigned>(d.code), text_of(why).data());
    heard_to_the_end();
    return end("gets DISCONNECT");
  }
  case packet_type::pingresp: return;
  default: r = reason::protocol_error;
  }
  if (r != reason::success)
    w_.broken("MQTT", "s%u cannot decode a packet of type %u: %s", number, static_cast<unsigned>(p.type()),
              name_of(r).data());
}

void client_session::on_publish(const mqtt::packet& p) {
  mqtt::publish_packet m;
  if (test::decode_publish(p, version_, m) != reason::success || m.payload.size() < 4)
    return w_.broken("MQTT", "s%u cannot decode a PUBLISH", number);
  if (state_ != state::live) return w_.broken("MQTT", "s%u got a PUBLISH before CONNACK", number);
  const auto n = load_le<std::uint32_t>(m.payload.data());
  if (as_text(m.payload) != payload_of(n, m.payload.size()))
    return w_.broken("isolation", "the payload of m%u was changed on its way", n);
  std::string_view from = m.topic;
  if (!from.starts_with("@/")) return w_.broken("MQTT", "m%u arrived on a topic that is no address", n);
  from = from.substr(2, from.find('/', 2) - 2);
  if (m.qos) acks_.push_back({m.packet_id, n});
  if (acks_.size() > receive_maximum_)
    return w_.broken("MQTT", "s%u has %zu messages in flight, its receive maximum is %u", number,
                     acks_.size(), receive_maximum_);
  h_.received(number, n, m.qos, from);
  plan_acks();
}

// --- what it says ------------------------------------------------------------------------------------

void client_session::plan_acks() {
  if (acks_.empty()) return;
  if (slow_until_ <= w_.now && acks_.size() < 3 && w_.chance(70)) return send_acks();
  if (std::exchange(acks_planned_, true) && slow_until_ > w_.now) return;
  w_.plan(std::max(slow_until_, w_.now) + w_.between(50us, 3ms), *this, ev_acks);
}

void client_session::send_acks() {
  for (const auto& [packet_id, m] : std::exchange(acks_, {})) {
    test::append_puback(out_, packet_id);
    h_.acked(m, number);
  }
  flush();
}

// What it asks of the servers for this message, in user properties.
std::string client_session::draw_wishes(message_record& m) {
  if (version_ != protocol_version::v5) return {};
  test::property_list wishes;
  if (m.qos && set_.receipt_percent && w_.chance(set_.receipt_percent)) {
    m.asks_recipient = true;
    wishes.user("ack", "received");
  }
  if (set_.deadline_percent && !m.last_exchange && w_.chance(set_.deadline_percent)) {
    const std::uint64_t ms = w_.chance(50) ? w_.between(1, 100) : w_.between(100, 3'000);
    m.deadline = std::chrono::milliseconds(ms);
    wishes.user("deadline-ms", std::to_string(ms));
  }
  return wishes.bytes();
}

bool client_session::may_publish() const noexcept {
  return state_ == state::live && unanswered_.size() < window_ && out_.size() < out_bytes_max &&
         h_.publishes < set_.messages_max;
}

void client_session::publish(std::uint32_t to, std::uint8_t qos, bool last_exchange) {
  std::size_t size = w_.between(4, 60);
  if (w_.chance(5)) size = w_.between(100, 3'000);
  else if (w_.random.one_in(400)) size = w_.between(3'000, 30'000);
  size = std::min(size, set_.payload_max);
  const std::uint32_t m =
      h_.published(number, to, qos, ++flow_, static_cast<std::uint32_t>(size), last_exchange);
  test::publish_options o;
  const std::string topic = "@/" + h_.ids[to] + (w_.chance(30) ? "/chat" : "");
  const std::string payload = payload_of(m, size);
  o.version = version_;
  o.topic = topic;
  const std::string wishes = draw_wishes(h_.messages[m]);
  o.properties = wishes;
  o.payload = payload;
  o.qos = qos;
  if (qos) {
    do o.packet_id = next_packet_id_++;
    while (o.packet_id == 0 || unanswered_.contains(o.packet_id));
    unanswered_[o.packet_id] = m;
  }
  test::append_publish(out_, o);
  flush();
}

void client_session::burst() {
  const std::uint64_t n = w_.chance(15) ? w_.between(2, 30) : 1;
  const bool one_flow = w_.chance(60);
  const auto other = static_cast<std::uint32_t>(w_.random.below(set_.ids));
  for (std::uint64_t i = 0; i < n && may_publish(); ++i) {
    const std::uint32_t to = one_flow ? (w_.chance(60) ? favourite_ : other)
                                      : static_cast<std::uint32_t>(w_.random.below(set_.ids));
    publish(to, w_.chance(set_.qos0_percent) ? 0 : 1, false);
  }
  w_.plan(w_.now + duration(static_cast<duration::rep>(w_.random.below(2 * n * to_us(set_.publish_gap) + 1))),
          *this, ev_publish);
}

void client_session::on_event(std::uint32_t what, std::uint64_t) {
  if (state_ == state::over) return;
  switch (what) {
  case ev_publish:
    if (state_ == state::live && publishing_) burst();
    return;
  case ev_ping:
    out_ += test::encode_pingreq();
    flush();
    return w_.plan(w_.now + std::chrono::milliseconds(500) * keep_alive_, *this, ev_ping);
  case ev_acks:
    acks_planned_ = false;
    if (slow_until_ > w_.now) return plan_acks();
    return send_acks();
  default:
    if (state_ != state::live) end("waits no longer for CONNACK");
  }
}

// --- devices -----------------------------------------------------------------------------------------

device::device(world& w, std::uint32_t i, const settings& s, history& h, cluster& c)
    : id(i), w_(w), set_(s), h_(h), cluster_(c) {
  wants_online_ = !s.scripted;
  if (s.scripted) return;
  w_.plan(w_.now + w_.between(0ms, 300ms), *this, ev_connect);
  connect_planned_ = true;
  if (s.churn) w_.plan(w_.now + w_.between(600ms, 3s), *this, ev_churn);
}

void device::connect_to(std::uint32_t edge) {
  place_ = edge;
  wants_online_ = true;
  connect();
}

void device::leave() {
  wants_online_ = false;
  if (newest() && !newest()->over()) newest()->disconnect();
}

void device::moves_for_the_last_time(std::uint32_t edge) {
  if (resting_) return;
  wants_online_ = false;
  connect(edge);
}

void device::connect(std::uint32_t to) {
  const auto [edge, life] = to == ~0u ? cluster_.draw_edge() : cluster_.edge_and_life(to);
  const std::uint32_t lane = cluster_.home_lane(id, edge);
  const std::uint32_t n = h_.open_session(id, edge, life, lane, !w_.chance(set_.v311_percent));
  w_.say("s%u(%s) connects to e%u", n, name().c_str(), edge);
  sessions_.push_back(std::make_unique<client_session>(w_, *this, n, set_, h_));
  if (resting_) sessions_.back()->quiet();
  cluster_.dial_edge(edge, *sessions_.back());
}

void device::session_over(client_session& s) {
  if (&s != newest() || !wants_online_ || std::exchange(connect_planned_, true)) return;
  w_.plan(w_.now + (w_.chance(50) ? w_.between(1ms, 50ms) : w_.between(50ms, 600ms)), *this, ev_connect);
}

bool device::settled() const noexcept {
  for (std::size_t i = 0; i + 1 < sessions_.size(); ++i)
    if (!sessions_[i]->over()) return false;
  return wants_online_ ? newest() && newest()->live() : !newest() || newest()->over();
}

void device::come_to_rest() {
  resting_ = true;
  if (!set_.scripted) wants_online_ = !w_.chance(15);
  for (auto& s : sessions_) s->quiet();
  if (!wants_online_)
    for (auto& s : sessions_)
      if (!s->over()) s->disconnect();
  if (wants_online_ && (!newest() || newest()->over()) && !std::exchange(connect_planned_, true))
    w_.plan(w_.now + w_.between(1ms, 300ms), *this, ev_connect);
}

// Leaves, or connects elsewhere while the old session lives, or reads slowly.
void device::churn() {
  client_session* s = newest();
  const std::uint64_t what = w_.random.below(100);
  if (what < 30) {
    connect(); // the old session lives on, until it is taken over
    if (w_.chance(20)) connect();
  } else if (what < 50 && s && !s->over()) {
    wants_online_ = w_.chance(70);
    s->disconnect();
  } else if (what < 70 && s) {
    s->be_slow(w_.now + w_.between(50ms, 1500ms));
  } else if (!wants_online_) {
    wants_online_ = true;
    if (!std::exchange(connect_planned_, true)) w_.plan(w_.now, *this, ev_connect);
  }
}

void device::on_event(std::uint32_t what, std::uint64_t) {
  if (what == ev_connect) {
    connect_planned_ = false;
    if (wants_online_ && (!newest() || newest()->over())) connect();
    return;
  }
  if (resting_) return;
  churn();
  w_.plan(w_.now + w_.between(200ms, 4s), *this, ev_churn);
}

} // namespace beeline::sim
