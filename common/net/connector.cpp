#include "common/net/connector.hpp"

#include "common/base/check.hpp"

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fcntl.h>

namespace beeline::net {
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

struct connector::attempt : std::enable_shared_from_this<attempt> {
  attempt(event_loop& l, std::string where_, std::uint16_t p, done_fn d)
      : loop(l), where(std::move(where_)), port(p), done(std::move(d)), socket(l.context()),
        timer(l.context()) {}

  event_loop& loop;
  std::string where;
  std::uint16_t port;
  done_fn done;
  tcp::socket socket;
  asio::steady_timer timer;
  std::shared_ptr<failures> failed; // by name
  bool finished = false;
  bool several = false;  // addresses of the name
  bool given_up = false; // the connector has gone, and its loop perhaps too

  void start(duration timeout) {
    timer.expires_after(timeout);
    timer.async_wait([self = shared_from_this()](const error_code& e) {
      if (!e) self->finish({}, "timed out");
    });
  }

  void connect(const name_lookup::answer& found) {
    if (finished) return;
    if (found.addresses.empty()) return finish({}, found.why);
    std::vector<tcp::endpoint> ends;
    for (const auto& address : found.addresses) ends.emplace_back(address, port);
    if (const auto times = failed->find(where); times != failed->end())
      std::rotate(ends.begin(), ends.begin() + static_cast<std::ptrdiff_t>(times->second % ends.size()),
                  ends.end());
    several = ends.size() > 1;
    asio::async_connect(socket, ends, [self = shared_from_this()](const error_code& e, const tcp::endpoint&) {
      if (e) self->finish({}, e.message());
      else if (!self->finished) self->connected();
    });
  }

  void connected() {
    // Dialling a free port of the ephemeral range on this machine can, by TCP's simultaneous open,
    // connect a socket to itself.
    error_code e1, e2, e3;
    if (socket.local_endpoint(e1) == socket.remote_endpoint(e2) && !e1 && !e2)
      return finish({}, "Connection refused (connected to itself)");
    unique_fd fd(socket.release(e3));
    if (e1 || e2 || e3) return finish({}, "Connection lost at once");
    (void)::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
    (void)::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
    finish(std::move(fd), "");
  }

  void end() {
    finished = true;
    error_code ignored;
    socket.close(ignored);
    timer.cancel();
  }
  void give_up() {
    given_up = true;
    end();
  }

  // Called from handlers of Asio: the callback comes in the turn.
  void finish(unique_fd fd, std::string_view why) {
    if (finished) return;
    end();
    if (!fd && several) ++(*failed)[where];
    auto kept = std::make_shared<unique_fd>(std::move(fd));
    auto text = why.empty() ? std::string() : "cannot connect to " + where + ": " + std::string(why);
    loop.defer([self = shared_from_this(), kept, text = std::move(text)] {
      if (!self->given_up) self->done(std::move(*kept), text);
    });
  }
};

connector::connector(event_loop& loop) : connector(loop, {}) {
  lookup_ = std::make_shared<name_lookup>(loop);
  look_up_ = [this](const std::string& host, name_lookup::done_fn done) {
    lookup_->start(host, std::move(done));
  };
}
connector::connector(event_loop& loop, look_up_fn look_up)
    : loop_(loop), look_up_(std::move(look_up)), failures_(std::make_shared<failures>()) {}
void connector::give_up() {
  if (lookup_) lookup_->give_up();
  waiting_.clear();
  for (const auto& weak : std::exchange(attempts_, {}))
    if (const auto a = weak.lock()) a->give_up();
}

void connector::dial(const std::string& host, std::uint16_t port, done_fn done, duration timeout) {
  DCHECK_INVARIANT(loop_.in_owner_thread());
  auto where = host + ':' + std::to_string(port);
  std::erase_if(attempts_, [](const auto& a) { return a.expired(); });
  auto a = std::make_shared<attempt>(loop_, std::move(where), port, std::move(done));
  a->failed = failures_;
  attempts_.push_back(a);
  a->start(timeout);
  error_code not_numeric;
  const auto address = asio::ip::make_address(host, not_numeric);
  if (not_numeric) resolve(host, a);
  else a->connect({{address}, {}});
}

void connector::resolve(const std::string& host, const std::shared_ptr<attempt>& a) {
  const auto [at, fresh] = waiting_.try_emplace(host);
  std::erase_if(at->second, [](const auto& w) { return w.expired(); });
  at->second.push_back(a);
  if (!fresh) return;
  look_up_(host, [this, host](const name_lookup::answer& found) {
    const auto node = waiting_.extract(host);
    for (const auto& weak : node.mapped())
      if (const auto w = weak.lock()) w->connect(found);
  });
}

} // namespace beeline::net
