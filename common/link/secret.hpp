// The cluster secret and what is derived from it: the proofs of the link handshake (HMAC-SHA256,
// RFC 2104, by OpenSSL) and the key of the client id hash. The secret itself is never sent.
// No I/O, no randomness. Immutable after construction.
#pragma once
#include "common/base/siphash.hpp"
#include "common/wire/messages.hpp"

#include <initializer_list>
#include <string>

namespace beeline::link {

class cluster_secret {
public:
  explicit cluster_secret(std::string_view secret) : secret_(secret) {}
  siphash_key id_key() const;
  // The proof that `side` ("lane" or "shard") knows the secret, over the handshake so far.
  wire::mac prove(std::string_view side, std::initializer_list<const_bytes> transcript) const;

private:
  std::string secret_;
};
bool equal(const wire::mac& a, const wire::mac& b) noexcept; // in constant time

} // namespace beeline::link
