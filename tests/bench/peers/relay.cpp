// beeline-relay: a TCP relay that looks at nothing: each connection that comes is carried on over one of its
// own.
//
//   beeline-relay NEXT-PORT      prints "listening at PORT"
#include "tests/bench/peers/bare_loop.hpp"

namespace beeline::bench {
namespace {

struct relay {
  bare_loop<relay> loop{*this};
  std::uint16_t next = 0;

  void on_accept(connection& c) {
    connection& onward = loop.dial(next);
    c.partner = &onward;
    onward.partner = &c;
  }
  void on_close(connection& c) {
    connection* const other = std::exchange(c.partner, nullptr);
    if (!other) return;
    other->partner = nullptr;
    loop.close(*other);
  }
  std::size_t on_bytes(connection& c, const_bytes in) {
    if (c.partner) loop.append(*c.partner, in.data(), in.size());
    return in.size();
  }
};

} // namespace
} // namespace beeline::bench

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::fputs("usage: beeline-relay NEXT-PORT\n", stderr);
    return 2;
  }
  beeline::bench::relay r;
  r.next = beeline::bench::port_of(argv[1]);
  std::printf("listening at %u\n", unsigned{r.loop.listen()});
  std::fflush(stdout);
  r.loop.run();
} catch (const std::exception& e) {
  std::fprintf(stderr, "beeline-relay: %s\n", e.what());
  return 1;
}
