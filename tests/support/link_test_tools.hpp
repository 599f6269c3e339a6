// Shared by the tests of the link protocol: frames as values and as words, and message frames from
// plain fields.
//
// `words` prints a frame one line a record ("registered 7.1", "answer 5 accepted", "path-lost 0"), so
// that a test reads as a dialogue. A message's line names its number, the handle and the origin
// that the shard wrote into it, and its payload.
#pragma once
#include "common/base/conn.hpp"
#include "common/base/time.hpp"
#include "common/link/secret.hpp"
#include "common/wire/message.hpp"
#include "common/wire/messages.hpp"

#include <string>
#include <vector>

namespace beeline::test {

using byte_vector = std::vector<std::byte>;
using lines = std::vector<std::string>;

inline constexpr time_point t0{std::chrono::seconds(1000)}; // a clock that did not start at 0
inline constexpr std::string_view secret_text = "beeline";
inline link::cluster_secret test_secret() { return link::cluster_secret(secret_text); }
id_hash hash_of(std::string_view id, unsigned bits = 64); // under that secret
wire::nonce nonce_of(unsigned fill);

struct heard_frame {
  byte_vector bytes;
  wire::frame_type type() const noexcept { return static_cast<wire::frame_type>(bytes[3]); }
  const_bytes payload() const noexcept { return const_bytes(bytes).subspan(wire::header_bytes); }
  wire::message_view message() noexcept { return wire::message_view(bytes); }
};

byte_vector taken_bytes(output_chain& chain);         // and empties it
byte_vector taken_bytes(conn& c);                     // as a shell that can write everything
std::vector<heard_frame> split_frames(byte_vector b); // throws when they are not whole, good frames
lines words(heard_frame& f);
lines words(std::vector<heard_frame>& frames, bool with_heartbeats = false);

// Frames to say. `make(m)` for a record with a type of its own, `make_batch` for a batch.
template <class M> byte_vector make(const M& m) {
  chunk_pool pool;
  output_chain out(pool);
  wire::frame_writer w;
  wire::send(w, out, m);
  return taken_bytes(out);
}
template <class Record> byte_vector make_batch(wire::frame_type t, const std::vector<Record>& records) {
  chunk_pool pool;
  output_chain out(pool);
  wire::batch_writer batch(t);
  for (const Record& r : records) r.put(batch.next(out));
  batch.flush(out);
  return taken_bytes(out);
}
byte_vector make_frame(wire::frame_type t, std::string_view payload = {});
inline byte_vector make_event(wire::frame_type t, member_index i) {
  return make_frame(t, std::string(reinterpret_cast<const char*>(&i), sizeof i));
}

struct test_message {
  std::string to = "bob", from = "ann", channel, payload = "hi";
  std::uint64_t number = 1, floor = 1, first_sent = 0;
  std::uint16_t prev = 0;
  std::uint8_t flags = 0;
  std::uint32_t deadline = 0;
  bool qos1 = true;
  unsigned hash_bits = 64;
};
byte_vector make(const test_message& m);

inline std::string text_of_handle(handle h) {
  return std::to_string(h.index) + "." + std::to_string(h.generation);
}
// One good frame of every type that exists, with plausible contents.
std::vector<heard_frame> sample_frames();

} // namespace beeline::test
