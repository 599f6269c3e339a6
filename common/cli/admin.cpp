#include "common/cli/admin.hpp"

#include <cerrno>
#include <cstdio>

namespace beeline::cli {

void declare_json(po::options_description& o) { o.add_options()("json", ops::flag(), "print JSON"); }

void declare_admin(po::options_description& o) {
  o.add_options() //
      ("admin", ops::values("HOST:PORT"),
       "admin address of a router or edge; several times or with commas (default 127.0.0.1:7480)") //
      ("timeout", ops::value("TIME", "3s"), "how long to wait for an answer");
  declare_json(o);
}

std::vector<admin_server> admin_servers(const ops::option_values& options) {
  const duration patience = options.time("timeout", std::chrono::milliseconds(10), std::chrono::minutes(10));
  auto given = options.http_addresses("admin");
  if (given.empty()) given.push_back({"127.0.0.1", 7480});
  std::vector<admin_server> all;
  for (auto& a : given) all.emplace_back(std::move(a), patience);
  return all;
}

page admin_server::get(const std::string& target) const {
  http_reply r = http_get(where_, target, patience_);
  if (r.status == 0) return {0, nullptr, r.problem, true};
  page p{r.status, json::parse(r.body, nullptr, false), {}};
  if (!p.body.is_object()) p.body = nullptr;
  if (r.status == 200 && p.body.is_object()) return p;
  if (r.status == 200)
    return {0, nullptr,
            "its answer to " + target +
                " is not JSON as servers of Beeline write it; is it an admin address?"};
  for (const char* key : {"error", "why"})
    if (p.problem.empty()) p.problem = text(p.body, {key});
  if (p.problem.empty()) p.problem = "HTTP status " + std::to_string(r.status);
  return p;
}

server_kind kind_of(const page& stats) {
  const std::string program = text(stats.body, {"program"});
  return program == "beeline-router" ? server_kind::router
         : program == "beeline-edge" ? server_kind::edge
                                     : server_kind::unknown;
}

const json& at(const json& page, path keys) {
  static const json nothing;
  const json* here = &page;
  for (const std::string_view key : keys) {
    if (!here->is_object()) return nothing;
    const auto found = here->find(std::string(key));
    if (found == here->end()) return nothing;
    here = &*found;
  }
  return *here;
}

maybe number(const json& page, path keys) {
  const json& x = at(page, keys);
  if (x.is_number()) return x.get<double>();
  if (!x.is_object()) return {};
  double sum = 0;
  for (const json& part : x)
    if (part.is_number()) sum += part.get<double>();
  return sum;
}

std::string text(const json& page, path keys) {
  const json& x = at(page, keys);
  return x.is_string() ? x.get<std::string>() : std::string();
}
std::string text_or(const json& page, path keys, std::string_view otherwise) {
  std::string found = text(page, keys);
  return found.empty() ? std::string(otherwise) : found;
}
bool truth(const json& page, path keys) {
  const json& x = at(page, keys);
  return x.is_boolean() && x.get<bool>();
}
std::optional<bool> yes_or_no(const json& page, std::string_view key) {
  const json& x = at(page, {key});
  return x.is_boolean() ? std::optional(x.get<bool>()) : std::nullopt;
}
const json& list(const json& page, std::string_view key) {
  static const json nothing = json::array();
  const json& x = at(page, {key});
  return x.is_array() ? x : nothing;
}

namespace {
int write_error = 0; // errno of the first write that failed: a later one may succeed
}
void print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() && !write_error) write_error = errno;
}
bool written() {
  if (std::fflush(stdout) != 0 && !write_error) write_error = errno;
  return write_error == 0;
}
int why_not_written() { return write_error; }
void print_json(const json& value) {
  print(value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
}
void print_pretty_json(const json& value) {
  print(value.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}
void complain(const std::string& line) {
  std::fflush(stdout);
  std::fprintf(stderr, "beeline: %s\n", printable(line).c_str());
}
std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& p : parts) out += (out.empty() ? "" : "; ") + p;
  return out;
}

} // namespace beeline::cli
