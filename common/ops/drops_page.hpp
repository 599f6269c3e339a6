// The newest drops and refusals of a program as JSON, for /drops and /explain.
//
//   {"at": "2024-05-01T09:30:00.123Z", "what": "refusal", "reason": "nobody", "from": "C1", "to": "C2",
//    "qos": 1, "where": "lane 0"}
//
// Made of copies that the shards and lanes gave. No state; any thread.
#pragma once
#include "common/base/drop_ring.hpp"
#include "common/ops/http_text.hpp"

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace beeline::ops {

std::size_t drops_limit(const query_map& query); // ?limit=, 1 to limits::drops_kept; throws http_error
// Newest first, at most `most`. `part`: what a core is called; they are numbered in their order.
nlohmann::json drops_json(const std::vector<drops_told>& cores, std::string_view part, std::size_t most);
nlohmann::json drops_page(const std::vector<drops_told>& cores, std::string_view part, std::size_t most);

} // namespace beeline::ops
