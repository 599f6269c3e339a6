// The driver's command line.
#pragma once
#include "tests/chaos/plan.hpp"

#include <stdexcept>

namespace beeline::chaos {

struct usage : std::runtime_error {
  using std::runtime_error::runtime_error;
};

extern const char* const help_text;
run_options read_options(int argc, char** argv); // throws usage

} // namespace beeline::chaos
