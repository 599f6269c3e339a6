#include "common/ops/options.hpp"

#include "common/base/check.hpp"
#include "common/base/limits.hpp"
#include "common/ops/build_info.hpp"
#include "common/ops/files.hpp"
#include "common/ops/start_error.hpp"

#include <algorithm>
#include <boost/program_options/errors.hpp>
#include <boost/program_options/parsers.hpp>
#include <numeric>
#include <sstream>
#include <unistd.h>

namespace beeline::ops {
namespace {

constexpr std::string_view variable_prefix = "BEELINE_";
// Variables that other tools of the project use; never options.
constexpr std::string_view variables_ignored[] = {"BEELINE_TEST_", "BEELINE_DEMO_"};
constexpr std::string_view blanks = " \t\r\f\v";

[[noreturn]] void usage_error(const std::string& message) { throw start_error(message, exit_usage); }

std::string variable_of(std::string_view option) {
  std::string name(variable_prefix);
  for (char c : option) name += c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return name;
}

std::string_view trim(std::string_view s) {
  const auto first = s.find_first_not_of(blanks);
  if (first == s.npos) return {};
  return s.substr(first, s.find_last_not_of(blanks) - first + 1);
}

// Levenshtein distance.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t change = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({change, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row[b.size()];
}

// "; did you mean '--lanes'?" or a full stop.
std::string suggestion(std::string_view wrong, const std::vector<std::string>& names) {
  constexpr std::size_t name_bytes_max = 64, edits_max = 2;
  if (wrong.size() > name_bytes_max) return {};
  const std::string* best = nullptr;
  std::size_t best_edits = edits_max + 1;
  for (const auto& name : names) {
    const bool begun = wrong.size() >= 3 && name.starts_with(wrong);
    const std::size_t edits = begun ? 1 : distance(wrong, name);
    if (edits < best_edits && edits < name.size()) best = &name, best_edits = edits;
  }
  return best ? "; did you mean " + quoted(*best) + "?" : ".";
}

struct declared {
  po::options_description all;
  std::vector<std::string> names; // long names of the program's options, and "config"

  explicit declared(const option_set& set) {
    po::options_description general("General");
    general.add_options()                                                           //
        ("config", value("FILE"), "read options from FILE, lines of: name = value") //
        ("help,h", "print this and exit")                                           //
        ("version,V", "print version and build and exit");
    for (const auto& g : set.groups) all.add(g);
    all.add(general);
    for (const auto& o : all.options())
      if (o->long_name() != "help" && o->long_name() != "version") names.push_back(o->long_name());
  }
  const po::option_description* find(std::string_view name) const {
    const bool known = std::find(names.begin(), names.end(), name) != names.end();
    return known ? all.find_nothrow(std::string(name), false) : nullptr;
  }
  std::vector<std::string> spelled(std::string (*how)(std::string_view)) const {
    std::vector<std::string> out;
    for (const auto& n : names) out.push_back(how(n));
    return out;
  }
};

std::string with_dashes(std::string_view name) { return "--" + std::string(name); }

std::string help_text(const option_set& set, const declared& known) {
  std::ostringstream out;
  out << "Usage: " << set.program << " [options]\n" << set.about << "\n\n" << known.all << "\n";
  out << "Every option can also be given as an environment variable (--some-name as "
      << variable_of("some-name")
      << ")\nand in the file of --config (some-name = value). The command line comes first, then the\n"
         "environment, then the file. Exit codes: 0 ended as asked, 1 could not start, 2 wrong options,\n"
         "3 out of memory.\n";
  return out.str();
}

po::parsed_options from_command_line(const option_set& set, const declared& known, int argc,
                                     const char* const* argv) {
  using namespace po::command_line_style;
  const int style = default_style & ~allow_guessing; // an abbreviation may change its meaning later
  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  auto parsed = po::command_line_parser(arguments).options(known.all).style(style).allow_unregistered().run();
  for (const auto& o : parsed.options) {
    if (o.string_key == "help") throw exit_now{help_text(set, known)};
    if (o.string_key == "version") throw exit_now{set.program + " " + build_text() + "\n"};
  }
  for (const auto& o : parsed.options) {
    const std::string token = o.original_tokens.empty() ? o.string_key : o.original_tokens[0];
    if (o.string_key.empty())
      usage_error("unexpected argument " + quoted(token) + "; all options begin with --. See --help");
    if (o.unregistered) {
      const auto name = token.substr(0, token.find('='));
      usage_error("unknown option " + quoted(name) + suggestion(name, known.spelled(with_dashes)) +
                  " See --help");
    }
    const auto* d = known.find(o.string_key);
    if (d && d->semantic()->max_tokens() > 0 && (o.value.empty() || o.value[0].empty()))
      usage_error("--" + o.string_key + " is empty; give it a value or leave it out");
  }
  return parsed;
}

po::parsed_options from_environment(const declared& known, const char* const* environment) {
  po::parsed_options parsed(&known.all);
  const auto variables = known.spelled(variable_of);
  for (; *environment; ++environment) {
    const std::string_view entry = *environment;
    if (!entry.starts_with(variable_prefix)) continue;
    const auto ignored = [&](std::string_view prefix) { return entry.starts_with(prefix); };
    if (std::any_of(std::begin(variables_ignored), std::end(variables_ignored), ignored)) continue;
    const auto variable = entry.substr(0, entry.find('='));
    const auto at = std::find(variables.begin(), variables.end(), variable);
    if (at == variables.end())
      usage_error("unknown environment variable " + quoted(variable) + suggestion(variable, variables) +
                  " Unset it, or see --help");
    const auto text = entry.size() > variable.size() ? trim(entry.substr(variable.size() + 1)) : "";
    if (text.empty()) usage_error(*at + " is empty; unset it or give it a value");
    parsed.options.emplace_back(known.names[static_cast<std::size_t>(at - variables.begin())],
                                std::vector<std::string>{std::string(text)});
  }
  return parsed;
}

// One line of the file: an option, or nothing for a blank or comment.
void parse_line(const declared& known, const std::string& where, std::string_view line,
                po::parsed_options& parsed) {
  line = trim(line.substr(0, line.find('#')));
  if (line.empty()) return;
  const auto equals = line.find('=');
  if (equals == line.npos) usage_error(where + ": " + quoted(line) + " is not of the form: name = value");
  const auto name = trim(line.substr(0, equals)), text = trim(line.substr(equals + 1));
  if (name == "config") usage_error(where + ": a file cannot name another with 'config'; remove the line");
  if (!known.find(name))
    usage_error(where + ": unknown option " + quoted(name) + suggestion(name, known.names) + " See --help");
  if (text.empty())
    usage_error(where + ": '" + std::string(name) + "' is empty; give it a value or remove it");
  parsed.options.emplace_back(std::string(name), std::vector<std::string>{std::string(text)});
}

} // namespace

option_values parse_options(const option_set& set, int argc, const char* const* argv,
                            const char* const* environment) {
  const declared known(set);
  option_values result;
  const auto take = [&](const po::parsed_options& parsed, auto&& origin_of) {
    for (std::size_t i = 0; i < parsed.options.size(); ++i)
      result.origins_.emplace(parsed.options[i].string_key, origin_of(i));
    po::store(parsed, result.map_);
  };
  std::string where; // for the messages of Boost's own checks; empty: they name the option themselves
  try {
    const auto line = from_command_line(set, known, argc, argv);
    take(line, [&](std::size_t i) { return "--" + line.options[i].string_key; });
    where = "environment: ";
    const auto variables = from_environment(known, environment ? environment : ::environ);
    take(variables, [&](std::size_t i) { return variable_of(variables.options[i].string_key); });
    if (!result.has("config")) return result;

    const std::string path = result.text("config");
    where = path + ": ";
    std::istringstream file(read_small_file(result.origin("config"), path, limits::config_bytes_max));
    po::parsed_options lines(&known.all);
    std::vector<std::string> origins;
    std::string text;
    for (std::size_t number = 1; std::getline(file, text); ++number) {
      const std::string place = path + ":" + std::to_string(number);
      parse_line(known, place, text, lines);
      if (lines.options.size() > origins.size())
        origins.push_back(place + ": " + lines.options.back().string_key);
    }
    take(lines, [&](std::size_t i) { return origins[i]; });
  } catch (const po::error& e) {
    usage_error(where + e.what() + ". See --help");
  }
  return result;
}

bool option_values::has(const std::string& name) const { return map_.count(name) != 0; }
bool option_values::flag(const std::string& name) const {
  CHECK_INVARIANT(has(name));
  return map_[name].as<bool>();
}
std::string option_values::text(const std::string& name) const {
  return has(name) ? map_[name].as<std::string>() : std::string();
}
std::string option_values::origin(const std::string& name) const {
  const auto at = origins_.find(name);
  return at != origins_.end() ? at->second : "--" + name;
}
std::string option_values::needed(const std::string& name) const {
  if (!has(name))
    usage_error("--" + name + " is needed; give it on the command line, as " + variable_of(name) +
                " or in the file of --config. See --help");
  return map_[name].as<std::string>();
}

std::vector<std::string> option_values::list(const std::string& name) const {
  std::vector<std::string> out;
  if (!has(name)) return out;
  for (const std::string_view given : map_[name].as<std::vector<std::string>>()) {
    for (std::size_t from = 0; from <= given.size();) {
      const auto comma = std::min(given.find(',', from), given.size());
      const auto item = trim(given.substr(from, comma - from));
      if (item.empty())
        usage_error(origin(name) + " " + quoted(given) + ": an entry between commas is empty");
      out.emplace_back(item);
      from = comma + 1;
    }
  }
  return out;
}

host_port option_values::address(const std::string& name, port_zero zero) const {
  return parse_host_port(origin(name), needed(name), zero);
}
host_port option_values::http_address(const std::string& name) const {
  return parse_http_address(origin(name), needed(name));
}
std::vector<host_port> option_values::addresses(const std::string& name) const {
  return addresses_by(parse_host_port, name);
}
std::vector<host_port> option_values::http_addresses(const std::string& name) const {
  return addresses_by(parse_http_address, name);
}
std::vector<host_port> option_values::addresses_by(address_parser parse, const std::string& name) const {
  std::vector<host_port> out;
  for (const auto& text : list(name)) {
    auto a = parse(origin(name), text, port_zero::refused);
    if (std::find(out.begin(), out.end(), a) != out.end())
      usage_error(origin(name) + " " + quoted(text) + ": given twice; remove one");
    out.push_back(std::move(a));
  }
  return out;
}
slot_range option_values::slots(const std::string& name) const {
  return parse_slots(origin(name), needed(name));
}
std::uint64_t option_values::size(const std::string& name, std::uint64_t min, std::uint64_t max) const {
  return parse_size(origin(name), needed(name), min, max);
}
std::uint64_t option_values::count(const std::string& name, std::uint64_t min, std::uint64_t max) const {
  return parse_count(origin(name), needed(name), min, max);
}
duration option_values::time(const std::string& name, duration min, duration max) const {
  return parse_duration(origin(name), needed(name), min, max);
}

std::string option_values::choice(const std::string& name, const std::vector<std::string>& allowed) const {
  auto given = needed(name);
  if (std::find(allowed.begin(), allowed.end(), given) != allowed.end()) return given;
  std::string names;
  for (const auto& a : allowed) names.append(names.empty() ? "" : ", ").append(a);
  usage_error(origin(name) + " " + quoted(given) + ": must be one of: " + names);
}
std::string option_values::secret(const std::string& name) const {
  return read_secret_file(origin(name), needed(name));
}

} // namespace beeline::ops
