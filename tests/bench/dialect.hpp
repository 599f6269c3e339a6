// How a client talks to the server under test: one class for each protocol, each with as much of it as a load
// generator needs, and no library between. Sending is the same for all of them: a message is a copy of bytes
// that were made before (its template), with the packet identifier and the stamp written into the copy.
//
//   opening(0) --> answer --> opening(1) --> answer ... until steps() answers have come: the client is up
//
// Views live as long as the bytes that were given. Pure; any thread.
#pragma once
#include "common/base/bytes.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace beeline::bench {

struct identity { // of a client
  std::string id;
  std::uint32_t index = 0;
  bool receives = false;
};

struct message_template {
  static constexpr std::size_t none = ~std::size_t{0};
  std::string bytes;
  std::size_t payload_at = 0;
  std::size_t packet_id_at = none; // big-endian, as in MQTT
};

struct arrival {
  const std::byte* payload;
  std::uint32_t size;
  std::uint16_t packet_id; // 0: no acknowledgement is wanted
};

// What one read brought.
struct findings {
  std::vector<arrival> messages;
  std::uint32_t ready = 0;                 // answers to openings
  std::uint32_t accepted = 0, refused = 0; // answers to messages
  std::string reply;                       // what must be sent back now
  std::string fault;                       // why this connection is of no more use; empty: it is
  void clear() {
    messages.clear();
    ready = accepted = refused = 0;
    reply.clear();
    fault.clear();
  }
};

class dialect {
public:
  virtual ~dialect() = default;
  virtual unsigned steps(const identity& me) const = 0;
  virtual std::string opening(unsigned step, const identity& me) const = 0;
  virtual message_template message(const identity& from, const identity& to, std::uint32_t payload,
                                   std::uint8_t qos) const = 0;
  virtual void append_ack(std::string&, std::uint16_t) const {}
  // Consumes whole frames only and says how many bytes they were; the rest is given again with what comes
  // next.
  virtual std::size_t scan(const_bytes in, findings& f) const = 0;
  virtual std::uint8_t qos_max() const { return 0; }
  // The far end of the chain connects to us, and says with its first message whose it is.
  virtual bool is_called_back() const { return false; }
};

// mqtt5, mqtt311: `direct` publishes to @/ID, which needs no subscription; else receivers subscribe to b/ID.
std::unique_ptr<dialect> make_mqtt(std::uint8_t version, bool direct, std::uint8_t qos);
std::unique_ptr<dialect> make_nats();
std::unique_ptr<dialect> make_redis();
std::unique_ptr<dialect> make_zmtp();  // ZMTP 3.0, DEALER, of the chain in tests/bench/peers
std::unique_ptr<dialect> make_relay(); // byte-blind: a length, then the payload
std::unique_ptr<dialect> make_dialect(std::string_view name, bool direct, std::uint8_t qos); // null: unknown

} // namespace beeline::bench
