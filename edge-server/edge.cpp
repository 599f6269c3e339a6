#include "edge-server/edge.hpp"

#include "common/net/random.hpp"
#include "common/ops/start_error.hpp"

#include <algorithm>
#include <system_error>

namespace beeline::edge {
namespace {

std::vector<net::bound_socket> bind_lanes(const edge_config& c) try {
  return net::bind_tcp_shared(c.mqtt.host, c.mqtt.port, c.lanes);
} catch (const std::system_error& e) {
  throw ops::cannot_listen("--mqtt", ops::to_string(c.mqtt), e.code());
}

ops::log_level level_of(link::event_level l) {
  return l == link::event_level::error     ? ops::log_level::error
         : l == link::event_level::warning ? ops::log_level::warning
                                           : ops::log_level::info;
}

void log_event(std::uint32_t k, link::event_level level, std::string_view line) {
  constexpr unsigned most = limits::log_link_lines_per_second_max;
  static ops::log_site sites[] = {ops::log_site("link news", most), ops::log_site("link warnings", most),
                                  ops::log_site("link errors", most)};
  ops::log_limited(sites[static_cast<std::size_t>(level)], level_of(level), "lane {}: {}", k, line);
}

void log_close(std::uint32_t k, const conn& c, close_reason why, int fd) {
  static ops::log_site site("client closed", limits::log_close_lines_per_second_max);
  if (c.kind == conn::kind_t::link || why == close_reason::moved_lane || !ops::log_on(ops::log_level::debug))
    return;
  ops::log_limited(site, ops::log_level::debug, "lane {}: client at {} closed: {}", k, net::peer_name(fd),
                   text_of(why));
}

link::endpoint_config link_config(const edge_config& c, std::uint32_t k) {
  link::endpoint_config e;
  e.secret = link::cluster_secret(c.program.secret);
  e.who.id = lane_id{net::random_number()};
  e.who.edge_name = c.name;
  e.who.number = static_cast<std::uint16_t>(k);
  e.who.lanes = static_cast<std::uint16_t>(c.lanes);
  for (const ops::host_port& r : c.routers) e.routers.push_back({r.host, r.port});
  e.make_nonce = [] { return net::random_bytes<sizeof(wire::nonce)>(); };
  e.random_seed = net::random_number();
  return e;
}

lane_config make_lane_config(const edge_config& c, std::uint32_t k) {
  lane_config l;
  l.link = link_config(c, k);
  l.packet_bytes_max = c.packet_bytes_max;
  l.connect_bytes_max = std::min(c.packet_bytes_max, c.connect_bytes_max);
  // Each its share; but the whole of one CONNECT always fits.
  l.prelogin_bytes_max = std::max(c.prelogin_bytes_max / c.lanes, l.connect_bytes_max);
  l.inflight_max = c.inflight_max;
  l.inflight_bytes_max = c.inflight_bytes_max;
  l.pending_max = c.pending_max;
  l.pending_bytes_max = c.pending_bytes_max;
  l.client_output_max = c.client_output_max;
  l.memory_max = c.memory_max;
  l.connect_max = c.connect_max;
  l.keep_alive_max = c.keep_alive_max;
  l.link.receipt_timeout = c.receipt_timeout;
  l.link.receipts_max = c.receipts_max;
  l.drain_patience = c.drain_patience;
  l.drain_rate = std::max(1u, c.drain_rate / c.lanes);
  l.drain_reason = c.drain_moved ? mqtt::reason::server_moved : mqtt::reason::use_another_server;
  l.server_reference = c.server_reference;
  l.v311_refused_disconnects = c.v311_refused_disconnects;
  return l;
}

} // namespace

void lane_problem::set(std::string text) {
  auto made = std::make_shared<const std::string>(std::move(text));
  const std::lock_guard lock(mutex_);
  text_.swap(made);
}

std::string lane_problem::text() const {
  std::unique_lock lock(mutex_);
  const std::shared_ptr<const std::string> text = text_;
  lock.unlock();
  return text && !text->empty() ? *text : "not in sync with every shard"; // it has just become so
}

edge_server::edge_server(edge_config config, ops::control_loop& control)
    : config_(std::move(config)),
      control_(control), hasher_{link::cluster_secret(config_.program.secret).id_key()},
      budget_(config_.connections_max, config_.connections_per_address_max), sockets_(bind_lanes(config_)),
      mqtt_address_(sockets_.front().address) {
  for (std::uint32_t k = 0; k < config_.lanes; ++k) {
    lane_place& place = *lanes_.emplace_back(std::make_unique<lane_place>());
    lane_config l = make_lane_config(config_, k);
    l.on_ready = [this, k](bool ready) {
      if (ready) control_.post([this, k] { lane_ready(k); });
    };
    l.on_drained = [this] { control_.post([this] { lane_drained(); }); };
    l.on_event = [k](link::event_level level, std::string_view line) { log_event(k, level, line); };
    auto core = std::make_unique<lane>(std::move(l), place.pool, net::steady_now());
    place.core = core.get();
    place.thread =
        std::make_unique<lane_thread>("lane-" + std::to_string(k), std::move(core), loop_options(k));
    threads_.push_back(place.thread.get());
  }
}

edge_server::~edge_server() { stop(); }

net::core_loop_options edge_server::loop_options(std::uint32_t k) {
  net::core_loop_options o;
  o.accepted = conn::kind_t::client;
  o.log = [k](std::string_view line) { ops::log_warning("lane {}: {}", k, line); };
  o.streams.closed = [k](const conn& c, close_reason why, int fd) { log_close(k, c, why, fd); };
  o.move = [this](int to, net::moved_stream m) {
    threads_[static_cast<std::size_t>(to)]->adopt(std::move(m));
  };
  return o;
}

void edge_server::start(std::function<void()> opened) {
  opened_ = std::move(opened);
  for (lane_thread* t : threads_) t->start();
}

void edge_server::lane_ready(std::uint32_t k) {
  lanes_[k]->was_ready = true;
  if (!open() && std::all_of(lanes_.begin(), lanes_.end(), [](const auto& x) { return x->was_ready; }))
    open_port();
}

void edge_server::open_port() try {
  if (draining()) return;
  fit_connections();
  // The kernel spreads connections evenly over the lanes, which share no count of them in time.
  const net::admission limit{&budget_, static_cast<double>(config_.connect_rate) / config_.lanes};
  for (std::size_t k = 0; k < lanes_.size(); ++k) threads_[k]->accept_from(std::move(sockets_[k]), limit);
  open_.store(true, std::memory_order_relaxed);
  opened_();
} catch (const std::system_error& e) {
  throw ops::cannot_listen("--mqtt", mqtt_address_, e.code());
}

void edge_server::drain() {
  if (config_.drain_max == duration::zero()) return control_.stop();
  ops::log_info("no new clients from now on; those that are here are told to go, at most {} s",
                std::chrono::duration_cast<std::chrono::seconds>(config_.drain_max).count());
  draining_.store(true, std::memory_order_relaxed);
  open_.store(false, std::memory_order_relaxed);
  drain_until_ = net::steady_now() + config_.drain_max;
  sockets_.clear();
  for (lane_thread* t : threads_) {
    t->stop_accepting();
    t->call([](lane& l, time_point now) { l.drain(now); });
  }
}

void edge_server::lane_drained() {
  if (++lanes_drained_ < lanes_.size()) return;
  ops::log_info("all clients have gone");
  if (end_with_beat_) drain_until_ = net::steady_now() + limits::pulse_interval;
  else control_.stop();
}

void edge_server::ask_to_drain() {
  control_.post([this] { // asked again, it goes on as before: only a signal cuts the wait short
    if (!draining() && !end_with_beat_.exchange(true)) control_.ask_to_end();
  });
}

void edge_server::stop() {
  for (lane_thread* t : threads_) t->stop();
  for (lane_thread* t : threads_) t->join();
}

void edge_server::fit_connections() {
  std::uint64_t more = 0; // descriptors that links need beyond those that are kept for each lane
  for (const auto& place : lanes_)
    if (const std::uint64_t links = place->core->endpoint().counters.links.get();
        links > limits::lane_links_covered)
      more += links - limits::lane_links_covered;
  const std::uint64_t left =
      config_.descriptors_for_clients - std::min(config_.descriptors_for_clients, more);
  const std::uint64_t max = std::min(config_.connections_max, left);
  if (max == budget_.max()) return;
  if (max < budget_.max())
    ops::log_warning(
        "at most {} connections from now on: links need {} file descriptors more than are kept for "
        "them; raise the limit (ulimit -n, LimitNOFILE) or lower --max-connections",
        max, more);
  budget_.set_max(max);
}

void edge_server::beat() {
  fit_connections();
  if (drain_until_ <= net::steady_now()) {
    if (lanes_drained_ < lanes_.size()) ops::log_warning("clients are still here after --drain-time");
    drain_until_ = never;
    control_.stop();
  }
  for (auto& place : lanes_)
    place->pulse.beat(*place->thread, [this, p = place.get()](const lane& l) {
      control_.post([p, text = l.endpoint().problem()] { p->problem.set(text); });
    });
}

} // namespace beeline::edge
