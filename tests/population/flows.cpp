#include "tests/population/flows.hpp"

namespace beeline::population {

void verdict::judge(const sent_flow& s, const received_flow& r, bool sender_lives) {
  sent += s.outcomes.size();
  duplicates += r.duplicates;
  out_of_order += r.out_of_order;
  for (std::size_t i = 0; i < s.outcomes.size(); ++i) {
    const bool came = i < r.times.size() && r.times[i] != 0;
    delivered += came;
    if (s.outcomes[i] == 0) {
      unanswered += sender_lives;
      continue;
    }
    const auto what = static_cast<answer>(s.outcomes[i] - 1);
    ++told[static_cast<std::size_t>(what)];
    if (what == answer::accepted) lost += !came;
    else if (what != answer::unknown) false_refusals += came;
  }
  for (std::size_t i = s.outcomes.size(); i < r.times.size(); ++i) ++false_refusals; // nobody ever sent it
}

std::string verdict::text() const {
  std::string t = std::to_string(sent) + " sent, " + std::to_string(delivered) + " delivered; told";
  for (std::size_t a = 0; a < answer_count; ++a)
    if (told[a]) t += " " + std::string(name_of(static_cast<answer>(a))) + " " + std::to_string(told[a]);
  return t + "; lost " + std::to_string(lost) + ", duplicates " + std::to_string(duplicates) +
         ", out of order " + std::to_string(out_of_order) + ", refused and yet delivered " +
         std::to_string(false_refusals) + ", never answered " + std::to_string(unanswered);
}

} // namespace beeline::population
