#include "tests/support/probe.hpp"

#include <algorithm>
#include <chrono>

namespace beeline::test {
namespace {
using namespace std::chrono_literals;
constexpr auto interval = 2ms; // between messages
constexpr std::string_view last_message = "end";
} // namespace

probe::probe(std::uint16_t from, std::uint16_t to)
    : sender_(from, "probe-sender"), receiver_(to, "probe-receiver"), sending_([this] { send(); }),
      receiving_([this] { receive(); }) {}

probe::~probe() {
  end_ = true;
  sending_.join();
  receiving_.join();
}

void probe::send() try {
  while (!end_) {
    const auto begin = std::chrono::steady_clock::now();
    const unsigned code = sender_.publish("@/probe-receiver", "x");
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    {
      const std::lock_guard guard(lock_);
      ms_.push_back(took.count());
      failures_ += code != 0;
    }
    std::this_thread::sleep_for(interval);
  }
  (void)sender_.publish("@/probe-receiver", last_message);
} catch (const std::exception&) {
  broken_ = true;
}

void probe::receive() try {
  for (;;) {
    const mqtt::packet p = receiver_.next();
    mqtt::publish_packet m;
    if (p.type() == packet_type::reserved) throw std::runtime_error("closed");
    if (p.type() != packet_type::publish || test::decode_publish(p, v5, m) != reason::success) continue;
    const bool last = as_text(m.payload) == last_message;
    std::string ack;
    append_puback(ack, m.packet_id);
    receiver_.send(ack);
    if (last) return;
  }
} catch (const std::exception&) {
  broken_ = true;
}

probe::times probe::take() {
  std::vector<double> ms;
  times t;
  {
    const std::lock_guard guard(lock_);
    ms.swap(ms_);
    t.failures = std::exchange(failures_, 0);
  }
  t.messages = ms.size();
  if (ms.empty()) return t;
  std::sort(ms.begin(), ms.end());
  t.p50_ms = ms[ms.size() / 2];
  t.p99_ms = ms[ms.size() * 99 / 100];
  t.max_ms = ms.back();
  return t;
}

} // namespace beeline::test
