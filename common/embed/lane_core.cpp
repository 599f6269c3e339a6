#include "common/embed/lane_core.hpp"

#include "common/base/client_id.hpp"
#include "common/base/utf8.hpp"

#include "common/link/endpoint.ipp"

#include <boost/asio/error.hpp>

BEELINE_LINK_BEGIN
namespace {

// Ends a wait that was cancelled; the list keeps its order.
void abort(std::vector<lane_core::wait_done>& waits, const void* id) {
  const auto at = std::find_if(waits.begin(), waits.end(), [&](const auto& w) { return w.id() == id; });
  CHECK_INVARIANT(at != waits.end());
  auto done = std::move(*at);
  waits.erase(at);
  done(boost::asio::error::operation_aborted);
}

// Both enums begin with the same six, in the same order.
static_assert(static_cast<int>(outcome::accepted) == static_cast<int>(answer::accepted) &&
              static_cast<int>(outcome::nobody) == static_cast<int>(answer::nobody) &&
              static_cast<int>(outcome::full) == static_cast<int>(answer::full) &&
              static_cast<int>(outcome::refused) == static_cast<int>(answer::refused) &&
              static_cast<int>(outcome::expired) == static_cast<int>(answer::expired) &&
              static_cast<int>(outcome::unknown) == static_cast<int>(answer::unknown));

bool valid_text(std::string_view s) { return s.size() <= 65'535 && valid_utf8(s); }

// MQTT topic levels: an MQTT recipient gets "@/SENDER/CHANNEL".
bool valid_channel(std::string_view s) {
  return s.size() <= limits::topic_bytes_max - limits::client_id_bytes_max - 3 && valid_utf8(s) &&
         s.find_first_of("+#") == std::string_view::npos;
}

errc code_of(close_reason why) {
  switch (why) {
  case close_reason::registration_refused: return errc::router_full;
  case close_reason::registration_busy: return errc::router_busy;
  default: return errc::taken_over;
  }
}

recipient recipient_of(receipt_told r) {
  switch (r) {
  case receipt_told::received: return recipient::acknowledged;
  case receipt_told::session_ended: return recipient::session_ended;
  case receipt_told::expired: return recipient::expired;
  case receipt_told::rejected: return recipient::rejected;
  case receipt_told::timeout: return recipient::silent;
  case receipt_told::owner_lost: return recipient::server_lost;
  case receipt_told::not_promised: return recipient::not_promised;
  }
  return recipient::not_promised;
}

bool put_properties(std::string& to, const properties& p) {
  using enum wire::property_id;
  if (p.is_text) wire::put_flag(to, payload_format, true);
  if (!valid_text(p.content_type) || !valid_text(p.response_topic) || p.correlation_data.size() > 65'535)
    return false;
  if (!p.content_type.empty()) wire::put_text(to, content_type, p.content_type);
  if (!p.response_topic.empty()) {
    if (p.response_topic.find_first_of("+#") != std::string_view::npos) return false;
    wire::put_text(to, response_topic, p.response_topic);
  }
  if (!p.correlation_data.empty()) wire::put_text(to, correlation_data, as_text(p.correlation_data));
  const std::size_t before = to.size();
  for (const auto& [name, value] : p.user) {
    if (!valid_text(name) || !valid_text(value)) return false;
    wire::put_user_property(to, name, value);
    if (to.size() - before > limits::user_properties_bytes_max) return false;
  }
  return true;
}

} // namespace

lane_core::lane_core(endpoint_config config, std::size_t unanswered_bytes_max, lane_handlers handlers,
                     chunk_pool& pool, time_point now)
    : pool_(pool), unanswered_bytes_max_(unanswered_bytes_max), handlers_(std::move(handlers)),
      endpoint_(std::move(config), *this, pool, blocks_, dirty_, now), last_time_(now) {}
lane_core::~lane_core() = default;

// What a handler of the program lets out ends here.
template <class F, class... Args> auto lane_core::guarded(F& f, Args&&... args) -> bool {
  if (muted_) return false;
  try {
    f(std::forward<Args>(args)...);
    return true;
  } catch (const std::exception& e) {
    ++handler_failures_;
    on_event(event_level::error, std::string("a handler failed: ") + e.what());
  } catch (...) {
    ++handler_failures_;
    on_event(event_level::error, "a handler failed");
  }
  return false;
}

// --- clients ----------------------------------------------------------------------------------------

lane_core::client_state* lane_core::find(client_handle c) noexcept {
  if (c.index >= clients_.size()) return nullptr;
  client_state& s = clients_[c.index];
  return s.used && s.generation == c.generation ? &s : nullptr;
}

client_handle lane_core::attach(std::string_view id, error_code& ec, time_point now) {
  ec = {};
  if (leaving_) return ec = refuse(errc::shutting_down), client_handle{};
  if (!valid_utf8(id) || !valid_client_id(id)) return ec = refuse(errc::invalid_client_id), client_handle{};
  if (!ids_.emplace(id).second) return ec = refuse(errc::already_attached), client_handle{};
  const handle h = endpoint_.attach(id, now);
  if (h.index >= clients_.size()) clients_.resize(h.index + 1u);
  client_state& s = clients_[h.index];
  s = {};
  s.generation = ++generations_;
  s.at_endpoint = h;
  s.used = true;
  s.id = id;
  return handle_of(h);
}

void lane_core::wait_attached(client_handle c, attach_done done) {
  client_state* s = find(c);
  CHECK_INVARIANT(s && !s->attaching);
  s->attaching = std::move(done);
}

void lane_core::withdraw_attach(client_handle c, time_point now) {
  client_state* s = find(c);
  CHECK_INVARIANT(s && s->attaching);
  endpoint_.detach(s->at_endpoint, now);
  attach_done done = std::move(s->attaching);
  forget(*s, errc::not_attached); // for others who wait for it
  done(boost::asio::error::operation_aborted, {});
}

void lane_core::wait_registered(client_handle c, wait_done done) {
  if (leaving_) return done(errc::shutting_down);
  client_state* s = find(c);
  if (!s) return done(errc::not_attached);
  if (registered(c)) return done({});
  done.on_cancel([this, index = c.index, id = done.id()] { abort(clients_[index].registering, id); });
  s->registering.push_back(std::move(done));
}

bool lane_core::registered(client_handle c) noexcept {
  const client_state* s = find(c);
  const client* x = s ? endpoint_.find(s->at_endpoint) : nullptr;
  return x && x->registered;
}

bool lane_core::detach(client_handle c, time_point now) {
  client_state* s = find(c);
  if (!s) return false;
  endpoint_.detach(s->at_endpoint, now);
  forget(*s, errc::not_attached);
  return true;
}

// The endpoint has let go of it: its receipts will not come any more. What was under way may have been taken.
void lane_core::forget(client_state& s, error_code why) {
  while (s.receipts != none) complete(s.receipts, errc::outcome_unknown, {});
  s.used = false;
  ids_.erase(s.id);
  s.id = {};
  tell_registration(s, why, {});
}

void lane_core::tell_registration(client_state& s, error_code ec, client_handle c) {
  if (attach_done done = std::move(s.attaching)) done(ec, c);
  for (wait_done& done : std::exchange(s.registering, {})) done(ec);
}

void lane_core::on_registered(handle h, time_point) {
  tell_registration(clients_[h.index], {}, handle_of(h));
}

void lane_core::on_kicked(handle h, close_reason why, time_point now) {
  client_state& s = clients_[h.index];
  const error_code ec = code_of(why);
  const std::string id = s.id;
  const bool was_attaching = static_cast<bool>(s.attaching); // then that says so
  endpoint_.detach(h, now);
  forget(s, ec);
  if (was_attaching || !handlers_.on_kicked) return;
  // Behind the completion of async_attach, which may have been posted a moment ago.
  post([this, ec, c = handle_of(h), id] { guarded(handlers_.on_kicked, ec, c, std::string_view(id)); });
}

void lane_core::wait_ready(wait_done done) {
  if (leaving_) return done(errc::shutting_down);
  if (ready()) return done({});
  done.on_cancel([this, id = done.id()] { abort(ready_waiters_, id); });
  ready_waiters_.push_back(std::move(done));
}

void lane_core::on_ready(bool ready, time_point) {
  if (ready)
    for (wait_done& done : std::exchange(ready_waiters_, {})) done({});
  if (handlers_.on_ready) guarded(handlers_.on_ready, ready);
}

// --- messages ---------------------------------------------------------------------------------------

bool lane_core::prepare(client_handle from, const message& m, bool qos1, error_code& ec) {
  ec = {};
  const client_state* s = find(from);
  if (leaving_) return ec = refuse(errc::shutting_down), false;
  if (!s) return ec = refuse(errc::not_attached), false;
  block_.clear();
  if (!valid_utf8(m.to) || !valid_client_id(m.to) || !valid_channel(m.channel) ||
      m.deadline < m.deadline.zero() || (m.properties.is_text && !valid_utf8(as_text(m.payload))) ||
      m.payload.size() > limits::packet_bytes_max || !put_properties(block_, m.properties))
    return ec = refuse(m.payload.size() > limits::packet_bytes_max ? errc::message_too_large
                                                                   : errc::invalid_message),
           false;
  parts_.hash = endpoint_.hash(m.to);
  parts_.destination = m.to;
  parts_.sender = s->id;
  parts_.channel = m.channel;
  block_view_ = as_bytes(block_);
  parts_.properties = {&block_view_, block_.empty() ? 0u : 1u};
  parts_.payload = m.payload;
  parts_.ttl_ms = static_cast<std::uint32_t>(std::min<std::int64_t>(m.deadline.count(), wire::ttl_ms_max));
  parts_.receipt = qos1 && m.ask_recipient;
  if (wire::message_bytes(parts_, qos1) > limits::packet_bytes_max)
    return ec = refuse(errc::message_too_large), false;
  return true;
}

bool lane_core::send(client_handle from, const message& m, error_code& ec) {
  if (!prepare(from, m, false, ec)) return false;
  std::uint16_t link = 0;
  drop_reason why{};
  switch (endpoint_.send_qos0(parts_, link, why)) {
  case endpoint<lane_core>::sent::ok: return true;
  case endpoint<lane_core>::sent::link_full:
    if (link >= link_blocked_.size()) link_blocked_.resize(link + 1u);
    if (!link_blocked_[link]) link_blocked_[link] = true, ++blocked_, told_full_ = true;
    return true;
  case endpoint<lane_core>::sent::dropped: break;
  }
  ++dropped_;
  ec = refuse(why == drop_reason::link_full ? errc::would_block : errc::not_ready);
  return false;
}

void lane_core::send(client_handle from, const message& m, send_done done, time_point now) {
  error_code ec;
  if (!prepare(from, m, true, ec)) return done(ec, {});
  const std::size_t size = wire::message_bytes(parts_, true);
  if (size > unanswered_bytes_max_) return done(refuse(errc::message_too_large), {}); // never room for it
  if (endpoint_.outgoing.counters.bytes.get() + size > unanswered_bytes_max_ ||
      endpoint_.outgoing.messages() >= limits::window_messages_max ||
      (m.ask_recipient && endpoint_.receipts_full())) {
    full_ = told_full_ = true; // also below the mark of update_want_more: who is told to wait is called
    return done(refuse(errc::would_block), {});
  }
  const std::uint32_t token = receipts_.take();
  client_state& s = clients_[from.index];
  done.on_cancel([this, token] { // the message goes on: its token is given back with its outcome
    auto cancelled = std::move(receipts_[token].done);
    cancelled(boost::asio::error::operation_aborted, {});
  });
  receipts_[token] = {std::move(done), from.index, s.receipts, none};
  if (s.receipts != none) receipts_[s.receipts].prev = token;
  s.receipts = token;
  endpoint_.send_qos1(s.at_endpoint, token, parts_, now);
  update_want_more();
}

void lane_core::complete(std::uint32_t token, error_code ec, receipt r) {
  waiting& w = receipts_[token];
  (w.prev != none ? receipts_[w.prev].next : clients_[w.client].receipts) = w.next;
  if (w.next != none) receipts_[w.next].prev = w.prev;
  send_done done = std::exchange(w, {}).done;
  receipts_.give(token);
  if (done) done(ec, r);
}

void lane_core::on_outcome(const outbox::outcome& o, time_point) {
  const auto token = static_cast<std::uint32_t>(o.token);
  if (receipts_[token].client == none) return; // told already, as unknown (fail_all)
  ++receipts_by_outcome_[static_cast<std::size_t>(o.what)];
  complete(token, {}, {static_cast<outcome>(o.what)});
}

// The message was accepted: so says the receipt, and what became of it there.
void lane_core::on_receipt(handle, std::uint64_t token, receipt_told what, time_point) {
  if (receipts_[static_cast<std::uint32_t>(token)].client == none) return;
  ++receipts_by_outcome_[static_cast<std::size_t>(outcome::accepted)];
  ++by_recipient_[static_cast<std::size_t>(recipient_of(what))];
  complete(static_cast<std::uint32_t>(token), {}, {outcome::accepted, recipient_of(what)});
}

// The program's handler is the recipient: what it accepts it has acknowledged.
answer lane_core::deliver(handle h, const wire::message_view& m, std::uint32_t receipt, time_point now) {
  outcome o = outcome::refused;
  const message_view view(m.bytes().data(), m.bytes().size());
  const auto ask = [&] { o = handlers_.on_message(handle_of(h), view); };
  if (!guarded(ask)) return answer::refused;
  if (o == outcome::accepted && receipt != none)
    endpoint_.settle_receipt(receipt, wire::receipt::received, now);
  return o == outcome::accepted || o == outcome::full ? static_cast<answer>(o) : answer::refused;
}

void lane_core::on_link_drained(std::uint16_t link, time_point) {
  if (link < link_blocked_.size() && link_blocked_[link]) link_blocked_[link] = false, --blocked_;
}

void lane_core::update_want_more() {
  const std::size_t waits = endpoint_.outgoing.counters.bytes.get();
  if (waits > unanswered_bytes_max_ / 2 || endpoint_.receipts_full()) full_ = told_full_ = true;
  else if (waits <= unanswered_bytes_max_ / 4) full_ = false;
}

void lane_core::end_turn(time_point now) {
  endpoint_.end_turn(now);
  update_want_more();
  if (told_full_ && want_more()) {
    told_full_ = false;
    if (handlers_.on_want_more) guarded(handlers_.on_want_more);
  }
}

// --- end ----------------------------------------------------------------------------------------------

void lane_core::shutdown(time_point now) {
  leaving_ = true;
  fail_all(now);
  endpoint_.say_goodbye(now);
}

void lane_core::fail_all(time_point now) {
  for (const client_state& s : clients_)
    if (s.used) endpoint_.outgoing.sender_gone(s.at_endpoint, now);
  for (wait_done& done : std::exchange(ready_waiters_, {})) done(errc::shutting_down);
  for (client_state& s : clients_) {
    while (s.used && s.receipts != none) complete(s.receipts, errc::outcome_unknown, {});
    tell_registration(s, errc::shutting_down, {});
  }
}

// What is destroyed may own the lane and call it: it goes last, when nothing here refers to it any more.
void lane_core::drop_all() {
  leaving_ = muted_ = true;
  [[maybe_unused]] const lane_handlers handlers = std::exchange(handlers_, {});
  std::vector<wait_done> waits = std::exchange(ready_waiters_, {});
  std::vector<attach_done> attaches;
  std::vector<send_done> sends;
  for (client_state& s : clients_) {
    attaches.push_back(std::move(s.attaching));
    for (wait_done& w : std::exchange(s.registering, {})) waits.push_back(std::move(w));
  }
  for (std::uint32_t i = 0; i < receipts_.capacity(); ++i) sends.push_back(std::move(receipts_[i].done));
}

void lane_core::on_event(event_level level, std::string_view line) {
  if (!handlers_.on_log || muted_) return;
  try {
    handlers_.on_log(static_cast<severity>(level), line);
  } catch (...) { // where would one say so?
    ++handler_failures_;
  }
}

statistics lane_core::count() const {
  const endpoint_counters& e = endpoint_.counters;
  const outbox_counters& o = endpoint_.outgoing.counters;
  statistics s;
  s.clients = endpoint_.clients();
  s.unanswered_messages = o.messages.get();
  s.unanswered_bytes = o.bytes.get();
  s.queue_bytes = endpoint_.output_bytes();
  s.links = e.links.get(), s.links_up = e.links_up.get();
  s.sent = o.sent.get(), s.sent_qos0 = e.frames_out_qos0.get();
  s.resent = o.resent.get();
  s.received = e.messages_in.get(), s.received_bytes = e.bytes_in.get();
  s.accepted = e.accepted.get(), s.accepted_qos0 = e.accepted_qos0.get();
  s.dropped = dropped_ + e.drops[static_cast<std::size_t>(drop_reason::not_here)].get();
  s.handler_failures = handler_failures_;
  s.link_losses = e.link_losses.get(), s.takeovers = e.takeovers.get();
  s.registrations_refused = e.refused.get();
  s.receipts_awaited = endpoint_.receipt_counts.awaited.get();
  s.receipts_owed = endpoint_.receipt_counts.owed.get();
  std::copy(std::begin(receipts_by_outcome_), std::end(receipts_by_outcome_), s.receipts.begin());
  std::copy(std::begin(by_recipient_), std::end(by_recipient_), s.by_recipient.begin());
  std::copy(std::begin(refused_), std::end(refused_), s.refused.begin());
  endpoint_.board.for_each([&](const link_stats& l) {
    s.link.push_back({l.address, l.shard, std::string(link_state_names[l.state.get()]), l.queue_bytes.get(),
                      l.queue_high_water.get(), l.round_trip_us.get(), l.messages_out.get(),
                      l.messages_in.get(), l.resends.get(), l.bytes_out.get(), l.bytes_in.get(),
                      l.losses.get()});
  });
  return s;
}

BEELINE_LINK_END
