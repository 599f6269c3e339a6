#include "tests/chaos/cluster.hpp"

#include "tests/chaos/admin_get.hpp"

#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <stdexcept>
#include <thread>
#include <tuple>
#include <unistd.h>

namespace beeline::chaos {
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

constexpr auto end_max = 20s; // a process that was asked to end, with a sanitizer's look for leaks

std::string write_secret(const std::string& folder) {
  const std::string path = folder + "/secret";
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0400);
  constexpr std::string_view text = "a secret for one run of chaos, on one machine";
  const bool ok = fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (fd >= 0) ::close(fd);
  if (!ok) throw std::runtime_error("cannot write " + path);
  return path;
}

} // namespace

layout loopback_layout(unsigned edges, bool client_proxy) {
  const auto pid = static_cast<unsigned>(::getpid());
  for (unsigned tries = 0; tries < 100; ++tries) {
    const unsigned net = pid + tries * 257;
    const std::string base =
        "127." + std::to_string(1 + net / 250 % 250) + "." + std::to_string(1 + net % 250) + ".";
    layout l;
    l.router = base + "1";
    bool ok = is_free(l.router, router_port) && is_free(l.router, router_admin);
    for (unsigned e = 0; e < edges; ++e) {
      l.edges.push_back(base + std::to_string(20 + e));
      l.routers_for_edges.push_back(base + std::to_string(40 + e));
      l.edges_for_clients.push_back(client_proxy ? base + std::to_string(60 + e) : l.edges.back());
      ok = ok && is_free(l.edges.back(), mqtt_port) && is_free(l.edges.back(), edge_admin) &&
           is_free(l.routers_for_edges.back(), router_port);
    }
    if (ok) return l;
  }
  throw std::runtime_error("no free addresses in 127.0.0.0/8");
}

layout netns_layout(unsigned edges) {
  layout l;
  l.router = namespaces::router_address();
  for (unsigned e = 0; e < edges; ++e) {
    l.edges.push_back(namespaces::edge_address(e));
    l.edges_for_clients.push_back(l.edges.back());
    l.routers_for_edges.push_back(l.router);
  }
  return l;
}

cluster::cluster(cluster_settings s, layout where, const namespaces* nets)
    : settings_(std::move(s)), where_(std::move(where)), nets_(nets), secret_(write_secret(settings_.folder)),
      edges_(where_.edges.size()) {}

std::vector<std::string> cluster::router_arguments() const {
  return {"--listen", where_.router + ":" + std::to_string(router_port), "--admin",
          where_.router + ":" + std::to_string(router_admin), "--shards", std::to_string(settings_.shards),
          "--cluster-secret-file", secret_,
          // Nobody was there before the first life; later ones wait as they do by default.
          "--warm-up", router_lives_ == 0 ? "300ms" : "6s"};
}

std::vector<std::string> cluster::edge_arguments(unsigned e) const {
  std::vector<std::string> a{"--name",
                             name(static_cast<int>(e)),
                             "--router",
                             where_.routers_for_edges[e] + ":" + std::to_string(router_port),
                             "--mqtt",
                             where_.edges[e] + ":" + std::to_string(mqtt_port),
                             "--admin",
                             where_.edges[e] + ":" + std::to_string(edge_admin),
                             "--lanes",
                             std::to_string(settings_.lanes[e]),
                             "--cluster-secret-file",
                             secret_};
  a.insert(a.end(), settings_.edge_options.begin(), settings_.edge_options.end());
  return a;
}

std::unique_ptr<child> cluster::begin(const std::string& program, std::vector<std::string> arguments,
                                      const std::string& log, int network) const {
  const std::string path = settings_.programs + "/" + program;
  if (settings_.environment.empty()) return std::make_unique<child>(path, std::move(arguments), log, network);
  arguments.insert(arguments.begin(), path);
  arguments.insert(arguments.begin(), settings_.environment.begin(), settings_.environment.end());
  return std::make_unique<child>("env", std::move(arguments), log, network); // which becomes the program
}

void cluster::start(int edge) {
  const std::string log = settings_.folder + "/" + name(edge) + ".log";
  const auto e = static_cast<unsigned>(edge);
  expected_down_.erase(edge);
  if (edge < 0) {
    router_ = begin("beeline-router", router_arguments(), log, nets_ ? nets_->of_router() : -1);
    ++router_lives_;
  } else {
    edges_[e] = begin("beeline-edge", edge_arguments(e), log, nets_ ? nets_->of_edge(e) : -1);
  }
}

void cluster::start_all() {
  start(-1);
  for (unsigned e = 0; e < edges(); ++e) start(static_cast<int>(e));
}

void cluster::end(int edge, int signal, int wanted, std::int64_t at) {
  child* c = process(edge);
  expected_down_.insert(edge);
  if (!c || !c->signal(signal)) {
    ends.push_back({name(edge), at, false, c ? c->code().value_or(-1) : -1, 0});
    return;
  }
  const int code = c->wait(end_max).value_or(-1); // -1: it did not end
  ends.push_back({name(edge), at, true, code, wanted});
}

void cluster::look_for_dead(std::int64_t now) {
  for (int e = -1; e < static_cast<int>(edges()); ++e) {
    child* c = process(e);
    if (!c || c->running() || !expected_down_.insert(e).second) continue;
    ends.push_back({name(e), now, false, c->code().value_or(-1), 0});
  }
}

json cluster::ask(int edge, const std::string& path) const {
  const std::string& address = edge < 0 ? where_.router : where_.edges[static_cast<unsigned>(edge)];
  const auto told = admin_get(address, edge < 0 ? router_admin : edge_admin, path, 3s);
  if (told.status != 200) return json(json::value_t::discarded);
  return json::parse(told.body, nullptr, false);
}

bool cluster::ready() {
  for (int e = -1; e < static_cast<int>(edges()); ++e)
    if (!process(e) || !process(e)->running() || ask(e, "/readyz").is_discarded()) return false;
  return true;
}

std::string cluster::words() {
  std::string text;
  for (int e = -1; e < static_cast<int>(edges()); ++e) {
    const json stats = ask(e, "/stats");
    if (!stats.is_object()) text += name(e) + " does not answer; ";
    else if (stats["ready"] != true)
      text += name(e) + " is not ready: " + stats["why_not_ready"].dump() + "; ";
  }
  return text;
}

std::size_t cluster::online() const {
  const json page = ask(-1, "/edges");
  std::size_t n = 0;
  if (page.is_object())
    for (const auto& e : page["edges"]) n += e["clients"].get<std::size_t>();
  return n;
}

std::size_t cluster::online_of(const std::vector<std::string>& ids) const {
  std::vector<std::string> paths;
  for (const auto& id : ids) paths.push_back("/clients/" + id);
  std::size_t n = 0;
  for (const json& c : ask_router(paths)) n += c.is_object() && c["online"] == true;
  return n;
}

double cluster::number(int edge, const std::string& pointer) const {
  const json stats = ask(edge, "/stats");
  const json::json_pointer at(pointer);
  return stats.is_object() && stats.contains(at) && stats[at].is_number() ? stats[at].get<double>() : -1;
}

// Many at a time: where processors are busy a page may take a quarter of a second.
std::vector<json> cluster::ask_router(const std::vector<std::string>& paths) const {
  const std::size_t at_once = std::min<std::size_t>(16, paths.size());
  std::vector<json> told(paths.size());
  std::vector<std::thread> threads;
  for (std::size_t k = 0; k < at_once; ++k)
    threads.emplace_back([&, k] {
      for (std::size_t i = k; i < paths.size(); i += at_once) told[i] = ask(-1, paths[i]);
    });
  for (auto& t : threads) t.join();
  return told;
}

std::vector<std::string> cluster::clients_of(unsigned e) {
  std::vector<std::string> ids;
  std::string after;
  for (int pages = 0; pages < 100; ++pages) {
    const json page = ask(static_cast<int>(e), "/clients?limit=1000" + after);
    if (!page.is_object()) break;
    for (const auto& c : page["clients"]) ids.push_back(c["id"].get<std::string>());
    if (page["next"].is_null()) break;
    after = "&after=" + page["next"].get<std::string>();
  }
  return ids;
}

edge_at_rest cluster::edge_at_rest_of(unsigned e) {
  edge_at_rest r;
  r.clients = clients_of(e);
  r.links_wanted = settings_.lanes[e] * settings_.shards;
  const json stats = ask(static_cast<int>(e), "/stats");
  if (!stats.is_object()) return r;
  const json& t = stats["totals"];
  r.ready = stats["ready"] == true;
  r.safety_resends = t["safety_resends"].get<std::uint64_t>();
  r.unanswered = t["unanswered_messages"].get<std::uint64_t>();
  r.pending = t["pending_messages"].get<std::uint64_t>();
  r.gave_up = t["drops"]["gave_up"].get<std::uint64_t>();
  r.rss_bytes = stats["process"]["rss_bytes"].get<std::uint64_t>();
  return r;
}

rest_facts cluster::at_rest(const std::vector<std::string>& ids) {
  rest_facts r;
  const json stats = ask(-1, "/stats");
  r.router_ready = stats.is_object() && stats["ready"] == true;
  if (stats.is_object()) r.router_rss_bytes = stats["process"]["rss_bytes"].get<std::uint64_t>();
  std::vector<std::string> paths;
  for (const auto& id : ids) paths.push_back("/clients/" + id);
  const std::vector<json> told = ask_router(paths);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto& [id, c] = std::tie(ids[i], told[i]);
    if (!c.is_object()) continue;
    r.shard_of[id] = c["shard"].get<int>();
    if (c["online"] != true) continue;
    const std::string edge = c["edge"].get<std::string>();
    r.presence[id] = {std::stoi(edge.substr(1)) - 1, c["lingering"] == true};
  }
  for (unsigned e = 0; e < edges(); ++e) r.edges.push_back(edge_at_rest_of(e));
  const json page = ask(-1, "/edges");
  if (!page.is_object()) return r;
  for (const auto& x : page["edges"]) {
    const auto e = static_cast<std::size_t>(std::stoi(x["edge"].get<std::string>().substr(1)) - 1);
    if (e >= r.edges.size()) continue;
    r.edges[e].clients_at_router = x["clients"].get<std::uint64_t>();
    for (const auto& l : x["links"]) r.edges[e].links_in_sync += l["state"] == "in sync";
  }
  return r;
}

} // namespace beeline::chaos
