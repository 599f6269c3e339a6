#include "common/cli/admin.hpp"

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
  auto given = options.addresses("admin");
  if (given.empty()) given.push_back({"127.0.0.1", 7480});
  std::vector<admin_server> all;
  for (auto& a : given) all.emplace_back(std::move(a), patience);
  return all;
}

page admin_server::get(const std::string& target) const {
  http_reply r = http_get(where_, target, patience_);
  if (r.status == 0) return {0, nullptr, r.problem};
  page p{r.status, json::parse(r.body, nullptr, false), {}};
  const bool is_json = !p.body.is_discarded();
  if (!is_json) p.body = nullptr;
  if (r.status == 200 && is_json) return p;
  if (r.status == 200)
    return {0, nullptr, "its answer to " + target + " is not JSON; is it a Beeline admin address?"};
  for (const char* key : {"error", "why"})
    if (p.problem.empty()) p.problem = text(p.body, {key});
  if (p.problem.empty()) p.problem = "HTTP status " + std::to_string(r.status);
  return p;
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
const json& list(const json& page, std::string_view key) {
  static const json nothing = json::array();
  const json& x = at(page, {key});
  return x.is_array() ? x : nothing;
}

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }
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

} // namespace beeline::cli
