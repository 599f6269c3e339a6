// Numbers as text, for the pages that are written straight into a string.
#pragma once
#include <cstdint>
#include <string>

namespace beeline::ops {

void append_number(std::string& out, std::uint64_t v);
void append_number(std::string& out, double v); // the shortest text that reads back as v; "nan", "inf"

} // namespace beeline::ops
