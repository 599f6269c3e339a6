// What is told of a workload's runs: medians and spread, as a table for people and as JSON for scripts. Pure.
#pragma once
#include "tests/bench/run.hpp"

#include <nlohmann/json_fwd.hpp>

namespace beeline::bench {

nlohmann::json to_json(const settings& s, const std::vector<result>& runs);
std::string to_table(const nlohmann::json& report);

} // namespace beeline::bench
