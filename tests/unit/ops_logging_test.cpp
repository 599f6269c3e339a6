#include "common/ops/logging.hpp"

#include "common/ops/start_error.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace beeline;
using namespace beeline::ops;
using namespace std::chrono_literals;

namespace {

// A log file in a folder of its own; the log goes back to stderr at the end.
struct log_file {
  log_file() {
    std::string name = (std::filesystem::temp_directory_path() / "beeline-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()));
    folder = name;
    path = folder + "/log";
    open_log("beeline-test", log_level::info, path);
  }
  ~log_file() {
    open_log("beeline", log_level::info);
    std::filesystem::remove_all(folder);
  }
  static std::string read(const std::string& p) {
    std::ostringstream out;
    out << std::ifstream(p).rdbuf();
    return out.str();
  }
  std::string folder, path;
};

std::string shape(std::string line) { // every digit a 0
  for (char& c : line)
    if (c >= '0' && c <= '9') c = '0';
  return line;
}

time_point at(std::chrono::milliseconds t) { return time_point(t); }

} // namespace

TEST_CASE("a log line has UTC time, level, program and text, and no line of a peer's making") {
  const log_file log;
  log_info("listening on {}:{}", "localhost", 1883);
  log_debug("too quiet");
  log_warning("id {} connected", "x\n2024 error forged\x7f");
  log_text(log_level::error, std::string(limits::log_line_bytes_max + 1, 'x'));
  const auto text = log_file::read(log.path);
  CHECK(shape(text.substr(0, text.find('\n'))) ==
        "0000-00-00T00:00:00.000Z info beeline-test: listening on localhost:0000");
  CHECK(text.find("quiet") == std::string::npos);
  CHECK(text.find("warning beeline-test: id x\\x0a2024 error forged\\x7f connected\n") != std::string::npos);
  CHECK(text.ends_with("xxx...\n"));
  CHECK(std::count(text.begin(), text.end(), '\n') == 3);
}

TEST_CASE("reopening starts a new file after the old one was moved, and keeps the old one when it cannot") {
  const log_file log;
  log_info("one");
  std::filesystem::rename(log.path, log.path + ".1");
  log_info("two");
  reopen_log();
  log_info("three");
  CHECK(log_file::read(log.path + ".1").find("two") != std::string::npos);
  CHECK(log_file::read(log.path).find("three") != std::string::npos);
  std::filesystem::rename(log.path, log.path + ".2");
  std::filesystem::create_directory(log.path);
  reopen_log();
  log_info("four");
  const auto kept = log_file::read(log.path + ".2");
  CHECK(kept.find("cannot reopen") != std::string::npos);
  CHECK(kept.find("four") != std::string::npos);
}

TEST_CASE("a log file that cannot be opened stops the start") {
  const log_file log;
  log_info("one");
  CHECK_THROWS_AS(open_log("beeline-test", log_level::info, log.path + "/below-a-file"), start_error);
  CHECK(parse_log_level("--log-level", "debug") == log_level::debug);
  CHECK_THROWS_AS(parse_log_level("--log-level", "loud"), start_error);
}

TEST_CASE("a site admits so many lines a second and counts the rest") {
  log_site site("refused", 2);
  CHECK(site.admit(at(100ms)));
  CHECK(site.admit(at(200ms)));
  CHECK_FALSE(site.admit(at(300ms)));
  CHECK_FALSE(site.admit(at(999ms)));
  CHECK(site.admit(at(1000ms)));
  CHECK(site.take_suppressed() == 2);
  CHECK(site.take_suppressed() == 0);
}

TEST_CASE("limited lines say how many were suppressed") {
  const log_file log;
  log_site site("refused", 1);
  for (int i = 0; i < 100; ++i) log_limited(site, log_level::warning, "refused {}", i);
  log_all_suppressed();
  const auto text = log_file::read(log.path);
  CHECK(text.find("refused 0\n") != std::string::npos);
  CHECK(std::count(text.begin(), text.end(), '\n') <= 6); // a second may turn meanwhile
  CHECK(text.find("refused: suppressed ") != std::string::npos);
}
