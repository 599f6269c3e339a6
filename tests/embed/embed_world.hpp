// A lane of libbeeline in the test's own thread, beside real router and edge processes.
//
// `until` runs the io_context, on which everything of the lane happens. Owner: one thread. Every embed test
// begins with this file: what they share is here.
#pragma once
#include "tests/support/cluster.hpp"

#include <beeline/lane.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <future>
#include <optional>

namespace beeline::test {

namespace asio = boost::asio;
using boost::system::error_code;
using link::errc;
using link::outcome;

inline link::message to(std::string_view id) {
  link::message m;
  m.to = id;
  return m;
}

using kicks = std::vector<std::pair<std::string, error_code>>; // whom, and why

struct server { // of one lane, with a log of what its handlers heard
  server(asio::io_context& c, std::vector<std::string> routers, const std::string& name = "game",
         std::size_t unanswered_bytes_max = link::lane_options{}.unanswered_bytes_max)
      : context(c) {
    link::lane_options o;
    o.name = name;
    o.routers = std::move(routers);
    o.unanswered_bytes_max = unanswered_bytes_max;
    link::lane_handlers h;
    h.on_message = [this](link::client_handle to, const link::message_view& m) {
      heard.push_back(std::string(m.from()) + " -> " + std::string(m.to()) + "/" + std::string(m.channel()) +
                      ": " + std::string(m.text()));
      return also ? also(to, m) : link::outcome::accepted;
    };
    h.on_kicked = [this](error_code why, link::client_handle, std::string_view id) {
      kicked.emplace_back(id, why);
      if (on_kick) on_kick();
    };
    h.on_ready = [this](bool r) {
      readiness.push_back(r);
      if (on_readiness) on_readiness();
    };
    h.on_want_more = [this] {
      ++wanted;
      if (on_more) on_more();
    };
    h.on_log = [this](link::severity, std::string_view line) {
      log += std::string(line) + "\n";
      if (on_line) on_line();
    };
    lane.emplace(c, o, h);
  }
  template <class F> bool until(F f, std::chrono::milliseconds patience = process::patience) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!f()) {
      if (std::chrono::steady_clock::now() >= end) return false;
      if (context.stopped()) context.restart();
      context.run_one_for(std::chrono::milliseconds(50));
    }
    return true;
  }
  // Runs the lane while `f`, which may block, runs in another thread.
  template <class F> auto meanwhile(F f) {
    auto result = std::async(std::launch::async, std::move(f));
    REQUIRE(until([&] { return result.wait_for(0s) == std::future_status::ready; }));
    return result.get();
  }
  bool becomes_ready() {
    return until([&] { return lane->ready(); });
  }
  link::client_handle joins(const std::string& id) {
    std::optional<error_code> done;
    link::client_handle c;
    lane->async_attach(id, [&](error_code e, link::client_handle h) { done = e, c = h; });
    REQUIRE(until([&] { return done.has_value(); }));
    REQUIRE_FALSE(*done);
    return c;
  }
  // "accepted", or the error's message.
  std::string sends(link::client_handle from, const link::message& m) {
    std::string what;
    lane->async_send(from, m, [&](error_code e, link::receipt r) {
      what = e ? e.message() : std::string(name_of(r.what));
    });
    REQUIRE(until([&] { return !what.empty(); }));
    return what;
  }
  std::string sends(link::client_handle from, std::string_view to, std::string_view text,
                    std::string_view channel = {}) {
    link::message m;
    m.to = to, m.channel = channel, m.payload = link::bytes_of(text);
    return sends(from, m);
  }

  asio::io_context& context;
  std::vector<std::string> heard;
  kicks kicked;
  std::vector<bool> readiness;
  int wanted = 0;
  std::string log;
  std::function<link::outcome(link::client_handle, const link::message_view&)> also;
  std::function<void()> on_kick, on_readiness, on_more, on_line; // what else the handlers do
  std::optional<link::lane> lane;
};

struct linked_world { // a router, and a server that is in sync with it
  explicit linked_world(std::size_t unanswered_bytes_max = link::lane_options{}.unanswered_bytes_max)
      : game(context, {router.address()}, "game", unanswered_bytes_max) {
    REQUIRE(game.becomes_ready());
  }
  std::uint64_t refused(errc e) const { return lane.statistics().refused[static_cast<std::size_t>(e)]; }
  asio::io_context context{1};
  router_process router;
  server game;
  link::lane& lane = *game.lane;
};

} // namespace beeline::test
