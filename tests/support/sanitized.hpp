// What a test may ask of this build. Under a sanitizer that one's own memory and time would be measured;
// there, and without optimisation, long tests are shorter.
#pragma once
#include <cstdlib>

namespace beeline::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

#ifdef NDEBUG
inline constexpr bool fast_build = !sanitized;
#else
inline constexpr bool fast_build = false;
#endif

// Sizes that docs/reliability.md names, where a test has smaller ones for every day: scripts/test
// --full-size.
inline bool full_size() { return std::getenv("BEELINE_TEST_FULL_SIZE") != nullptr; }

} // namespace beeline::test
