// beeline drops: what was dropped or refused lately, the newest last.
#include "common/base/limits.hpp"
#include "common/cli/explain_text.hpp"

#include <algorithm>
#include <cstdio>
#include <thread>

namespace beeline::cli {
namespace {

// One server's list, of which only what was recorded since the last look is wanted.
struct source {
  admin_server server;
  maybe recorded = {}; // at the last look

  // Adds to `out` what is new; false when there was no answer.
  bool look(std::uint64_t limit, std::vector<json>& out) {
    const page p = server.get("/drops?limit=" + std::to_string(limit));
    if (!p.ok()) {
      complain("drops: " + server.name() + ": " +
               (p.status == 404 ? "has no list of drops (an older server)" : p.problem));
      return false;
    }
    const json& all = list(p.body, "drops"); // newest first
    const maybe now = number(p.body, {"recorded"});
    double fresh = static_cast<double>(all.size());
    if (recorded && now && *now >= *recorded) fresh = std::min(fresh, *now - *recorded); // else it began anew
    for (std::size_t i = 0; i < static_cast<std::size_t>(fresh); ++i) {
      json d = all[i];
      if (d.is_object()) d["admin"] = server.name();
      out.push_back(std::move(d));
    }
    recorded = now;
    return true;
  }
};

bool look(std::vector<source>& sources, std::uint64_t limit, std::vector<json>& out) {
  bool all = true;
  for (source& s : sources) all = s.look(limit, out) && all;
  std::stable_sort(out.begin(), out.end(),
                   [](const json& a, const json& b) { return text(a, {"at"}) < text(b, {"at"}); });
  if (out.size() > limit) out.erase(out.begin(), out.end() - static_cast<std::ptrdiff_t>(limit));
  return all;
}

void show(const std::vector<json>& drops, bool as_json) {
  for (const json& d : drops)
    if (as_json) print_json(d);
    else print(printable(drop_line(d) + ", " + text(d, {"admin"})) + "\n");
}

int run(const arguments& a) {
  const std::uint64_t limit = a.options.count("limit", 1, limits::drops_kept);
  const bool as_json = a.options.flag("json"), follow = a.options.flag("follow");
  const auto interval = a.options.time("interval", std::chrono::milliseconds(100), std::chrono::hours(1));
  std::vector<source> sources;
  for (const admin_server& s : admin_servers(a.options)) sources.push_back({s});
  std::vector<json> found;
  const bool all = look(sources, limit, found);
  if (!follow && as_json) print_pretty_json({{"drops", found}});
  else show(found, as_json);
  if (!follow || !all) return all ? exit_ok : ops::exit_fault;
  for (;;) {
    if (std::fflush(stdout) != 0) return ops::exit_fault;
    std::this_thread::sleep_for(interval);
    found.clear();
    (void)look(sources, limits::drops_kept, found); // who is away has been named, and may come back
    show(found, as_json);
  }
}

void declare(po::options_description& o) {
  o.add_options()("limit", ops::value("N", "20"), "at most so many of the newest")(
      "follow,f", ops::flag(), "go on with those to come")("interval", ops::value("TIME", "1s"),
                                                           "between two looks");
  declare_admin(o);
}

} // namespace

const command drops_command{"drops",
                            "",
                            0,
                            0,
                            "what was dropped or refused lately, and why",
                            "Shows the newest drops, refused messages and refused connects of the servers "
                            "asked, the newest last. Servers\n"
                            "keep a bounded number of them; /stats has the counts of all.",
                            "  beeline drops --admin 127.0.0.1:7480,127.0.0.1:7481\n"
                            "  beeline drops --follow --json | jq -c '[.reason, .to]'\n",
                            declare,
                            run};

} // namespace beeline::cli
