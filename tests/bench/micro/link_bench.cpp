// Link protocol: writing, reading and routing message frames; the origin's window; the owner's accepted
// numbers; output chains.
#include "common/base/conn.hpp"
#include "common/link/inbox.hpp"
#include "common/link/outbox.hpp"
#include "common/wire/frame.hpp"
#include "tests/support/link_test_tools.hpp"

#include <benchmark/benchmark.h>

namespace beeline {
namespace {

constexpr unsigned batch = 64;

void write_message(benchmark::State& state) {
  const std::string payload(static_cast<std::size_t>(state.range(0)), 'x');
  wire::message_parts m;
  m.hash = test::hash_of("client-000123");
  m.destination = "client-000123", m.sender = "client-000456", m.payload = as_bytes(payload);
  std::vector<std::byte> to(wire::message_bytes(m, false));
  for (auto unused : state) {
    wire::write_message(to.data(), m, false);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(write_message)->ArgName("payload")->Arg(16)->Arg(100)->Arg(1024);

void read_and_route(benchmark::State& state) {
  test::test_message m;
  m.payload = std::string(static_cast<std::size_t>(state.range(0)), 'x');
  m.qos1 = false;
  test::byte_vector in;
  for (unsigned k = 0; k < batch; ++k) {
    const test::byte_vector one = make(m);
    in.insert(in.end(), one.begin(), one.end());
  }
  for (auto unused : state) {
    mutable_bytes left = in;
    wire::frame f;
    while (wire::next_frame(left, limits::frame_bytes_max, f) == wire::parse::done) {
      wire::message_view(f.bytes).route({7, 1}, 3);
      left = left.subspan(f.bytes.size());
    }
    if (!left.empty()) return state.SkipWithError("a frame that is refused");
  }
  state.SetItemsProcessed(state.iterations() * batch);
}
BENCHMARK(read_and_route)->ArgName("payload")->Arg(16)->Arg(100)->Arg(1024);

// A message into the window, its frame to the link, its answer back: `flows` senders in turn.
void window(benchmark::State& state) {
  chunk_pool pool;
  block_pool blocks;
  dirty_list dirty;
  link::peer_terms terms;
  link::outbox box(blocks, dirty, {});
  conn c(conn::kind_t::link, pool);
  box.add_link();
  time_point now = test::t0;
  box.link_up(0, c, now, terms);
  const std::string payload(100, 'x');
  wire::message_parts m;
  m.hash = test::hash_of("client-000123");
  m.destination = "client-000123", m.sender = "client-000456", m.payload = as_bytes(payload);
  const auto flows = static_cast<std::uint32_t>(state.range(0));
  std::uint32_t number = 0;
  for (auto unused : state) {
    now += std::chrono::microseconds(10);
    for (unsigned k = 0; k < batch; ++k) box.submit({k % flows, 1}, k, 0, m, now);
    c.consume(c.output_bytes());
    for (unsigned k = 0; k < batch; ++k) box.on_answer(0, {++number, no_member, answer::accepted, 0}, now);
    if (box.outcomes.size() != batch) return state.SkipWithError("a message that is not answered");
    box.outcomes.clear();
  }
  state.SetItemsProcessed(state.iterations() * batch);
}
BENCHMARK(window)->ArgName("flows")->Arg(1)->Arg(64);

// The owner's tests of a QoS 1 message, and that it remembers it.
void accept(benchmark::State& state) {
  link::inbox box;
  const std::uint32_t origin = box.acquire(lane_id{1});
  test::test_message m;
  std::uint64_t number = 0;
  test::byte_vector bytes = make(m);
  wire::message_view v(bytes);
  for (auto unused : state) {
    for (unsigned k = 0; k < batch; ++k) {
      store_le<std::uint64_t>(bytes.data() + 40, ++number);
      if (box.judge(origin, v, true, 0) != link::inbox::verdict::take)
        return state.SkipWithError("a message that is not taken");
      box.accepted(origin, number);
    }
    box.raise_floor(origin, number);
  }
  state.SetItemsProcessed(state.iterations() * batch);
}
BENCHMARK(accept);

void append_and_consume(benchmark::State& state) {
  chunk_pool pool;
  output_chain out(pool);
  const std::vector<std::byte> bytes(static_cast<std::size_t>(state.range(0)));
  iovec iov[limits::write_pieces_max];
  for (auto unused : state) {
    for (unsigned k = 0; k < batch; ++k) out.append(bytes);
    while (!out.empty()) {
      std::size_t n = 0;
      for (std::size_t i = 0, pieces = out.gather(iov, limits::write_pieces_max); i < pieces; ++i)
        n += iov[i].iov_len;
      out.consume(n);
    }
  }
  state.SetItemsProcessed(state.iterations() * batch);
}
BENCHMARK(append_and_consume)->ArgName("bytes")->Arg(150)->Arg(1100);

} // namespace
} // namespace beeline
