// The clients of a lane, by handle: their ids, which are stored here once, and how far their
// registration at the shard of their slot has come. No I/O. Owner: one lane's thread.
#pragma once
#include "common/base/ids.hpp"
#include "common/base/slab.hpp"
#include "common/base/time.hpp"

#include <string>

namespace beeline::link {

struct client {
  std::string id;
  id_hash hash = 0;
  time_point connected_at{};
  std::uint64_t since = 0; // shard time at which it became the owner; 0 = never registered
  std::uint16_t generation = 0;
  std::uint16_t link = 0xffff; // of its slot's shard
  // Whose shard was told of it, and may list it: the same, unless its slot is in doubt.
  std::uint16_t told = 0xffff;
  bool used = false;
  bool registered = false; // that shard has confirmed it since the link came up
  bool said = false;       // it has since it was last told of it: `since` is its word
  bool live = false;       // some shard has, at any time
};

class client_table {
public:
  handle add(std::string_view id, id_hash hash, std::uint16_t link, time_point connected_at) {
    std::string kept(id); // before the place: either both or none
    const std::uint32_t i = clients_.take();
    client& c = clients_[i];
    const std::uint16_t generation = static_cast<std::uint16_t>(c.generation + 1);
    c = client{.id = std::move(kept),
               .hash = hash,
               .connected_at = connected_at,
               .generation = generation,
               .link = link,
               .used = true};
    return {i, generation};
  }
  void remove(handle h) {
    client& c = clients_[h.index];
    c.used = c.registered = false;
    c.id = {};
    clients_.give(h.index);
  }
  // The client, or null when the handle is stale.
  client* find(handle h) noexcept {
    if (h.index >= clients_.capacity()) return nullptr;
    client& c = clients_[h.index];
    return c.used && c.generation == h.generation ? &c : nullptr;
  }
  std::uint32_t capacity() const noexcept { return clients_.capacity(); }
  std::size_t size() const noexcept { return clients_.used(); }
  client& at(std::uint32_t index) noexcept { return clients_[index]; }

private:
  slab<client> clients_;
};

} // namespace beeline::link
