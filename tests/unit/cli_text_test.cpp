// What the beeline tool prints: numbers, tables, texts that came from others; and the load generator's codec.
#include "common/cli/bench/load_codec.hpp"
#include "common/cli/mqtt_words.hpp"
#include "common/cli/text.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::cli;

TEST_CASE("numbers for people; what is not known is a dash") {
  for (const auto f :
       {count_text, rate_text, ratio_text, share_text, bytes_text, span_text, microseconds_text})
    CHECK(f(std::nullopt) == "-");
  CHECK(rate_text(0.0) == "0");
  CHECK(rate_text(7.54) == "7.5");
  CHECK(rate_text(812.4) == "812");
  CHECK(rate_text(12'345.0) == "12.3k");
  CHECK(rate_text(1.2e6) == "1.20M");
  CHECK(bytes_text(1023.0) == "1023 B");
  CHECK(bytes_text(1536.0) == "1.5 KiB");
  CHECK(bytes_text(3.0 * 1024 * 1024 * 1024) == "3.0 GiB");
  CHECK(span_text(9.96) == "10.0 s");
  CHECK(span_text(59.9) == "59 s");
  CHECK(span_text(3600.0 + 60) == "1 h 1 min");
  CHECK(span_text(86'400.0 * 2) == "2 d 0 h");
  CHECK(share_text(1.0) == "100 %");
  CHECK(share_text(0.99999) == "99.9 %");
  CHECK(share_text(0.875) == "87.5 %");
  CHECK(share_text(0.0) == "0 %");
  CHECK(microseconds_text(999.0) == "999 us");
  CHECK(microseconds_text(1500.0) == "1.5 ms");
  CHECK(of_several(1.0, "client", "clients") == "1 client");
  CHECK(of_several(0.0, "client", "clients") == "0 clients");
}

TEST_CASE("UTF-8 as the standard has it: nothing overlong, no surrogates, nothing beyond") {
  for (const char* good :
       {"", "a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x90\x9d", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"})
    CHECK(is_utf8(good));
  for (const char* bad : {"\x80", "\xc3", "\xc0\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80",
                          "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xe2\x82"})
    CHECK_FALSE(is_utf8(bad));
}

TEST_CASE("nothing that came from others moves the terminal") {
  CHECK(printable("a\tb\n\x1b[2J\x7f") == "a\tb\n\\x1b[2J\\x7f");
  CHECK(printable("\xc2\x9b"
                  "2J \xc3\xa4 \xff") == "\\xc2\\x9b"
                                         "2J \xc3\xa4 \\xff"); // C1's CSI
  table t({"A", ">N"});
  t.row({"x\ny\x1b", "1"});
  CHECK(t.text() == "A        N\nx y\\x1b  1\n");
}

TEST_CASE("base64") {
  CHECK(base64("") == "");
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foobar") == "Zm9vYmFy");
  CHECK(base64("\xff\xfe\xfd") == "//79");
}

TEST_CASE("columns are as wide as their widest cell, characters and not bytes") {
  table t({"NAME", ">COUNT"});
  CHECK(t.empty());
  t.row({"\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xc3\xa4", "1"});
  t.row({"b", "1234567"});
  CHECK(t.text() == "NAME     COUNT\n\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xc3\xa4        1\nb      1234567\n");
}

TEST_CASE("receipts in words") {
  CHECK(receipt_words(0x10, 5, "").starts_with("nobody there"));
  CHECK(receipt_words(0xc0, 5, "") == "reason code 0xC0");
  CHECK(receipt_words(0xc0, 5, "why") == "reason code 0xC0: why");
  CHECK(receipt_words(0, 3, "").starts_with("settled"));
  CHECK(outcome_name(0x97, "") == "full");
  CHECK(outcome_name(0xc0, "") == "refused");
  CHECK(connect_words(2, 3) == "refused the client id (0x02)");
}

TEST_CASE("0x83 is told apart by its words: what may have arrived is not called refused") {
  const auto name = [](std::string_view reason) { return outcome_name(0x83, reason); };
  CHECK(name("outcome unknown: a server was lost with the message in flight") == "unknown");
  CHECK(name("the message expired on its way") == "expired");
  CHECK(name("refused: the message is above a limit of its recipient") == "refused");
  CHECK(name("given up: a queue on the way stayed full") == "gave_up");
  CHECK(name("taken, but the recipient has not acknowledged it in time") == "taken");
  CHECK(name("") == "unknown");
  CHECK(receipt_words(0x83, 5, "given up: a queue on the way stayed full") ==
        "given up: a queue on the way stayed full (0x83)");
  CHECK(receipt_words(0x83, 5, "") == "outcome unknown (0x83)");
}

TEST_CASE("a router that is full or busy, in words, whenever a client is told") {
  CHECK(connect_words(0x97, 5) == "cannot take one client more: its router is full (0x97)");
  CHECK(connect_words(0x89, 5) ==
        "cannot take this client now: its router is busy with ids that are claimed twice (0x89)");
  CHECK(connect_words(3, 3).find("its router is full or busy") != std::string::npos);
  CHECK(disconnect_words(0x97) == "the router has as many clients as it may (0x97)");
  CHECK(disconnect_words(0x89) == "the router is busy with ids that are claimed twice (0x89)");
}

TEST_CASE("the load generator's codec: packets cut anywhere are awaited, malformed ones are noticed") {
  std::string bytes;
  const std::string payload(300, 'x');
  load::append_publish(bytes, {"@/C2", payload, 1, 7});
  for (std::size_t n = 0; n < bytes.size(); ++n)
    CHECK_FALSE(load::next_packet(std::string_view(bytes).substr(0, n)));
  bytes += "rest";
  const auto p = load::next_packet(bytes);
  REQUIRE(p);
  CHECK(p->total == bytes.size() - 4);
  const auto m = load::read_publish(*p);
  REQUIRE(m);
  CHECK(m->topic == "@/C2");
  CHECK(m->payload == payload);
  CHECK(m->packet_id == 7);

  const auto endless = load::next_packet("\x30\xff\xff\xff\xff\x01");
  REQUIRE(endless);
  CHECK(endless->total == 0);
  using namespace std::string_view_literals;
  CHECK(load::read_puback(*load::next_packet("\x40\x02\x00\x07"sv))->packet_id == 7);
  CHECK(load::read_puback(*load::next_packet("\x40\x04\x00\x07\x10\x00"sv))->code == 0x10);
  CHECK_FALSE(load::read_puback(*load::next_packet("\x40\x01\x00"sv)));
  CHECK(load::read_connack(*load::next_packet("\x20\x03\x00\x85\x00"sv)) == std::uint8_t{0x85});
  CHECK_FALSE(load::read_connack(*load::next_packet("\x20\x03\x00\x00\x05"sv)));
}
