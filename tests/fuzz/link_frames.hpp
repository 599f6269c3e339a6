// Frames for a link, made of the input: well-formed ones of every type with any values in them, sealed so
// that they get past the checks; ones that are good but for a byte; and bytes as they come.
#pragma once
#include "common/base/histogram.hpp"
#include "common/link/secret.hpp"
#include "common/wire/message.hpp"
#include "tests/fuzz/fuzz_input.hpp"
#include "tests/support/mqtt_test_tools.hpp"

namespace beeline::fuzz {

using wire::frame_type;

class frame_maker {
public:
  // `secret`: of the cluster, for the hashes of ids.
  frame_maker(input& in, std::string_view secret)
      : in_(in), hasher_{link::cluster_secret(secret).id_key(), 64}, chain_(pool_) {}

  std::string next() {
    const unsigned what = in_.byte();
    if (what < 40) return std::string(in_.text(what)); // as they come
    if (what < 70) {
      const auto t = static_cast<frame_type>(in_.byte());
      return sealed(t, in_.text(in_.byte()));
    }
    if (what < 110) return message();
    if (what >= 250) return report();
    return records(what % 16);
  }

private:
  handle some_handle() {
    return {in_.byte() & 0x80u ? static_cast<std::uint32_t>(in_.number()) : in_.byte() % 4u, in_.byte()};
  }
  std::string_view some_id() {
    static constexpr std::string_view ids[] = {"A", "B", "C", "edge-1", "edge-2", ""};
    const unsigned k = in_.byte() % 8;
    return k < 6 ? ids[k] : in_.text(in_.byte() % 140);
  }
  member_index some_member() { return in_.byte() & 0xc0 ? in_.byte() % 4u : in_.two(); }
  id_hash some_hash() { return in_.byte() & 0xe0 ? hasher_(some_id()) : in_.number(); }

  std::string sealed(frame_type t, std::string_view payload) {
    chain_.clear();
    writer_.begin(t);
    writer_.put_bytes(as_bytes(payload));
    writer_.finish(chain_);
    return test::taken(chain_);
  }
  template <class M> std::string one(const M& m) {
    chain_.clear();
    wire::send(writer_, chain_, m);
    return test::taken(chain_);
  }
  template <class Make> std::string batch(frame_type t, Make make) {
    chain_.clear();
    wire::batch_writer b(t);
    for (unsigned n = in_.byte() % 4 + 1; n; --n) make().put(b.next(chain_));
    b.flush(chain_);
    return test::taken(chain_);
  }

  std::string message() {
    wire::message_parts m;
    m.destination = some_id();
    m.sender = some_id();
    m.hash = some_hash();
    m.channel = in_.text(in_.byte() % 16);
    const const_bytes properties = as_bytes(in_.text(in_.byte() % 16));
    m.properties = {&properties, 1};
    m.payload = as_bytes(in_.text(in_.byte()));
    const std::uint32_t deadline = in_.byte() & 1 ? in_.two() : 0;
    const bool qos1 = in_.byte() & 1;
    std::string bytes(wire::message_bytes(m, qos1), '\0');
    const mutable_bytes frame{reinterpret_cast<std::byte*>(bytes.data()), bytes.size()};
    wire::write_message(frame.data(), m, qos1, deadline);
    wire::message_view v(frame);
    if (qos1)
      v.set_stamp({in_.number(), in_.two(), static_cast<std::uint32_t>(in_.number()), deadline, in_.number(),
                   in_.byte()});
    v.route(some_handle(), some_member());
    if (in_.byte() % 16 == 0) bytes[in_.two() % bytes.size()] = static_cast<char>(in_.byte());
    return bytes;
  }

  std::string
  report() { // good when the input says so: rising buckets, counts above 0, a greatest of the last
    const bool good = in_.byte() & 1;
    chain_.clear();
    writer_.begin(frame_type::report);
    const std::uint64_t sum = in_.number();
    const std::size_t n = in_.byte() % 8;
    const std::size_t last = good && n ? 25 * n - 1 : in_.byte();
    const std::uint64_t greatest = last < histogram_shape::buckets ? histogram_shape::last_of(last) : sum;
    writer_.put(good ? std::min(sum, greatest) : sum).put(static_cast<std::uint32_t>(greatest));
    writer_.put(static_cast<std::uint16_t>(good ? n : n + in_.byte() % 2));
    for (std::size_t i = 0; i < n; ++i)
      writer_.put(static_cast<std::uint8_t>(good ? 25 * (i + 1) - 1 : in_.byte())).put(in_.number() + good);
    writer_.finish(chain_);
    return test::taken(chain_);
  }

  wire::member some_member_record() {
    const member_index i = some_member();
    return {i, static_cast<std::uint8_t>(in_.byte() & 1), lane_id{in_.number()}, in_.byte(),
            some_id().substr(0, 64)};
  }
  std::string records(unsigned what) {
    using enum frame_type;
    switch (what) {
    case 0:
      return batch(register_clients, [&] {
        return wire::registration{some_handle(), in_.number(), in_.number(), some_id()};
      });
    case 1: return batch(unregister, [&] { return wire::unregistration{some_hash(), some_handle()}; });
    case 2:
      return batch(identity, [&] {
        return wire::identity{some_hash(), some_handle(), in_.byte(), some_id()};
      });
    case 3: return batch(kick, [&] { return wire::kick{some_hash(), some_handle(), in_.byte(), some_id()}; });
    case 4: return batch(registered, [&] { return wire::registered_client{some_handle(), in_.number()}; });
    case 5:
      return batch(answers, [&] {
        return wire::answer_record{static_cast<std::uint32_t>(in_.number()), some_member(),
                                   static_cast<answer>(in_.byte() % answer_count),
                                   static_cast<std::uint8_t>(in_.byte() % 3)};
      });
    case 6:
      if (in_.byte() & 1)
        return batch(receipts, [&] {
          return wire::receipt_record{static_cast<std::uint32_t>(in_.number()), some_member(),
                                      static_cast<wire::receipt>(in_.byte() % (wire::receipt_count + 1))};
        });
      return batch(floors, [&] { return wire::floor_record{some_member(), in_.number()}; });
    case 7: return batch(members, [&] { return some_member_record(); });
    case 8: return batch(members_seen, [&] { return some_member_record(); });
    case 9:
      return batch(slot_map, [&] { return wire::slot_range{in_.two(), in_.two(), in_.two(), some_id()}; });
    case 10: {
      chain_.clear();
      const auto kind = in_.byte();
      if (kind % 3 == 0) wire::send(writer_, chain_, path_lost, wire::lane_event{some_member()});
      std::vector<member_index> links(kind % 3 ? 1 + kind % 4 : 0);
      for (member_index& i : links) i = some_member();
      wire::send_lanes(writer_, chain_, kind % 3 == 1 ? back : gone, links);
      return test::taken(chain_);
    }
    case 11: return one(wire::in_service{in_.number(), in_.byte()});
    case 12:
      return one(wire::heartbeat{in_.number(), in_.number(), static_cast<std::uint32_t>(in_.number()),
                                 in_.number()});
    case 13: return sealed(in_sync, {});
    case 14: return in_.byte() % 4 ? sealed(heartbeat, {}) : one(wire::go_away{in_.byte(), some_id()});
    default: return handshake();
    }
  }
  std::string handshake() {
    switch (in_.byte() % 4) {
    case 0: return one(wire::hello{in_.two(), in_.two(), in_.byte(), {}});
    case 1: return one(wire::challenge{in_.two(), {}, in_.number()});
    case 2:
      return one(wire::auth{{},
                            lane_id{in_.number()},
                            in_.byte(),
                            in_.byte(),
                            in_.number(),
                            in_.number(),
                            some_id().substr(0, 64)});
    default: return one(wire::welcome{{}, some_member(), in_.number(), in_.two(), in_.two(), in_.byte()});
    }
  }

  input& in_;
  id_hasher hasher_;
  chunk_pool pool_;
  output_chain chain_;
  wire::frame_writer writer_;
};

} // namespace beeline::fuzz
