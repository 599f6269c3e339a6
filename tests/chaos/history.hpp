// What the clients of a run saw, as they saw it: records of fixed size in the order of one clock, and the
// file that has them. The driver writes it, the checker reads it.
//
// A session is one connection of a client, numbered from 0 over all clients. A message is named by its
// sender's session and that session's count, from 0 without gaps; both are in its payload. Owner: one thread.
#pragma once
#include <cstdint>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace beeline::chaos {

// acknowledge: of a message whose sender asked for it, that it has received.
enum class seen : std::uint8_t { connect, connack, end, publish, answer, receive, acknowledge };

enum class ending : std::uint8_t {
  disconnect,        // the client said DISCONNECT
  abort,             // the client reset its connection
  gave_up,           // the client heard nothing for too long
  server_closed,     // end of the stream
  network_error,     // the connection was reset
  server_disconnect, // MQTT 5: `code` has the reason
  not_connected,     // no TCP connection
  refused            // CONNACK with a code
};

// What the text of a 0x83 says; from session_ended on that the message was taken.
enum class words : std::uint8_t {
  none,
  unknown,
  gave_up,
  refused,
  expired,
  other,
  session_ended,
  not_in_time,
  owner_lost,
  expired_waiting,
  not_acknowledged // for another reason
};
inline constexpr std::string_view words_names[] = {
    "no words", "unknown",     "given up",    "refused",         "expired",         "other",
    "ended",    "not in time", "server lost", "waited too long", "not acknowledged"};
constexpr bool says_taken(words w) { return w >= words::session_ended; }

inline constexpr std::uint8_t flag_qos1 = 1, flag_dup = 2, flag_last = 4, flag_damaged = 8,
                              flag_not_for_me = 16, flag_wrong_sender = 32, flag_v5 = 64, flag_unasked = 128;

struct record {
  std::int64_t at = 0;       // µs since the run began
  std::uint32_t session = 0; // whose client saw it
  std::uint32_t other = 0;   // connect: client; publish: destination client; else the sender's session
  std::uint32_t count = 0;   // of the message
  seen what{};
  std::uint8_t code = 0;  // connack, end, answer: reason; connect: edge; publish: deadline in units of 100 ms
  std::uint8_t flags = 0; // of the above
  std::uint8_t detail = 0; // end: ending; answer: words; publish: 1 when the recipient is to acknowledge it
  bool operator==(const record&) const = default;
};
static_assert(sizeof(record) == 24);

using history = std::vector<record>;

// Writes as it goes, so that a long run keeps little in memory. Throws std::runtime_error.
class history_writer {
public:
  explicit history_writer(const std::string& path);
  void add(const record& r) {
    waiting_.push_back(r);
    if (waiting_.size() == step) flush();
  }
  void close();

private:
  static constexpr std::size_t step = 16 * 1024; // 384 KiB: a fraction of a millisecond into the page cache
  void flush();
  std::string path_;
  std::ofstream file_;
  history waiting_;
};

// The file as it lies there: pages that are not looked at are not in memory. Throws std::runtime_error.
class history_file {
public:
  explicit history_file(const std::string& path);
  ~history_file();
  history_file(const history_file&) = delete;
  history_file& operator=(const history_file&) = delete;
  std::span<const record> records() const noexcept;

private:
  const char* at_ = nullptr;
  std::size_t bytes_ = 0;
};

} // namespace beeline::chaos
