#include "tests/sim/network.hpp"

#include "common/base/crc32c.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace beeline::sim {

// --- ends --------------------------------------------------------------------------------------------

std::size_t socket_end::readable() const noexcept {
  const pipe& p = of->way[1 - side];
  return static_cast<std::size_t>(p.arrived - p.taken);
}
bool socket_end::at_end() const noexcept { return of->way[1 - side].end_arrived && readable() == 0; }

std::size_t socket_end::read(std::byte* to, std::size_t max) {
  pipe& p = of->way[1 - side];
  const std::size_t n = std::min(max, readable());
  if (n) std::memcpy(to, p.bytes.data() + p.head, n);
  p.head += n;
  p.taken += n;
  if (p.head == p.bytes.size()) p.bytes.clear(), p.head = 0;
  else if (p.head > 32 * 1024) {
    p.bytes.erase(p.bytes.begin(), p.bytes.begin() + static_cast<std::ptrdiff_t>(p.head));
    p.head = 0;
  }
  of->in.note(std::uint64_t{of->number} << 1 | static_cast<unsigned>(side), crc32c({to, n}) ^ n << 32);
  if (n) of->freed(1 - side);
  return n;
}

std::size_t socket_end::write(const iovec* v, std::size_t count) {
  pipe& p = of->way[side];
  world& w = of->in;
  std::size_t offered = 0;
  for (std::size_t i = 0; i < count; ++i) offered += v[i].iov_len;
  const std::uint64_t used = p.lost ? p.swallowed : p.written - p.taken;
  std::size_t n = std::min<std::size_t>(offered, p.settings.capacity -
                                                     std::min<std::uint64_t>(used, p.settings.capacity));
  if (n > 1 && w.chance(p.settings.partial_percent)) {
    n = w.between(1, n - 1);
    w.plan(w.now + w.between(20us, 2ms), *of, connection::room_0 + static_cast<std::uint32_t>(side));
  }
  if (n < offered) p.writer_waits = true;
  if (p.lost) {
    p.swallowed += n;
    return n;
  }
  std::size_t left = n;
  for (std::size_t i = 0; left; ++i) {
    const auto* from = static_cast<const std::byte*>(v[i].iov_base);
    const std::size_t part = std::min(left, v[i].iov_len);
    p.bytes.insert(p.bytes.end(), from, from + part);
    left -= part;
  }
  if (n) of->send_segments(p, side, n);
  return n;
}

void socket_end::close() {
  if (closed) return;
  closed = true;
  user = nullptr;
  pipe& out = of->way[side];
  out.end_written = true;
  if (!out.lost) {
    out.last_at = std::max(out.last_at, of->in.now + out.settings.delay);
    of->in.plan(out.last_at, *of, connection::arrive_0 + static_cast<std::uint32_t>(side));
  }
}

// --- connections -------------------------------------------------------------------------------------

connection::connection(world& w, std::uint32_t n, const pipe_settings& s, int a, int b)
    : in(w), number(n), process{a, b} {
  for (int i = 0; i < 2; ++i) {
    end[i].of = this;
    end[i].side = i;
    way[i].settings = s;
  }
}

void connection::send_segments(pipe& p, int side, std::size_t n) {
  const bool cut = n > 1 && in.chance(p.settings.cut_percent);
  for (std::size_t left = n; left;) {
    const std::size_t part =
        cut && left > 1 ? in.between(1, in.chance(30) ? std::min<std::size_t>(left, 9) : left) : left;
    left -= part;
    p.written += part;
    const auto travel = p.settings.delay + in.between(duration(0), p.settings.jitter) +
                        duration(static_cast<duration::rep>(part * 1'000'000 / p.settings.bytes_per_second));
    p.last_at = std::max(p.last_at, in.now + travel);
    p.segments.push_back({p.last_at, p.written});
    in.plan(p.last_at, *this, arrive_0 + static_cast<std::uint32_t>(side));
  }
}

void connection::arrive(int side) {
  pipe& p = way[side];
  if (in.now < p.stalled_until) return; // heal() or the end of the stall looks again
  bool news = false;
  while (!p.segments.empty() && p.segments.front().at <= in.now) {
    p.arrived = p.segments.front().end;
    p.segments.pop_front();
    news = true;
  }
  if (p.end_written && !p.lost && p.segments.empty() && p.last_at <= in.now && !p.end_arrived) {
    p.end_arrived = true;
    news = true;
  }
  socket_end& reader = end[1 - side];
  if (!news) return;
  if (reader.closed) { // its machine says so
    if (!end[side].closed && p.arrived > p.taken) fail(side, in.now + way[1 - side].settings.delay);
    const auto thrown = static_cast<std::size_t>(p.arrived - p.taken) + p.head;
    p.bytes.erase(p.bytes.begin(), p.bytes.begin() + static_cast<std::ptrdiff_t>(thrown));
    p.head = 0;
    p.taken = p.arrived;
    return;
  }
  if (reader.user) reader.user->on_readable(reader);
}

void connection::freed(int side) {
  pipe& p = way[side];
  if (!p.writer_waits || p.lost) return;
  in.plan(in.now + p.settings.delay, *this, room_0 + static_cast<std::uint32_t>(side));
}

void connection::reset(bool drop_suffix, duration notice_max) {
  for (int s = 0; s < 2; ++s) {
    pipe& p = way[s];
    if (p.lost) continue;
    p.lost = true;
    if (drop_suffix && p.written > p.arrived) {
      const std::uint64_t keep = p.arrived + in.random.below(p.written - p.arrived + 1);
      p.bytes.resize(p.bytes.size() - static_cast<std::size_t>(p.written - keep));
      p.written = keep;
      while (!p.segments.empty() && p.segments.back().end > keep) {
        const auto before = p.segments.size() > 1 ? p.segments[p.segments.size() - 2].end : p.arrived;
        if (before >= keep) p.segments.pop_back();
        else p.segments.back().end = keep;
      }
    }
  }
  for (int s = 0; s < 2; ++s) {
    const pipe& p = way[1 - s]; // what the end still gets comes before the news
    const auto notice = in.chance(40) ? duration(0) : in.between(duration(0), notice_max);
    fail(s, std::max({in.now, p.stalled_until, p.segments.empty() ? in.now : p.last_at}) + notice);
  }
}

void connection::vanish() {
  for (pipe& p : way) {
    p.lost = true;
    if (p.written == p.arrived) continue;
    p.bytes.resize(p.bytes.size() - static_cast<std::size_t>(p.written - p.arrived));
    p.written = p.arrived;
    p.segments.clear();
  }
}

void connection::stall(int side, time_point until) {
  pipe& p = way[side];
  p.stalled_until = std::max(p.stalled_until, until);
  in.plan(p.stalled_until, *this, arrive_0 + static_cast<std::uint32_t>(side));
}

void connection::heal() {
  for (int s = 0; s < 2; ++s) {
    if (way[s].stalled_until <= in.now) continue;
    way[s].stalled_until = in.now;
    in.plan(in.now, *this, arrive_0 + static_cast<std::uint32_t>(s));
  }
}

bool connection::corrupt(int side) {
  pipe& p = way[side];
  const std::size_t n = static_cast<std::size_t>(p.written - p.arrived);
  if (n == 0 || p.lost) return false;
  p.bytes[p.bytes.size() - 1 - in.random.below(n)] ^= std::byte{1} << in.random.below(8);
  return true;
}

void connection::on_event(std::uint32_t what, std::uint64_t) {
  switch (what) {
  case arrive_0:
  case arrive_1: return arrive(static_cast<int>(what - arrive_0));
  case room_0:
  case room_1: {
    const int s = static_cast<int>(what - room_0);
    if (!std::exchange(way[s].writer_waits, false) || way[s].lost || end[s].closed) return;
    if (end[s].user) end[s].user->on_writable(end[s]);
    return;
  }
  default: {
    socket_end& e = end[what - fail_0];
    if (e.closed || std::exchange(e.failed, true)) return;
    if (e.user) e.user->on_readable(e);
  }
  }
}

} // namespace beeline::sim
