// beeline-chaos-check: judges a run that beeline-chaos has written, and measures its outages.
//
// Exit codes: 0 all promises were kept, 1 one was broken, 2 usage or a file that cannot be read, 3 the run is
// void.
#include "tests/chaos/falsify.hpp"
#include "tests/chaos/judge.hpp"
#include "tests/chaos/outage.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace beeline::chaos {
namespace {

using nlohmann::json;

json told(const outage& o) {
  return {{"kind", name_of(o.what.kind)},
          {"edge", o.what.edge},
          {"shard", o.what.shard},
          {"begin_us", o.what.begin},
          {"end_us", o.what.end},
          {"hits", o.what.hits},
          {"overlapped", o.overlapped},
          {"streams", o.streams},
          {"gap_us", o.gap},
          {"gap_median_us", o.gap_median},
          {"back_us", o.back},
          {"clients", o.clients},
          {"client_gap_median_us", o.client_gap_median},
          {"client_gap_max_us", o.client_gap_max}};
}

json told(const figure& x) {
  json j{{"name", x.name}, {"value", x.value}, {"unit", x.unit}, {"kept", x.kept()}};
  j["least"] = x.least > 0 ? json(x.least) : json(nullptr);
  j["most"] = x.most >= 0 ? json(x.most) : json(nullptr);
  return j;
}

json counts_of(const run_view& v) {
  std::map<std::string, std::uint64_t> by_answer;
  std::uint64_t sessions = 0, longest = 0, taken_along = 0, acknowledged = 0;
  for (const session_view& s : v.sessions) {
    ++sessions;
    for (const message_view& m : s.messages) {
      if (!m.qos1) continue;
      if (m.answered == never) {
        ++by_answer["none"];
        continue;
      }
      char code[8];
      std::snprintf(code, sizeof code, s.v5 ? "0x%02x" : "3.1.1", m.code);
      const bool says_why = s.v5 && m.code == 0x83;
      ++by_answer[code + (says_why ? " " + std::string(words_names[static_cast<std::size_t>(m.text)]) : "")];
      acknowledged += m.wants_receipt && m.code == 0;
      longest = std::max(longest, static_cast<std::uint64_t>(m.answered - m.at));
      taken_along += s.v5 && m.code == 0 && m.receipts == 0;
    }
  }
  return {{"published", v.publishes},
          {"qos1", v.publishes_qos1},
          {"answers", by_answer},
          {"received", v.receipts},
          {"sessions", sessions},
          {"held_back", v.facts.held_back},
          {"longest_answer_us", longest},
          {"success_without_receipt", taken_along},
          {"asked_recipient", v.with_receipt},
          {"recipient_acknowledged", acknowledged},
          {"with_deadline", v.with_deadline}};
}

json page_of(const run_view& v, const findings& wrong, const std::optional<std::string>& not_counting,
             const std::vector<figure>& figures) {
  json page{{"seed", v.facts.seed},   {"rate", v.facts.rate}, {"netns", v.facts.netns},
            {"drawn", v.facts.drawn}, {"ok", !wrong.any()},   {"counts", counts_of(v)},
            {"broken", wrong.counts}};
  page["void"] = not_counting ? json(*not_counting) : json(nullptr);
  page["load_begin_us"] = v.facts.load_begin;
  page["load_end_us"] = v.facts.load_end;
  page["run_end_us"] = v.facts.run_end;
  page["violations"] = json::array();
  for (const violation& x : wrong.shown)
    page["violations"].push_back({{"promise", x.promise}, {"text", x.text}});
  const outages o = measure(v);
  page["scenario"] = v.facts.scenario;
  page["figures"] = json::array();
  for (const figure& x : figures) page["figures"].push_back(told(x));
  page["samples"] = json::array();
  for (const process_sample& x : v.facts.samples)
    page["samples"].push_back(
        {{"at_us", x.at}, {"name", x.name}, {"rss_bytes", x.rss_bytes}, {"fds", x.fds}});
  page["calm"] = told(o.calm);
  page["faults"] = json::array();
  for (const outage& x : o.faults) page["faults"].push_back(told(x));
  const series s = count_by_time(v);
  page["series"] = {
      {"published", s.published}, {"answered", s.answered}, {"refused", s.refused}, {"received", s.received}};
  return page;
}

int check(const std::string& folder, const std::string& told_lie, const std::string& report) {
  run_facts facts = read_facts(folder + "/run.json");
  const history_file file(folder + "/history.bin");
  std::span<const record> h = file.records();
  history false_one;
  if (!told_lie.empty()) {
    false_one.assign(h.begin(), h.end());
    if (!falsify(told_lie, facts, false_one)) throw std::runtime_error("nothing to falsify by " + told_lie);
    h = false_one;
  }
  findings wrong;
  const run_view v(std::move(facts), h, wrong);
  judge(v, wrong);
  judge_order(v, h, wrong);
  const std::vector<figure> figures = judge_scenario(v, wrong);
  const auto not_counting = why_void(v);
  if (!report.empty()) std::ofstream(report) << page_of(v, wrong, not_counting, figures).dump() << '\n';
  for (const violation& x : wrong.shown) std::printf("%s: %s\n", x.promise.c_str(), x.text.c_str());
  for (const auto& [promise, n] : wrong.counts)
    std::printf("%s was broken %llu times\n", promise.c_str(), static_cast<unsigned long long>(n));
  if (wrong.any()) return 1;
  if (not_counting) std::printf("void: %s\n", not_counting->c_str());
  return not_counting ? 3 : 0;
}

constexpr const char* help = R"(usage: beeline-chaos-check FOLDER [--report FILE] [--falsify LIE]
       beeline-chaos-check --lies
)";

int program(int argc, char** argv) {
  std::string folder, told_lie, report;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--lies") {
      for (const auto& l : lies) std::printf("%s\n", std::string(l.name).c_str());
      return 0;
    }
    if ((word == "--falsify" || word == "--report") && i + 1 < argc)
      (word == "--falsify" ? told_lie : report) = argv[++i];
    else if (folder.empty() && word[0] != '-') folder = word;
    else return std::fputs(help, stderr), 2;
  }
  if (folder.empty()) return std::fputs(help, stderr), 2;
  return check(folder, told_lie, report);
}

} // namespace
} // namespace beeline::chaos

int main(int argc, char** argv) try {
  return beeline::chaos::program(argc, argv);
} catch (const std::exception& e) {
  std::fprintf(stderr, "beeline-chaos-check: %s\n", e.what());
  return 2;
}
