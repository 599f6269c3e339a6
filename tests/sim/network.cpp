#include "tests/sim/network.hpp"

#include "common/base/crc32c.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace beeline::sim {

namespace {
constexpr std::size_t trickle_rate = 10'000, trickle_piece = 100; // bytes a second; bytes that arrive at once
constexpr std::uint32_t frame_head = 8;                           // of the link protocol: length, type, check
constexpr std::byte qos0_message{0x40};
} // namespace

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
  if (p.flip_at >= p.written && p.flip_at < p.written + n)
    p.bytes[p.bytes.size() - n + static_cast<std::size_t>(p.flip_at - p.written)] ^= std::byte{0x10};
  if (!n) return n;
  of->send_segments(p, side, n);
  if (of->is_link) of->follow_frames(p, n);
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
    const bool slow = p.trickles_until > in.now;
    std::size_t part =
        cut && left > 1 ? in.between(1, in.chance(30) ? std::min<std::size_t>(left, 9) : left) : left;
    if (slow) part = std::min(part, trickle_piece);
    left -= part;
    p.written += part;
    const std::size_t rate = slow ? trickle_rate : p.settings.bytes_per_second;
    const auto travel = p.settings.delay + in.between(duration(0), p.settings.jitter) +
                        duration(static_cast<duration::rep>(part * 1'000'000 / rate));
    if (slow) p.last_at += duration(static_cast<duration::rep>(part * 1'000'000 / rate));
    p.last_at = std::max(p.last_at, in.now + travel);
    p.segments.push_back({p.last_at, p.written});
    in.plan(p.last_at, *this, arrive_0 + static_cast<std::uint32_t>(side));
  }
}

void connection::arrive(int side) {
  pipe& p = way[side];
  if (in.now < p.stalled_until) return; // heal() or the end of the stall looks again
  bool news = false;
  while (!p.segments.empty() && p.segments.front().at <= in.now && p.arrived < p.cut_at) {
    p.arrived = std::min(p.segments.front().end, p.cut_at);
    p.segments.pop_front();
    news = true;
  }
  if (p.arrived == p.cut_at && !p.lost) cut(side);
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

// The reset that was ordered for this byte: what comes behind it is lost, and any part of
// what is on its way back.
void connection::cut(int side) {
  pipe& p = way[side];
  p.bytes.resize(p.bytes.size() - p.on_its_way());
  p.written = p.arrived;
  p.segments.clear();
  reset(true, 0ms);
}

// Where frames begin: of `n` bytes more.
void connection::follow_frames(pipe& p, std::size_t n) {
  for (std::size_t left = n; left;) {
    if (p.length_bytes < 3) {
      p.frame_length |= std::to_integer<std::uint32_t>(p.bytes[p.bytes.size() - left--])
                        << 8 * p.length_bytes++;
      continue;
    }
    const std::uint64_t at = p.written - left, next = p.frame_at + std::max(p.frame_length, frame_head);
    const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(left, next - at));
    left -= step;
    if (at + step < next) return;
    p.last_frame = std::exchange(p.frame_at, next);
    p.frame_length = p.length_bytes = 0;
  }
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
    way[s].trickles_until = in.now;
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

void connection::trickle(int side, time_point until) { way[side].trickles_until = until; }

bool connection::lose_some(int side) {
  pipe& p = way[side];
  if (p.on_its_way() < 2 || p.lost) return false;
  const std::uint64_t begin = p.arrived + in.random.below(p.on_its_way() - 1);
  const std::uint64_t n = in.between(1, std::min<std::uint64_t>(40, p.written - begin - 1));
  const auto from = p.bytes.end() - static_cast<std::ptrdiff_t>(p.written - begin);
  p.bytes.erase(from, from + static_cast<std::ptrdiff_t>(n));
  p.written -= n;
  for (pipe::segment& s : p.segments)
    if (s.end > begin) s.end = std::max(begin, s.end - n);
  p.frame_at = pipe::no_cut - (1u << 25); // frames are not followed any more: the stream is out of step
  return true;
}

// The newest frame that is on its way as a whole, once more behind all that is written.
bool connection::repeat_frame(int side) {
  pipe& p = way[side];
  const std::uint64_t first = p.written - (p.bytes.size() - p.head);
  const bool whole = p.frame_at == p.written && p.length_bytes == 0 && p.last_frame < p.written;
  if (p.lost || p.end_written || !whole || p.last_frame < std::max(first, p.arrived)) return false;
  const auto from = static_cast<std::size_t>(p.last_frame - first) + p.head;
  if (p.bytes[from + 3] == qos0_message) return false;
  const std::vector<std::byte> frame(p.bytes.begin() + static_cast<std::ptrdiff_t>(from), p.bytes.end());
  p.bytes.insert(p.bytes.end(), frame.begin(), frame.end());
  send_segments(p, side, frame.size());
  follow_frames(p, frame.size());
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
