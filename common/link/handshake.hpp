// The link handshake: who are you, and do you know the secret? (docs/link-protocol.md, "States")
//
//   lane                                shard
//     | -- hello (versions, nonce) ------> |
//     | <----- challenge (version, nonce)  |
//     | -- auth (proof, who) ------------> |
//     | <----- welcome (proof, index)      |
//
// Each proof covers every byte said before it. Nothing but these frames and `error` is accepted
// before the end. Pure state machines: nonces and clocks are given. One object a connection, owned
// by the thread of its link.
#pragma once
#include "common/base/time.hpp"
#include "common/link/secret.hpp"

#include <vector>

namespace beeline::link {

struct lane_identity {
  lane_id id{};          // random, for each life
  std::string edge_name; // the same in each life
  std::uint16_t number = 0, lanes = 1;
};

class lane_handshake {
public:
  enum class state { want_challenge, want_welcome, done, failed };
  explicit lane_handshake(std::uint16_t newest = wire::protocol_version) : newest_(newest) {}
  // Begins: appends the hello.
  void start(const wire::nonce& nonce, wire::frame_writer& w, output_chain& out);
  // Takes a frame; false when it is refused, `why()` then says it in words.
  bool on_frame(const wire::frame& f, const cluster_secret& secret, const lane_identity& who,
                std::uint64_t lane_clock, std::uint64_t last_shard_time, wire::frame_writer& w,
                output_chain& out);
  state now() const noexcept { return state_; }
  const std::string& why() const noexcept { return why_; }
  const wire::welcome& welcome() const noexcept { return welcome_; }
  std::uint64_t shard_life() const noexcept { return challenge_.shard_life; }
  std::uint16_t version() const noexcept { return challenge_.version; }

private:
  bool fail(std::string why) {
    state_ = state::failed;
    why_ = std::move(why);
    return false;
  }
  std::uint16_t newest_; // version that it speaks
  state state_ = state::want_challenge;
  std::vector<std::byte> hello_, challenge_bytes_, auth_;
  wire::challenge challenge_;
  wire::welcome welcome_;
  std::string why_;
};

// Of a peer that answers the hello with these bytes, and with no frame: "the other end speaks HTTP, ...".
std::string stranger_words(std::string_view first_bytes);

class shard_handshake {
public:
  enum class state { want_hello, want_auth, proved, failed };
  explicit shard_handshake(std::uint16_t newest = wire::protocol_version) : newest_(newest) {}
  // What a failure should tell the peer.
  struct refusal {
    wire::error_code code = wire::error_code::malformed;
    std::string text;
  };
  bool on_frame(const wire::frame& f, const cluster_secret& secret, const wire::nonce& nonce,
                std::uint64_t shard_life, time_point now, wire::frame_writer& w, output_chain& out);
  // After `proved`, once the shard has let the lane in: appends the welcome.
  void accept(const cluster_secret& secret, wire::welcome m, wire::frame_writer& w, output_chain& out);
  state now() const noexcept { return state_; }
  const refusal& why() const noexcept { return why_; }
  const lane_identity& who() const noexcept { return who_; }
  std::uint64_t lane_clock() const noexcept { return lane_clock_; }
  std::uint64_t last_shard_time() const noexcept { return last_shard_time_; }
  duration round_trip() const noexcept { return round_trip_; } // challenge to auth
  std::uint16_t version() const noexcept { return version_; }

private:
  bool fail(wire::error_code c, std::string text) {
    state_ = state::failed;
    why_ = {c, std::move(text)};
    return false;
  }
  state state_ = state::want_hello;
  std::vector<std::byte> hello_, challenge_, auth_;
  lane_identity who_;
  std::uint64_t lane_clock_ = 0, last_shard_time_ = 0;
  std::uint16_t newest_; // version that it speaks
  std::uint16_t version_ = 0;
  time_point challenged_{};
  duration round_trip_{};
  refusal why_;
};

// The version two peers speak: the highest that both understand, or 0.
constexpr std::uint16_t common_version(std::uint16_t a_min, std::uint16_t a, std::uint16_t b_min,
                                       std::uint16_t b) {
  const std::uint16_t v = a < b ? a : b;
  return v >= a_min && v >= b_min ? v : 0;
}

} // namespace beeline::link
