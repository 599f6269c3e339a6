// CHECK: our own bugs. Stays on in release builds: a broken invariant ends the process rather than
// lose a message in silence. Never for what a peer, a file or the network can cause.
#pragma once

namespace beeline {
[[noreturn]] void check_failed(const char* expression, const char* file, int line) noexcept;
}

#define CHECK_INVARIANT(x) ((x) ? void(0) : ::beeline::check_failed(#x, __FILE__, __LINE__))
#ifdef NDEBUG
#define DCHECK_INVARIANT(x) void(0)
#else
#define DCHECK_INVARIANT(x) CHECK_INVARIANT(x)
#endif
