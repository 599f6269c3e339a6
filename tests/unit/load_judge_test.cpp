// The load generator's judge: what it counts, what it waits for, and what it leaves out when clients are
// lost.
#include "common/cli/bench/load_judge.hpp"

#include <catch2/catch.hpp>
#include <cstring>
#include <optional>

using namespace beeline;
using namespace beeline::load;

namespace {

struct bench {
  explicit bench(std::uint8_t qos = 1, std::uint32_t clients = 3) {
    s.clients = clients;
    s.messages = 12;
    s.qos = qos;
    for (std::uint32_t i = 0; i < clients; ++i) topics.push_back("@/c-" + std::to_string(i));
    j.emplace(s, topics);
  }
  void publish(std::uint32_t number, std::uint32_t to, std::uint64_t at = 0) {
    sent[number] = j->published(number, to, at);
  }
  std::string payload(std::uint32_t number) const {
    std::string p(100, 'x');
    std::memcpy(p.data(), &sent[number], sizeof(stamp));
    return p;
  }
  void deliver(std::uint32_t number, std::uint64_t at = 0) {
    j->delivered(sent[number].recipient, topics[sent[number].sender], payload(number), at);
  }
  settings s;
  std::vector<std::string> topics;
  std::optional<judge> j;
  stamp sent[12]{};
};

bool says(const std::vector<std::string>& lines, const std::string& text) {
  for (const auto& line : lines)
    if (line.find(text) != line.npos) return true;
  return false;
}

} // namespace

TEST_CASE("all delivered and answered: nothing is owed and nothing is wrong") {
  bench b;
  for (std::uint32_t k = 0; k < 12; ++k) b.publish(k, (k + 1) % 3);
  CHECK(b.j->owed() == 12);
  for (std::uint32_t k = 0; k < 12; ++k) {
    if (k % 2) b.deliver(k), b.j->answered(k, 0, 1);
    else b.j->answered(k, 0, 1), b.deliver(k);
  }
  CHECK(b.j->owed() == 0);
  const result r = b.j->finish();
  CHECK(problems(b.s, r).empty());
  CHECK(r.delivered == 12);
  CHECK(r.answers[0] == 12);
}

TEST_CASE("what is accepted is owed until it is delivered; what is refused is not") {
  bench b;
  b.publish(0, 1), b.publish(1, 2);
  b.j->answered(0, 0, 1);
  CHECK(b.j->owed() == 2);
  b.j->answered(1, 0x10, 1);
  CHECK(b.j->owed() == 1);
  b.deliver(1);
  const result r = b.j->finish();
  CHECK(r.accepted_not_delivered == 1);
  CHECK(r.nobody_but_delivered == 1);
}

TEST_CASE("twice, out of order, to the wrong client, damaged: each is noticed") {
  bench b;
  b.publish(0, 1), b.publish(3, 1), b.publish(6, 1);
  b.deliver(3), b.deliver(0), b.deliver(0);
  b.j->delivered(2, "@/c-0", b.payload(6), 0);
  b.j->delivered(1, "@/c-2", b.payload(6), 0);
  b.j->delivered(1, "@/c-0", "short", 0);
  b.j->delivered(1, "@/c-0", b.payload(6) + "y", 0);
  stamp never{b.sent[0]};
  never.number = 9;
  std::string p(100, 'x');
  std::memcpy(p.data(), &never, sizeof never);
  b.j->delivered(1, "@/c-0", p, 0);
  const result r = b.j->finish();
  CHECK(r.delivered == 2);
  CHECK(r.duplicates == 1);
  CHECK(r.reordered == 1);
  CHECK(r.misdelivered == 2);
  CHECK(r.damaged == 3);
}

TEST_CASE("a lost client is owed nothing, and what cannot be judged is left out") {
  bench b;
  b.s.faults = true;
  b.publish(0, 1); // from the lost one, never answered
  b.publish(1, 0); // to it, accepted, not delivered
  b.publish(2, 0); // to it, answered after the loss
  b.publish(4, 2); // between the others: still judged
  b.j->answered(1, 0, 1);
  b.j->answered(4, 0, 1);
  CHECK(b.j->owed() == 4);
  b.j->gone(0);
  CHECK(b.j->owed() == 2);
  b.j->answered(2, 0, 1);
  CHECK(b.j->owed() == 1);
  SECTION("the others' messages come") {
    b.deliver(4);
    CHECK(b.j->owed() == 0);
    result r = b.j->finish();
    CHECK(r.left_out == 3);
    r.disconnects = 1;
    r.first_disconnect = "client 'c-0' at e: gone";
    r.never_published = b.s.messages - r.published;
    CHECK(problems(b.s, r).empty());
    CHECK(says(remarks(b.s, r),
               "1 client lost, the first: client 'c-0' at e: gone; left out of the judgement are 3"));
    b.s.faults = false;
    CHECK(says(problems(b.s, r), "1 client lost"));
    b.s.faults = true;
    r.disconnects = 3; // nobody is left to judge
    CHECK(says(problems(b.s, r), "all 3 clients lost"));
  }
  SECTION("they do not") { CHECK(b.j->finish().accepted_not_delivered == 1); }
}

TEST_CASE("a message of QoS 0 is owed to its recipient; with faults it may be dropped") {
  bench b(0);
  b.publish(0, 1), b.publish(1, 2);
  CHECK(b.j->owed() == 2);
  b.deliver(0);
  CHECK(b.j->owed() == 1);
  result r = b.j->finish();
  CHECK(r.dropped == 1);
  r.never_published = b.s.messages - r.published;
  CHECK(says(problems(b.s, r), "1 of QoS 0 not delivered"));
  b.s.faults = true;
  CHECK(problems(b.s, r).empty());
}

TEST_CASE("latencies and rates are right beyond 2^32 microseconds, which are 71 minutes") {
  constexpr std::uint64_t hours = 3'600'000'000ull;
  bench b;
  b.publish(0, 1, 2 * hours);
  b.deliver(0, 2 * hours + 700);
  b.j->answered(0, 0, 2 * hours + 900);
  b.publish(1, 0, 2 * hours);
  b.deliver(1, 4 * hours); // longer than a difference can be told: the most that can
  const result r = b.j->finish();
  CHECK(r.delivery_us == std::vector<std::uint32_t>{700, 0xffffffff});
  CHECK(r.answer_us == std::vector<std::uint32_t>{900});
  CHECK(r.seconds() == 4 * 3600.0);
  CHECK(due_us(10'000'000, 1000) == 10'000'000'000ull);
}

TEST_CASE("a load that falls behind its rate is told, and is a problem unless servers may die") {
  settings s;
  s.messages = 1000;
  s.rate = 1000;
  result r;
  r.published = r.answered = r.answers[0] = 1000;
  r.last_due_us = due_us(999, s.rate);
  r.last_publish_us = 1'298'000; // 5 % and 250 ms are allowed: 1'298'950
  CHECK_FALSE(fell_behind(s, r));
  CHECK(problems(s, r).empty());
  r.last_publish_us = 1'300'000;
  CHECK(fell_behind(s, r));
  CHECK(says(problems(s, r),
             "fell behind --rate 1000: 769 messages a second were published, at the end 301.0 ms late"));
  s.faults = true;
  CHECK(problems(s, r).empty());
  CHECK(says(remarks(s, r), "fell behind"));
  s.faults = false;
  s.rate = 0; // nothing was asked
  CHECK(problems(s, r).empty());
}
