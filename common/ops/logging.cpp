#include "common/ops/logging.hpp"

#include "common/ops/start_error.hpp"

#include <algorithm>
#include <iterator>
#include <memory>
#include <mutex>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <vector>

namespace beeline::ops {
namespace {

constexpr spdlog::level::level_enum spdlog_levels[] = {spdlog::level::debug, spdlog::level::info,
                                                       spdlog::level::warn, spdlog::level::err};

std::shared_ptr<spdlog::logger> make_logger(const std::string& program, const std::string& file) {
  spdlog::sink_ptr sink;
  if (file.empty()) sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  else sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file);
  auto made = std::make_shared<spdlog::logger>(program, std::move(sink));
  made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %n: %v", spdlog::pattern_time_type::utc);
  made->set_level(spdlog::level::trace); // log_on decides
  made->flush_on(spdlog::level::trace);
  return made;
}

struct log_state {
  std::mutex lock; // guards the members below; the logger has its own lock for lines
  std::string program = "beeline";
  std::string file;
  std::shared_ptr<spdlog::logger> logger = make_logger(program, file);
  std::vector<log_site*> sites;

  std::shared_ptr<spdlog::logger> current() {
    const std::lock_guard guard(lock);
    return logger;
  }
};

// Never destroyed: threads and static objects may log until the very end.
log_state& state() {
  static log_state* const s = new log_state;
  return *s;
}

std::atomic<log_level> least_level{log_level::info};

std::string one_line(std::string_view text) {
  std::string out;
  out.reserve(std::min(text.size(), limits::log_line_bytes_max) + 16);
  for (char c : text.substr(0, limits::log_line_bytes_max)) {
    const auto b = static_cast<unsigned char>(c);
    if (b < 0x20 || b == 0x7f) fmt::format_to(std::back_inserter(out), "\\x{:02x}", b);
    else out += c;
  }
  if (text.size() > limits::log_line_bytes_max) out += "...";
  return out;
}

} // namespace

log_level parse_log_level(std::string_view what, std::string_view text) {
  if (text == "debug") return log_level::debug;
  if (text == "info") return log_level::info;
  if (text == "warning") return log_level::warning;
  if (text == "error") return log_level::error;
  throw start_error(std::string(what) + " " + quoted(text) + ": must be one of: debug, info, warning, error",
                    exit_usage);
}

void open_log(const std::string& program, log_level least, const std::string& file) {
  std::shared_ptr<spdlog::logger> made;
  try {
    made = make_logger(program, file);
  } catch (const spdlog::spdlog_ex& e) {
    throw start_error(std::string("cannot open the log file: ") + e.what() + "; check the path", exit_fault);
  }
  auto& s = state();
  const std::lock_guard guard(s.lock);
  s.program = program;
  s.file = file;
  s.logger = std::move(made);
  least_level.store(least, std::memory_order_relaxed);
}

void reopen_log() noexcept {
  try {
    auto& s = state();
    std::string program, file;
    {
      const std::lock_guard guard(s.lock);
      program = s.program, file = s.file;
    }
    if (file.empty()) return;
    auto made = make_logger(program, file); // before the old one is let go: it may fail
    const std::lock_guard guard(s.lock);
    s.logger.swap(made);
  } catch (const std::exception& e) {
    log_error("cannot reopen the log file, the old one stays in use: {}", e.what());
  }
}

bool log_on(log_level level) noexcept { return level >= least_level.load(std::memory_order_relaxed); }

void log_text(log_level level, std::string_view text) noexcept {
  if (!log_on(level)) return;
  try {
    const auto line = one_line(text);
    state().current()->log(spdlog_levels[static_cast<std::size_t>(level)], spdlog::string_view_t(line));
  } catch (...) { // a log that fails must not end what it reports on
  }
}

void log_formatted(log_level level, fmt::string_view format, fmt::format_args arguments) noexcept {
  try {
    log_text(level, fmt::vformat(format, arguments));
  } catch (...) { // out of memory; likewise
  }
}

log_site::log_site(const char* name, unsigned lines_per_second) : name_(name), lines_max_(lines_per_second) {
  auto& s = state();
  const std::lock_guard guard(s.lock);
  s.sites.push_back(this);
}

log_site::~log_site() {
  auto& s = state();
  const std::lock_guard guard(s.lock);
  std::erase(s.sites, this);
}

bool log_site::admit(time_point now) noexcept {
  const std::uint64_t second = to_us(now) / 1'000'000;
  auto seen = second_.load(std::memory_order_relaxed);
  if (seen != second && second_.compare_exchange_strong(seen, second, std::memory_order_relaxed))
    lines_.store(0, std::memory_order_relaxed);
  // The load first keeps a flood from wrapping the count.
  if (lines_.load(std::memory_order_relaxed) < lines_max_ &&
      lines_.fetch_add(1, std::memory_order_relaxed) < lines_max_)
    return true;
  suppressed_.fetch_add(1, std::memory_order_relaxed);
  return false;
}

bool log_site::admit() noexcept {
  return admit(
      time_point(std::chrono::duration_cast<duration>(std::chrono::steady_clock::now().time_since_epoch())));
}

void log_suppressed(log_site& site) noexcept {
  if (const auto n = site.take_suppressed()) log_warning("{}: suppressed {} lines like this", site.name(), n);
}

void log_all_suppressed() noexcept {
  try {
    auto& s = state();
    std::vector<std::pair<const char*, std::uint64_t>> hidden;
    {
      const std::lock_guard guard(s.lock); // sites cannot end while it is held; lines are written after
      for (auto* site : s.sites)
        if (const auto n = site->take_suppressed()) hidden.emplace_back(site->name(), n);
    }
    for (const auto& [name, n] : hidden) log_warning("{}: suppressed {} lines like this", name, n);
  } catch (...) { // out of memory
  }
}

} // namespace beeline::ops
