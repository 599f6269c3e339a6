# Writes a C++ file with the bytes of the dashboard's files: cmake -DOUT=... -DFILES="a;b" -P embed.cmake
set(arrays "")
set(table "")
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME)
  string(MAKE_C_IDENTIFIER ${name} id)
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "(..)" "'\\\\x\\1'," bytes "${hex}")
  string(APPEND arrays "constexpr char ${id}[] = {${bytes}};\n")
  string(APPEND table "    {\"${name}\", {${id}, sizeof ${id}}},\n")
endforeach()
file(WRITE ${OUT} "// Made by router/embed.cmake from router/dashboard.
#include \"router/dashboard.hpp\"

namespace beeline::router {
namespace {
${arrays}constexpr dashboard_file files[] = {
${table}};
} // namespace
std::span<const dashboard_file> dashboard_files() noexcept { return files; }
} // namespace beeline::router
")
