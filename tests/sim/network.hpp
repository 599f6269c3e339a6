// The simulated network: connections made of two one-way byte pipes.
//
//   writer -> [ written, on its way | arrived, not read ] -> reader
//                in segments, each with its time of arrival; FIFO
//
// A pipe has a capacity (so writes are partial), a delay with jitter, a rate, and cuts what is
// written into segments as it likes. A reset drops any suffix of what is on its way, in both
// directions, and each end finds out in its own time. A stalled pipe delivers nothing for a while
// and says nothing. Nothing is lost in the middle: it stands for TCP. But for what a bad machine on the
// way may do: flip a bit, lose some bytes, say a frame twice, let only a trickle through.
//
// Connections live as long as the network. Owner: the thread that runs the seed.
#pragma once
#include "common/base/bytes.hpp"
#include "tests/sim/world.hpp"

#include <deque>
#include <memory>
#include <sys/uio.h>

namespace beeline::sim {

struct pipe_settings {
  duration delay = 1ms, jitter = 1ms;
  std::size_t capacity = 64 * 1024;
  std::size_t bytes_per_second = 100'000'000;
  unsigned cut_percent = 0;     // writes that arrive in pieces
  unsigned partial_percent = 0; // writes of which only a part is taken
};

class endpoint_user; // whoever holds an end of a connection
class connection;

// One end of a connection.
class socket_end {
public:
  endpoint_user* user = nullptr;
  std::uint64_t tag = 0; // the user's own
  bool closed = false;   // by its owner
  bool failed = false;   // a reset has been noticed here

  std::size_t readable() const noexcept;
  bool at_end() const noexcept; // the peer has closed and all was read
  std::size_t read(std::byte* to, std::size_t max);
  std::size_t write(const iovec* v, std::size_t count);
  void close(); // what was written still arrives, then the end

  connection* of = nullptr;
  int side = 0;
};

class endpoint_user {
public:
  virtual void on_readable(socket_end& e) = 0; // bytes, the end, or a reset
  virtual void on_writable(socket_end& e) = 0; // a write that was cut short can go on

protected:
  ~endpoint_user() = default;
};

struct pipe {
  static constexpr std::uint64_t no_cut = ~std::uint64_t{0};
  struct segment {
    time_point at;
    std::uint64_t end;
  };
  pipe_settings settings;
  std::vector<std::byte> bytes; // [read, written)
  std::size_t head = 0;
  std::uint64_t written = 0, arrived = 0, taken = 0, swallowed = 0;
  std::deque<segment> segments;
  std::uint64_t frame_at = 0,
                last_frame = 0; // of a link: where the frame that is being written begins, the one before
  std::uint32_t frame_length = 0,
                length_bytes = 0; // ... its length, as far as that is known; how many bytes of it are
  std::uint64_t cut_at = no_cut;  // the connection is reset when so many bytes have arrived
  std::uint64_t flip_at = no_cut; // a bit of this byte is flipped
  time_point last_at{}, stalled_until{}, trickles_until{};
  bool end_written = false, end_arrived = false;
  bool lost = false; // bytes written from now on reach nobody
  bool writer_waits = false;
  std::size_t on_its_way() const noexcept { return static_cast<std::size_t>(written - arrived); }
};

class connection final : public actor {
public:
  connection(world& w, std::uint32_t number, const pipe_settings& s, int process_a, int process_b);

  world& in;
  const std::uint32_t number;
  const int process[2]; // of side 0, which dialled, and side 1
  bool is_link = false;
  std::uint32_t session = ~0u; // a client's connection: which
  socket_end end[2];
  pipe way[2]; // way[s]: written by side s

  void reset(bool drop_suffix, duration notice_max);
  void vanish(); // both directions are silent for ever, nobody is told
  void fail(int side, time_point at) { in.plan(at, *this, fail_0 + static_cast<std::uint32_t>(side)); }
  void stall(int side, time_point until);
  void heal();
  void trickle(int side, time_point until);
  // Each hits what is on its way; false: nothing is that it could hit.
  bool corrupt(int side);      // flips a bit
  bool lose_some(int side);    // bytes in the middle
  bool repeat_frame(int side); // a whole frame comes twice, unless it is a message at QoS 0
  bool over() const noexcept { return (end[0].closed || end[0].failed) && (end[1].closed || end[1].failed); }
  void on_event(std::uint32_t what, std::uint64_t argument) override;

private:
  friend class socket_end;
  enum : std::uint32_t { arrive_0 = 10, arrive_1, fail_0, fail_1, room_0, room_1 };
  void arrive(int side);
  void send_segments(pipe& p, int side, std::size_t n);
  void follow_frames(pipe& p, std::size_t n);
  void cut(int side);
  void freed(int side);
};

} // namespace beeline::sim
