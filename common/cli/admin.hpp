// The admin servers that a command asks, and how it reads their pages.
//
// Everything in a page may be missing (older servers) or of another type: look-ups give nothing then. What
// answers need not be a Beeline server at all: a page is an object or a problem.
#pragma once
#include "common/cli/command.hpp"
#include "common/cli/http_client.hpp"
#include "common/cli/text.hpp"

#include <algorithm>
#include <atomic>
#include <future>
#include <nlohmann/json.hpp>

namespace beeline::cli {

using nlohmann::json;

void declare_admin(po::options_description& o); // --admin, --timeout, --json
void declare_json(po::options_description& o);  // --json

struct page {
  unsigned status = 0; // 0: not reachable, or not an answer of ours
  json body;           // with status 200 an object
  std::string problem; // in words, empty with status 200
  bool silent = false; // nothing that is HTTP came
  bool ok() const noexcept { return status == 200; }
};

class admin_server {
public:
  admin_server(ops::host_port where, duration patience) : where_(std::move(where)), patience_(patience) {}
  std::string name() const { return ops::to_string(where_); }
  page get(const std::string& target) const;

private:
  ops::host_port where_;
  duration patience_;
};
std::vector<admin_server> admin_servers(const ops::option_values& options); // at least one

// Threads that ask at once: one that does not answer keeps nobody waiting longer than its own time, and a
// list of all servers of a large cluster does not take a thread for each.
inline constexpr std::size_t asked_at_once_max = 64;

// `ask(x)` of each x, many at a time; the answers in the order of the servers.
template <class Servers, class F> auto ask_all(Servers& servers, F ask) {
  std::vector<decltype(ask(servers[0]))> answers(servers.size());
  std::atomic<std::size_t> next = 0;
  std::vector<std::future<void>> askers;
  for (std::size_t k = 0; k < std::min(servers.size(), asked_at_once_max); ++k)
    askers.push_back(std::async(std::launch::async, [&] {
      for (std::size_t i; (i = next++) < servers.size();) answers[i] = ask(servers[i]);
    }));
  for (auto& a : askers) a.get();
  return answers;
}

enum class server_kind : std::uint8_t { unknown, router, edge };
server_kind kind_of(const page& stats);                          // by the program that /stats names
inline constexpr const char* no_server = "is no Beeline server"; // what is said of one of an unknown kind

// --- Reading pages ---

using path = std::initializer_list<std::string_view>;
const json& at(const json& page, path keys);   // null when there is no such thing
maybe number(const json& page, path keys);     // of a family ({"qos0": 1, "qos1": 2}) the sum
std::string text(const json& page, path keys); // "" when there is no such thing
std::string text_or(const json& page, path keys, std::string_view otherwise = "-");
bool truth(const json& page, path keys);
std::optional<bool> yes_or_no(const json& page,
                              std::string_view key);      // nothing when there is no such boolean
const json& list(const json& page, std::string_view key); // an array, empty when there is none

// --- Printing ---

void print(const std::string& text);       // to standard output
bool written();                            // all of it so far; false when nobody takes it any more
int why_not_written();                     // errno
void print_json(const json& value);        // one line
void print_pretty_json(const json& value); // for one answer
void complain(const std::string& line);    // to standard error, "beeline: line"
std::string joined(const std::vector<std::string>& parts); // "a; b"

} // namespace beeline::cli
