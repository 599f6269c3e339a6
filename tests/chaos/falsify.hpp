// Lies about a run that was good, one kind for each oracle: the checker has to see every one of them.
#pragma once
#include "tests/chaos/view.hpp"

namespace beeline::chaos {

struct lie {
  std::string_view name, promise; // that it breaks, beside others perhaps
};
inline constexpr lie lies[] = {
    {"drop_receipt", "P1"},
    {"repeat_receipt", "P2"},
    {"swap_receipts", "P3"},
    {"drop_answer", "P1"},
    {"nobody_but_received", "P1"},
    {"full_but_received", "P1"},
    {"no_acknowledgement", "receipts"},
    {"expired_early", "deadlines"},
    {"receipt_lost", "receipts"},
    {"another_receives", "isolation"},
    {"damage", "isolation"},
    {"lose_connection", "sessions"},
    {"second_session", "P4"},
    {"ghost", "P5"},
    {"forgotten", "P5"},
    {"link_missing", "P5"},
    {"crash", "P6"},
    {"no_rest", "P5"},
};

// False when the run has nothing to lie about in that way. Throws std::runtime_error for a name that is none.
bool falsify(std::string_view lie, run_facts& f, history& h);

} // namespace beeline::chaos
