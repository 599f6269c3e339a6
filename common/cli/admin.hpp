// The admin servers that a command asks, and how it reads their pages.
//
// Everything in a page may be missing (older servers) or of another type: look-ups give nothing then.
#pragma once
#include "common/cli/command.hpp"
#include "common/cli/http_client.hpp"
#include "common/cli/text.hpp"

#include <nlohmann/json.hpp>

namespace beeline::cli {

using nlohmann::json;

void declare_admin(po::options_description& o); // --admin, --timeout, --json
void declare_json(po::options_description& o);  // --json

struct page {
  unsigned status = 0; // 0: not reachable
  json body;           // null when it was no JSON
  std::string problem; // in words, empty with status 200
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

// --- Reading pages ---

using path = std::initializer_list<std::string_view>;
const json& at(const json& page, path keys);   // null when there is no such thing
maybe number(const json& page, path keys);     // of a family ({"qos0": 1, "qos1": 2}) the sum
std::string text(const json& page, path keys); // "" when there is no such thing
std::string text_or(const json& page, path keys, std::string_view otherwise = "-");
bool truth(const json& page, path keys);
const json& list(const json& page, std::string_view key); // an array, empty when there is none

// --- Printing ---

void print(const std::string& text);       // to standard output
void print_json(const json& value);        // one line
void print_pretty_json(const json& value); // for one answer
void complain(const std::string& line);    // to standard error, "beeline: line"

} // namespace beeline::cli
