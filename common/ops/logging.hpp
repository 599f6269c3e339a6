// The log: lines on stderr or in a file, in UTC, at most as many as an operator can read.
//
//   2024-05-01T09:30:00.123Z warning beeline-edge: link to 10.0.0.2:7001 lost: link silent
//
// Any thread may log; a lock is taken for each line, so never for a message or a client's normal
// life. What a peer can cause again and again goes through a `log_site`. Control characters are
// escaped and long lines cut: a peer's text cannot forge a line. Never a secret or a payload.
#pragma once
#include "common/base/limits.hpp"
#include "common/base/time.hpp"

#include <atomic>
#include <fmt/core.h>
#include <string>
#include <string_view>

namespace beeline::ops {

enum class log_level : std::uint8_t { debug, info, warning, error };

log_level parse_log_level(std::string_view what, std::string_view text); // throws start_error, code 2

// Once, before threads start. An empty `file` means stderr. Throws start_error (code 1) when the
// file cannot be opened. Without it lines of level info and above go to stderr.
void open_log(const std::string& program, log_level least, const std::string& file = {});
// After the file was moved away (SIGHUP). Keeps the old file when the new one cannot be opened.
// Takes a lock: call it from a thread, not from a signal handler.
void reopen_log() noexcept;

bool log_on(log_level level) noexcept;
void log_text(log_level level, std::string_view text) noexcept;
void log_formatted(log_level level, fmt::string_view format, fmt::format_args arguments) noexcept;

template <class... A> void log_at(log_level level, fmt::format_string<A...> format, A&&... a) noexcept {
  if (log_on(level)) log_formatted(level, format, fmt::make_format_args(a...));
}
template <class... A> void log_debug(fmt::format_string<A...> format, A&&... a) noexcept {
  log_at(log_level::debug, format, std::forward<A>(a)...);
}
template <class... A> void log_info(fmt::format_string<A...> format, A&&... a) noexcept {
  log_at(log_level::info, format, std::forward<A>(a)...);
}
template <class... A> void log_warning(fmt::format_string<A...> format, A&&... a) noexcept {
  log_at(log_level::warning, format, std::forward<A>(a)...);
}
template <class... A> void log_error(fmt::format_string<A...> format, A&&... a) noexcept {
  log_at(log_level::error, format, std::forward<A>(a)...);
}

// Rate limit of one kind of line. A static object at the call site, or one of a static array (by
// close_reason, say). Lock-free while it suppresses. With several threads the limit is approximate.
class log_site {
public:
  explicit log_site(const char* name, unsigned lines_per_second = limits::log_lines_per_second_max);
  ~log_site();
  log_site(const log_site&) = delete;
  log_site& operator=(const log_site&) = delete;

  bool admit(time_point now) noexcept; // may a line be written now?
  bool admit() noexcept;               // the same, by the steady clock
  std::uint64_t take_suppressed() noexcept { return suppressed_.exchange(0, std::memory_order_relaxed); }
  const char* name() const noexcept { return name_; }

private:
  const char* name_;
  const unsigned lines_max_;
  std::atomic<std::uint64_t> second_{~std::uint64_t{0}};
  std::atomic<unsigned> lines_{0};
  std::atomic<std::uint64_t> suppressed_{0};
};

// Writes "name: suppressed n lines like this" if there were any since it was last said.
void log_suppressed(log_site& site) noexcept;
void log_all_suppressed() noexcept; // of every site; for a slow timer and the end of the program

template <class... A>
void log_limited(log_site& site, log_level level, fmt::format_string<A...> format, A&&... a) noexcept {
  if (!log_on(level) || !site.admit()) return;
  log_suppressed(site);
  log_formatted(level, format, fmt::make_format_args(a...));
}

} // namespace beeline::ops
