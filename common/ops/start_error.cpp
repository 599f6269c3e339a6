#include "common/ops/start_error.hpp"

#include "common/base/limits.hpp"
#include "common/net/memory_reserve.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <iterator>
#include <new>
#include <sys/uio.h>
#include <unistd.h>

namespace beeline::ops {
namespace {

int complain(std::string_view program, std::string_view message, int code) noexcept {
  // One line, whatever a library put into its message.
  std::fwrite(program.data(), 1, program.size(), stderr);
  std::fputs(": ", stderr);
  for (char c : message) std::fputc(static_cast<unsigned char>(c) < 0x20 ? ' ' : c, stderr);
  std::fputc('\n', stderr);
  return code;
}

} // namespace

start_error cannot_listen(std::string_view option, std::string_view address, const std::error_code& why) {
  std::string text = "cannot listen on ";
  text.append(address).append(": ").append(why.message());
  if (why == std::errc::address_in_use)
    text.append("; stop the program that uses it or give another address with ");
  else if (why == std::errc::permission_denied) text.append("; ports below 1024 need a privilege, change ");
  else text.append("; give an address of this machine with ");
  return {text.append(option), exit_fault};
}

std::string quoted(std::string_view text) {
  std::string out = "'";
  for (char c : text.substr(0, limits::quoted_bytes_max)) {
    const auto b = static_cast<unsigned char>(c);
    if (b >= 0x20 && b != 0x7f) {
      out += c;
      continue;
    }
    constexpr char hex[] = "0123456789abcdef";
    out.append("\\x").append({hex[b >> 4], hex[b & 15]});
  }
  if (text.size() > limits::quoted_bytes_max) out += "...";
  return out += '\'';
}

namespace {

const char* program_that_ends = "beeline";
constexpr char no_memory[] =
    "out of memory in a place that cannot go on without; give the process more, or lower "
    "its limits";

// No memory may be needed from here on: neither stdio nor the log.
void write_line(const char* message) noexcept {
  const iovec parts[] = {{const_cast<char*>(program_that_ends), std::strlen(program_that_ends)},
                         {const_cast<char*>(": "), 2},
                         {const_cast<char*>(message), std::strlen(message)},
                         {const_cast<char*>("\n"), 1}};
  [[maybe_unused]] const auto written = ::writev(STDERR_FILENO, parts, static_cast<int>(std::size(parts)));
}

[[noreturn]] void on_terminate() {
  try {
    if (const auto e = std::current_exception()) std::rethrow_exception(e);
    write_line("ended by std::terminate");
  } catch (const std::bad_alloc&) {
    write_line(no_memory);
    ::_exit(exit_no_memory);
  } catch (const std::exception& e) {
    write_line(e.what());
  } catch (...) {
    write_line("unknown exception");
  }
  std::abort();
}

} // namespace

void say_why_it_ends(const char* program) noexcept {
  program_that_ends = program;
  std::set_terminate(on_terminate);
}

int run_main(const char* program, const std::function<int()>& body) noexcept {
  say_why_it_ends(program);
  net::memory_reserve::install();
  try {
    const net::memory_reserve reserve;
    return body();
  } catch (const exit_now& e) {
    const bool written = std::fwrite(e.text.data(), 1, e.text.size(), stdout) == e.text.size();
    return written && std::fflush(stdout) == 0 ? 0 : exit_fault;
  } catch (const start_error& e) {
    return complain(program, e.what(), e.exit_code());
  } catch (const std::bad_alloc&) {
    write_line(no_memory);
    return exit_no_memory;
  } catch (const std::exception& e) {
    return complain(program, e.what(), exit_fault);
  } catch (...) {
    return complain(program, "unknown exception", exit_fault);
  }
}

} // namespace beeline::ops
