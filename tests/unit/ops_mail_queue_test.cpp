// The queue without a lock: many threads to one.
#include "common/ops/mail_queue.hpp"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <thread>
#include <vector>

using beeline::ops::mail_queue;

TEST_CASE("mail queue: what one thread pushes comes in its order, and nothing is lost or comes twice") {
  constexpr int threads = 4, each = 20'000;
  mail_queue<std::pair<int, int>> queue;
  std::vector<std::thread> pushers;
  for (int t = 0; t < threads; ++t)
    pushers.emplace_back([&queue, t] {
      for (int k = 0; k < each; ++k) queue.push({t, k});
    });
  std::array<int, threads> next{};
  bool in_order = true;
  for (int taken = 0; taken < threads * each;) {
    queue.wait(); // it would hang if a push went by unnoticed
    for (auto mail = queue.take(); !mail.empty(); ++taken) {
      const auto [t, k] = mail.pop();
      in_order &= next[static_cast<std::size_t>(t)]++ == k;
    }
  }
  CHECK(in_order);
  CHECK(std::all_of(next.begin(), next.end(), [](int n) { return n == each; }));
  for (auto& p : pushers) p.join();
  CHECK(queue.take().empty());
}

TEST_CASE("mail queue: what is not taken ends with the queue, and what is not popped with what was taken") {
  auto item = std::make_shared<int>();
  {
    mail_queue<std::shared_ptr<int>> queue;
    for (int k = 0; k < 3; ++k) queue.push(item);
    {
      auto mail = queue.take();
      CHECK(mail.pop() == item);
      CHECK(item.use_count() == 3);
    }
    CHECK(item.use_count() == 1);
    for (int k = 0; k < 3; ++k) queue.push(item);
  }
  CHECK(item.use_count() == 1);
}
