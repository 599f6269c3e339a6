// beeline-floor: the floor that Beeline's cost is compared with. A chain edge - router - edge that parses
// MQTT, looks up, copies and batches, and does nothing else: no rules, limits, sessions, counters, checks.
// QoS 0 to @/ID alone.
//
//   beeline-floor router                 prints "listening at PORT"
//   beeline-floor edge ROUTER-PORT       the same
//
// Between them, little-endian:   | size:32 of all | kind:8 | id size:8 | 0:16 | handle:32 | id | payload |
//   kind 'R': the client of this id is at this link, under this handle; 'M': a message to it
#include "tests/bench/peers/bare_loop.hpp"

#include <functional>
#include <unordered_map>

namespace beeline::bench {
namespace {

struct head {
  std::uint32_t size;
  char kind;
  std::uint8_t id_size;
  std::uint16_t zero;
  std::uint32_t handle;
};
static_assert(sizeof(head) == 12);

struct text_hash : std::hash<std::string_view> {
  using is_transparent = void;
};
template <class T> using id_map = std::unordered_map<std::string, T, text_hash, std::equal_to<>>;

void append_frame(connection& to, char kind, std::string_view id, std::uint32_t handle,
                  std::string_view payload) {
  const head h{static_cast<std::uint32_t>(sizeof(head) + id.size() + payload.size()), kind,
               static_cast<std::uint8_t>(id.size()), 0, handle};
  const std::size_t at = to.out.size();
  to.out.resize(at + h.size);
  char* p = to.out.data() + at;
  std::memcpy(p, &h, sizeof h);
  std::memcpy(p + sizeof h, id.data(), id.size());
  std::memcpy(p + sizeof h + id.size(), payload.data(), payload.size());
}

struct router {
  bare_loop<router> loop{*this};
  struct place {
    connection* link;
    std::uint32_t handle;
  };
  id_map<place> where;

  void on_accept(connection&) {}
  void on_close(connection& c) {
    std::erase_if(where, [&c](const auto& e) { return e.second.link == &c; });
  }
  std::size_t on_bytes(connection& from, const_bytes in) {
    std::size_t at = 0;
    while (in.size() - at >= sizeof(head)) {
      const head h = load_le<head>(in.data() + at);
      if (in.size() - at < h.size) break;
      const std::string_view id(reinterpret_cast<const char*>(in.data() + at + sizeof h), h.id_size);
      if (h.kind == 'R') {
        where.insert_or_assign(std::string(id), place{&from, h.handle});
      } else if (const auto found = where.find(id); found != where.end()) {
        connection& to = *found->second.link;
        const std::size_t out_at = to.out.size();
        loop.append(to, in.data() + at, h.size);
        store_le<std::uint32_t>(to.out.data() + out_at + offsetof(head, handle), found->second.handle);
      }
      at += h.size;
    }
    return at;
  }
};

struct edge {
  enum : std::uint32_t { fresh, v4, v5 }; // a client's tag
  bare_loop<edge> loop{*this};
  connection* link = nullptr;

  void on_accept(connection&) {}
  void on_close(connection& c) {
    if (&c == link) std::exit(0);
  }
  std::size_t on_bytes(connection& c, const_bytes in) {
    return &c == link ? on_link(in)
                      : on_client(c, reinterpret_cast<const std::uint8_t*>(in.data()), in.size());
  }

  std::size_t on_link(const_bytes in) {
    std::size_t at = 0;
    while (in.size() - at >= sizeof(head)) {
      const head h = load_le<head>(in.data() + at);
      if (in.size() - at < h.size) break;
      const auto* const id = reinterpret_cast<const char*>(in.data() + at + sizeof h);
      connection& to = loop.at(h.handle);
      if (to.fd) deliver(to, {id, h.id_size}, {id + h.id_size, h.size - sizeof h - h.id_size});
      at += h.size;
    }
    return at;
  }
  void deliver(connection& to, std::string_view id, std::string_view payload) {
    std::size_t left = 2 + 2 + id.size() + (to.tag == v5) + payload.size();
    char head_bytes[16] = {'\x30'};
    std::size_t n = 1;
    do {
      head_bytes[n++] = static_cast<char>((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
      left >>= 7;
    } while (left);
    head_bytes[n++] = 0;
    head_bytes[n++] = static_cast<char>(2 + id.size());
    head_bytes[n++] = '@';
    head_bytes[n++] = '/';
    const std::size_t at = to.out.size();
    to.out.resize(at + n + id.size() + (to.tag == v5) + payload.size());
    char* p = to.out.data() + at;
    std::memcpy(p, head_bytes, n);
    std::memcpy(p += n, id.data(), id.size());
    p += id.size();
    if (to.tag == v5) *p++ = 0;
    std::memcpy(p, payload.data(), payload.size());
    loop.mark(to);
  }

  std::size_t on_client(connection& c, const std::uint8_t* in, std::size_t size) {
    std::size_t at = 0;
    while (size - at >= 2) {
      std::size_t left = 0, n = 1;
      for (unsigned shift = 0; n < size - at; shift += 7, ++n) {
        left |= std::size_t{in[at + n] & 0x7fu} << shift;
        if (in[at + n] < 0x80) break;
      }
      if (n++ == size - at || size - at - n < left) break;
      if (!take(c, in[at] >> 4, in + at + n, left)) {
        loop.close(c);
        return size;
      }
      at += n + left;
    }
    return at;
  }
  bool take(connection& c, unsigned type, const std::uint8_t* body, std::size_t size) {
    const auto* const text = reinterpret_cast<const char*>(body);
    if (type == 1 && size >= 12) { // CONNECT, with an empty property list in MQTT 5
      c.tag = body[6] == 5 ? v5 : v4;
      const std::size_t id_at = c.tag == v5 ? 13 : 12;
      append_frame(*link, 'R', {text + id_at, size - id_at}, c.index, {});
      loop.mark(*link);
      if (c.tag == v5) loop.append(c, "\x20\x03\0\0\0", 5);
      else loop.append(c, "\x20\x02\0\0", 4);
      return true;
    }
    if (type != 3 || size < 4 || c.tag == fresh) return false;
    const std::size_t topic = std::size_t{body[0]} << 8 | body[1], behind = 2 + topic + (c.tag == v5);
    if (behind > size || topic < 3) return false;
    append_frame(*link, 'M', {text + 4, topic - 2}, 0, {text + behind, size - behind});
    loop.mark(*link);
    return true;
  }
};

int run(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "router" && argc == 2) {
    router r;
    std::printf("listening at %u\n", unsigned{r.loop.listen()});
    std::fflush(stdout);
    r.loop.run();
  }
  if (what == "edge" && argc == 3) {
    edge e;
    e.link = &e.loop.dial(port_of(argv[2]));
    std::printf("listening at %u\n", unsigned{e.loop.listen()});
    std::fflush(stdout);
    e.loop.run();
  }
  std::fputs("usage: beeline-floor router | beeline-floor edge ROUTER-PORT\n", stderr);
  return 2;
}

} // namespace
} // namespace beeline::bench

int main(int argc, char** argv) try {
  return beeline::bench::run(argc, argv);
} catch (const std::exception& e) {
  std::fprintf(stderr, "beeline-floor: %s\n", e.what());
  return 1;
}
