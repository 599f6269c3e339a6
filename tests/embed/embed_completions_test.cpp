// Where completions come and in whose memory operations live: the handler's own executor and allocator.
#include "tests/embed/embed_world.hpp"
#include "tests/support/raw_mqtt.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <thread>

using namespace beeline;
using namespace beeline::test;

namespace {
// Memory that knows how much of it is in use.
struct ledger {
  std::size_t blocks = 0, ever = 0;
};
template <class T> struct counted {
  using value_type = T;
  ledger* book;
  explicit counted(ledger& b) : book(&b) {}
  template <class U> counted(const counted<U>& o) : book(o.book) {}
  T* allocate(std::size_t n) {
    ++book->blocks, ++book->ever;
    return std::allocator<T>().allocate(n);
  }
  void deallocate(T* p, std::size_t n) {
    --book->blocks;
    std::allocator<T>().deallocate(p, n);
  }
  template <class U> bool operator==(const counted<U>& o) const { return book == o.book; }
};
} // namespace

TEST_CASE("embed_completions: a completion comes where its handler's executor is") {
  linked_world w;
  const auto p1 = w.game.joins("p1");
  const auto here = std::this_thread::get_id();
  asio::thread_pool pool(1);
  std::atomic<int> elsewhere{0}, in_strand{0};
  const auto there = [&](auto&&...) { elsewhere += std::this_thread::get_id() != here; };
  SECTION("another context's") {
    const auto on = [&](auto f) { return asio::bind_executor(pool, f); };
    w.lane.async_send(p1, to("p1"), on(there));
    w.lane.async_attach("p2", on(there));
    w.lane.async_attach("p2", on(there)); // an error, at once: not from inside this call either
    w.lane.async_wait_ready(on(there));
    w.lane.async_wait_registered(p1, on(there));
    REQUIRE(w.game.until([&] { return elsewhere == 5; }));
    w.lane.async_shutdown(5s, on(there));
    REQUIRE(w.game.until([&] { return elsewhere == 6; }));
  }
  SECTION("a strand's, of any kind") {
    const auto strand = asio::make_strand(pool);
    const asio::any_io_executor any = strand;
    const auto inside = [&](auto&&...) { in_strand += strand.running_in_this_thread(); };
    w.lane.async_send(p1, to("p1"), asio::bind_executor(strand, inside));
    w.lane.async_send(p1, to("p1"), asio::bind_executor(any, inside));
    REQUIRE(w.game.until([&] { return in_strand == 2; }));
  }
  SECTION("which has work as long as it waits") {
    asio::io_context other{1};
    bool told = false;
    w.router.os().signal(SIGSTOP);
    w.lane.async_send(p1, to("p1"),
                      asio::bind_executor(other, [&](error_code, link::receipt) { told = true; }));
    w.game.until([&] { return false; }, 20ms);
    CHECK(other.poll() == 0);
    CHECK_FALSE(other.stopped());
    w.router.os().signal(SIGCONT);
    w.game.meanwhile([&] {
      other.run();
      return true;
    }); // ends when the receipt has come
    CHECK(told);
  }
}

TEST_CASE(
    "embed_completions: an operation lives in its handler's memory, which is given back before the call") {
  linked_world w;
  const auto p1 = w.game.joins("p1");
  ledger book;
  int called = 0;
  std::size_t held = 0;
  const auto in_book = [&] {
    return asio::bind_allocator(counted<void>(book), [&](auto&&...) {
      ++called;
      held += book.blocks;
    });
  };
  const auto one = [&](auto begin) {
    const auto [before, calls] = std::pair(book.ever, called);
    begin();
    CHECK(book.ever > before);
    REQUIRE(w.game.until([&] { return called == calls + 1; }));
    CHECK(book.ever >= before + 2); // the operation, and its completion
    CHECK(book.blocks == 0);
  };
  one([&] { w.lane.async_send(p1, to("p1"), in_book()); });
  one([&] { w.lane.async_attach("p2", in_book()); });
  one([&] { w.lane.async_attach("a/b", in_book()); });
  one([&] { w.lane.async_wait_ready(in_book()); });
  one([&] { w.lane.async_wait_registered(p1, in_book()); });
  w.router.os().signal(SIGSTOP);
  bool dropped = false;
  asio::post(w.context, [&] { // also when it begins inside the lane's thread
    w.lane.async_send(p1, to("p1"), in_book());
    CHECK(book.blocks == 1);
    dropped = w.lane.detach(p1);
  });
  REQUIRE(w.game.until([&] { return called == 6; }));
  CHECK(dropped);
  one([&] { w.lane.async_shutdown(0ms, in_book()); });
  CHECK(held == 0);
}

TEST_CASE("embed_completions: what a handler's memory holds is given back when the io_context goes") {
  ledger book;
  {
    asio::io_context context{1};
    server game(context, {"127.0.0.1:" + std::to_string(free_ports(1))});
    const auto never = [&] {
      return asio::bind_allocator(counted<void>(book), [](auto&&...) { FAIL("called"); });
    };
    game.lane->async_wait_ready(never());
    game.until([] { return false; }, 10ms);
    game.lane->async_wait_ready(never()); // one waits in the lane, one on its way there
    CHECK(book.blocks >= 2);
  }
  CHECK(book.blocks == 0);
}
