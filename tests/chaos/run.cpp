#include "tests/chaos/run.hpp"

#include "tests/chaos/scenario.hpp"
#include "tests/support/sanitized.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>
#include <unistd.h>

namespace beeline::chaos {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;

constexpr double start_max = 30; // seconds
// After the last fault everything is back and answered within so long. A link that hangs is noticed after 3
// s, a message waits at most for warm-up (6 s beyond the last progress) and resends.
constexpr double rest_max = 45;
constexpr std::int64_t quiet = 700'000; // µs without an event: at rest

asio::ip::tcp::endpoint at(const std::string& address, std::uint16_t port) {
  return {asio::ip::make_address(address), port};
}

std::vector<route> routes_of(const layout& where, const run_plan& plan) {
  std::vector<route> routes;
  for (std::size_t e = 0; e < where.edges.size(); ++e) {
    for (unsigned k = 0; k < plan.shards; ++k) {
      const auto port = static_cast<std::uint16_t>(router_port + k);
      routes.push_back({at(where.routers_for_edges[e], port), at(where.router, port), static_cast<int>(e),
                        static_cast<int>(k)});
    }
    if (plan.client_proxy)
      routes.push_back({at(where.edges_for_clients[e], mqtt_port), at(where.edges[e], mqtt_port),
                        static_cast<int>(e), -1});
  }
  return routes;
}

layout layout_of(const run_plan& plan, bool netns) {
  const auto edges = static_cast<unsigned>(plan.lanes.size());
  return netns ? netns_layout(edges) : loopback_layout(edges, plan.client_proxy);
}

} // namespace

run::run(const run_options& o, const run_plan& plan, const scenario* script, std::unique_ptr<namespaces> nets)
    : options_(o), plan_(plan), script_(script), nets_(std::move(nets)),
      where_(layout_of(plan, nets_ != nullptr)),
      proxy_(nets_ ? nullptr : std::make_unique<proxy>(routes_of(where_, plan), o.seed)),
      cluster_({o.programs, o.folder, plan.shards, plan.lanes, plan.edge_options, plan.environment,
                test::sanitized},
               where_, nets_.get()),
      crowd_(settings(), begin_, o.folder + "/history.bin"),
      injector_(cluster_, proxy_.get(), nets_.get(), [this] { return now(); }) {
  for (const client_plan& c : plan_.clients) ids_.push_back(c.id);
}

crowd_settings run::settings() const {
  crowd_settings s;
  s.seed = options_.seed;
  s.rate = options_.rate;
  s.churn = plan_.churn;
  s.takeovers = plan_.takeovers;
  s.shifts_load = plan_.shifts_load;
  s.qos0_percent = plan_.qos0_percent;
  s.receipt_percent = plan_.receipt_percent;
  s.deadline_percent = plan_.deadline_percent;
  s.payload_max = plan_.payload_max;
  s.clients = plan_.clients;
  for (const auto& address : where_.edges_for_clients) s.edges.push_back(at(address, mqtt_port));
  return s;
}

bool run::start() {
  cluster_.start_all();
  if (!until([&] { return cluster_.ready(); }, start_max)) return false;
  crowd_.connect_all();
  return until([&] { return crowd_.live() == ids_.size(); }, start_max);
}

void run::go() {
  if (script_ && script_->before) script_->before(*this);
  facts_.load_begin = now();
  crowd_.begin_load();
  if (script_) script_->play(*this);
  else
    injector_.run(plan_.faults, facts_.load_begin,
                  facts_.load_begin + static_cast<std::int64_t>(options_.seconds * 1e6));
  facts_.load_end = now();
  crowd_.end_load();
  facts_.faults = injector_.told();
  come_to_rest();
  facts_.run_end = now();
  facts_.held_back = crowd_.held_back();
  crowd_.stop();
  end_processes();
  describe();
  write_facts(options_.folder + "/run.json", facts_);
}

std::string run::words() { return cluster_.words() + crowd_.words(); }

bool run::until(const std::function<bool()>& f, double seconds) {
  const std::int64_t end = now() + static_cast<std::int64_t>(seconds * 1e6);
  while (!f()) {
    if (now() > end) return false;
    cluster_.look_for_dead(now());
    std::this_thread::sleep_for(10ms);
  }
  return true;
}

void run::load_for(double seconds) {
  (void)until([] { return false; }, seconds);
}

void run::figure(std::string name, double value, std::string unit, double least, double most) {
  facts_.figures.push_back({std::move(name), value, std::move(unit), least, most});
}

const std::vector<process_sample>& run::sample() {
  for (int part = -1; part < static_cast<int>(cluster_.edges()); ++part) {
    child* c = cluster_.process(part);
    if (!c || !c->running()) continue;
    const std::string folder = "/proc/" + std::to_string(c->pid());
    std::uint64_t pages = 0, resident = 0, fds = 0;
    std::ifstream(folder + "/statm") >> pages >> resident;
    std::error_code gone;
    for (std::filesystem::directory_iterator at(folder + "/fd", gone), end; !gone && at != end;
         at.increment(gone))
      ++fds;
    facts_.samples.push_back(
        {now(), cluster_.name(part), resident * static_cast<std::uint64_t>(::getpagesize()), fds});
  }
  return facts_.samples;
}

double run::time_limit(double of_full_size) const {
  return of_full_size * (options_.full ? 1 : 2) * (test::sanitized ? 4 : 1);
}

double run::time_until(const std::string& name, const std::function<bool()>& f, double limit_ms) {
  const std::int64_t from = now();
  constexpr double patience = 30;
  if (!until(f, patience)) broken(name + ": not within " + std::to_string(static_cast<int>(patience)) + " s");
  const double took = static_cast<double>(now() - from) / 1e3;
  figure(name, took, "ms", 0, limit_ms < 0 ? -1 : time_limit(limit_ms));
  return took;
}

bool run::all_quiet() {
  return crowd_.wrong_places() == 0 && crowd_.unanswered() == 0 && now() - crowd_.last_event() > quiet;
}

void run::come_to_rest() {
  bool ok =
      until([&] { return all_quiet() && cluster_.ready() && cluster_.online() == crowd_.live(); }, rest_max);
  facts_.final_begin = now();
  if (ok) {
    crowd_.begin_final();
    ok = until([&] { return crowd_.final_sent() && all_quiet(); }, rest_max);
  }
  const std::string why = ok ? "" : words();
  if (script_ && script_->at_rest) script_->at_rest(*this);
  facts_.rest = cluster_.at_rest(ids_);
  facts_.rest.reached = ok;
  facts_.rest.why_not = why;
}

void run::end_processes() {
  cluster_.look_for_dead(now());
  for (int e = static_cast<int>(cluster_.edges()) - 1; e >= -1; --e)
    if (child* c = cluster_.process(e); c && c->running()) cluster_.end(e, SIGTERM, 0, now());
  facts_.ends = cluster_.ends;
}

void run::describe() {
  facts_.seed = options_.seed;
  facts_.scenario = options_.scenario;
  facts_.rate = options_.rate;
  facts_.netns = nets_ != nullptr;
  facts_.sanitized = test::sanitized;
  facts_.faults_wanted = plan_.faults_drawn;
  facts_.small_queues = plan_.small_queues;
  facts_.receipt_timeout = plan_.receipt_timeout;
  facts_.shards = plan_.shards;
  facts_.ids = ids_;
  facts_.full = options_.full;
  for (const client_plan& c : plan_.clients) facts_.groups.push_back(c.group);
  std::string lanes, more;
  for (unsigned n : plan_.lanes) lanes += (lanes.empty() ? "" : ", ") + std::to_string(n);
  for (const auto& x : plan_.edge_options) more += x + " ";
  for (unsigned e = 0; e < cluster_.edges(); ++e) facts_.edges.push_back("e" + std::to_string(e + 1));
  facts_.drawn = {{"lanes", lanes},
                  {"edge options", more},
                  {"clients through a proxy", plan_.client_proxy ? "yes" : "no"},
                  {"churn a second", std::to_string(plan_.churn)},
                  {"QoS 0, percent", std::to_string(plan_.qos0_percent)},
                  {"ack: received, percent", std::to_string(plan_.receipt_percent)},
                  {"deadline-ms, percent", std::to_string(plan_.deadline_percent)},
                  {"payload", std::to_string(plan_.payload_max)}};
}

} // namespace beeline::chaos
