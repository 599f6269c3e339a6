#include "common/ops/parse.hpp"

#include "common/ops/start_error.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::ops;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {
template <class F> std::string message_of(F f) {
  try {
    f();
  } catch (const start_error& e) {
    CHECK(e.exit_code() == exit_usage);
    return e.what();
  }
  return "nothing thrown";
}
std::string bad_address(const char* text, port_zero zero = port_zero::allowed) {
  return message_of([&] { parse_host_port("--mqtt", text, zero); });
}
} // namespace

TEST_CASE("host:port takes names, IPv4 and IPv6 in brackets") {
  CHECK(parse_host_port("--mqtt", "0.0.0.0:1883") == host_port{"0.0.0.0", 1883});
  CHECK(parse_host_port("--mqtt", "[::1]:1883") == host_port{"::1", 1883});
  CHECK(parse_host_port("--mqtt", "localhost:7001") == host_port{"localhost", 7001});
  CHECK(parse_host_port("--mqtt", "127.0.0.1:0") == host_port{"127.0.0.1", 0});
  CHECK(to_string(host_port{"::1", 1883}) == "[::1]:1883");
  CHECK(to_string(host_port{"a", 1}) == "a:1");
}

TEST_CASE("a wrong host:port is refused with a hint") {
  CHECK(bad_address(":1883") == "--mqtt ':1883': the host is missing; write 0.0.0.0:1883 for all addresses");
  CHECK_THAT(bad_address("1883"), Contains("the port is missing"));
  CHECK_THAT(bad_address("[::1]"), Contains("the port is missing"));
  CHECK_THAT(bad_address("::1:1883"), Contains("brackets"));
  CHECK_THAT(bad_address("[::1:1883"), Contains("']' is missing"));
  CHECK_THAT(bad_address("[localhost]:1"), Contains("IPv6"));
  CHECK_THAT(bad_address("a:0", port_zero::refused), Contains("from 1 to 65535"));
  for (auto text : {"a:65536", "a:-1", "a:-0", "a:", "a:1x", "a: 1", "a:+1", "a:99999999999999999999",
                    "a b:1", "http://a:1", "", ":", "[]:1", "a\n:1"})
    CHECK(bad_address(text) != "nothing thrown");
  for (auto text : {"a\n:1", ":1\n", ":\n"}) CHECK(bad_address(text).find('\n') == std::string::npos);
  CHECK_THAT(bad_address(":1\n"), Contains("the port must be a number"));
  CHECK(bad_address("127.0.0.1:1,127.0.0.1:2") ==
        "--mqtt '127.0.0.1:1,127.0.0.1:2': one address is wanted here, not a list; write HOST:PORT");
  CHECK_THAT(bad_address("http://127.0.0.1:1/"), Contains("no URL is wanted here"));
}

TEST_CASE("an admin address may be written as the programs print it") {
  for (auto text : {"127.0.0.1:7480", "http://127.0.0.1:7480", "http://127.0.0.1:7480/"})
    CHECK(parse_http_address("--admin", text) == host_port{"127.0.0.1", 7480});
  CHECK(parse_http_address("--admin", "http://[::1]:1") == host_port{"::1", 1});
  const auto bad = [](const char* text) { return message_of([&] { parse_http_address("--admin", text); }); };
  CHECK(bad("http://a:1/stats") ==
        "--admin 'http://a:1/stats': no page is wanted here; write HOST:PORT or http://HOST:PORT");
  CHECK_THAT(bad("https://a:1/"), Contains("no URL"));
  CHECK_THAT(bad("http://a"), Contains("'http://a': the port is missing"));
  CHECK_THAT(bad("http://a:1/,http://b:1/"), Contains("not a list"));
  CHECK_THAT(bad("a:1/"), Contains("from 0 (any free port) to 65535"));
}

TEST_CASE("slots are a range within 0-4095") {
  CHECK(parse_slots("--slots", "0-2047") == slot_range{0, 2047});
  CHECK(parse_slots("--slots", "4095-4095") == slot_range{4095, 4095});
  for (auto text : {"", "5", "0-4096", "9-3", "-1-5", "0-", "0-1 ", "0--1", "a-b", "0-18446744073709551616"})
    CHECK_THAT(message_of([&] { parse_slots("--slots", text); }), Contains("like 0-2047"));
}

TEST_CASE("sizes have binary units or none") {
  CHECK(parse_size("--x", "8MiB") == 8u << 20);
  CHECK(parse_size("--x", "64KiB") == 65536);
  CHECK(parse_size("--x", "2GiB") == 2ull << 30);
  CHECK(parse_size("--x", "4096") == 4096);
  for (auto text : {"", "8MB", "8 MiB", "MiB", "-1", "0x10", "1.5MiB", "8mib"})
    CHECK_THAT(message_of([&] { parse_size("--x", text); }), Contains("write a size like"));
  for (auto text : {"17179869184GiB", "18446744073709551615KiB", "99999999999999999999"})
    CHECK(message_of([&] { parse_size("--x", text); }) != "nothing thrown");
  CHECK_THAT(message_of([] { parse_size("--x", "1", 1024, 2048); }), Contains("at least 1KiB"));
  CHECK_THAT(message_of([] { parse_size("--x", "3KiB", 1024, 2048); }), Contains("at most 2KiB"));
}

TEST_CASE("durations need their unit") {
  CHECK(parse_duration("--x", "500ms") == 500ms);
  CHECK(parse_duration("--x", "3s") == 3s);
  CHECK(parse_duration("--x", "250us") == 250us);
  CHECK(parse_duration("--x", "2min") == 2min);
  for (auto text : {"", "3", "s", "3 s", "-3s", "1.5s", "3sec"})
    CHECK_THAT(message_of([&] { parse_duration("--x", text); }), Contains("with its unit"));
  CHECK_THAT(message_of([] { parse_duration("--x", "10ms", 100ms, 5s); }), Contains("at least 100ms"));
  CHECK_THAT(message_of([] { parse_duration("--x", "6s", 100ms, 5s); }), Contains("at most 5s"));
  for (auto text : {"9223372036854775807s", "18446744073709551615us", "9223372036854775808us"})
    CHECK_THAT(message_of([&] { parse_duration("--x", text); }), Contains("at most"));
}

TEST_CASE("counts are whole numbers within their bounds") {
  CHECK(parse_count("--lanes", "4", 1, 256) == 4);
  for (auto text : {"", "0", "257", "-1", "4.0", "four", "18446744073709551617"})
    CHECK_THAT(message_of([&] { parse_count("--lanes", text, 1, 256); }),
               Contains("give a whole number from 1 to 256"));
}

TEST_CASE("CAT-10: integers at and beyond every edge") {
  constexpr auto low = std::numeric_limits<std::int64_t>::min(),
                 high = std::numeric_limits<std::int64_t>::max();
  CHECK(to_integer("2147483648", low, high) == 2147483648);
  CHECK(to_integer("-2147483648", low, high) == -2147483648);
  CHECK(to_integer("9223372036854775807", low, high) == high);
  CHECK_FALSE(to_integer("9223372036854775808", low, high));
  CHECK_FALSE(to_integer("-9223372036854775809", low, high));
  CHECK_FALSE(to_integer("2147483648", 0, 1000));
  for (auto text : {"", " 1", "1 ", "+1", "1e3", "0x1", "1.0", "nan", "--1"})
    CHECK_FALSE(to_integer(text, low, high));
}
