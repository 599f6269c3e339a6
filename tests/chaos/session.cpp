#include "tests/chaos/session.hpp"

#include "tests/chaos/crowd.hpp"
#include "tests/chaos/stamp.hpp"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/steady_timer.hpp>

namespace beeline::chaos {
namespace asio = boost::asio;
using boost::system::error_code;

namespace {
constexpr std::size_t unsent_max = 256 * 1024;   // then it publishes no more
constexpr std::int64_t ping_after = 2'000'000;   // µs of silence
constexpr std::int64_t silence_max = 8'000'000;  // then the client gives up
constexpr std::int64_t connack_max = 10'000'000; // the edge says 0x88 after 5 s
constexpr std::uint16_t keep_alive_seconds = 10;

words words_of(std::string_view text) {
  if (text.empty()) return words::none;
  if (text.starts_with("outcome unknown")) return words::unknown;
  if (text.starts_with("given up")) return words::gave_up;
  if (text.starts_with("refused")) return words::refused;
  if (text.starts_with("the message expired")) return words::expired;
  if (!text.starts_with("taken, ")) return words::other;
  const auto says = [&](std::string_view part) { return text.find(part) != text.npos; };
  if (says("session ended")) return words::session_ended;
  if (says("in time")) return words::not_in_time;
  if (says("server was lost")) return words::owner_lost;
  if (says("expired")) return words::expired_waiting;
  return words::not_acknowledged;
}
} // namespace

session::session(crowd& c, std::uint32_t number, std::uint32_t client, std::uint8_t edge)
    : crowd_(c), socket_(c.io()), number_(number), client_(client), edge_(edge),
      by_packet_(c.plan(client).window) {
  for (std::size_t i = by_packet_.size(); i > 0; --i) free_packets_.push_back(static_cast<std::uint16_t>(i));
}

std::int64_t session::now() const { return crowd_.now(); }

void session::see(seen what, std::uint32_t other, std::uint32_t count, unsigned code, unsigned flags,
                  unsigned detail) {
  crowd_.see({now(), number_, other, count, what, static_cast<std::uint8_t>(code),
              static_cast<std::uint8_t>(flags), static_cast<std::uint8_t>(detail)});
}

void session::connect(const tcp::endpoint& to) {
  const client_plan& plan = crowd_.plan(client_);
  opened_ = heard_ = now();
  see(seen::connect, client_, 0, edge_, plan.v5 ? flag_v5 : 0u, 0);
  socket_.async_connect(to, [self = shared_from_this()](const error_code& e) {
    if (self->over_) return;
    if (e) return self->end(ending::not_connected);
    const client_plan& p = self->crowd_.plan(self->client_);
    error_code ignored;
    self->socket_.set_option(tcp::no_delay(true), ignored);
    self->connected_ = true;
    test::connect_options o;
    o.version = p.v5 ? test::v5 : test::v311;
    o.client_id = p.id;
    o.keep_alive = keep_alive_seconds;
    test::property_list properties;
    if (p.receive_max) properties.two_bytes(test::property::receive_maximum, p.receive_max);
    o.properties = properties.bytes();
    self->out_ += encode_connect(o);
    self->flush();
    self->read();
  });
}

bool session::has_room() const noexcept {
  return live() && !leaving_ && !free_packets_.empty() && out_.size() + sending_.size() < unsent_max;
}

void session::publish(std::uint32_t to, std::uint8_t qos, bool last, std::size_t bytes, wishes w) {
  stamp s{crowd_.run(),
          number_,
          next_count_,
          static_cast<std::uint16_t>(client_),
          static_cast<std::uint16_t>(to),
          qos,
          static_cast<std::uint8_t>((last ? mark_last : 0) | (w.receipt ? mark_acknowledge : 0)),
          0};
  s.bytes = static_cast<std::uint16_t>(std::max(bytes, sizeof s));
  static thread_local std::string payload;
  write_payload(payload, s);
  test::publish_options o;
  o.version = crowd_.plan(client_).v5 ? test::v5 : test::v311;
  const std::string topic = "@/" + crowd_.plan(to).id + "/t";
  o.topic = topic;
  o.payload = payload;
  o.qos = qos;
  test::property_list properties;
  if (w.receipt) properties.user("ack", "received");
  if (w.deadline) properties.user("deadline-ms", std::to_string(w.deadline * 100));
  o.properties = properties.bytes();
  if (qos) {
    o.packet_id = free_packets_.back();
    free_packets_.pop_back();
    by_packet_[o.packet_id - 1u] = next_count_ + 1;
    ++unanswered_;
  }
  see(seen::publish, to, next_count_++, w.deadline, (qos ? flag_qos1 : 0u) | (last ? flag_last : 0u),
      w.receipt);
  append_publish(out_, o);
  flush();
}

void session::leave() {
  if (over_ || leaving_) return;
  leaving_ = true;
  if (!connected_) return end(ending::abort);
  out_ += test::encode_disconnect(crowd_.plan(client_).v5 ? test::v5 : test::v311);
  flush();
}

void session::abort() {
  if (!over_) end(ending::abort);
}

void session::tick() {
  if (over_) return;
  const std::int64_t silent = now() - heard_;
  if (!live_ && now() - opened_ > connack_max) return end(ending::gave_up);
  if (!live_) return;
  if (deaf_) {
    if (now() - pinged_at_ > ping_after) pinged_at_ = now(), out_ += test::encode_pingreq(), flush();
    return;
  }
  if (silent > silence_max) return end(ending::gave_up);
  if (silent < ping_after) pinged_ = false;
  else if (!std::exchange(pinged_, true)) out_ += test::encode_pingreq(), flush();
}

void session::end(ending how, unsigned code) {
  if (std::exchange(over_, true)) return;
  const auto kept = shared_from_this();   // the crowd lets go of it
  if (leaving_) how = ending::disconnect; // the server has read it and closed before we did
  see(seen::end, 0, 0, code, 0, static_cast<unsigned>(how));
  error_code ignored;
  if (how != ending::disconnect) socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  socket_.close(ignored);
  crowd_.ended(client_, number_);
}

void session::deaf(bool on) {
  deaf_ = on;
  heard_ = now();
  if (!on && connected_ && !over_ && !reading_) read();
}

void session::read() {
  if (deaf_) return;
  reading_ = true;
  constexpr std::size_t step = 64 * 1024;
  const std::size_t had = in_.size();
  in_.resize(had + step);
  socket_.async_read_some(asio::buffer(in_.data() + had, step), [self = shared_from_this(),
                                                                 had](const error_code& e, std::size_t n) {
    self->reading_ = false;
    if (self->over_) return;
    self->in_.resize(had + n);
    self->heard_ = self->now();
    self->in_.erase(0, self->take_packets());
    if (self->over_) return;
    if (e) return self->end(e == asio::error::eof ? ending::server_closed : ending::network_error);
    self->flush();
    self->read();
  });
}

std::size_t session::take_packets() {
  std::size_t at = 0;
  mqtt::packet p;
  while (!over_ &&
         mqtt::next_packet(as_bytes(std::string_view(in_).substr(at)), SIZE_MAX, p) == mqtt::parse::done) {
    on_packet(p);
    at += p.total;
  }
  return at;
}

void session::flush() {
  if (over_ || writing_ || !connected_) return;
  if (out_.empty()) {
    if (leaving_) end(ending::disconnect);
    return;
  }
  writing_ = true;
  sending_.clear();
  std::swap(out_, sending_);
  auto written = [self = shared_from_this()](const error_code& e, std::size_t n) {
    self->writing_ = false;
    if (self->over_ || e) return; // the read tells what became of it, with all that came before
    self->sending_.erase(0, n);
    self->sending_ += self->out_;
    std::swap(self->sending_, self->out_);
    self->sending_.clear();
    self->flush();
  };
  socket_.async_write_some(asio::buffer(sending_), std::move(written));
}

void session::on_packet(const mqtt::packet& p) {
  switch (p.type()) {
  case mqtt::packet_type::connack: return on_connack(p);
  case mqtt::packet_type::publish: return on_publish(p);
  case mqtt::packet_type::puback: return on_puback(p);
  case mqtt::packet_type::disconnect: {
    mqtt::disconnect_packet d;
    (void)test::decode_disconnect(p, test::v5, d);
    return end(ending::server_disconnect, static_cast<unsigned>(d.code));
  }
  default: return;
  }
}

void session::on_connack(const mqtt::packet& p) {
  test::connack_packet c;
  const bool v5 = crowd_.plan(client_).v5;
  if (test::decode_connack(p, v5 ? test::v5 : test::v311, c) != mqtt::reason::success) c.code = 0xff;
  if (c.code != 0) return end(ending::refused, c.code);
  see(seen::connack, 0, 0, 0, 0, 0);
  live_ = true;
  crowd_.connected(client_, number_);
}

void session::on_publish(const mqtt::packet& p) {
  const client_plan& plan = crowd_.plan(client_);
  mqtt::publish_packet m;
  unsigned flags = 0;
  std::optional<stamp> s;
  if (test::decode_publish(p, plan.v5 ? test::v5 : test::v311, m) == mqtt::reason::success)
    s = read_payload(as_text(m.payload), crowd_.run());
  if (m.dup) flags |= flag_dup;
  if (m.qos) flags |= flag_qos1;
  const bool right = s && s->to == client_ && s->qos == m.qos;
  if (!s) flags |= flag_damaged;
  else {
    if (s->to != client_) flags |= flag_not_for_me;
    if (s->qos != m.qos) flags |= flag_damaged;
    if (m.topic != "@/" + crowd_.plan(s->from).id + "/t") flags |= flag_wrong_sender;
    if (s->marks & mark_last) flags |= flag_last;
  }
  see(seen::receive, s ? s->session : 0, s ? s->count : 0, 0, flags, 0);
  if (!m.qos) return;
  const bool awaited = right && s->marks & mark_acknowledge;
  acknowledge(m.packet_id, awaited ? std::optional(wanted{s->session, s->count}) : std::nullopt);
}

void session::put_puback(std::uint16_t packet_id, std::optional<wanted> by) {
  if (by) see(seen::acknowledge, by->session, by->count, 0, 0, 0);
  test::append_puback(out_, packet_id);
}

void session::acknowledge(std::uint16_t packet_id, std::optional<wanted> by) {
  if (leaving_) return; // nothing comes after DISCONNECT
  const int delay = crowd_.late_ack_ms(client_);
  if (delay == 0) return put_puback(packet_id, by);
  auto timer = std::make_shared<asio::steady_timer>(crowd_.io(), std::chrono::milliseconds(delay));
  timer->async_wait([self = shared_from_this(), timer, packet_id, by](const error_code& e) {
    if (e || self->over_ || self->leaving_) return;
    self->put_puback(packet_id, by);
    self->flush();
  });
}

void session::on_puback(const mqtt::packet& p) {
  mqtt::ack_packet a;
  const bool v5 = crowd_.plan(client_).v5;
  const bool good = test::decode_ack(p, v5 ? test::v5 : test::v311, a) == mqtt::reason::success;
  if (!good || a.packet_id == 0 || a.packet_id > by_packet_.size() || by_packet_[a.packet_id - 1u] == 0)
    return see(seen::answer, 0, 0, static_cast<unsigned>(a.code), flag_unasked, 0);
  const std::uint32_t count = std::exchange(by_packet_[a.packet_id - 1u], 0) - 1;
  free_packets_.push_back(a.packet_id);
  --unanswered_;
  see(seen::answer, 0, count, static_cast<unsigned>(a.code), 0,
      static_cast<unsigned>(words_of(a.reason_string)));
}

} // namespace beeline::chaos
