// Records of /drops as lines, the newest first: "refusal nobody C1>C9 qos1". No state.
#pragma once
#include "common/base/drop_ring.hpp"

#include <string>
#include <vector>

namespace beeline::test {

inline std::string line_of(const drop_record& d) {
  std::string s(drop_kind_names[static_cast<std::size_t>(d.kind)]);
  s.append(" ").append(d.reason).append(" ").append(d.from()).append(">").append(d.to());
  return d.qos == drop_record::no_qos ? s : s + " qos" + std::to_string(d.qos);
}
inline std::vector<std::string> lines_of(const std::vector<drop_record>& newest) {
  std::vector<std::string> all;
  for (const drop_record& d : newest) all.push_back(line_of(d));
  return all;
}

} // namespace beeline::test
