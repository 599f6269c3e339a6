// Synthetic clients: each has a number, and its id is made of it. Short ids need no memory of their own.
// No state; a text lives as long as its object.
#pragma once
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace beeline::population {

class id_text {
public:
  explicit id_text(std::uint32_t number) noexcept {
    end_ = std::to_chars(text_ + 1, text_ + sizeof text_, number).ptr;
  }
  std::string_view view() const noexcept { return {text_, static_cast<std::size_t>(end_ - text_)}; }

private:
  char text_[12] = {'c'};
  char* end_;
};

inline std::optional<std::uint32_t> number_in(std::string_view id) noexcept {
  std::uint32_t n = 0;
  if (id.size() < 2 || id[0] != 'c') return {};
  const auto read = std::from_chars(id.data() + 1, id.data() + id.size(), n);
  if (read.ec != std::errc{} || read.ptr != id.data() + id.size()) return {};
  return n;
}

} // namespace beeline::population
