// The sockets of one event loop: reading, writing, readiness. No core and no template here; the
// calls into the core are in stream_set.hpp.
//
//   recv -> [scratch, 256 KiB, one per loop] -> core      a cut frame is kept in stream::rest,
//              ^ a short rest is put in front                which only grows by bytes that arrived
//
// A stream's states: open -> (closing: last words are being written) -> (lingering: the core has let
// go, reads are thrown away so that a reset does not overtake the last words) -> buried. A buried
// stream stays in memory until the end of the turn: the batch of ready events may name it.
//
// Owner: the loop's thread. The chunk pool and the dirty list (the core's) outlive the table.
#pragma once
#include "common/base/conn.hpp"
#include "common/base/limits.hpp"
#include "common/base/time.hpp"
#include "common/net/connection_budget.hpp"
#include "common/net/io_counters.hpp"
#include "common/net/unique_fd.hpp"

#include <functional>
#include <string>
#include <vector>

namespace beeline::net {

struct stream {
  stream(conn::kind_t kind, chunk_pool& pool, unique_fd f, budget_slot s)
      : c(kind, pool), fd(std::move(f)), slot(std::move(s)) {}

  conn c;
  unique_fd fd; // closed when buried
  budget_slot slot;
  std::vector<std::byte> rest; // arrived, not consumed
  time_point progress_at{};    // the peer last took output, or output began to wait
  time_point close_at = never; // closing or lingering ends here at the latest
  std::uint32_t interest = 0;  // what epoll watches
  std::uint32_t index = 0;     // in all
  std::uint32_t timed_index = 0;
  int unacked = 0;          // bytes in the kernel when progress was last looked for
  bool waiting_out = false; // the kernel is full: write again at EPOLLOUT
  bool was_partial = false; // the last flush left output behind
  bool lingering = false;   // on_down was called
  bool eof = false;         // while closing: the peer has said all
  bool timed = false;       // in the list that is swept
  bool held_back = false;   // rest may hold whole frames: the core stopped reading
  bool replay = false;      // in the list of those to be presented again
};

// A socket on its way from one lane to another.
struct moved_stream {
  unique_fd fd;
  budget_slot slot;
  std::vector<std::byte> bytes; // arrived, not consumed
};

struct stream_options {
  int send_buffer = 0, receive_buffer = 0;              // bytes of kernel buffer; 0: the kernel decides
  duration client_stall_max = limits::client_stall_max; // output waits and nothing is taken
  duration close_flush_max = limits::close_flush_max;   // for last words, lingering included
  std::function<void(const conn&, close_reason, int fd)> closed; // for the log; fd is still open
};

std::string peer_name(int fd); // "192.0.2.1:4711", or "unknown"

class stream_table {
public:
  enum class io : std::uint8_t { ok, again, ended, failed, no_memory };
  struct received {
    io state;
    bool more;        // probably: the read filled its room
    mutable_bytes in; // rest and what came, contiguous; until the next call
  };
  struct written {
    bool progress, failed;
  };

  stream_table(int epoll_fd, stream_options options, dirty_list& dirty, chunk_pool& pool,
               io_counters& counters);
  ~stream_table();

  stream* open(conn::kind_t kind, unique_fd fd, budget_slot slot); // null: the kernel has no room to watch it
  received receive(stream& s);
  bool keep(stream& s, mutable_bytes in, std::size_t consumed) noexcept; // false: no memory
  void drop_rest(stream& s) noexcept;
  io discard(stream& s); // reads and forgets; `again` when there is no more for now
  written write(stream& s, time_point now);

  void watch(stream& s, bool in, bool out) noexcept;
  void set_timed(stream& s);
  void clear_timed(stream& s) noexcept;
  bool took_bytes(stream& s) noexcept; // has the peer acknowledged any since the last look?
  void count_down(stream& s, close_reason why);
  void linger(stream& s, time_point now);
  unique_fd detach(stream& s) noexcept; // out of the epoll set; to be buried by the caller
  void bury(stream& s);                 // closes; memory is freed by free_buried
  void free_buried() noexcept { buried_.clear(); }

  std::vector<stream*> all;
  std::vector<stream*> timed;
  const stream_options options;
  dirty_list& dirty;
  io_counters& counters;

private:
  static constexpr std::size_t short_rest = 4 * limits::KiB; // copied in front of the scratch each read

  void set_options(const stream& s) noexcept;

  const int epoll_;
  chunk_pool& pool_;
  std::unique_ptr<std::byte[]> scratch_;
  std::vector<std::unique_ptr<stream>> buried_;
};

} // namespace beeline::net
