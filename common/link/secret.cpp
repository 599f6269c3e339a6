#include "common/link/secret.hpp"

#include "common/base/check.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace beeline::link {
namespace {
wire::mac hmac(std::string_view key, const_bytes data) {
  wire::mac m{};
  unsigned int n = 0;
  const auto* p = reinterpret_cast<const unsigned char*>(data.data());
  CHECK_INVARIANT(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), p, data.size(),
                       reinterpret_cast<unsigned char*>(m.data()), &n) &&
                  n == m.size());
  return m;
}
void add(std::vector<std::byte>& to, const_bytes part) { // with its length, so that parts cannot be shifted
  std::byte length[4];
  store_le(length, static_cast<std::uint32_t>(part.size()));
  to.insert(to.end(), length, length + 4);
  to.insert(to.end(), part.begin(), part.end());
}
} // namespace

siphash_key cluster_secret::id_key() const {
  const wire::mac m = hmac(secret_, as_bytes("beeline client id hash"));
  return {load_le<std::uint64_t>(m.data()), load_le<std::uint64_t>(m.data() + 8)};
}

wire::mac cluster_secret::prove(std::string_view side, std::initializer_list<const_bytes> transcript) const {
  std::vector<std::byte> all;
  add(all, as_bytes("beeline link 1"));
  add(all, as_bytes(side));
  for (const_bytes part : transcript) add(all, part);
  return hmac(secret_, all);
}

bool equal(const wire::mac& a, const wire::mac& b) noexcept {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

} // namespace beeline::link
