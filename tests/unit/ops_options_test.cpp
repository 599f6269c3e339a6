#include "common/ops/options.hpp"

#include "common/base/limits.hpp"
#include "common/ops/files.hpp"
#include "common/ops/start_error.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <new>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace beeline;
using namespace beeline::ops;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

option_set example() {
  po::options_description network("Network"), limits("Limits");
  network.add_options()("mqtt", value("HOST:PORT", "0.0.0.0:1883"), "where MQTT clients connect") //
      ("router", values("HOST:PORT"), "a router")                                                 //
      ("slots", value("FIRST-LAST"), "slots")                                                     //
      ("cluster-secret-file", value("FILE"), "the secret");
  limits.add_options()("lanes", value("N", "2"), "event loops") //
      ("verbose", ops::flag(), "say more");
  return {"beeline-edge", "The edge server.", {network, limits}};
}

class temporary_folder {
public:
  temporary_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "beeline-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()));
    path_ = name;
  }
  ~temporary_folder() { std::filesystem::remove_all(path_); }
  std::string file(const std::string& name, std::string_view content, mode_t mode = 0600) const {
    const std::string path = path_ + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    return path;
  }
  const std::string& path() const { return path_; }

private:
  std::string path_;
};

option_values parse(std::vector<const char*> arguments, std::vector<const char*> environment = {}) {
  arguments.insert(arguments.begin(), "beeline-edge");
  environment.push_back(nullptr);
  return parse_options(example(), static_cast<int>(arguments.size()), arguments.data(), environment.data());
}

template <class F> std::string failure(int code, F f) {
  try {
    f();
  } catch (const start_error& e) {
    CHECK(e.exit_code() == code);
    CHECK(std::string(e.what()).find('\n') == std::string::npos);
    return e.what();
  }
  return "nothing thrown";
}
std::string misuse(std::vector<const char*> arguments, std::vector<const char*> environment = {}) {
  return failure(exit_usage, [&] { parse(arguments, environment); });
}

} // namespace

TEST_CASE("command line beats environment beats file beats default") {
  const temporary_folder folder;
  const auto file =
      folder.file("edge.conf", "# an edge\n\nlanes = 5 # five\nmqtt=[::1]:2\n  verbose = true\n");
  const auto config = "BEELINE_CONFIG=" + file;

  CHECK(parse({}).text("lanes") == "2");
  CHECK(parse({"--config", file.c_str()}).text("lanes") == "5");
  CHECK(parse({"--config", file.c_str()}, {"BEELINE_LANES=6"}).text("lanes") == "6");
  const auto all = parse({"--lanes=7"}, {"BEELINE_LANES=6", config.c_str()});
  CHECK(all.count("lanes", 1, 256) == 7);
  CHECK(all.address("mqtt") == host_port{"::1", 2});
  CHECK(all.flag("verbose"));
  CHECK(all.origin("lanes") == "--lanes");
  CHECK(all.origin("mqtt") == file + ":4: mqtt");
  CHECK(all.origin("config") == "BEELINE_CONFIG");
  CHECK_FALSE(all.has("slots"));
}

TEST_CASE("an option with several values comes whole from the first source that has it") {
  const temporary_folder folder;
  const auto file = folder.file("edge.conf", "router = a:1\nrouter = b:2\n");
  const std::vector<host_port> from_file{{"a", 1}, {"b", 2}}, from_line{{"c", 3}, {"d", 4}, {"e", 5}};
  CHECK(parse({"--config", file.c_str()}).addresses("router") == from_file);
  CHECK(parse({"--config", file.c_str(), "--router", "c:3", "--router", "d:4, e:5"}).addresses("router") ==
        from_line);
  CHECK(parse({}, {"BEELINE_ROUTER=a:1,b:2"}).addresses("router") == from_file);
  CHECK(parse({}).addresses("router").empty());
  CHECK_THAT(failure(exit_usage, [] { parse({"--router=a:1,,b:2"}).addresses("router"); }),
             Contains("empty"));
  CHECK_THAT(failure(exit_usage, [] { parse({"--router=a:1,a:1"}).addresses("router"); }),
             Contains("given twice"));
}

TEST_CASE("flags are true or false in file and environment") {
  CHECK_FALSE(parse({}).flag("verbose"));
  CHECK(parse({"--verbose"}).flag("verbose"));
  CHECK(parse({}, {"BEELINE_VERBOSE=true"}).flag("verbose"));
  CHECK_FALSE(parse({}, {"BEELINE_VERBOSE=false"}).flag("verbose"));
  CHECK_THAT(misuse({}, {"BEELINE_VERBOSE=maybe"}), Contains("maybe"));
}

TEST_CASE("unknown names are errors in all three sources and close ones are suggested") {
  const temporary_folder folder;
  const auto file = folder.file("edge.conf", "\nlane = 3\n");
  CHECK(misuse({"--lane", "4"}) == "unknown option '--lane'; did you mean '--lanes'? See --help");
  CHECK(misuse({"--lane=4"}) == "unknown option '--lane'; did you mean '--lanes'? See --help");
  CHECK(misuse({"--wholly-different"}) == "unknown option '--wholly-different'. See --help");
  CHECK(misuse({"-x"}) == "unknown option '-x'. See --help");
  CHECK_THAT(misuse({"--cluster-secret", "f"}), Contains("did you mean '--cluster-secret-file'?"));
  CHECK_THAT(misuse({}, {"BEELINE_LANE=4"}),
             StartsWith("unknown environment variable 'BEELINE_LANE'; did you mean 'BEELINE_LANES'?"));
  CHECK_THAT(misuse({}, {"BEELINE_HELP=1"}), StartsWith("unknown environment variable"));
  CHECK_THAT(misuse({"--config", file.c_str()}),
             StartsWith(file + ":2: unknown option 'lane'; did you mean 'lanes'?"));
  parse({}, {"BEELINE_TEST_SEED=1", "HOME=/", "beeline_lanes=1"});
}

TEST_CASE("arguments without an option, repeated and empty ones are errors") {
  CHECK_THAT(misuse({"start"}), StartsWith("unexpected argument 'start'"));
  CHECK_THAT(misuse({"--lanes", "4", "5"}), StartsWith("unexpected argument '5'"));
  CHECK_THAT(misuse({"--", "--lanes"}), StartsWith("unexpected argument"));
  CHECK_THAT(misuse({"--lanes", "1", "--lanes", "2"}), Contains("--lanes"));
  CHECK_THAT(misuse({"--lanes"}), Contains("--lanes"));
  CHECK_THAT(misuse({"--lanes="}), Contains("lanes"));
  CHECK_THAT(misuse({"--lanes", ""}), Contains("--lanes is empty"));
  CHECK_THAT(misuse({}, {"BEELINE_LANES="}), StartsWith("BEELINE_LANES is empty"));
  CHECK_THAT(misuse({}, {"BEELINE_LANES"}), StartsWith("BEELINE_LANES is empty"));
  CHECK(parse({"--lanes", "-1"}).text("lanes") == "-1"); // refused by count(), in its own words
}

TEST_CASE("CAT-21: a configuration file that is empty has no effect, a damaged one stops the start") {
  const temporary_folder folder;
  for (auto harmless : {"", "\n\n", "# only\n  # comments"})
    CHECK(parse({"--config", folder.file("c", harmless).c_str()}).text("lanes") == "2");
  for (auto damaged : {"lane", "lanes", "lanes =", "= 4", "[edge]\nlanes = 4",
                       "\x7f"
                       "ELF\x01",
                       "lanes = 4\nlan", "config = other", "lanes = 1\nlanes = 2", "help = 1"})
    CHECK(misuse({"--config", folder.file("c", damaged).c_str()}) != "nothing thrown");
  const auto huge = folder.file("c", std::string(limits::config_bytes_max + 1, '#'));
  CHECK_THAT(failure(exit_fault, [&] { parse({"--config", huge.c_str()}); }), Contains("right file"));
  CHECK_THAT(failure(exit_fault,
                     [&] {
                       parse({"--config", "/nonexistent/c"});
                     }),
             Contains("--config '/nonexistent/c': cannot read: No such file"));
  CHECK_THAT(failure(exit_fault, [&] { parse({"--config", folder.path().c_str()}); }), Contains("directory"));
}

TEST_CASE("a wrong value is reported under the name it was given by") {
  CHECK_THAT(failure(exit_usage, [] { parse({}, {"BEELINE_LANES=0"}).count("lanes", 1, 256); }),
             StartsWith("BEELINE_LANES '0': give a whole number"));
  CHECK_THAT(failure(exit_usage, [] { parse({"--lanes=x"}).count("lanes", 1, 256); }),
             StartsWith("--lanes 'x'"));
  CHECK_THAT(failure(exit_usage, [] { parse({}).slots("slots"); }), StartsWith("--slots is needed"));
  CHECK_THAT(failure(exit_usage,
                     [] {
                       parse({"--lanes=x"}).choice("lanes", {"a", "b"});
                     }),
             Contains("must be one of: a, b"));
}

TEST_CASE("help and version go to stdout, also beside mistakes") {
  for (auto option : {"--help", "-h"}) {
    try {
      parse({"--lane=3", option});
      FAIL("no exit");
    } catch (const exit_now& e) {
      CHECK_THAT(e.text, Contains("Network:") && Contains("Limits:") && Contains("General:") &&
                             Contains("--mqtt HOST:PORT (=0.0.0.0:1883)") && Contains("BEELINE_SOME_NAME"));
    }
  }
  try {
    parse({"--version"});
    FAIL("no exit");
  } catch (const exit_now& e) {
    CHECK_THAT(e.text, StartsWith("beeline-edge ") && (Contains("g++") || Contains("clang")));
    CHECK(e.text.ends_with(")\n"));
  }
}

TEST_CASE("an exception that nobody catches ends the program with a line, and out of memory with its own "
          "exit code") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    say_why_it_ends("test");
    try {
      throw std::bad_alloc();
    } catch (...) {
      std::terminate(); // as for a thread of which it leaves the function
    }
  }
  ::close(ends[1]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  char text[512] = {};
  const auto n = ::read(ends[0], text, sizeof text - 1);
  ::close(ends[0]);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == exit_no_memory);
  REQUIRE(n > 0);
  const std::string line(text, static_cast<std::size_t>(n));
  CHECK_THAT(line, StartsWith("test: out of memory"));
  CHECK(line.find('\n') == line.size() - 1);
}

TEST_CASE("run_main turns what is thrown into an exit code") {
  CHECK(run_main("test", [] { return 7; }) == 7);
  CHECK(run_main("test", []() -> int { throw exit_now{""}; }) == 0);
  CHECK(run_main("test", []() -> int { throw start_error("wrong\noption", exit_usage); }) == 2);
  CHECK(run_main("test", []() -> int { throw std::runtime_error("fault"); }) == 1);
  CHECK(run_main("test", []() -> int { throw 3; }) == 1);
  CHECK(run_main("test", []() -> int { throw std::bad_alloc(); }) == exit_no_memory);
}

TEST_CASE(
    "a secret file is read without its last newline and refused when it is open to others or no secret") {
  const temporary_folder folder;
  const auto secret = [](const std::string& path) { return read_secret_file("--cluster-secret-file", path); };
  const auto refused = [&](const std::string& path) { return failure(exit_fault, [&] { secret(path); }); };
  CHECK(secret(folder.file("s", "canary\n")) == "canary");
  CHECK(secret(folder.file("s", "canary")) == "canary");
  CHECK(secret(folder.file("s", "canary\n\n", 0640)) == "canary\n");
  CHECK(secret(folder.file("s", std::string(4096, 'x'))).size() == 4096);
  for (auto blank : {"", "\n", "  \n\n"}) CHECK_THAT(refused(folder.file("s", blank)), Contains("is empty"));
  CHECK_THAT(refused(folder.file("s", std::string(4097, 'x'))), Contains("longer than 4096"));
  CHECK_THAT(refused(folder.path() + "/none"), Contains("cannot read"));
  for (mode_t mode : {0644, 0602, 0601}) {
    const auto message = refused(folder.file("s", "canary", mode));
    CHECK_THAT(message, Contains("chmod o-rwx"));
    CHECK_THAT(message, !Contains("canary")); // CAT-37
  }
  const auto path = folder.file("s", "canary\n");
  CHECK(parse({"--cluster-secret-file", path.c_str()}).secret("cluster-secret-file") == "canary");
}
