// beeline drops: what was dropped or refused lately, the newest last.
#include "common/base/limits.hpp"
#include "common/cli/explain_text.hpp"

#include <algorithm>
#include <iterator>
#include <thread>

namespace beeline::cli {
namespace {

struct news {
  std::vector<json> drops;     // newest first
  std::uint64_t not_shown = 0; // new ones that the server does not tell any more: it keeps a bounded number
  std::string problem;
};

// One server's list, of which only what was recorded since the last look is wanted.
class source {
public:
  explicit source(admin_server server) : server_(std::move(server)) {}
  std::string name() const { return server_.name(); }
  const std::string& problem() const noexcept { return problem_; }

  // At the first answer at most `newest`, later all that is new.
  news look(std::uint64_t newest) {
    const page p = server_.get("/drops?limit=" + std::to_string(recorded_ ? limits::drops_kept : newest));
    const maybe recorded = number(p.body, {"recorded"});
    const json& all = at(p.body, {"drops"});
    if (p.status == 404) return {{}, 0, "has no list of drops (an older server)"};
    if (!p.ok()) return {{}, 0, p.problem};
    if (!recorded || !all.is_array() ||
        !std::all_of(all.begin(), all.end(), [](const json& d) { return d.is_object(); }))
      return {{}, 0, "its answer is no list of drops"};
    return pick(all, std::clamp(*recorded, 0.0, 1e15));
  }
  // Complains when it has gone or come back since the last look, not while it stays away.
  void note(const std::string& problem) {
    if (problem == problem_) return;
    complain("drops: " + name() + ": " + (problem.empty() ? "answers again" : problem));
    problem_ = problem;
  }

private:
  news pick(const json& all, double recorded) {
    const bool same_life = recorded_ && recorded >= *recorded_; // else it began anew, and all is new
    const auto fresh = static_cast<std::uint64_t>(same_life ? recorded - *recorded_ : recorded);
    const std::size_t shown = recorded_ ? std::min<std::uint64_t>(fresh, all.size()) : all.size();
    news n;
    n.not_shown = recorded_ ? fresh - shown : 0;
    for (std::size_t i = 0; i < shown; ++i) {
      n.drops.push_back(all[i]);
      n.drops.back()["admin"] = name();
    }
    recorded_ = recorded;
    return n;
  }

  admin_server server_;
  maybe recorded_; // at the last answer
  std::string problem_;
};

struct found {
  std::vector<json> drops;                                      // the newest last
  std::vector<std::pair<std::string, std::uint64_t>> not_shown; // of which server, how many
};

found look(std::vector<source>& sources, std::uint64_t newest) {
  auto told = ask_all(sources, [newest](source& s) { return s.look(newest); });
  found f;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    sources[i].note(told[i].problem);
    std::move(told[i].drops.begin(), told[i].drops.end(), std::back_inserter(f.drops));
    if (told[i].not_shown) f.not_shown.emplace_back(sources[i].name(), told[i].not_shown);
  }
  // Newest first as they came: two of one time keep their order when all is turned round.
  std::reverse(f.drops.begin(), f.drops.end());
  std::stable_sort(f.drops.begin(), f.drops.end(),
                   [](const json& a, const json& b) { return text(a, {"at"}) < text(b, {"at"}); });
  return f;
}

void show(const found& f, bool as_json) {
  for (const auto& [admin, n] : f.not_shown)
    if (as_json) print_json({{"admin", admin}, {"not_shown", n}});
    else print(std::to_string(n) + " more not shown: they came faster than " + admin + " was asked\n");
  for (const json& d : f.drops)
    if (as_json) print_json(d);
    else print(printable(drop_line(d) + ", " + text(d, {"admin"})) + "\n");
}

json silent(const std::vector<source>& sources) {
  json out = json::array();
  for (const source& s : sources)
    if (!s.problem().empty()) out.push_back(s.name() + ": " + s.problem());
  return out;
}

int run(const arguments& a) {
  const std::uint64_t limit = a.options.count("limit", 1, limits::drops_kept);
  const bool as_json = a.options.flag("json"), follow = a.options.flag("follow");
  const auto interval = a.options.time("interval", std::chrono::milliseconds(100), std::chrono::hours(1));
  std::vector<source> sources;
  for (const admin_server& s : admin_servers(a.options)) sources.emplace_back(s);
  found f = look(sources, limit);
  if (f.drops.size() > limit)
    f.drops.erase(f.drops.begin(), f.drops.end() - static_cast<std::ptrdiff_t>(limit));
  const json away = silent(sources);
  if (!follow && as_json) print_pretty_json({{"drops", f.drops}, {"silent", away}});
  else show(f, as_json);
  if (!follow) return away.empty() ? exit_ok : ops::exit_fault;
  while (written()) { // who is away has been named, and may come back
    std::this_thread::sleep_for(interval);
    show(look(sources, limit), as_json);
  }
  return ops::exit_fault;
}

void declare(po::options_description& o) {
  o.add_options()("limit", ops::value("N", "20"), "at most so many of the newest")(
      "follow,f", ops::flag(), "go on with those to come")("interval", ops::value("TIME", "1s"),
                                                           "between two looks");
  declare_admin(o);
}

} // namespace

const command drops_command{
    "drops",
    "",
    0,
    0,
    "what was dropped or refused lately, and why",
    "Shows the newest drops, refused messages and refused connects of the servers "
    "asked, the newest last. Servers\n"
    "keep a bounded number of them; /stats has the counts of all. --follow goes on, also while a server is "
    "away, and says\nhow many came too fast to be told.",
    "  beeline drops --admin 127.0.0.1:7480,127.0.0.1:7481\n"
    "  beeline drops --follow --json | jq -c '[.reason, .to]'\n",
    declare,
    run};

} // namespace beeline::cli
