// What routers and edges know of one client id, told in sentences. Pure functions.
#pragma once
#include "common/cli/admin.hpp"

namespace beeline::cli {

struct findings {
  std::string id;
  std::vector<json> routers, edges;   // their answers, with "admin", and of edges "edge"
  std::vector<std::string> elsewhere; // routers of other slots
  std::vector<std::string> silent;    // who gave none, and why

  // What the router of its slot says, or an edge that has it; nothing when none of them was reached.
  std::optional<bool> online() const;
};

std::string unknown_text(const findings& f); // "it is not known whether ...", and why

std::string explain_text(const findings& f); // ends with a line feed

std::string
drop_line(const json& drop); // of /drops and /explain: "2026-… drop nobody: C1 -> C2 (QoS 1), lane 0"

} // namespace beeline::cli
