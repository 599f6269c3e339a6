// UTF-8, topic names, filters and client ids.
#include "common/base/limits.hpp"
#include "common/base/utf8.hpp"
#include "edge-server/mqtt/topic.hpp"
#include "tests/support/mqtt_test_tools.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;
using namespace std::string_view_literals;
using mqtt::valid_client_id;
using mqtt::valid_filter;
using mqtt::valid_topic_name;

namespace {
std::string utf8_of(std::uint32_t c) { // also of what no UTF-8 may hold
  std::string s;
  const auto tail = [&](unsigned shift) { s += static_cast<char>(0x80 | (c >> shift & 0x3f)); };
  if (c < 0x80) s += static_cast<char>(c);
  else if (c < 0x800) s += static_cast<char>(0xc0 | c >> 6), tail(0);
  else if (c < 0x10000) s += static_cast<char>(0xe0 | c >> 12), tail(6), tail(0);
  else s += static_cast<char>(0xf0 | c >> 18), tail(12), tail(6), tail(0);
  return s;
}
} // namespace

TEST_CASE("every code point but U+0000 and surrogates is valid UTF-8, at any place in a string",
          "[mqtt][utf8]") {
  std::size_t wrong = 0;
  for (std::uint32_t c = 0; c < 0x120000; ++c) {
    const bool good = c != 0 && (c < 0xd800 || c > 0xdfff) && c <= 0x10ffff;
    const std::string s = utf8_of(c);
    wrong += valid_utf8(s) != good;
    wrong += valid_utf8("abcdefg" + s + "hijklmnopq") != good;
  }
  CHECK(wrong == 0);
}

TEST_CASE("overlong, cut and stray bytes are not UTF-8", "[mqtt][utf8]") {
  CHECK(valid_utf8(""));
  for (std::string_view bad :
       {"\xc0\x80"sv, "\xc1\xbf"sv, "\xe0\x9f\xbf"sv, "\xf0\x8f\xbf\xbf"sv, "\xf4\x90\x80\x80"sv,
        "\xed\xa0\x80"sv, "\x80"sv, "\xff"sv, "\xc3"sv, "\xe2\x82"sv, "\xf0\x9f\x98"sv, "\xc3("sv,
        "12345678\0"sv, "1234567\0"sv, "\xfe"sv, "\xf8\x88\x80\x80\x80"sv}) {
    const exact_bytes exact(bad);
    CHECK_FALSE(valid_utf8(as_text(exact.view())));
  }
}

TEST_CASE("topics that broke other servers get a clear verdict", "[mqtt][CAT-13]") {
  const std::string longest(65'535, 't'), too_long(65'536, 't');
  for (std::string_view good : {"$"sv, "$SYS"sv, "/"sv, "//"sv, " "sv, "@/c2"sv, "\xef\xbf\xbf"sv, "$share"sv,
                                std::string_view(longest)})
    CHECK(valid_topic_name(good));
  for (std::string_view bad :
       {""sv, "+"sv, "#"sv, "a/+"sv, "a+"sv, "a#b"sv, "\0"sv, "a\0b"sv, std::string_view(too_long)})
    CHECK_FALSE(valid_topic_name(bad));
}

TEST_CASE("a PUBLISH with each topic of that list is answered, never trusted", "[mqtt][CAT-13]") {
  struct row {
    std::string_view topic;
    reason expected;
  };
  const std::string longest(65'535, 't');
  for (const row& r :
       {row{"", reason::protocol_error}, row{"$", reason::success}, row{"$SYS", reason::success},
        row{"/", reason::success}, row{longest, reason::success}, row{"a\0b"sv, reason::malformed_packet},
        row{"\xef\xbf\xbf", reason::success}, row{"\xed\xa0\x80", reason::malformed_packet},
        row{"a/#", reason::topic_name_invalid}, row{"+", reason::topic_name_invalid}}) {
    INFO(r.topic.substr(0, 20));
    for (protocol_version v : {v311, v5}) {
      const framed_packet f(encode_publish({v, r.topic, "x"}));
      CHECK(decode_as_server(f.packet, v) == r.expected);
    }
  }
}

TEST_CASE("wildcards stand for whole levels, # only at the end", "[mqtt][topic]") {
  for (std::string_view good : {"#"sv, "+"sv, "a/#"sv, "+/a"sv, "a/+/b"sv, "/"sv, "/+"sv, "+/#"sv, "+/+"sv,
                                "@/#"sv, "$SYS/#"sv, "$presence/C2"sv, "a//b"sv})
    CHECK(valid_filter(good));
  for (std::string_view bad :
       {""sv, "a#"sv, "#/a"sv, "a/#/b"sv, "a+"sv, "+a"sv, "a/b+/c"sv, "##"sv, "++"sv, "+#"sv, "a\0"sv})
    CHECK_FALSE(valid_filter(bad));
  CHECK(mqtt::has_wildcard("a/+"));
  CHECK_FALSE(mqtt::has_wildcard("a/b"));
}

TEST_CASE("a shared filter needs a plain share name and a filter", "[mqtt][topic]") {
  for (std::string_view good :
       {"$share/g/t"sv, "$share/g/#"sv, "$share/g//"sv, "$share/g/+/a"sv, "$shared/x"sv})
    CHECK(valid_filter(good));
  for (std::string_view bad : {"$share"sv, "$share/"sv, "$share/g"sv, "$share/g/"sv, "$share//t"sv,
                               "$share/+/t"sv, "$share/g#/t"sv, "$share/g/a#"sv})
    CHECK_FALSE(valid_filter(bad));
  CHECK(mqtt::is_shared_filter("$share/g/t"));
  CHECK_FALSE(mqtt::is_shared_filter("$shared/g/t"));
}

TEST_CASE("client ids that could be mistaken for topics or patterns are not valid", "[mqtt][CAT-25]") {
  for (std::string_view good : {"C2"sv, "a b"sv, ".*"sv, "a|b"sv, "%u"sv, "$share"sv, "\xc3\xa4"sv, "@"sv})
    CHECK(valid_client_id(good));
  for (std::string_view bad :
       {""sv, "#"sv, "+"sv, "a/b"sv, "a\n"sv, "\x7f"sv, "\x01"sv, "a\0b"sv, "\xc2\x85"sv})
    CHECK_FALSE(valid_client_id(bad));
  CHECK(valid_client_id(std::string(limits::client_id_bytes_max, 'x')));
  CHECK_FALSE(valid_client_id(std::string(limits::client_id_bytes_max + 1, 'x')));
}
