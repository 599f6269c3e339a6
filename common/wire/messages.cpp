#include "common/wire/messages.hpp"

namespace beeline::wire {
namespace {
handle get_handle(byte_reader& in) {
  const auto index = in.get<std::uint32_t>();
  return {index, in.get<std::uint16_t>()};
}
void put_handle(frame_writer& w, handle h) { w.put(h.index).put(h.generation); }

template <std::size_t N> void get_array(byte_reader& in, std::array<std::byte, N>& to) {
  if (const_bytes b = in.bytes(N); b.size() == N) std::memcpy(to.data(), b.data(), N);
}
bool get_id(byte_reader& in, std::string_view& id) {
  id = in.text8();
  return in.ok() && !id.empty() && id.size() <= limits::client_id_bytes_max;
}
} // namespace

void hello::put(frame_writer& w) const {
  w.put(magic).put(version).put(version_min).put(role).put_bytes(lane_nonce);
}
bool hello::get(const_bytes payload) {
  byte_reader in(payload);
  const auto m = in.get<std::uint32_t>();
  version = in.get<std::uint16_t>();
  version_min = in.get<std::uint16_t>();
  role = in.get<std::uint8_t>();
  get_array(in, lane_nonce);
  // Bytes may follow: a newer version's hello must stay readable, so that it can be refused in words.
  return in.ok() && m == magic && version_min <= version;
}

void challenge::put(frame_writer& w) const { w.put(version).put_bytes(shard_nonce).put(shard_life); }
bool challenge::get(const_bytes payload) {
  byte_reader in(payload);
  version = in.get<std::uint16_t>();
  get_array(in, shard_nonce);
  shard_life = in.get<std::uint64_t>();
  return in.done();
}

void auth::put(frame_writer& w) const {
  w.put_bytes(proof).put(static_cast<std::uint64_t>(lane)).put(lane_number).put(lanes);
  w.put(lane_clock).put(last_shard_time).put_text8(edge_name);
}
bool auth::get(const_bytes payload) {
  byte_reader in(payload);
  get_array(in, proof);
  lane = static_cast<lane_id>(in.get<std::uint64_t>());
  lane_number = in.get<std::uint16_t>();
  lanes = in.get<std::uint16_t>();
  lane_clock = in.get<std::uint64_t>();
  last_shard_time = in.get<std::uint64_t>();
  edge_name = in.text8();
  return in.done() && !edge_name.empty() && edge_name.size() <= limits::edge_name_bytes_max &&
         lane_number < lanes && lanes <= limits::lanes_max;
}

void welcome::put(frame_writer& w) const {
  w.put_bytes(proof).put(index).put(shard_time).put(shard_number).put(shards).put(warming_up);
}
bool welcome::get(const_bytes payload) {
  byte_reader in(payload);
  get_array(in, proof);
  index = in.get<member_index>();
  shard_time = in.get<std::uint64_t>();
  shard_number = in.get<std::uint16_t>();
  shards = in.get<std::uint16_t>();
  warming_up = in.get<std::uint8_t>();
  return in.done() && shard_number < shards && shards <= limits::shards_per_router_max && index != no_member;
}

void error::put(frame_writer& w) const {
  w.put(static_cast<std::uint16_t>(code)).put_text8(text.substr(0, limits::reason_bytes_max - 1));
}
bool error::get(const_bytes payload) {
  byte_reader in(payload);
  code = static_cast<error_code>(in.get<std::uint16_t>());
  text = in.text8();
  return in.done();
}

void go_away::put(frame_writer& w) const { w.put(for_good).put_text8(text); }
bool go_away::get(const_bytes payload) {
  byte_reader in(payload);
  for_good = in.get<std::uint8_t>();
  text = in.text8();
  return in.done();
}

void heartbeat::put(frame_writer& w) const { w.put(sent_at).put(echo).put(held_us).put(value); }
bool heartbeat::get(const_bytes payload) {
  byte_reader in(payload);
  sent_at = in.get<std::uint64_t>();
  echo = in.get<std::uint64_t>();
  held_us = in.get<std::uint32_t>();
  value = in.get<std::uint64_t>();
  return in.done();
}

// Sum, greatest, then the buckets that are not empty as (index, count), in rising order.
void report::put(frame_writer& w) const {
  static_assert(histogram_shape::buckets <= 256 && histogram_shape::value_max <= ~std::uint32_t{0});
  w.put(answered.sum_us).put(static_cast<std::uint32_t>(answered.max_us));
  const std::size_t count_at = w.payload_size();
  std::uint16_t buckets = 0;
  w.put(buckets);
  for (std::size_t i = 0; i < answered.counts.size(); ++i) {
    if (answered.counts[i] == 0) continue;
    w.put(static_cast<std::uint8_t>(i)).put(answered.counts[i]);
    ++buckets;
  }
  w.patch(count_at, buckets);
}
bool report::get(const_bytes payload) {
  byte_reader in(payload);
  answered = {};
  answered.sum_us = in.get<std::uint64_t>();
  answered.max_us = in.get<std::uint32_t>();
  const auto buckets = in.get<std::uint16_t>();
  if (buckets == 0 || buckets > histogram_shape::buckets) return false;
  std::uint64_t messages = 0;
  std::size_t next = 0; // the least index that may follow
  for (std::uint16_t n = buckets; n && in.ok(); --n) {
    const std::size_t i = in.get<std::uint8_t>();
    const auto count = in.get<std::uint64_t>();
    if (i < next || i >= histogram_shape::buckets) return false;
    if (count == 0 || count > limits::report_messages_max - messages) return false;
    answered.counts[i] = count;
    messages += count;
    next = i + 1;
  }
  if (!in.done() || answered.max_us > histogram_shape::value_max) return false;
  // The greatest is in the last bucket, and the mean, rounded up, is not above it.
  if (histogram_shape::bucket_of(answered.max_us) != next - 1) return false;
  return answered.sum_us == 0 || (answered.max_us != 0 && (answered.sum_us - 1) / answered.max_us < messages);
}

void slot_range::put(frame_writer& w) const { w.put(first).put(last).put(port).put_text8(host); }
bool slot_range::get(byte_reader& in) {
  first = in.get<std::uint16_t>();
  last = in.get<std::uint16_t>();
  port = in.get<std::uint16_t>();
  host = in.text8();
  return in.ok() && first <= last && last < slot_count && port != 0;
}

void member::put(frame_writer& w) const {
  w.put(index).put(joined).put(static_cast<std::uint64_t>(lane)).put(lane_number).put_text8(edge_name);
}
bool member::get(byte_reader& in) {
  index = in.get<member_index>();
  joined = in.get<std::uint8_t>();
  lane = static_cast<lane_id>(in.get<std::uint64_t>());
  lane_number = in.get<std::uint16_t>();
  edge_name = in.text8();
  return in.ok() && edge_name.size() <= limits::edge_name_bytes_max;
}

void registration::put(frame_writer& w) const {
  put_handle(w, client);
  w.put(connected_at).put(since).put_text8(id);
}
bool registration::get(byte_reader& in) {
  client = get_handle(in);
  connected_at = in.get<std::uint64_t>();
  since = in.get<std::uint64_t>();
  return get_id(in, id);
}

void registered_client::put(frame_writer& w) const { put_handle(w, client), w.put(since); }
bool registered_client::get(byte_reader& in) {
  client = get_handle(in);
  since = in.get<std::uint64_t>();
  return in.ok();
}

void unregistration::put(frame_writer& w) const { w.put(hash), put_handle(w, client); }
bool unregistration::get(byte_reader& in) {
  hash = in.get<id_hash>();
  client = get_handle(in);
  return in.ok();
}

void kick::put(frame_writer& w) const {
  w.put(hash), put_handle(w, client);
  w.put(wish).put_text8(claimant);
}
bool kick::get(byte_reader& in) {
  hash = in.get<id_hash>();
  client = get_handle(in);
  wish = in.get<std::uint8_t>();
  return get_id(in, claimant);
}

void identity::put(frame_writer& w) const {
  w.put(hash), put_handle(w, client);
  w.put(same).put_text8(id);
}
bool identity::get(byte_reader& in) {
  hash = in.get<id_hash>();
  client = get_handle(in);
  same = in.get<std::uint8_t>();
  return get_id(in, id);
}

void answer_record::put(frame_writer& w) const {
  w.put(number).put(lane).put(static_cast<std::uint8_t>(what)).put(detail);
}
bool answer_record::get(byte_reader& in) {
  number = in.get<std::uint32_t>();
  lane = in.get<member_index>();
  const auto a = in.get<std::uint8_t>();
  detail = in.get<std::uint8_t>();
  what = static_cast<answer>(a);
  return in.ok() && a < answer_count && detail <= 1;
}

void receipt_record::put(frame_writer& w) const {
  w.put(number).put(lane).put(static_cast<std::uint8_t>(what)).put(zero);
}
bool receipt_record::get(byte_reader& in) {
  number = in.get<std::uint32_t>();
  lane = in.get<member_index>();
  const auto r = in.get<std::uint8_t>();
  zero = in.get<std::uint8_t>();
  what = static_cast<receipt>(r);
  return in.ok() && r < receipt_count && zero == 0;
}

void floor_record::put(frame_writer& w) const { w.put(origin).put(floor); }
bool floor_record::get(byte_reader& in) {
  origin = in.get<member_index>();
  floor = in.get<std::uint64_t>();
  return in.ok();
}

void lane_event::put(frame_writer& w) const { w.put(index); }
bool lane_event::get(const_bytes payload) {
  byte_reader in(payload);
  index = in.get<member_index>();
  return in.done();
}

bool get_lanes(const_bytes payload, std::vector<member_index>& links) {
  byte_reader in(payload);
  for (std::size_t n = payload.size() / sizeof(member_index); n; --n) links.push_back(in.get<member_index>());
  return in.done() && !links.empty();
}
void send_lanes(frame_writer& w, output_chain& to, frame_type t, std::span<const member_index> links,
                std::uint16_t version) {
  const std::size_t most =
      version >= version_with_lists ? limits::control_batch_bytes / sizeof(member_index) : 1;
  while (!links.empty()) {
    const auto now = links.first(std::min(most, links.size()));
    w.begin(t);
    for (member_index i : now) w.put(i);
    w.finish(to);
    links = links.subspan(now.size());
  }
}

void in_service::put(frame_writer& w) const { w.put(shard_time).put(complete); }
bool in_service::get(const_bytes payload) {
  byte_reader in(payload);
  shard_time = in.get<std::uint64_t>();
  complete = in.get<std::uint8_t>();
  return in.done();
}

} // namespace beeline::wire
