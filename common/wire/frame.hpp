// Link protocol: the frame around everything that crosses a link (docs/link-protocol.md).
//
//   0        3      4         8
//   +--------+------+---------+----------------------
//   | length | type |  check  | payload ...
//   +--------+------+---------+----------------------
//   length  24 bits, the whole frame with these 8 bytes
//   check   CRC32C of the frame without these 4 bytes; for the two message types only of the
//           header and the destination, which the shard acts on: the rest has a CRC of its own
//
// No I/O, no state: functions on bytes. Views live as long as the bytes given.
#pragma once
#include "common/base/limits.hpp"
#include "common/base/output.hpp"

#include <string_view>
#include <vector>

namespace beeline::wire {

extern const std::uint16_t protocol_version;             // what we speak (version.cpp)
inline constexpr std::uint16_t protocol_version_min = 1; // the oldest that we understand
inline constexpr std::uint16_t version_with_reports = 2; // the first whose shards know `report`
inline constexpr std::uint16_t version_with_lists =
    2; // the first whose lanes know more than one link in `back` and `gone`
inline constexpr std::uint16_t version_with_refusals = 2; // the first whose lanes know a `kick` that refuses
inline constexpr std::uint16_t version_with_deadlines =
    3;                                                    // the first with deadlines instead of times to live
inline constexpr std::uint16_t version_with_receipts = 3; // the first that knows `receipts`

enum class frame_type : std::uint8_t {
  // handshake
  hello = 0x01,
  challenge = 0x02,
  auth = 0x03,
  welcome = 0x04,
  error = 0x05,
  // link
  go_away = 0x06,
  heartbeat = 0x07,
  slot_map = 0x08,
  members = 0x09,
  members_seen = 0x0a,
  report = 0x0b,
  // presence
  register_clients = 0x20,
  registered = 0x21,
  unregister = 0x22,
  in_sync = 0x23,
  kick = 0x24,
  identity = 0x25,
  // delivery
  answers = 0x30,
  path_lost = 0x31,
  in_service = 0x32,
  back = 0x33,
  gone = 0x34,
  floors = 0x35,
  receipts = 0x36,
  message_qos0 = 0x40,
  message_qos1 = 0x41,
};
std::string_view name_of(frame_type t) noexcept;

inline constexpr std::size_t header_bytes = 8;

struct frame {
  frame_type type;
  mutable_bytes bytes; // all of it
  const_bytes payload() const noexcept { return bytes.subspan(header_bytes); }
};

enum class parse { done, need_more, malformed };

// Takes the next frame from `in`. The length is judged against `frame_max` before the body is
// there; a frame with a wrong check, an unknown type or a message whose parts do not fit is malformed.
parse next_frame(mutable_bytes in, std::size_t frame_max, frame& out) noexcept;

// Writes control frames into a buffer of its own and appends them, sealed, to an output.
class frame_writer {
public:
  void begin(frame_type t);
  template <class T> frame_writer& put(T v) {
    const std::size_t at = buffer_.size();
    buffer_.resize(at + sizeof(T));
    store_le(buffer_.data() + at, v);
    return *this;
  }
  frame_writer& put_bytes(const_bytes b) {
    buffer_.insert(buffer_.end(), b.begin(), b.end());
    return *this;
  }
  frame_writer& put_text8(std::string_view s); // one length byte; s is cut at 255
  template <class T> void patch(std::size_t payload_offset, T v) {
    store_le(buffer_.data() + header_bytes + payload_offset, v);
  }
  void make_room(std::size_t n) { // for n more bytes: to put them then finds memory
    if (buffer_.capacity() - buffer_.size() < n) buffer_.reserve(2 * buffer_.capacity() + n);
  }
  std::size_t payload_size() const noexcept { return buffer_.size() - header_bytes; }
  bool open() const noexcept { return !buffer_.empty(); }
  const_bytes payload() const noexcept { return const_bytes(buffer_).subspan(header_bytes); }
  void finish(output_chain& to); // seals and appends; the writer is then closed
  void drop() noexcept { buffer_.clear(); }

private:
  std::vector<std::byte> buffer_;
};

// A batch of records under one frame type: a 16-bit count, then the records. Cut into frames of
// about limits::control_batch_bytes.
class batch_writer {
public:
  explicit batch_writer(frame_type t) : type_(t) {}
  // Returns the writer for one more record; `to` takes the frame when it is full.
  frame_writer& next(output_chain& to) {
    if (writer_.open() && (writer_.payload_size() >= limits::control_batch_bytes || count_ == 0xffff))
      flush(to);
    writer_.make_room(record_bytes_max); // half a record would spoil the frame
    if (!writer_.open()) {
      writer_.begin(type_);
      writer_.put<std::uint16_t>(0);
    }
    ++count_;
    return writer_;
  }
  bool empty() const noexcept { return count_ == 0; }
  std::size_t bytes() const noexcept {
    return writer_.open() ? writer_.payload_size() : 0;
  } // not flushed yet
  void flush(output_chain& to) {
    if (count_ == 0) return;
    writer_.patch<std::uint16_t>(0, count_);
    writer_.finish(to);
    count_ = 0;
  }
  void drop() noexcept { writer_.drop(), count_ = 0; }

private:
  static constexpr std::size_t record_bytes_max = 512; // of any record in a batch, the frame's head included
  frame_writer writer_;
  frame_type type_;
  std::uint16_t count_ = 0;
};

} // namespace beeline::wire
