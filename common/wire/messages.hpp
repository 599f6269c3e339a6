// Link protocol: the records of the control frames, each with its decoder and encoder.
//
// Decoders take the payload of a frame whose check held, and return false when it is malformed:
// too short, too long, a text above its limit. Views live as long as the payload.
#pragma once
#include "common/base/histogram.hpp"
#include "common/base/ids.hpp"
#include "common/base/reasons.hpp"
#include "common/wire/frame.hpp"

#include <array>
#include <span>
#include <string>
#include <vector>

namespace beeline::wire {

inline constexpr std::uint32_t magic = 0x4c454542; // "BEEL"
using nonce = std::array<std::byte, 32>;
using mac = std::array<std::byte, 32>;

struct hello { // lane -> shard, first
  static constexpr frame_type type = frame_type::hello;
  std::uint16_t version = protocol_version, version_min = protocol_version_min;
  std::uint8_t role = 1; // 1 = lane
  nonce lane_nonce{};
  void put(frame_writer& w) const;
  bool get(const_bytes payload);
};
struct challenge { // shard -> lane
  static constexpr frame_type type = frame_type::challenge;
  std::uint16_t version = protocol_version; // the one to be spoken
  nonce shard_nonce{};
  std::uint64_t shard_life = 0; // random, for each start of a shard
  void put(frame_writer& w) const;
  bool get(const_bytes payload);
};
struct auth { // lane -> shard
  static constexpr frame_type type = frame_type::auth;
  mac proof{};
  lane_id lane{};
  std::uint16_t lane_number = 0, lanes = 1;
  std::uint64_t lane_clock = 0;      // the lane's steady clock when it wrote this, µs
  std::uint64_t last_shard_time = 0; // the newest shard time it has seen from this slot range
  std::string_view edge_name;
  void put(frame_writer& w) const;
  bool get(const_bytes payload);
};
struct welcome { // shard -> lane; slot-map and members follow
  static constexpr frame_type type = frame_type::welcome;
  mac proof{};
  member_index index = no_member;
  std::uint64_t shard_time = 0;
  std::uint16_t shard_number = 0, shards = 1;
  std::uint8_t warming_up = 0;
  void put(frame_writer& w) const;
  bool get(const_bytes payload);
};
enum class error_code : std::uint16_t {
  bad_version = 1,
  bad_secret = 2,
  name_in_use = 3,
  not_allowed = 4, // frame not allowed in this state
  malformed = 5,
  limit = 6,
};
struct error { // either way; the link is then closed
  static constexpr frame_type type = frame_type::error;
  error_code code = error_code::malformed;
  std::string_view text;
  void put(frame_writer& w) const;
  bool get(const_bytes payload);
};
struct go_away { // either way: the sender leaves on purpose
  static constexpr frame_type type = frame_type::go_away;
  std::uint8_t for_good = 1; // a lane: forget its clients at once
  std::string_view text;
  void put(frame_writer& w) const;
  bool get(const_bytes payload);
};
struct heartbeat { // either way
  static constexpr frame_type type = frame_type::heartbeat;
  std::uint64_t sent_at = 0; // the sender's clock, µs
  std::uint64_t echo = 0;    // the newest sent_at that it received
  std::uint32_t held_us = 0; // how long ago
  std::uint64_t value = 0;   // from a lane: its floor; from a shard: shard time
  void put(frame_writer& w) const;
  bool get(const_bytes payload);
};

struct report { // lane -> shard: what its publish-to-answer histogram has more than at its last report
  static constexpr frame_type type = frame_type::report;
  histogram_snapshot answered; // never empty on the wire
  void put(frame_writer& w) const;
  bool get(const_bytes payload);
};

// --- batches: a 16-bit count, then records -----------------------------------------------------

// Calls f(record) for each record of the payload; false as soon as one is malformed, or when bytes
// are left over.
template <class Record, class F> bool for_each_record(const_bytes payload, F&& f) {
  byte_reader in(payload);
  for (std::uint16_t n = in.get<std::uint16_t>(); n && in.ok(); --n) {
    Record r;
    if (!r.get(in)) return false;
    f(r);
  }
  return in.done();
}

struct slot_range { // slot-map
  std::uint16_t first = 0, last = 0;
  std::uint16_t port = 0;
  std::string_view host; // empty: the host that was dialled
  void put(frame_writer& w) const;
  bool get(byte_reader& in);
};
// members: a lane that has joined (index), or is waited for (no index), or has left. members-seen: index
// unused; `joined` says what the list is worth.
struct member {
  enum list : std::uint8_t {
    of_warm_up, // the lane that tells has only seen a shard that was warming up
    whole,
    stale, // heard list_silence_max before its link was lost, or list_age_max before it is told: others may
           // have joined since
  };
  member_index index = no_member;
  std::uint8_t joined = 1;
  lane_id lane{};
  std::uint16_t lane_number = 0;
  std::string_view edge_name;
  void put(frame_writer& w) const;
  bool get(byte_reader& in);
};
struct registration { // register
  handle client;
  std::uint64_t connected_at = 0; // the lane's clock, µs
  std::uint64_t since = 0;        // as given in an earlier `registered`; 0 = never
  std::string_view id;
  void put(frame_writer& w) const;
  bool get(byte_reader& in);
};
inline constexpr std::uint64_t since_warm_up = ~std::uint64_t{0}; // until `in service` says the time
struct registered_client {                                        // registered
  handle client;
  std::uint64_t since = 0;
  void put(frame_writer& w) const;
  bool get(byte_reader& in);
};
struct unregistration { // unregister
  id_hash hash = 0;
  handle client;
  void put(frame_writer& w) const;
  bool get(byte_reader& in);
};
// kick: close that session if it is the claimant's id, or only say whether it is, or close it because its own
// registration was refused: the shard has as many clients, or as many contests, as it may.
struct kick {
  enum : std::uint8_t { close = 0, ask = 1, full = 2, busy = 3 };
  id_hash hash = 0;
  handle client;
  std::uint8_t wish = close; // any other: as ask
  std::string_view claimant;
  void put(frame_writer& w) const;
  bool get(byte_reader& in);
};
struct identity { // identity: the answer to a kick that asked, or that named a different id
  id_hash hash = 0;
  handle client;
  std::uint8_t same = 0;
  std::string_view id; // the session's own
  void put(frame_writer& w) const;
  bool get(byte_reader& in);
};
struct answer_record {      // answers: 8 bytes
  std::uint32_t number = 0; // low 32 bits
  member_index lane =
      no_member; // owner -> shard: the origin; shard -> origin: the lane that `later` waits for
  answer what = answer::unknown;
  std::uint8_t detail = 0; // accepted: 1 = a receipt follows, and `lane` tells the origin from whom
  void put(frame_writer& w) const;
  bool get(byte_reader& in);
};
// What became of a message that its owner had accepted: said once the recipient has acknowledged it, or never
// will; and, the other way, that the origin has heard it.
enum class receipt : std::uint8_t { received, session_ended, expired, rejected, heard };
inline constexpr std::size_t receipt_count = 5;
inline constexpr std::string_view receipt_names[] = {"received", "session_ended", "expired",
                                                     "rejected"}; // said
struct receipt_record {                                           // receipts: 8 bytes
  std::uint32_t number = 0;                                       // low 32 bits
  member_index lane = no_member; // to the shard: whom it is for; from the shard: whom it is from
  receipt what = receipt::received;
  std::uint8_t zero = 0;
  void put(frame_writer& w) const;
  bool get(byte_reader& in);
};
struct floor_record { // floors: an origin's oldest number without an answer
  member_index origin = no_member;
  std::uint64_t floor = 0;
  void put(frame_writer& w) const;
  bool get(byte_reader& in);
};
struct lane_event { // path-lost: about one lane's link
  member_index index = no_member;
  void put(frame_writer& w) const;
  bool get(const_bytes payload);
};
struct in_service {
  static constexpr frame_type type = frame_type::in_service;
  std::uint64_t shard_time = 0;
  std::uint8_t complete = 1; // 0: a lane was missing, so every session counts as new from shard_time on
  void put(frame_writer& w) const;
  bool get(const_bytes payload);
};

// Appends one control frame that has a `type` of its own.
template <class M> void send(frame_writer& w, output_chain& to, const M& m) {
  w.begin(M::type);
  m.put(w);
  w.finish(to);
}
inline void send(frame_writer& w, output_chain& to, frame_type t, const lane_event& e) {
  w.begin(t);
  e.put(w);
  w.finish(to);
}

// back, gone: about one lane's link or more, one index behind the other up to the frame's end.
bool get_lanes(const_bytes payload, std::vector<member_index>& links);
void send_lanes(frame_writer& w, output_chain& to, frame_type t, std::span<const member_index> links,
                std::uint16_t version = protocol_version);

} // namespace beeline::wire
