#include "common/link/handshake.hpp"

#include "common/base/peer_guess.hpp"
#include "common/base/utf8.hpp"

namespace beeline::link {
namespace {
std::vector<std::byte> keep(const_bytes b) { return {b.begin(), b.end()}; }
const_bytes without_proof(const_bytes payload) { return payload.subspan(sizeof(wire::mac)); }

std::string version_text(std::uint16_t min, std::uint16_t max) {
  return min == max ? std::to_string(max) : std::to_string(min) + " to " + std::to_string(max);
}
} // namespace

void lane_handshake::start(const wire::nonce& nonce, wire::frame_writer& w, output_chain& out) {
  wire::hello m;
  m.version = newest_;
  m.lane_nonce = nonce;
  w.begin(m.type);
  m.put(w);
  hello_ = keep(w.payload());
  w.finish(out);
}

bool lane_handshake::on_frame(const wire::frame& f, const cluster_secret& secret, const lane_identity& who,
                              std::uint64_t lane_clock, std::uint64_t last_shard_time, wire::frame_writer& w,
                              output_chain& out) {
  if (f.type == wire::frame_type::error) {
    wire::error e;
    if (!e.get(f.payload())) return fail("a malformed error frame");
    return fail("the router refuses: " + std::string(e.text));
  }
  if (state_ == state::want_challenge && f.type == wire::frame_type::challenge) {
    if (!challenge_.get(f.payload())) return fail("a malformed challenge");
    if (challenge_.version < wire::protocol_version_min || challenge_.version > newest_)
      return fail("the router chose link protocol " + std::to_string(challenge_.version) +
                  ", this edge speaks " + version_text(wire::protocol_version_min, newest_));
    challenge_bytes_ = keep(f.payload());
    wire::auth m;
    m.lane = who.id;
    m.edge_name = who.edge_name;
    m.lane_number = who.number;
    m.lanes = who.lanes;
    m.lane_clock = lane_clock;
    m.last_shard_time = last_shard_time;
    w.begin(m.type);
    m.put(w);
    m.proof = secret.prove("lane", {hello_, challenge_bytes_, without_proof(w.payload())});
    w.begin(m.type);
    m.put(w);
    auth_ = keep(w.payload());
    w.finish(out);
    state_ = state::want_welcome;
    return true;
  }
  if (state_ == state::want_welcome && f.type == wire::frame_type::welcome) {
    if (!welcome_.get(f.payload())) return fail("a malformed welcome");
    if (!equal(welcome_.proof,
               secret.prove("shard", {hello_, challenge_bytes_, auth_, without_proof(f.payload())})))
      return fail("the router does not know the cluster secret");
    state_ = state::done;
    return true;
  }
  return fail("frame '" + std::string(wire::name_of(f.type)) + "' during the handshake");
}

std::string stranger_words(std::string_view first_bytes) {
  if (const std::string_view guess = guess_peer(first_bytes); !guess.empty())
    return "the other end " + std::string(guess) + "; give a router's --listen address";
  const std::string what =
      first_bytes.empty() ? "closed the connection at our hello" : "sent what is no frame";
  return "the other end " + what + "; is it a router's --listen address?";
}

bool shard_handshake::on_frame(const wire::frame& f, const cluster_secret& secret, const wire::nonce& nonce,
                               std::uint64_t shard_life, time_point now, wire::frame_writer& w,
                               output_chain& out) {
  if (state_ == state::want_hello && f.type == wire::frame_type::hello) {
    wire::hello m;
    if (!m.get(f.payload())) return fail(wire::error_code::malformed, "not a Beeline hello");
    if (m.role != 1) return fail(wire::error_code::not_allowed, "unknown role " + std::to_string(m.role));
    version_ = common_version(wire::protocol_version_min, newest_, m.version_min, m.version);
    if (version_ == 0)
      return fail(wire::error_code::bad_version,
                  "you speak link protocol " + version_text(m.version_min, m.version) +
                      ", this router speaks " + version_text(wire::protocol_version_min, newest_) +
                      "; upgrade the older one");
    hello_ = keep(f.payload());
    wire::challenge c;
    c.version = version_;
    c.shard_nonce = nonce;
    c.shard_life = shard_life;
    w.begin(c.type);
    c.put(w);
    challenge_ = keep(w.payload());
    w.finish(out);
    challenged_ = now;
    state_ = state::want_auth;
    return true;
  }
  if (state_ == state::want_auth && f.type == wire::frame_type::auth) {
    wire::auth m;
    if (!m.get(f.payload())) return fail(wire::error_code::malformed, "malformed auth");
    if (!valid_utf8(m.edge_name)) // it goes into pages and logs
      return fail(wire::error_code::malformed, "the edge name is not UTF-8");
    if (!equal(m.proof, secret.prove("lane", {hello_, challenge_, without_proof(f.payload())})))
      return fail(wire::error_code::bad_secret, "the cluster secret is not the same on both sides");
    auth_ = keep(f.payload());
    who_ = {m.lane, std::string(m.edge_name), m.lane_number, m.lanes};
    lane_clock_ = m.lane_clock;
    last_shard_time_ = m.last_shard_time;
    round_trip_ = now - challenged_;
    state_ = state::proved;
    return true;
  }
  return fail(wire::error_code::not_allowed,
              "frame '" + std::string(wire::name_of(f.type)) + "' before the handshake was done");
}

void shard_handshake::accept(const cluster_secret& secret, wire::welcome m, wire::frame_writer& w,
                             output_chain& out) {
  w.begin(m.type);
  m.put(w);
  m.proof = secret.prove("shard", {hello_, challenge_, auth_, without_proof(w.payload())});
  send(w, out, m);
}

} // namespace beeline::link
