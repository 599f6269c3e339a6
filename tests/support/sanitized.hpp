// Whether this build runs under a sanitizer: then its own memory and time would be measured.
#pragma once

namespace beeline::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

} // namespace beeline::test
