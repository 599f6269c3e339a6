// The shell of an embedded lane: its turns on the program's io_context.
#include "common/base/host_port.hpp"
#include "common/base/utf8.hpp"
#include "common/embed/lane_core.hpp"
#include "common/embed/lane_service.hpp"
#include "common/net/core_loop.hpp"
#include "common/net/random.hpp"

#include "common/link/endpoint.ipp"

#include <beeline/lane.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <stdexcept>

namespace beeline::link {
boost::asio::execution_context::id lane_service::id;
}

BEELINE_LINK_BEGIN
namespace asio = boost::asio;
using boost::system::error_code;
namespace {

endpoint_config::router parse_router(const std::string& text) {
  host_port at;
  if (const std::string problem = read_host_port(text, port_zero::refused, at); !problem.empty())
    throw std::invalid_argument("router address '" + text + "': " + problem);
  return {at.host, at.port};
}

endpoint_config config_of(const lane_options& o) {
  if (o.name.empty() || o.name.size() > limits::edge_name_bytes_max || !valid_utf8(o.name))
    throw std::invalid_argument("lane_options.name: 1 to 64 bytes of UTF-8");
  if (o.lanes == 0 || o.lanes > limits::lanes_max || o.number >= o.lanes)
    throw std::invalid_argument("lane_options.number: below lanes, which are 1 to 256");
  if (o.routers.empty() || o.routers.size() > limits::routers_max)
    throw std::invalid_argument("lane_options.routers: 1 to 64 addresses");
  endpoint_config e;
  e.secret = cluster_secret(o.cluster_secret);
  e.who.id = lane_id{net::random_number()};
  e.who.edge_name = o.name;
  e.who.number = o.number;
  e.who.lanes = o.lanes;
  if (o.receipt_timeout <= o.receipt_timeout.zero())
    throw std::invalid_argument("lane_options.receipt_timeout: above 0");
  e.receipt_timeout = o.receipt_timeout;
  if (o.receipts_max == 0) throw std::invalid_argument("lane_options.receipts_max: above 0");
  e.receipts_max = o.receipts_max;
  for (const std::string& r : o.routers) e.routers.push_back(parse_router(r));
  e.make_nonce = [] { return net::random_bytes<sizeof(wire::nonce)>(); };
  e.random_seed = net::random_number();
  return e;
}

lane_handlers checked(lane_handlers h) {
  if (!h.on_message) throw std::invalid_argument("lane_handlers.on_message is required");
  return h;
}

} // namespace

// A message on its way to the lane's thread.
struct lane::owned_message {
  std::string to, channel, payload, content_type, response_topic, correlation_data;
  std::vector<std::pair<std::string, std::string>> user;
  bool is_text, ask_recipient;
  std::chrono::milliseconds deadline;

  explicit owned_message(const message& m)
      : to(m.to), channel(m.channel), payload(text_of(m.payload)), content_type(m.properties.content_type),
        response_topic(m.properties.response_topic), correlation_data(text_of(m.properties.correlation_data)),
        is_text(m.properties.is_text), ask_recipient(m.ask_recipient), deadline(m.deadline) {
    for (const auto& [name, value] : m.properties.user) user.emplace_back(name, value);
  }
  template <class F> void with_view(F f) const {
    std::vector<std::pair<std::string_view, std::string_view>> pairs(user.begin(), user.end());
    message m;
    m.to = to, m.channel = channel, m.payload = bytes_of(payload), m.deadline = deadline;
    m.ask_recipient = ask_recipient;
    m.properties.content_type = content_type, m.properties.response_topic = response_topic;
    m.properties.correlation_data = bytes_of(correlation_data);
    m.properties.is_text = is_text, m.properties.user = pairs;
    f(m);
  }
};

struct lane::impl : std::enable_shared_from_this<impl> {
  impl(asio::io_context& c, const lane_options& o, lane_handlers h)
      : context(c),
        core(config_of(o), o.unanswered_bytes_max, checked(std::move(h)), pool, net::steady_now()),
        io(std::in_place, core, c, [this] { want_turn(); }) {
    core.post = [this](std::function<void()> f) {
      asio::post(context, [weak = weak_from_this(), f = std::move(f)] {
        if (const auto self = weak.lock()) f();
      });
    };
  }

  time_point now() const noexcept { return net::steady_now(); }

  // A turn soon: what handlers of this round of the io_context send goes out together.
  void want_turn() {
    if (ended || std::exchange(turn_wanted, true)) return;
    asio::post(context, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->turn();
    });
  }

  // The first thread that runs the io_context is the lane's, as lane.hpp says.
  bool in_first_thread() noexcept {
    if (!std::exchange(owned, true)) io->driver.loop().own();
    return io->driver.loop().in_owner_thread();
  }

  void turn() {
    if (ended) return;
    [[maybe_unused]] const bool same_thread = in_first_thread();
    DCHECK_INVARIANT(same_thread);
    turn_wanted = false;
    if (in_turn) { // a handler runs the io_context: another turn when this one is over
      one_more = true;
      return;
    }
    const auto alive = shared_from_this(); // a handler may drop the lane
    one_more = false;
    const auto ready = io->driver.loop().look();
    in_turn = true;
    try {
      io->driver.turn(ready);
      if (stop_done) try_to_stop();
    } catch (...) { // the program may run the io_context again
      in_turn = false;
      want_turn();
      throw;
    }
    in_turn = false;
    if (ended) return;
    if (one_more || !ready.empty()) return want_turn(); // look again after the others' handlers
    io->driver.loop().await([this] { turn(); });
    const time_point at = std::min(io->driver.next_deadline(), stop_done ? stop_at : never);
    if (at <= now()) return want_turn();
    if (at == timer_at) return;
    timer_at = at;
    io->timer.expires_at(std::chrono::steady_clock::time_point(at.time_since_epoch()));
    io->timer.async_wait([weak = weak_from_this()](const error_code& e) {
      if (e) return;
      if (const auto self = weak.lock()) {
        self->timer_at = never;
        self->turn();
      }
    });
  }

  // --- end ---
  void try_to_stop() {
    if (!stopping) {
      const bool answered = core.idle();
      if (!answered && now() < stop_at) return;
      all_answered = answered;
      stopping = true;
      stop_at = now() + limits::close_flush_max;
      io->driver.stop();
    }
    if (io->driver.stopped() || now() >= stop_at) end();
  }
  void hurry_stop() { // the shutdown was cancelled: no more waiting, for receipts or for last words
    stop_error = asio::error::operation_aborted;
    stop_at = now();
    want_turn();
  }
  void end() { // nothing of the lane stays in the io_context
    if (std::exchange(ended, true)) return;
    core.stop_sending();
    core.fail_all(now());
    io->close();
    if (auto done = std::exchange(stop_done, {})) done(stop_error, all_answered);
  }
  // The io_context is being destroyed: nothing is called any more, and nothing of it is kept.
  void drop() noexcept {
    ended = true;
    core.mute();
    if (io) io->close();
    io.reset();
    [[maybe_unused]] const auto last = std::exchange(stop_done, {});
    core.drop_all();
  }

  struct asio_objects { // what has to go before the io_context
    asio_objects(lane_core& core, asio::io_context& c, net::event_loop::task wanted)
        : timer(c), driver(core, net::core_loop_options{}, c, std::move(wanted)) {}
    void close() {
      driver.close_all();
      driver.loop().cancel_await();
      timer.cancel();
    }
    asio::steady_timer timer;
    net::core_driver<lane_core> driver;
  };

  asio::io_context& context;
  chunk_pool pool;
  lane_core core;
  std::optional<asio_objects> io; // empty: the io_context has gone
  time_point timer_at = never, stop_at = never;
  completion<error_code, bool> stop_done;
  error_code stop_error;
  bool turn_wanted = false, in_turn = false, one_more = false, stopping = false, ended = false,
       all_answered = false;
  bool owned = false; // the io_context has been run
};

lane::lane(asio::io_context& context, lane_options options, lane_handlers handlers)
    : impl_(std::make_shared<impl>(context, options, std::move(handlers))) {
  asio::use_service<lane_service>(context).add(impl_,
                                               [](void* i) noexcept { static_cast<impl*>(i)->drop(); });
  impl_->want_turn(); // dials
}

lane::~lane() {
  impl_->core.mute(); // what the handlers refer to may be gone already
  impl_->end();
}

lane::executor_type lane::get_executor() const noexcept { return executor_of(*impl_); }
lane::executor_type lane::executor_of(const impl& i) noexcept { return i.context.get_executor(); }

bool lane::ready() const noexcept { return impl_->core.ready() && !impl_->ended; }
std::string lane::problem() const { return impl_->core.problem(); }
bool lane::want_more() const noexcept { return impl_->core.want_more(); }
link::statistics lane::statistics() const { return impl_->core.count(); }

client_handle lane::attach(std::string_view id, error_code& ec) {
  const client_handle c = impl_->core.attach(id, ec, impl_->now());
  impl_->want_turn();
  return c;
}
bool lane::registered(client_handle c) const noexcept { return impl_->core.registered(c); }
bool lane::detach(client_handle c) {
  const bool was = impl_->core.detach(c, impl_->now());
  impl_->want_turn();
  return was;
}

bool lane::send(client_handle from, const message& m, error_code& ec) {
  const bool sent = impl_->core.send(from, m, ec);
  impl_->want_turn();
  return sent;
}

bool lane::in_thread(const impl& i) noexcept { return executor_of(i).running_in_this_thread(); }
std::shared_ptr<const lane::owned_message> lane::copy_of(const message& m) {
  return std::make_shared<owned_message>(m);
}

void lane::send_and_wait(impl& i, client_handle from, const message& m,
                         completion<error_code, receipt> done) {
  i.core.send(from, m, std::move(done), i.now());
  i.want_turn();
}
void lane::send_and_wait(impl& i, client_handle from, const owned_message& m,
                         completion<error_code, receipt> done) {
  m.with_view([&](const message& view) { send_and_wait(i, from, view, std::move(done)); });
}

void lane::wait_ready(impl& i, completion<error_code> done) { i.core.wait_ready(std::move(done)); }

void lane::attach_and_wait(impl& i, std::string_view id, completion<error_code, client_handle> done) {
  error_code ec;
  const client_handle c = i.core.attach(id, ec, i.now());
  if (ec) return done(ec, {});
  done.on_cancel([&i, c] {
    i.core.withdraw_attach(c, i.now());
    i.want_turn();
  });
  i.core.wait_attached(c, std::move(done));
  i.want_turn();
}

void lane::wait_registered(impl& i, client_handle c, completion<error_code> done) {
  i.core.wait_registered(c, std::move(done));
}

void lane::shut_down(impl& i, std::chrono::milliseconds patience, completion<error_code, bool> done) {
  if (i.ended || i.stop_done) return done(errc::shutting_down, false);
  i.core.stop_sending();
  done.on_cancel([&i] { i.hurry_stop(); });
  i.stop_done = std::move(done);
  i.stop_at =
      i.now() + std::clamp(patience, patience.zero(), std::chrono::milliseconds(std::chrono::hours(24)));
  i.want_turn();
}

BEELINE_LINK_END
