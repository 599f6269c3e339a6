// F15 (CAT-57): the wall clock of all servers jumps. Nothing may come of it, until a router starts anew. F16
// (CAT-59): what links carry is damaged, cut, repeated.
#include "tests/chaos/scenario.hpp"

#include <cstring>
#include <fcntl.h>
#include <stdexcept>
#include <unistd.h>

namespace beeline::chaos::scripts {
namespace {

constexpr std::int64_t hour_ns = 3600ll * 1'000'000'000;

std::string clock_file(const run_options& o) { return o.folder + "/clock"; }

struct clock_state {
  std::int64_t shift_ns = 0, told = 0;
};

void set_clock(run& r, std::int64_t shift_ns) {
  const int fd = ::open(clock_file(r.options()).c_str(), O_WRONLY | O_CLOEXEC);
  const bool ok = fd >= 0 && ::pwrite(fd, &shift_ns, sizeof shift_ns, 0) == sizeof shift_ns;
  if (fd >= 0) ::close(fd);
  if (!ok) r.broken("the clock's file cannot be written");
}

std::int64_t times_told(run& r) {
  clock_state s;
  const int fd = ::open(clock_file(r.options()).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 || ::pread(fd, &s, sizeof s, 0) != sizeof s) r.broken("the clock's file cannot be read");
  if (fd >= 0) ::close(fd);
  return s.told;
}

double in_all_parts(run& r, const char* field, int first) {
  double n = 0;
  for (int part = first; part < static_cast<int>(r.servers().edges()); ++part)
    n += r.servers().number(part, field);
  return n;
}

} // namespace

run_plan wall_clock_plan(const run_options& o) {
  run_plan p = steady(o);
  const int fd = ::open(clock_file(o).c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const clock_state zero;
  const bool ok = fd >= 0 && ::write(fd, &zero, sizeof zero) == sizeof zero;
  if (fd >= 0) ::close(fd);
  if (!ok) throw std::runtime_error("cannot write " + clock_file(o));
  p.environment = {"LD_PRELOAD=" + o.programs + "/libbeeline-shift-clock.so",
                   "BEELINE_TEST_CLOCK=" + clock_file(o)};
  return p;
}

void wall_clock(run& r) {
  constexpr int jumps[] = {1, -1, 24, -24, 0}; // hours from the true time
  const double step = r.options().seconds / 6;
  r.load_for(step);
  for (const int hours : jumps) {
    const std::int64_t before = times_told(r);
    set_clock(r, hours * hour_ns);
    r.load_for(step);
    // Pages tell the time: at least that shows a server has seen the jump.
    for (int part = -1; part < static_cast<int>(r.servers().edges()); ++part)
      (void)r.servers().ask(part, "/drops");
    if (hours != 0 && times_told(r) == before) r.broken("nobody looked at a clock that had jumped");
  }
  r.figure("times that a server was told a shifted time", static_cast<double>(times_told(r)), "", 1);
  r.figure("links lost", in_all_parts(r, "/totals/link_losses", 0), "", 0, 0);
  r.figure("safety resends", in_all_parts(r, "/totals/safety_resends", 0), "", 0, 0);
}

// Shard time begins with the router's wall clock. Once that is behind what lanes have heard, they say so.
void restart_in_the_past(run& r) {
  const double step = r.options().seconds / 3;
  const auto lifts = [&] { return r.servers().number(-1, "/totals/clock_lifts"); };
  for (const int hours : {0, -1}) {
    r.load_for(step);
    set_clock(r, hours * hour_ns);
    const std::size_t f = r.faults().begin_now({fault::router_kill, -1, -1, 0, 0});
    r.faults().end_now(f);
    const std::string when = hours ? "an hour behind" : "in time";
    r.time_until(
        "started " + when + ", everybody is ready after", [&] { return r.servers().ready(); }, 10'000);
    r.figure("shard times moved by a router " + when, lifts(), "", hours ? r.plan().shards : 0,
             hours ? -1 : 0);
  }
  r.load_for(step);
}

void damaged_frames(run& r) {
  constexpr fault kinds[] = {fault::link_flip, fault::link_lose_bytes, fault::link_replay_proof,
                             fault::link_replay};
  const double step = r.options().seconds / 6;
  r.load_for(step);
  for (const fault kind : kinds) {
    const bool repeats = kind == fault::link_replay;
    const double before =
        repeats ? in_all_parts(r, "/totals/duplicates", 0) + in_all_parts(r, "/totals/late_copies", 0)
                : in_all_parts(r, "/totals/link_losses", 0);
    const std::size_t f = r.faults().begin_now({kind, -1, -1, 0, 0});
    r.faults().end_now(f);
    const std::string name(name_of(kind));
    r.time_until(
        name + (repeats ? ": known for a copy after" : ": link given up after"),
        [&] {
          return (repeats
                      ? in_all_parts(r, "/totals/duplicates", 0) + in_all_parts(r, "/totals/late_copies", 0)
                      : in_all_parts(r, "/totals/link_losses", 0)) > before;
        },
        12'000); // a length that was damaged is waited for 10 s
    r.time_until(
        name + ": all ready again after", [&] { return r.servers().ready(); }, 5'000);
    r.load_for(step);
  }
  double bad = 0;
  for (int part = -1; part < static_cast<int>(r.servers().edges()); ++part)
    bad += r.servers().number(part, "/totals/link_closes/link_bad_frame") +
           r.servers().number(part, "/totals/link_closes/link_bad_state");
  r.figure("links closed for a bad frame or state", bad, "", 2);
}

} // namespace beeline::chaos::scripts
