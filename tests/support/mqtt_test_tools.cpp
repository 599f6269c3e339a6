#include "tests/support/mqtt_test_tools.hpp"

namespace beeline::test {
namespace {

// Reads every byte, so that a view beyond its packet is found by the sanitizer.
void touch(const_bytes b) {
  volatile unsigned sum = 0;
  for (std::byte x : b) sum = sum + static_cast<unsigned>(x);
}
void touch(std::string_view s) { touch(as_bytes(s)); }

void touch(const mqtt::message_properties& p) {
  touch(p.response_topic);
  touch(p.content_type);
  touch(p.correlation_data);
  for (const_bytes part : p.forward()) touch(part);
}

reason decode_connect(const mqtt::packet& p) {
  mqtt::connect_packet c;
  const reason r = mqtt::decode_connect(p, c);
  touch(c.client_id);
  if (c.user_name) touch(*c.user_name);
  if (c.password) touch(*c.password);
  if (c.will) touch(c.will->topic), touch(c.will->payload), touch(c.will->properties);
  return r;
}

reason decode_publish(const mqtt::packet& p, protocol_version v, mqtt::sender from) {
  mqtt::publish_packet m;
  const reason r = mqtt::decode_publish(p, v, m, from);
  touch(m.topic);
  touch(m.payload);
  touch(m.properties);
  return r;
}

reason decode_ack(const mqtt::packet& p, protocol_version v, mqtt::sender from) {
  mqtt::ack_packet a;
  const reason r = mqtt::decode_ack(p, v, a, from);
  touch(a.reason_string);
  return r;
}

reason decode_subscribe(const mqtt::packet& p, protocol_version v) {
  mqtt::subscribe_packet s;
  const reason r = mqtt::decode_subscribe(p, v, s);
  if (r != reason::success) return r;
  mqtt::subscription one;
  for (mqtt::subscription_walk walk(s); walk.next(one);) touch(one.filter);
  return r;
}

reason decode_unsubscribe(const mqtt::packet& p, protocol_version v) {
  mqtt::unsubscribe_packet u;
  const reason r = mqtt::decode_unsubscribe(p, v, u);
  if (r != reason::success) return r;
  std::string_view one;
  for (mqtt::filter_walk walk(u); walk.next(one);) touch(one);
  return r;
}

reason decode_disconnect(const mqtt::packet& p, protocol_version v, mqtt::sender from) {
  mqtt::disconnect_packet d;
  const reason r = mqtt::decode_disconnect(p, v, d, from);
  touch(d.reason_string);
  touch(d.server_reference);
  return r;
}

reason decode_auth(const mqtt::packet& p, protocol_version v, mqtt::sender from) {
  mqtt::auth_packet a;
  const reason r = mqtt::decode_auth(p, v, a, from);
  touch(a.method);
  touch(a.data);
  return r;
}

const std::string message_block = property_list()
                                      .byte(property::payload_format_indicator, 1)
                                      .four_bytes(property::message_expiry_interval, 60)
                                      .text(property::content_type, "text/plain")
                                      .text(property::response_topic, "@/c1/reply")
                                      .text(property::correlation_data, std::string("\0\xff", 2))
                                      .user("k", "v")
                                      .bytes();

} // namespace

reason decode_as_server(const mqtt::packet& p, protocol_version v) {
  const mqtt::sender from = mqtt::sender::client;
  if (const reason r = mqtt::check_header(p.first, v, from); r != reason::success) return r;
  switch (p.type()) {
  case packet_type::connect: return decode_connect(p);
  case packet_type::publish: return decode_publish(p, v, from);
  case packet_type::puback:
  case packet_type::pubrec:
  case packet_type::pubrel:
  case packet_type::pubcomp: return decode_ack(p, v, from);
  case packet_type::subscribe: return decode_subscribe(p, v);
  case packet_type::unsubscribe: return decode_unsubscribe(p, v);
  case packet_type::pingreq: return mqtt::decode_pingreq(p, v);
  case packet_type::disconnect: return decode_disconnect(p, v, from);
  case packet_type::auth: return decode_auth(p, v, from);
  default: return reason::protocol_error;
  }
}

reason decode_as_client(const mqtt::packet& p, protocol_version v) {
  const mqtt::sender from = mqtt::sender::server;
  if (const reason r = mqtt::check_header(p.first, v, from); r != reason::success) return r;
  switch (p.type()) {
  case packet_type::connack: {
    connack_packet c;
    return decode_connack(p, v, c);
  }
  case packet_type::publish: return decode_publish(p, v, from);
  case packet_type::puback:
  case packet_type::pubrec:
  case packet_type::pubrel:
  case packet_type::pubcomp: return decode_ack(p, v, from);
  case packet_type::suback:
  case packet_type::unsuback: {
    suback_packet s;
    return decode_suback(p, v, s);
  }
  case packet_type::pingresp: return decode_pingresp(p, v);
  case packet_type::disconnect: return decode_disconnect(p, v, from);
  case packet_type::auth: return decode_auth(p, v, from);
  default: return reason::protocol_error;
  }
}

std::vector<sample> client_samples() {
  connect_options c;
  c.client_id = "c1";
  c.user_name = "user";
  c.password = "secret";
  c.will = will_options{"@/c2", "gone", {}, 1, true};
  c.version = v311;
  std::vector<sample> s{{"connect 3.1.1", encode_connect(c), v311}};
  c.version = v5;
  c.properties = property_list()
                     .four_bytes(property::session_expiry_interval, 10)
                     .two_bytes(property::receive_maximum, 20)
                     .four_bytes(property::maximum_packet_size, 4096)
                     .two_bytes(property::topic_alias_maximum, 3)
                     .byte(property::request_problem_information, 0)
                     .text(property::authentication_method, "m")
                     .text(property::authentication_data, "d")
                     .user("a", "b")
                     .bytes();
  c.will->properties =
      property_list().four_bytes(property::will_delay_interval, 5).raw(message_block).bytes();
  s.push_back({"connect 5", encode_connect(c), v5});
  const std::string alias = property_list().two_bytes(property::topic_alias, 1).raw(message_block).bytes();
  for (protocol_version v : {v311, v5}) {
    s.push_back({"publish QoS 0", encode_publish({v, "@/c2", "hello"}), v});
    s.push_back({"publish QoS 1", encode_publish({v, "@/c2/chat", "hello", 1, 7, true, false, alias}), v});
    s.push_back({"subscribe", encode_subscribe(3, {{"@/#", 1}, {"a/+/b", 2}}, v), v});
    s.push_back({"unsubscribe", encode_unsubscribe(4, {"@/#", "x"}, v), v});
    for (packet_type t :
         {packet_type::puback, packet_type::pubrec, packet_type::pubrel, packet_type::pubcomp})
      s.push_back({std::string(name_of(t)), encode_ack(t, 9, v), v});
    s.push_back({"pingreq", encode_pingreq(), v});
    s.push_back({"disconnect", encode_disconnect(v), v});
  }
  const std::string why = property_list().text(property::reason_string, "why").user("n", "v").bytes();
  s.push_back(
      {"puback with properties", encode_ack(packet_type::puback, 1, v5, reason::quota_exceeded, why), v5});
  s.push_back(
      {"disconnect with properties", encode_disconnect(v5, reason::disconnect_with_will_message, why), v5});
  s.push_back({"subscribe with identifier",
               encode_subscribe(5, {{"$share/g/t", 1}}, v5,
                                property_list().varint(property::subscription_identifier, 300).bytes()),
               v5});
  const std::string method = property_list().text(property::authentication_method, "m").bytes();
  s.push_back({"auth", encode_packet(0xF0, std::string("\x18") + encode_varint(method.size()) + method), v5});
  return s;
}

std::vector<sample> server_samples() {
  std::vector<sample> s;
  const std::string user = property_list().user("k", "v").bytes();
  const std::array forward{as_bytes(user)};
  for (protocol_version v : {v311, v5}) {
    chunk_pool pool;
    auto add = [&](std::string name, auto&& encode) {
      output_chain out(pool);
      encode(out);
      if (!out.empty()) s.push_back({std::move(name), taken(out), v});
    };
    mqtt::connack_properties p;
    p.receive_maximum = 10;
    p.assigned_client_id = "auto-1";
    p.reason_string = "fine";
    p.server_keep_alive = 30;
    add("connack", [&](output_chain& o) { mqtt::encode_connack(o, v, true, reason::success, p); });
    mqtt::publish_message m;
    m.topic = {"@/", "c1", "/", "chat"};
    m.packet_id = 3;
    m.qos = 1;
    m.message_expiry = 9;
    m.forward_properties = forward;
    m.payload = as_bytes("hi");
    add("publish", [&](output_chain& o) { mqtt::encode_publish(o, m, v); });
    for (packet_type t :
         {packet_type::puback, packet_type::pubrec, packet_type::pubrel, packet_type::pubcomp})
      add(std::string(name_of(t)),
          [&](output_chain& o) { mqtt::encode_ack(o, t, 8, v, reason::success, "text"); });
    const std::array codes{reason::granted_qos_1, reason::topic_filter_invalid};
    add("suback", [&](output_chain& o) { mqtt::encode_suback(o, 2, codes, v); });
    add("unsuback", [&](output_chain& o) { mqtt::encode_unsuback(o, 2, codes, v); });
    add("pingresp", [&](output_chain& o) { mqtt::encode_pingresp(o); });
    add("disconnect",
        [&](output_chain& o) { mqtt::encode_disconnect(o, v, reason::session_taken_over, "x"); });
  }
  return s;
}

} // namespace beeline::test
