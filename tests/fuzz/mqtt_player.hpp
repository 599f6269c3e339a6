// A client in a fuzzed world: what it says comes from the input, right or wrong, and all that it hears is
// judged.
//
// What must hold of what the server says: it is well-formed, CONNACK comes first and once, nothing follows a
// DISCONNECT, a client's Receive Maximum is never exceeded; PUBACKs are for what was published; messages are
// those that somebody sent, unchanged, under the name of their sender, each once, and in order.
#pragma once
#include "tests/fuzz/fuzz_input.hpp"
#include "tests/support/lane_world.hpp"
#include "tests/support/mqtt_test_tools.hpp"

#include <map>
#include <set>

namespace beeline::fuzz {

// What was sent, by the number that each payload begins with. One for all players of a world.
class ledger {
public:
  struct message {
    std::string as, channel, payload; // `as`: the sender's id; empty: not known here
    unsigned sender = 0;              // connections, counted through
    std::uint8_t qos = 0;
  };
  static constexpr char tag = 'n';

  std::string numbered_payload(char first, std::size_t padding) {
    std::string s(1, first);
    for (unsigned shift = 0; shift < 32; shift += 8) s += static_cast<char>(next_ >> shift);
    ++next_;
    return s.append(padding, 'x');
  }
  void sent(message m) { sent_.emplace(m.payload.substr(0, 5), std::move(m)); }
  unsigned new_connection() { return ++connections_; }

  void heard(unsigned recipient, const mqtt::publish_packet& p) {
    const std::string_view payload = as_text(p.payload);
    if (payload.size() < 5 || payload[0] != tag) return;
    const auto at = sent_.find(std::string(payload.substr(0, 5)));
    if (at == sent_.end()) return; // one of those with a changed byte
    const message& m = at->second;
    MUST_HOLD(payload == m.payload && p.qos == m.qos);
    if (!m.as.empty()) MUST_HOLD(p.topic == "@/" + m.as + m.channel);
    const auto number = load_le<std::uint32_t>(payload.data() + 1);
    std::uint32_t& last = last_[{recipient, m.sender, m.qos}];
    MUST_HOLD(last < number); // in order, and none twice
    last = number;
  }

private:
  std::map<std::string, message> sent_;
  std::map<std::tuple<unsigned, unsigned, unsigned>, std::uint32_t> last_;
  std::uint32_t next_ = 1;
  unsigned connections_ = 0;
};

class player {
public:
  static constexpr unsigned receive_maximum = 3;

  player(test::lane_world& w, ledger& l, test::mqtt_client& client, std::string id, std::string peer)
      : c(client), id_(std::move(id)), peer_(std::move(peer)), world_(w), ledger_(l),
        connection_(l.new_connection()) {}

  void open() {
    if (!c.closed()) return;
    world_.reopen(c);
    connection_ = ledger_.new_connection();
    in_flight_.clear();
    unheard_.clear();
    unanswered_.clear();
    greeted_ = said_connect_ = ended_ = false;
    own_words_ = true;
    as_.clear();
  }

  void say_connect(input& in) {
    const unsigned how = in.byte();
    test::connect_options o;
    o.client_id = how & 1 ? peer_ : how & 2 ? std::string(in.text(in.byte() % 8)) : id_;
    o.keep_alive = static_cast<std::uint16_t>(how & 4 ? 1 : 60);
    o.properties = test::property_list().two_bytes(mqtt::property::receive_maximum, receive_maximum).bytes();
    if (how & 8)
      o.properties +=
          test::property_list().four_bytes(mqtt::property::maximum_packet_size, in.byte() + 1u).bytes();
    if (how & 16) o.properties += in.text(in.byte() % 16);
    if (how & 32)
      o.will = test::will_options{
          .topic = "@/" + peer_, .payload = "w", .qos = static_cast<std::uint8_t>(how >> 6)};
    if (!said_connect_ && !c.closed()) {
      if (how & 16) own_words_ = false;
      as_ = o.client_id;
      said_connect_ = true;
    }
    c.connect(o);
  }

  // A PUBLISH; `good`: its payload will be looked for.
  std::string some_publish(input& in, bool good = true) {
    const unsigned how = in.byte();
    const std::string to = how & 1 ? id_ : peer_;
    std::string topic = "@/" + to, channel;
    if (how & 2) channel = "/" + std::string(in.text(in.byte() % 8));
    topic += channel;
    if (how & 4) topic.clear();
    test::property_list properties;
    if (how & 8) properties.two_bytes(mqtt::property::topic_alias, in.byte() % 20);
    if (how & 16) properties.four_bytes(mqtt::property::message_expiry_interval, in.byte() % 4);
    if (how & 32) {
      const std::string_view name = in.text(in.byte() % 8);
      properties.user(name, in.text(in.byte() % 8));
    }
    good = good && !(how & 12) && own_words_;
    const std::string payload =
        ledger_.numbered_payload(good ? ledger::tag : 'f', static_cast<std::size_t>(in.byte()) * 8);
    test::publish_options o;
    o.version = c.version();
    o.topic = topic;
    o.payload = payload;
    o.qos = static_cast<std::uint8_t>(how >> 6);
    o.packet_id = next_id_++;
    o.properties = properties.bytes();
    // A channel that is empty is none: "@/B/" is heard as "@/A".
    if (channel == "/") channel.clear();
    if (good && !c.closed()) ledger_.sent({as_, channel, payload, connection_, o.qos});
    if (o.qos == 1 && said_connect_) unanswered_.insert(o.packet_id);
    return test::encode_publish(o);
  }

  // Reads all that the server said; acknowledges what is to be, if asked to.
  void listen(bool acknowledge) {
    const std::string heard = c.take_bytes();
    const_bytes left = as_bytes(heard);
    while (!left.empty()) {
      mqtt::packet q;
      const auto r = mqtt::next_packet(left, SIZE_MAX, q);
      if (r == mqtt::parse::need_more) { // it was cut where this client's socket stalled or closed
        c.put_back(as_text(left));
        break;
      }
      MUST_HOLD(r == mqtt::parse::done);
      if (!greeted_) find_version(q);
      MUST_HOLD(test::decode_as_client(q, version_) == mqtt::reason::success);
      hear(q);
      left = left.subspan(q.total);
    }
    if (!acknowledge) return;
    std::string acks;
    for (std::uint16_t id : std::exchange(in_flight_, {})) test::append_puback(acks, id);
    c.send(acks);
  }

  // One that was not heard yet may be on its way: the server then takes it for acknowledged and sends
  // another.
  void acknowledge(std::uint16_t id) {
    if (!in_flight_.erase(id)) unheard_.insert(id);
    c.puback(id);
  }
  // From now on it may have said anything: what it may hear is not all known here.
  void says_anything(std::string_view bytes) {
    own_words_ = false;
    c.send(bytes);
  }
  // Lives, has its CONNACK, and said nothing wrong.
  bool sound() const { return !c.closed() && greeted_ && own_words_; }
  bool all_answered() const { return unanswered_.empty(); }
  // Said nothing wrong, and neither was let in nor closed yet.
  bool awaits_connack() const { return !c.closed() && said_connect_ && own_words_ && !greeted_; }
  const std::string& id() const { return id_; }

  test::mqtt_client& c;

private:
  // It may have said CONNECT in another version than it was to: the form of CONNACK tells.
  void find_version(const mqtt::packet& q) {
    version_ = q.body.size() == 2 ? mqtt::protocol_version::v311 : mqtt::protocol_version::v5;
    MUST_HOLD(version_ == c.version() || !own_words_);
  }
  void hear(const mqtt::packet& q) {
    MUST_HOLD(!ended_);
    MUST_HOLD(greeted_ != (q.type() == mqtt::packet_type::connack)); // first, and once
    greeted_ = true;
    switch (q.type()) {
    case mqtt::packet_type::publish: return hear_publish(q);
    case mqtt::packet_type::puback: {
      mqtt::ack_packet a;
      MUST_HOLD(test::decode_ack(q, version_, a) == mqtt::reason::success);
      const auto at = unanswered_.find(a.packet_id);
      if (at != unanswered_.end()) unanswered_.erase(at);
      else MUST_HOLD(!own_words_);
      break;
    }
    case mqtt::packet_type::disconnect: ended_ = true; break;
    default: break;
    }
  }
  void hear_publish(const mqtt::packet& q) {
    mqtt::publish_packet m;
    MUST_HOLD(test::decode_publish(q, version_, m) == mqtt::reason::success);
    MUST_HOLD(m.topic.starts_with("@/") && m.qos < 2 && !m.retain && !m.dup);
    ledger_.heard(connection_, m);
    if (!m.qos) return;
    const bool is_new = in_flight_.insert(m.packet_id).second;
    if (!own_words_) return;
    MUST_HOLD(is_new || unheard_.contains(m.packet_id));
    if (version_ == mqtt::protocol_version::v5)
      MUST_HOLD(in_flight_.size() <= receive_maximum + unheard_.size());
  }

  std::string id_, peer_;
  test::lane_world& world_;
  ledger& ledger_;
  unsigned connection_;
  std::set<std::uint16_t> in_flight_;       // heard, not acknowledged
  std::multiset<std::uint16_t> unheard_;    // acknowledged before they were heard
  std::multiset<std::uint16_t> unanswered_; // said, no PUBACK yet
  std::uint16_t next_id_ = 1;
  std::string as_;
  mqtt::protocol_version version_ = mqtt::protocol_version::none; // as CONNACK shows
  bool greeted_ = false;                                          // the server has said CONNACK
  bool said_connect_ = false;                                     // on this connection
  bool ended_ = false;                                            // the server has said DISCONNECT
  bool own_words_ = true; // only what is known here was said: its Receive Maximum is ours
};

// At rest, when all clients have left: every byte has been given back, and the links are there.
inline bool nothing_is_left(edge::lane& lane) {
  const auto& c = lane.counters;
  return !c.connections.get() && !c.sessions.get() && !c.prelogin_bytes.get() && !c.held_bytes.get() &&
         !c.incomplete_bytes.get() && !c.pending.get() && !c.pending_bytes.get() && !c.waiting_bytes.get() &&
         !lane.pool().bytes_in_use() && !lane.endpoint().clients() && lane.endpoint().outgoing.idle() &&
         lane.endpoint().ready();
}

inline bool knows_nobody(router::shard& shard) {
  bool nobody = true;
  shard.for_each_entry([&](id_hash, std::string_view, std::uint16_t, handle, bool) { nobody = false; });
  return nobody;
}

} // namespace beeline::fuzz
