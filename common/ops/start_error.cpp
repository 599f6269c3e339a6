#include "common/ops/start_error.hpp"

#include "common/base/limits.hpp"

#include <cstdio>
#include <new>

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

int run_main(std::string_view program, const std::function<int()>& body) noexcept {
  try {
    return body();
  } catch (const exit_now& e) {
    const bool written = std::fwrite(e.text.data(), 1, e.text.size(), stdout) == e.text.size();
    return written && std::fflush(stdout) == 0 ? 0 : exit_fault;
  } catch (const start_error& e) {
    return complain(program, e.what(), e.exit_code());
  } catch (const std::bad_alloc&) {
    return complain(program, "out of memory; give the process more, or lower its limits", exit_fault);
  } catch (const std::exception& e) {
    return complain(program, e.what(), exit_fault);
  } catch (...) {
    return complain(program, "unknown exception", exit_fault);
  }
}

} // namespace beeline::ops
