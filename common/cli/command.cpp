#include "common/cli/command.hpp"

#include <boost/program_options/errors.hpp>
#include <boost/program_options/parsers.hpp>
#include <cstdlib>
#include <sstream>

namespace beeline::cli {
namespace {

constexpr unsigned help_columns = 110;

po::options_description options_of(const command& c) {
  po::options_description options("Options", help_columns);
  c.declare(options);
  options.add_options()("help,h", "print this and exit");
  return options;
}

[[noreturn]] void usage_error(const command& c, const std::string& message) {
  throw ops::start_error(message + ". See beeline help " + std::string(c.name), ops::exit_usage);
}

struct split {
  std::vector<std::string> options; // with their values
  std::vector<std::string> words;
  bool unknown_option = false;
};

split split_words(const command& c, const std::vector<std::string>& given) {
  using namespace po::command_line_style;
  const po::options_description known = options_of(c);
  split out;
  const auto parsed = po::command_line_parser(given)
                          .options(known)
                          .style(default_style & ~allow_guessing)
                          .allow_unregistered()
                          .run();
  for (const auto& o : parsed.options) {
    if (o.string_key == "help") throw ops::exit_now{help_of(c)};
    auto& to = o.position_key >= 0 ? out.words : out.options;
    to.insert(to.end(), o.original_tokens.begin(), o.original_tokens.end());
    out.unknown_option |= o.unregistered;
    if (o.unregistered && o.original_tokens[0].starts_with("--config"))
      usage_error(c, "unknown option '--config'; the tool reads no file");
  }
  return out;
}

} // namespace

std::string help_of(const command& c) {
  std::ostringstream out;
  out << "Usage: beeline " << c.name << (c.words.empty() ? "" : " ") << c.words << " [options]\n\n"
      << c.about << "\n\n"
      << options_of(c) << "\nExamples:\n"
      << c.examples
      << "\nExit codes: 0 done, 1 failed or not reachable, 2 wrong arguments, 3 the answer is no.\n";
  return out.str();
}

arguments parse_arguments(const command& c, const std::vector<std::string>& given) {
  split s;
  try {
    s = split_words(c, given);
  } catch (const po::error& e) {
    usage_error(c, e.what());
  }
  po::options_description options("Options");
  c.declare(options);
  std::vector<const char*> argv{"beeline"}, environment;
  for (const auto& o : s.options) argv.push_back(o.c_str());
  const char* admin = std::getenv("BEELINE_ADMIN");
  const std::string variable = std::string("BEELINE_ADMIN=") + (admin ? admin : "");
  if (admin && options.find_nothrow("admin", false)) environment.push_back(variable.c_str());
  environment.push_back(nullptr);
  const std::string program = "beeline " + std::string(c.name);
  arguments a;
  try {
    a.options = ops::parse_options({program, std::string(c.summary), {options}},
                                   static_cast<int>(argv.size()), argv.data(), environment.data());
  } catch (const ops::start_error& e) {
    if (!s.unknown_option || c.words_max == 0) throw;
    throw ops::start_error(std::string(e.what()) + "; a word that begins with '-' goes after --",
                           ops::exit_usage);
  }
  a.words = std::move(s.words);
  if (a.words.size() < c.words_min || a.words.size() > c.words_max) {
    const std::string wants = c.words.empty() ? "takes no words" : "takes " + std::string(c.words);
    usage_error(c, "beeline " + std::string(c.name) + " " + wants);
  }
  return a;
}

} // namespace beeline::cli
