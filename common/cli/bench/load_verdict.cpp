#include "common/cli/bench/load_verdict.hpp"

#include "common/cli/text.hpp"
#include "common/ops/parse.hpp"

#include <fmt/format.h>

namespace beeline::load {
namespace {

std::string behind_words(const settings& s, const result& r) {
  return fmt::format("fell behind --rate {}: {:.0f} messages a second were published, at the end {} late "
                     "(allowed are {:.0f} % and {})",
                     s.rate, r.published_per_second(),
                     cli::microseconds_text(static_cast<double>(r.last_publish_us - r.last_due_us)),
                     behind_part_max * 100, cli::microseconds_text(static_cast<double>(behind_us_max)));
}

std::string lost_words(const result& r) {
  return cli::of_several(static_cast<double>(r.disconnects), "client", "clients") +
         " lost, the first: " + r.first_disconnect;
}

void counted(std::vector<std::string>& out, std::uint64_t n, const char* what) {
  if (n) out.push_back(std::to_string(n) + " " + what);
}

} // namespace

bool fell_behind(const settings& s, const result& r) noexcept {
  if (s.rate == 0 || r.published == 0) return false;
  const auto asked = static_cast<double>(r.last_due_us);
  return static_cast<double>(r.last_publish_us) >
         asked * (1 + behind_part_max) + static_cast<double>(behind_us_max);
}

std::vector<std::string> problems(const settings& s, const result& r) {
  std::vector<std::string> out;
  counted(out, r.duplicates, "delivered more than once");
  counted(out, r.reordered, "delivered out of order");
  counted(out, r.misdelivered, "delivered to the wrong client, or with a wrong topic");
  counted(out, r.damaged, "packets damaged");
  counted(out, r.unanswered, "without an answer");
  counted(out, r.accepted_not_delivered, "accepted and not delivered");
  counted(out, r.nobody_but_delivered, "delivered although the sender was told that nobody is there");
  if (!s.faults) {
    counted(out, r.dropped, "of QoS 0 not delivered");
    counted(out, r.answered - r.answers[0], "answered with something else than success");
    if (r.disconnects) out.push_back(lost_words(r));
    if (fell_behind(s, r)) out.push_back(behind_words(s, r));
  } else if (r.disconnects == s.clients) {
    out.push_back("all " + lost_words(r));
  }
  if (r.interrupted)
    out.push_back(fmt::format("interrupted after {} of {} messages", r.published, s.messages));
  else if (r.published + r.never_published != s.messages)
    out.push_back(
        fmt::format("{} of {} messages could not be published", s.messages - r.published, s.messages));
  if (r.gave_up) out.push_back("nothing moved for " + ops::duration_text(s.timeout) + " (--timeout)");
  return out;
}

std::vector<std::string> remarks(const settings& s, const result& r) {
  std::vector<std::string> out;
  if (!s.faults) return out;
  if (r.disconnects && r.disconnects < s.clients)
    out.push_back(lost_words(r) + "; left out of the judgement are " + std::to_string(r.left_out) +
                  " messages of theirs or to them, and " + std::to_string(r.never_published) +
                  " that they would have sent");
  if (fell_behind(s, r)) out.push_back(behind_words(s, r));
  return out;
}

} // namespace beeline::load
