// CRC32C (Castagnoli, RFC 3720 appendix B.4), with the processor's instruction where it has one.
//
// Own code because Debian packages no C++ library for it; checked against RFC 3720's vectors and,
// hardware against table, on random input.
#pragma once
#include "common/base/bytes.hpp"

namespace beeline {

// The CRC of `bytes` continued from `crc` (0 to begin).
std::uint32_t crc32c(const_bytes bytes, std::uint32_t crc = 0) noexcept;
std::uint32_t crc32c_table(const_bytes bytes, std::uint32_t crc = 0) noexcept; // portable, for tests

} // namespace beeline
