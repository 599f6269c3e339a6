// An MQTT client for send and listen: calls that wait, over libmosquitto in the caller's thread.
//
// libmosquitto tells every PUBACK's reason code and reason string. (Eclipse Paho C 1.3, which the tests use
// as a client that is not ours, tells those of refusals only, and "nobody there" is none.) Owner: one thread.
// The constructor throws ops::start_error when the edge cannot be reached or refuses.
#pragma once
#include "common/base/time.hpp"
#include "common/ops/parse.hpp"

#include <memory>
#include <optional>
#include <string>

namespace beeline::cli {

struct receipt {
  int code = 0;       // MQTT 5's reason code; of MQTT 3.1.1 and of QoS 0 always 0
  std::string reason; // the reason string, if any
  bool lost = false;  // no receipt; `reason` says why
  bool sent = true;   // false: it was not, and will not be
};

struct incoming {
  std::string topic, payload;
  int qos = 0;
};

class mqtt_client {
public:
  // `version` is 3 (3.1.1) or 5. Connects with a clean session.
  mqtt_client(const ops::host_port& edge, const std::string& id, int version, duration patience);
  ~mqtt_client(); // disconnects
  mqtt_client(const mqtt_client&) = delete;
  mqtt_client& operator=(const mqtt_client&) = delete;

  receipt publish(const std::string& topic, const std::string& payload, int qos); // waits for the PUBACK
  std::optional<incoming>
  receive(duration patience);          // nothing: none came in time, or the connection has ended
  void wait(duration span);            // keeps the connection alive meanwhile
  const std::string& why_lost() const; // empty while connected

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

std::string random_client_id(); // "cli-" and digits: two commands at one time are two clients

} // namespace beeline::cli
