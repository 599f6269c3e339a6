// Small files that are read whole at start-up: configuration and secrets.
//
// Both functions throw start_error (exit code 1). Any thread; no state.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace beeline::ops {

// `what` is the option that names the file, for the message.
std::string read_small_file(std::string_view what, const std::string& path, std::size_t bytes_max);

// A secret: the file's bytes less one newline at the end. Refuses (and so fails closed, CAT-21) a
// file that is empty or blank, longer than limits::secret_bytes_max, or open to other users. The
// messages name the file, never its content (CAT-37).
std::string read_secret_file(std::string_view what, const std::string& path);

} // namespace beeline::ops
