// JSON written without a tree: what a parser reads back is what was told.
#include "common/ops/json_text.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

using beeline::ops::json_text;
using nlohmann::json;

TEST_CASE("json text: objects and arrays, empty ones and those in each other, are laid out by line") {
  json_text out;
  out.object();
  out.value("ready", true);
  out.array("shards");
  out.object();
  out.value("n", 7u);
  out.end();
  out.object();
  out.end();
  out.end();
  out.array("none");
  out.end();
  out.null("nothing");
  out.end();
  CHECK(out.take() == "{\n  \"ready\": true,\n  \"shards\": [\n    {\n      \"n\": 7\n    },\n    {}\n  ],\n"
                      "  \"none\": [],\n  \"nothing\": null\n}\n");
}

TEST_CASE("json text: the values of a list stand beside each other") {
  json_text out;
  out.array();
  for (const unsigned v : {1u, 2u, 3u}) out.value({}, v);
  out.end();
  CHECK(json::parse(out.take()) == json{1, 2, 3});
}

TEST_CASE("json text: numbers read back; what JSON has no number for is null") {
  json_text out;
  out.object();
  out.value("most", std::numeric_limits<std::uint64_t>::max());
  out.value("tenth", 0.1);
  out.value("small", 5e-324);
  out.value("nan", std::nan(""));
  out.value("inf", -HUGE_VAL);
  out.end();
  const json x = json::parse(out.take());
  CHECK(x["most"] == std::numeric_limits<std::uint64_t>::max());
  CHECK(x["tenth"] == 0.1);
  CHECK(x["small"] == 5e-324);
  CHECK(x["nan"].is_null());
  CHECK(x["inf"].is_null());
}

TEST_CASE("json text: numbers are written as people write them, unless they are huge or tiny") {
  for (const auto& [v, text] : {std::pair{200000.0, "200000"},
                                {0.0, "0"},
                                {-12.5, "-12.5"},
                                {0.0002, "0.0002"},
                                {1e300, "1e+300"},
                                {6.4e-05, "6.4e-05"},
                                {1e15, "1000000000000000"}}) {
    std::string out;
    beeline::ops::append_number(out, v);
    CHECK(out == text);
  }
}

TEST_CASE("json text: texts may hold any byte") {
  for (const std::string& text :
       std::initializer_list<std::string>{"", "plain", "a\"b", "back\\slash", "line\nend", "caf\xc3\xa9",
                                          "\x7f", std::string("nul\0l", 5)}) {
    json_text out;
    out.object();
    out.value("x", text);
    out.end();
    CHECK(json::parse(out.take())["x"] == text);
  }
  json_text out;
  out.object();
  out.value("x", "a\xff");
  out.end();
  CHECK(json::parse(out.take())["x"] == "a\xef\xbf\xbd"); // the replacement character
}
