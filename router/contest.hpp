// The sessions that claim one hash, where two do: of each id the one that wins stays, claims with
// different ids (two ids, one hash) are both kept.
//
// Owner: the shard's thread. Plain data.
#pragma once
#include "common/base/ids.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace beeline::router {

struct claim {
  std::string id; // empty: not known yet
  member_index link = no_member;
  handle h;
  std::uint64_t connected = 0;
  std::uint64_t since = 0;
  bool waits = false; // for a word of the owner whose id we do not know: not registered yet
  // The owner of an id that we do not know is asked for it, or told to close if that is its rival's; its lane
  // answers each in turn. One that may have to close is not the owner again before it has said more, also
  // when the rival has gone: that may have been for a while.
  std::uint32_t asked = 0, said = 0, last_close = 0;
  bool may_have_to_close() const noexcept { return said < last_close; }
};
using contest = std::vector<claim>;

// Takes the losers out of `all` and returns them: afterwards no id that is known stands there twice.
// wins(a, b): a wins over b; where neither does, the one that came in later. One pass, nothing is
// erased: each claim is set against the winner so far of its id.
template <class Wins> std::vector<claim> take_losers(contest& all, Wins wins) {
  contest winners, losers;
  for (claim& c : all) {
    const auto rival = std::find_if(winners.begin(), winners.end(),
                                    [&](const claim& w) { return !w.id.empty() && w.id == c.id; });
    if (rival == winners.end()) {
      winners.push_back(std::move(c));
      continue;
    }
    if (!wins(*rival, c)) std::swap(*rival, c);
    losers.push_back(std::move(c));
  }
  all = std::move(winners);
  return losers;
}

} // namespace beeline::router
