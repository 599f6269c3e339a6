#include "tests/sim/command_line.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace beeline::sim {
namespace {

constexpr std::string_view plant_names[] = {
#define X(where, path) std::string_view(#path).substr(std::string_view(#path).rfind('.') + 1),
    BEELINE_SIM_PLANTS(X)
#undef X
};

constexpr const char* help = R"(
  --seeds N [--first S] [--jobs J]  runs N seeds from S on (1), J at a time (2)
  --seeds-file FILE                 runs the seeds in FILE, one a line, with ' gN' of draw generation N;
                                    '#' begins a comment
  --seed N [--trace]                runs one seed and prints its hash [and each event]
  --seed N --shrink                 looks for a smaller run that breaks the same promise, and says how to repeat it
  --shrink-seconds T                for so long at most (60); not cut short, its result is always the same
  --shrink-runs N                   and with so many runs at most
  --require-load                    also fails if seeds had too little load (always with 1,000 seeds or more)
  --generation G                    draws only what the simulator drew at its generation G
  --hash-bits B                     only 2^B different hashes of client ids
  --plant NAME                      breaks a rule on purpose
  --expect-failure                  stops at the first seed that fails, and that is success
  --list-plants                     their names, one a line
 what is taken away from what the seed draws:
  --without I,J,...                 faults, by number  --stop-after MS    the fault phase ends
  --messages N                      published at most, before the last exchange
  --clients N --edges N --routers N --shards N --lanes N
  --no-churn --large-limits --plain-network --even-machines --only-v5 --only-qos1 --no-wishes
  --salt K                          another stream of chance
)";

[[noreturn]] void usage(const std::string& problem, int code = 2) {
  std::fprintf(stderr, "beeline-sim: %s%s", problem.c_str(), help);
  std::exit(code);
}

class reader {
public:
  reader(int argc, char** argv) : argc_(argc), argv_(argv) {}
  bool next() { return ++i_ < argc_; }
  bool is(std::string_view name) const { return name == argv_[i_]; }
  std::string name() const { return argv_[i_]; }
  std::string text() {
    if (++i_ == argc_) usage("a value is missing after " + std::string(argv_[i_ - 1]));
    return argv_[i_];
  }
  std::uint64_t number() {
    const std::string option = name();
    return number_in(text(), option);
  }
  static std::uint64_t number_in(const std::string& t, const std::string& option) {
    char* end = nullptr;
    const auto n = std::strtoull(t.c_str(), &end, 10);
    if (t.empty() || *end) usage(option + " needs a number");
    return n;
  }
  std::vector<unsigned> numbers() {
    const std::string option = name(), all = text();
    std::vector<unsigned> out;
    for (std::size_t at = 0; at <= all.size();) {
      const std::size_t end = std::min(all.find(',', at), all.size());
      out.push_back(static_cast<unsigned>(number_in(all.substr(at, end - at), option)));
      at = end + 1;
    }
    return out;
  }

private:
  int argc_, i_ = 0;
  char** argv_;
};

bool read_reduction(reader& r, reductions& less) {
  const auto count = [&] { return static_cast<unsigned>(std::max<std::uint64_t>(1, r.number())); };
  if (r.is("--without")) less.without = r.numbers();
  else if (r.is("--stop-after")) less.stop_after = std::chrono::milliseconds(r.number());
  else if (r.is("--messages")) less.messages = r.number();
  else if (r.is("--clients")) less.clients = count();
  else if (r.is("--edges")) less.edges = count();
  else if (r.is("--routers")) less.routers = count();
  else if (r.is("--shards")) less.shards = count();
  else if (r.is("--lanes")) less.lanes = count();
  else if (r.is("--no-churn")) less.no_churn = true;
  else if (r.is("--large-limits")) less.large_limits = true;
  else if (r.is("--plain-network")) less.plain_network = true;
  else if (r.is("--even-machines")) less.even_machines = true;
  else if (r.is("--only-v5")) less.only_v5 = true;
  else if (r.is("--only-qos1")) less.only_qos1 = true;
  else if (r.is("--no-wishes")) less.no_wishes = true;
  else if (r.is("--salt")) less.salt = r.number();
  else return false;
  return true;
}

[[noreturn]] void list_plants() {
  for (const std::string_view name : plant_names)
    std::printf("%.*s\n", static_cast<int>(name.size()), name.data());
  std::exit(0);
}

void read_option(reader& r, command_line& o) {
  if (r.is("--seeds")) o.seeds = r.number();
  else if (r.is("--first")) o.first = r.number();
  else if (r.is("--jobs")) o.jobs = static_cast<unsigned>(r.number());
  else if (r.is("--seed")) o.seed = r.number(), o.one = true;
  else if (r.is("--trace")) o.trace = true;
  else if (r.is("--shrink")) o.shrink = true;
  else if (r.is("--shrink-seconds")) o.shrink_seconds = static_cast<unsigned>(r.number());
  else if (r.is("--shrink-runs")) o.shrink_runs = r.number();
  else if (r.is("--require-load")) o.require_load = true;
  else if (r.is("--generation")) o.draw.generation = static_cast<unsigned>(r.number());
  else if (r.is("--hash-bits")) o.draw.hash_bits = static_cast<unsigned>(r.number());
  else if (r.is("--plant")) o.plant = r.text();
  else if (r.is("--seeds-file")) o.seeds_file = r.text();
  else if (r.is("--expect-failure")) o.expect_failure = true;
  else if (r.is("--list-plants")) list_plants();
  else if (r.is("--help")) usage("whole lifetimes of a cluster, each from one seed", 0);
  else if (!read_reduction(r, o.draw.less)) usage("unknown option " + r.name());
}

} // namespace

command_line parse_command_line(int argc, char** argv) {
  command_line o;
  reader r(argc, argv);
  while (r.next()) read_option(r, o);
  const bool known = o.plant.empty() || std::find(std::begin(plant_names), std::end(plant_names), o.plant) !=
                                            std::end(plant_names);
  if (!known) usage("no planted bug is called " + o.plant);
  if (!o.one && !o.seeds && o.seeds_file.empty()) usage("say --seeds N or --seed N");
  if (o.shrink && !o.one) usage("--shrink needs the --seed that fails");
  return o;
}

std::vector<seed_to_run> seeds_of(const command_line& o) {
  std::vector<seed_to_run> all;
  if (!o.seeds_file.empty()) {
    std::FILE* f = std::fopen(o.seeds_file.c_str(), "r");
    if (!f) usage("cannot read " + o.seeds_file);
    char line[200];
    while (std::fgets(line, sizeof line, f)) {
      char* end = nullptr;
      const auto n = std::strtoull(line, &end, 10);
      if (n)
        all.push_back(
            {n, end[0] == ' ' && end[1] == 'g' ? static_cast<unsigned>(end[2] - '0') : newest_generation});
    }
    std::fclose(f);
  }
  for (std::uint64_t i = 0; i < o.seeds; ++i) all.push_back({o.first + i, o.draw.generation});
  return all;
}

std::string replay_of(const draw_options& d) {
  std::string s = "beeline-sim --seed " + std::to_string(d.seed);
  if (d.generation != newest_generation) s += " --generation " + std::to_string(d.generation);
  if (d.hash_bits) s += " --hash-bits " + std::to_string(d.hash_bits);
  if (!d.plant.empty()) s += " --plant " + std::string(d.plant);
  return s + options_of(d.less);
}

} // namespace beeline::sim
