#include "common/cli/mqtt_client.hpp"

#include "common/cli/http_client.hpp"
#include "common/cli/mqtt_words.hpp"
#include "common/net/random.hpp"
#include "common/ops/start_error.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fmt/format.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>

namespace beeline::cli {
namespace {

using clock = std::chrono::steady_clock;
constexpr int keep_alive_seconds = 30, first_refusal = 0x80;
constexpr duration stranger_patience = std::chrono::seconds(1);
constexpr duration turn_max = std::chrono::milliseconds(100); // so that a signal is seen

std::string reason_string(const mosquitto_property* properties) {
  char* found = nullptr;
  (void)mosquitto_property_read_string(properties, MQTT_PROP_REASON_STRING, &found, false);
  std::string out = found ? found : "";
  std::free(found);
  return out;
}

std::string error_text(int rc) {
  return rc == MOSQ_ERR_ERRNO ? std::strerror(errno) : mosquitto_strerror(rc);
}

// libmosquitto does not tell what came instead of a CONNACK: what the peer says to a request of HTTP does.
// `strange`: something else may have come.
std::string why_not_greeted(const ops::host_port& edge, const std::string& why, bool strange) {
  const std::string name = ops::to_string(edge);
  const http_reply other = strange ? http_get(edge, "/", stranger_patience) : http_reply{};
  if (other.connected) return name + " " + stranger_words(other.status ? "HTTP/" : other.first_bytes);
  return "the edge at " + name + " is not reachable: " + why +
         "; give the MQTT address of an edge with --edge";
}

} // namespace

struct mqtt_client::impl {
  explicit impl(const std::string& id) {
    mosquitto_lib_init();
    handle = mosquitto_new(id.c_str(), true, this);
  }
  ~impl() {
    mosquitto_destroy(handle);
    mosquitto_lib_cleanup();
  }

  static void on_connect(mosquitto*, void* self, int code, int, const mosquitto_property* p) {
    static_cast<impl*>(self)->outcome = receipt{code, reason_string(p), false};
  }
  static void on_publish(mosquitto*, void* self, int id, int code, const mosquitto_property* p) {
    auto& m = *static_cast<impl*>(self);
    // Of QoS 0 this is called within publish, before the id is known.
    if (id == m.awaited || m.awaited == 0) m.outcome = receipt{code, reason_string(p), false};
  }
  static void on_message(mosquitto*, void* self, const mosquitto_message* m, const mosquitto_property*) {
    static_cast<impl*>(self)->arrived.push_back(
        {m->topic, std::string(static_cast<const char*>(m->payload), static_cast<std::size_t>(m->payloadlen)),
         m->qos});
  }
  static void on_disconnect(mosquitto*, void* self, int code, const mosquitto_property* p) {
    auto& m = *static_cast<impl*>(self);
    const std::string why = reason_string(p); // libmosquitto 2.0 gives none of a DISCONNECT
    m.refused = code >= first_refusal;
    if (m.refused)
      m.lose("the edge ended the connection: " + disconnect_words(code) +
             (why.empty() ? "" : " (" + why + ")"));
    else m.lose("the connection is lost");
  }
  void lose(const std::string& why) {
    if (lost.empty()) lost = why;
  }

  // Turns until `done`, the connection has ended, or time has passed.
  template <class F> void turn_until(duration limit, F done) {
    const auto end = clock::now() + limit;
    while (!done() && lost.empty()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - clock::now());
      if (left.count() <= 0) return;
      const auto most = std::chrono::duration_cast<std::chrono::milliseconds>(turn_max);
      const int rc = mosquitto_loop(handle, static_cast<int>(std::min(left, most).count()), 1);
      if (rc != MOSQ_ERR_SUCCESS && !done()) lose(error_text(rc));
    }
  }
  receipt take_outcome(duration limit) {
    turn_until(limit, [this] { return outcome.has_value(); });
    if (outcome) return *outcome;
    return {0, lost.empty() ? "no answer in time" : lost, true};
  }

  mosquitto* handle;
  duration patience{};
  int awaited = 0; // the id of the message that is under way
  std::optional<receipt> outcome;
  std::deque<incoming> arrived;
  std::string lost;
  bool refused = false; // by a DISCONNECT
};

mqtt_client::mqtt_client(const ops::host_port& edge, const std::string& id, int version, duration patience)
    : impl_(std::make_unique<impl>(id)) {
  impl& m = *impl_;
  if (!m.handle) throw ops::start_error(ops::quoted(id) + " is no client id", ops::exit_usage);
  m.patience = patience;
  mosquitto_int_option(m.handle, MOSQ_OPT_PROTOCOL_VERSION,
                       version == 5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311);
  mosquitto_int_option(m.handle, MOSQ_OPT_TCP_NODELAY, 1);
  mosquitto_connect_v5_callback_set(m.handle, impl::on_connect);
  mosquitto_publish_v5_callback_set(m.handle, impl::on_publish);
  mosquitto_message_v5_callback_set(m.handle, impl::on_message);
  mosquitto_disconnect_v5_callback_set(m.handle, impl::on_disconnect);
  const int rc = mosquitto_connect_async(m.handle, edge.host.c_str(), edge.port, keep_alive_seconds);
  if (rc != MOSQ_ERR_SUCCESS) m.lose(error_text(rc));
  const receipt r = m.take_outcome(patience);
  const std::string name = "the edge at " + ops::to_string(edge);
  if (r.lost)
    throw ops::start_error(why_not_greeted(edge, r.reason, !m.lost.empty() && !m.refused), ops::exit_fault);
  if (r.code)
    throw ops::start_error(name + " " + connect_words(r.code, version) +
                               (r.reason.empty() ? "" : ": " + r.reason),
                           ops::exit_fault);
}

mqtt_client::~mqtt_client() {
  impl& m = *impl_;
  if (!m.lost.empty() || mosquitto_disconnect(m.handle) != MOSQ_ERR_SUCCESS) return;
  m.turn_until(m.patience, [&] { return !mosquitto_want_write(m.handle); });
}

receipt mqtt_client::publish(const std::string& topic, const std::string& payload, int qos) {
  impl& m = *impl_;
  m.outcome.reset();
  m.awaited = 0;
  if (!m.lost.empty()) return {0, m.lost, true, false};
  int id = 0;
  const int rc = mosquitto_publish_v5(m.handle, &id, topic.c_str(), static_cast<int>(payload.size()),
                                      payload.data(), qos, false, nullptr);
  if (rc != MOSQ_ERR_SUCCESS) return {0, error_text(rc), true, false};
  m.awaited = id;
  return m.take_outcome(m.patience);
}

std::optional<incoming> mqtt_client::receive(duration patience) {
  auto& arrived = impl_->arrived;
  impl_->turn_until(patience, [&] { return !arrived.empty(); });
  if (arrived.empty()) return {};
  incoming m = std::move(arrived.front());
  arrived.pop_front();
  return m;
}

void mqtt_client::wait(duration span) {
  impl_->turn_until(span, [] { return false; });
  impl_->arrived.clear(); // who sends does not listen
}

const std::string& mqtt_client::why_lost() const { return impl_->lost; }

std::string random_client_id() { return fmt::format("cli-{:016x}", net::random_number()); }

} // namespace beeline::cli
