#include "tests/chaos/history.hpp"

#include <array>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace beeline::chaos {
namespace {
constexpr std::array<char, 8> magic{'B', 'L', 'C', 'H', 'A', 'O', 'S', '1'};
}

void write_history(const std::string& path, const history& h) {
  std::ofstream file(path, std::ios::binary);
  file.write(magic.data(), magic.size());
  file.write(reinterpret_cast<const char*>(h.data()),
             static_cast<std::streamsize>(h.size() * sizeof(record)));
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path);
}

history read_history(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const auto bytes = static_cast<std::size_t>(file ? static_cast<std::streamoff>(file.tellg()) : 0);
  file.seekg(0);
  std::array<char, magic.size()> head{};
  file.read(head.data(), head.size());
  if (!file || head != magic || (bytes - magic.size()) % sizeof(record) != 0)
    throw std::runtime_error(path + " is not a whole history");
  history h((bytes - magic.size()) / sizeof(record));
  file.read(reinterpret_cast<char*>(h.data()), static_cast<std::streamsize>(h.size() * sizeof(record)));
  if (!file) throw std::runtime_error("cannot read " + path);
  return h;
}

} // namespace beeline::chaos
