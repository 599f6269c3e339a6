#include "router/router.hpp"

#include "common/net/random.hpp"
#include "common/ops/start_error.hpp"

#include <system_error>

namespace beeline::router {
namespace {

net::bound_socket bind_shard(const ops::host_port& listen, std::uint32_t k) {
  const auto port = static_cast<std::uint16_t>(listen.port ? listen.port + k : 0);
  try {
    return net::bind_tcp(listen.host, port);
  } catch (const std::system_error& e) {
    throw ops::cannot_listen("--listen", ops::to_string({listen.host, port}), e.code());
  }
}

// The slots divided evenly among the shards, and where each shard listens.
link::router_map make_map(const router_config& c, const std::vector<net::bound_socket>& sockets) {
  link::router_map map;
  const std::uint32_t n = c.slots.last - c.slots.first + 1;
  for (std::uint32_t k = 0; k < c.shards; ++k)
    map.push_back({static_cast<std::uint16_t>(c.slots.first + n * k / c.shards),
                   static_cast<std::uint16_t>(c.slots.first + n * (k + 1) / c.shards - 1), c.advertise,
                   sockets[k].port});
  return map;
}

// The steady clock begins anew with the machine, and is another one on another machine; the wall clock mostly
// goes on. So shard time begins with that: it is then later than what the shard's last life has said,
// wherever that was.
std::uint64_t wall_clock_ahead() {
  const auto us = [](auto t) { return std::chrono::duration_cast<duration>(t.time_since_epoch()).count(); };
  return static_cast<std::uint64_t>(std::max<duration::rep>(0, us(std::chrono::system_clock::now()) -
                                                                   us(std::chrono::steady_clock::now())));
}

shard_config make_shard_config(const router_config& c, const link::cluster_secret& secret,
                               const link::router_map& map, std::uint32_t k) {
  shard_config s;
  s.secret = secret;
  s.number = static_cast<std::uint16_t>(k);
  s.shards = static_cast<std::uint16_t>(c.shards);
  s.first_slot = map[k].first;
  s.last_slot = map[k].last;
  s.map = map;
  s.life = net::random_number();
  s.time_ahead = wall_clock_ahead();
  s.make_nonce = [] { return net::random_bytes<sizeof(wire::nonce)>(); };
  s.link_output_max = c.link_output_max;
  s.outputs_max = c.outputs_max;
  s.linger = c.linger;
  s.warm_up = c.warm_up;
  s.links_max = c.links_max;
  s.handshakes_max = c.handshakes_max;
  s.clients_max = c.clients_max;
  return s;
}

net::core_loop_options loop_options(std::uint32_t k) {
  net::core_loop_options o;
  o.accepted = conn::kind_t::link;
  o.log = [k](std::string_view line) { ops::log_warning("shard {}: {}", k, line); };
  o.streams.closed = [k](const conn&, close_reason why, int fd) {
    static ops::log_site site("link closed");
    if (ops::log_on(ops::log_level::info))
      ops::log_limited(site, ops::log_level::info, "shard {}: link from {} closed: {}", k, net::peer_name(fd),
                       text_of(why));
  };
  return o;
}

} // namespace

router::router(router_config config, ops::control_loop& control)
    : config_(std::move(config)), control_(control),
      secret_(config_.program.secret), hasher_{secret_.id_key()} {
  for (std::uint32_t k = 0; k < config_.shards; ++k) sockets_.push_back(bind_shard(config_.listen, k));
  const link::router_map map = make_map(config_, sockets_);
  for (std::uint32_t k = 0; k < config_.shards; ++k) {
    auto& place = *shards_.emplace_back(std::make_unique<shard_place>());
    auto core =
        std::make_unique<shard>(make_shard_config(config_, secret_, map, k), place.pool, net::steady_now());
    place.core = core.get();
    place.address = sockets_[k].address;
    place.thread =
        std::make_unique<shard_thread>("shard-" + std::to_string(k), std::move(core), loop_options(k));
    threads_.push_back(place.thread.get());
  }
}

router::~router() { stop(); }

void router::start() {
  for (std::size_t k = 0; k < shards_.size(); ++k) try {
      shards_[k]->thread->accept_from(std::move(sockets_[k]));
    } catch (const std::system_error& e) {
      throw ops::cannot_listen("--listen", shards_[k]->address, e.code());
    }
  for (shard_thread* t : threads_) t->start();
}

void router::stop() {
  for (shard_thread* t : threads_) t->stop();
  for (shard_thread* t : threads_) t->join();
}

void router::ask_to_drain() {
  control_.post([this] {
    if (draining_.exchange(true, std::memory_order_relaxed)) return;
    ops::log_info("asked to end: links are told to go");
    end_at_ = net::steady_now() + limits::pulse_interval;
  });
}

void router::beat() {
  if (end_at_ <= net::steady_now()) end_at_ = never, control_.ask_to_end();
  for (auto& place : shards_) place->pulse.beat(*place->thread);
}

shard_place* router::owner_of(std::uint32_t slot) const noexcept {
  for (const auto& place : shards_)
    if (const shard_config& c = place->core->config(); slot >= c.first_slot && slot <= c.last_slot)
      return place.get();
  return nullptr;
}

} // namespace beeline::router
