// beeline-chaos: one run of real processes under faults, from one seed. It writes what happened (history.bin,
// run.json, logs) to a folder; beeline-chaos-check judges it. scripts/chaos runs both, many times.
//
// Exit codes: 0 the run is written, 2 usage, 3 the cluster did not start, 4 namespaces are not permitted.
#include "tests/chaos/crowd.hpp"
#include "tests/chaos/injector.hpp"
#include "tests/support/sanitized.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <sys/prctl.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace beeline::chaos {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;

constexpr auto start_max = 30s;
// After the last fault everything is back and answered within so long. A link that hangs is noticed after 3
// s, a message waits at most for warm-up (6 s beyond the last progress) and resends.
constexpr auto rest_max = 45s;
constexpr std::int64_t quiet = 700'000; // µs without an event: at rest

struct usage : std::runtime_error {
  using std::runtime_error::runtime_error;
};

constexpr const char* help =
    R"(usage: beeline-chaos --programs DIR --out DIR [--seed S] [--seconds T] [--rate R]
                     [--clients N] [--faults N] [--only KIND] [--netns]
)";

run_options read_options(int argc, char** argv) {
  run_options o;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--netns") {
      o.netns = true;
      continue;
    }
    if (++i >= argc) throw usage(name + " needs a value");
    const std::string value = argv[i];
    try {
      if (name == "--programs") o.programs = value;
      else if (name == "--out") o.folder = value;
      else if (name == "--only") o.only = value;
      else if (name == "--seed") o.seed = std::stoull(value);
      else if (name == "--seconds") o.seconds = std::stod(value);
      else if (name == "--rate") o.rate = std::stod(value);
      else if (name == "--clients") o.clients = static_cast<unsigned>(std::stoul(value));
      else if (name == "--faults") o.faults = std::stoi(value);
      else throw usage("unknown option " + name);
    } catch (const std::logic_error&) {
      throw usage(name + ": '" + value + "' is no number");
    }
  }
  if (o.programs.empty() || o.folder.empty()) throw usage("--programs and --out are needed");
  if (o.seconds < 2 || o.seconds > 3600 || o.rate < 1 || o.clients < 2 || o.clients > 10'000)
    throw usage("2 to 3600 seconds, 2 to 10000 clients, a rate of 1 or more");
  if (!o.only.empty() &&
      std::find(std::begin(fault_names), std::end(fault_names), o.only) == std::end(fault_names))
    throw usage("no fault is called " + o.only);
  return o;
}

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

// One run: members in the order in which they are made, and go the other way round.
class run {
public:
  run(const run_options& o, const run_plan& plan, std::unique_ptr<namespaces> nets)
      : options_(o), plan_(plan), nets_(std::move(nets)),
        where_(nets_ ? netns_layout(3) : loopback_layout(3, plan.client_proxy)),
        proxy_(nets_ ? nullptr : std::make_unique<proxy>(routes_of(where_, plan), o.seed)),
        cluster_({o.programs, o.folder, plan.shards, plan.lanes, plan.edge_options, test::sanitized}, where_,
                 nets_.get()),
        crowd_(settings(), begin_) {
    for (const client_plan& c : plan_.clients) ids_.push_back(c.id);
  }

  bool start() {
    cluster_.start_all();
    if (!until([&] { return cluster_.ready(); }, start_max)) return false;
    crowd_.connect_all();
    return until([&] { return crowd_.live() == ids_.size(); }, start_max);
  }

  void go() {
    facts_.load_begin = now();
    crowd_.begin_load();
    injector faults(cluster_, proxy_.get(), nets_.get(), [this] { return now(); });
    faults.run(plan_.faults, facts_.load_begin,
               facts_.load_begin + static_cast<std::int64_t>(options_.seconds * 1e6));
    crowd_.end_load();
    facts_.load_end = now();
    facts_.faults = faults.told();
    come_to_rest();
    facts_.run_end = now();
    facts_.held_back = crowd_.held_back();
    write_history(options_.folder + "/history.bin", crowd_.stop());
    end_processes();
    describe();
    write_facts(options_.folder + "/run.json", facts_);
  }

  std::string words() { return cluster_.words() + crowd_.words(); }

private:
  crowd_settings settings() const {
    crowd_settings s;
    s.seed = options_.seed;
    s.rate = options_.rate;
    s.churn = plan_.churn;
    s.qos0_percent = plan_.qos0_percent;
    s.payload_max = plan_.payload_max;
    s.clients = plan_.clients;
    for (const auto& address : where_.edges_for_clients) s.edges.push_back(at(address, mqtt_port));
    return s;
  }

  std::int64_t now() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(crowd::clock::now() - begin_).count();
  }

  template <class F> bool until(F f, std::chrono::milliseconds most) {
    const auto end = crowd::clock::now() + most;
    while (!f()) {
      if (crowd::clock::now() > end) return false;
      cluster_.look_for_dead(now());
      std::this_thread::sleep_for(10ms);
    }
    return true;
  }

  bool all_quiet() {
    return crowd_.wrong_places() == 0 && crowd_.unanswered() == 0 && now() - crowd_.last_event() > quiet;
  }

  void come_to_rest() {
    bool ok = until([&] { return all_quiet() && cluster_.ready() && cluster_.online() == crowd_.live(); },
                    rest_max);
    facts_.final_begin = now();
    if (ok) {
      crowd_.begin_final();
      ok = until([&] { return crowd_.final_sent() && all_quiet(); }, rest_max);
    }
    const std::string why = ok ? "" : words();
    facts_.rest = cluster_.at_rest(ids_);
    facts_.rest.reached = ok;
    facts_.rest.why_not = why;
  }

  void end_processes() {
    cluster_.look_for_dead(now());
    for (int e = static_cast<int>(cluster_.edges()) - 1; e >= -1; --e)
      if (child* c = cluster_.process(e); c && c->running()) cluster_.end(e, SIGTERM, 0, now());
    facts_.ends = cluster_.ends;
  }

  void describe() {
    facts_.seed = options_.seed;
    facts_.rate = options_.rate;
    facts_.netns = nets_ != nullptr;
    facts_.sanitized = test::sanitized;
    facts_.faults_wanted = static_cast<unsigned>(plan_.faults.size());
    facts_.small_queues = plan_.small_queues;
    facts_.shards = plan_.shards;
    facts_.ids = ids_;
    std::string lanes, more;
    for (unsigned n : plan_.lanes) lanes += (lanes.empty() ? "" : ", ") + std::to_string(n);
    for (const auto& x : plan_.edge_options) more += x + " ";
    for (unsigned e = 0; e < cluster_.edges(); ++e) facts_.edges.push_back("e" + std::to_string(e + 1));
    facts_.drawn = {{"lanes", lanes},
                    {"edge options", more},
                    {"clients through a proxy", plan_.client_proxy ? "yes" : "no"},
                    {"churn a second", std::to_string(plan_.churn)},
                    {"QoS 0, percent", std::to_string(plan_.qos0_percent)},
                    {"payload", std::to_string(plan_.payload_max)}};
  }

  const run_options& options_;
  const run_plan& plan_;
  crowd::clock::time_point begin_ = crowd::clock::now();
  std::unique_ptr<namespaces> nets_;
  layout where_;
  std::unique_ptr<proxy> proxy_;
  cluster cluster_;
  crowd crowd_;
  std::vector<std::string> ids_;
  run_facts facts_;
};

// Whoever starts the driver may be killed, and the driver may hang: the processes of the run die with it.
void end_in_time(const run_options& o) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::alarm(static_cast<unsigned>(o.seconds) + 240);
}

int program(int argc, char** argv) {
  const run_options o = read_options(argc, argv);
  end_in_time(o);
  std::filesystem::create_directories(o.folder);
  const run_plan plan = draw(o);
  std::unique_ptr<namespaces> nets;
  if (o.netns) try {
      nets = std::make_unique<namespaces>(3, o.folder + "/network.log");
    } catch (const std::system_error& e) {
      std::fprintf(stderr, "beeline-chaos: %s\n", e.what());
      return 4;
    }
  run r(o, plan, std::move(nets));
  if (!r.start()) {
    std::fprintf(stderr, "beeline-chaos: the cluster does not serve: %s\n", r.words().c_str());
    return 3;
  }
  r.go();
  return 0;
}

} // namespace
} // namespace beeline::chaos

int main(int argc, char** argv) try {
  return beeline::chaos::program(argc, argv);
} catch (const beeline::chaos::usage& e) {
  std::fprintf(stderr, "beeline-chaos: %s\n%s", e.what(), beeline::chaos::help);
  return 2;
} catch (const std::exception& e) {
  std::fprintf(stderr, "beeline-chaos: %s\n", e.what());
  return 3;
}
