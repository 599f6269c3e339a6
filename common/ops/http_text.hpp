// The text side of HTTP requests: targets, queries, numbers in them. No I/O, no state, any thread.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace beeline::ops {

// A request that cannot be answered as asked. Thrown by handlers and by the functions below; the
// server turns it into that status with {"error": message}.
class http_error : public std::runtime_error {
public:
  http_error(unsigned status, const std::string& message) : std::runtime_error(message), status_(status) {}
  unsigned status() const noexcept { return status_; }

private:
  unsigned status_;
};

enum class plus_sign : bool { kept, is_blank }; // '+' means a blank in queries, itself in paths

// Nothing when a '%' is not followed by two hex digits. The result may hold any byte.
std::optional<std::string> percent_decode(std::string_view text, plus_sign plus = plus_sign::kept);

using query_map = std::map<std::string, std::string, std::less<>>;
// "a=1&b=x%20y". Throws http_error 400: bad escape, empty or repeated name, too many parameters.
query_map parse_query(std::string_view query);
// The parameter as a whole number, `preset` when absent. Throws http_error 400 for everything that
// is not a decimal number within min..max (CAT-10): nothing wraps, nothing is clipped.
std::int64_t query_number(const query_map& query, std::string_view name, std::int64_t preset,
                          std::int64_t min, std::int64_t max);

std::string json_error(std::string_view message); // {"error":"..."}, any bytes allowed

} // namespace beeline::ops
