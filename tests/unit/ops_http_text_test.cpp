#include "common/ops/http_text.hpp"

#include <catch2/catch.hpp>

using namespace beeline::ops;

namespace {
unsigned status_of(std::string_view query) {
  try {
    parse_query(query);
    return 200;
  } catch (const http_error& e) {
    return e.status();
  }
}
} // namespace

TEST_CASE("percent-decoding takes two hex digits or nothing") {
  using namespace std::string_literals;
  CHECK(percent_decode("a%2Fb%2fc") == "a/b/c");
  CHECK(percent_decode("%00%ff") == "\0\xff"s);
  CHECK(percent_decode("a+b") == "a+b");
  CHECK(percent_decode("a+b%2B", plus_sign::is_blank) == "a b+");
  CHECK(percent_decode("") == "");
  CHECK(percent_decode("%2525") == "%25"); // once, not twice
  for (auto text : {"%", "a%", "%2", "%2x", "%x2", "%%20", "% 20", "%-1"}) CHECK_FALSE(percent_decode(text));
}

TEST_CASE("queries are split, decoded and bounded") {
  CHECK(parse_query("a=1&b=x%20y&c&d=&e=f=g") ==
        query_map{{"a", "1"}, {"b", "x y"}, {"c", ""}, {"d", ""}, {"e", "f=g"}});
  CHECK(parse_query("").empty());
  CHECK(parse_query("&&").empty());
  for (auto text : {"a=1&a=2", "=1", "a=%", "%zz=1"}) CHECK(status_of(text) == 400);
  std::string many;
  for (int i = 0; i < 32; ++i) many.append("p").append(std::to_string(i)).append("=1&");
  CHECK(status_of(many) == 200);
  CHECK(status_of(many + "q=1") == 400);
}

TEST_CASE("CAT-10: numbers in queries are within their bounds or refused") {
  CHECK(query_number({}, "limit", 100, 1, 1000) == 100);
  CHECK(query_number({{"limit", "1000"}}, "limit", 100, 1, 1000) == 1000);
  for (auto text : {"2147483647", "2147483648", "-2147483648", "-2147483649", "9223372036854775807",
                    "9223372036854775808", "-9223372036854775808", "18446744073709551616", "1e3", "", "0",
                    "1001", "ten", " 1", "1 ", "+1", "0x10", "1.0"})
    CHECK_THROWS_AS(query_number({{"limit", text}}, "limit", 100, 1, 1000), http_error);
}

TEST_CASE("errors are JSON whatever bytes they quote") {
  CHECK(json_error("no \"such\" page") == "{\"error\":\"no \\\"such\\\" page\"}\n");
  CHECK(json_error("\xff").starts_with("{\"error\":\""));
}
