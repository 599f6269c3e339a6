// A lane: one thread's clients of a server of yours, and its links to every shard of every router.
//
//   your protocol                                        other servers, MQTT edges
//        |  attach, send          ^ on_message, receipts          |
//   +----v-----------------------------+                          |
//   |  lane, on your io_context        | ====== links ====== router shards
//   +----------------------------------+
//
// A lane does for your server what beeline-edge does for MQTT clients: it registers client ids, so that
// everybody can reach them at "@/ID"; it sends, and tells what became of each message; it receives.
// It keeps its links up for ever, with jittered backoff; after a lost link it registers its clients again
// and sends again what was in flight, marked so that nothing is taken twice.
//
// Threads: a lane belongs to the one thread that runs its io_context, and every function must be called
// there, unless it says otherwise. A server with more threads has a lane in each, with the same name and
// different numbers, and puts a client always on the same one (e.g. hash of its id), so that two sessions of
// one id meet.
//
// Run the io_context at least every 2 s: a lane that stood still for longer cannot know what it missed, and
// drops its links. Handlers are called from the io_context, never from inside a call of yours. They may call
// every function of the lane but its destructor, where it does not say otherwise. An exception that leaves
// on_message makes the answer `refused`, and one that leaves another handler is counted; none crosses the
// lane. Completion tokens: callbacks, use_future, use_awaitable, ...; an exception from a completion handler
// leaves io_context::run() as everywhere in Asio.
//
// Limits: client id 1-128 bytes; message 1 MiB; 1,048,576 unanswered messages a lane, and what
// lane_options says. One lane is one link to each shard: 64 routers, 256 shards each.
#pragma once
#include <beeline/error.hpp>
#include <beeline/message.hpp>
#include <beeline/receipt.hpp>
#include <beeline/statistics.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

BEELINE_LINK_BEGIN

// A client that is attached. Valid until it is detached or kicked; a stale handle is never taken for another.
struct client_handle {
  std::uint32_t index = 0xffffffff;
  std::uint16_t generation = 0;
  friend bool operator==(const client_handle&, const client_handle&) = default;
};

enum class severity : std::uint8_t { info, warning, error };

struct lane_options {
  std::string name;         // of your server: what the routers' pages show; 1-64 bytes, unique in the cluster
  std::uint16_t number = 0; // of this lane in your server, and
  std::uint16_t lanes = 1;  // how many it has
  std::vector<std::string> routers;                     // "HOST:PORT" of shard 0 of every router
  std::string cluster_secret;                           // as the routers have it; without the line's end
  std::size_t unanswered_bytes_max = 256 * 1024 * 1024; // QoS 1 not answered yet; above: errc::would_block
};

struct lane_handlers {
  // A message for a client of ours; lives until you return. Your answer becomes the sender's receipt:
  // accepted, full (your queue for that client is full) or refused. Required. The first message may come
  // before async_attach has completed: go by m.to().
  std::function<outcome(client_handle to, const message_view&)> on_message;
  // The same id attached somewhere else and won: the client is detached already, tell it.
  std::function<void(client_handle, std::string_view id)> on_kicked;
  // In sync with every shard of every router, or no more. Sending is allowed either way.
  std::function<void(bool ready)> on_ready;
  // After want_more() was false: it is true again.
  std::function<void()> on_want_more;
  // One line for your log. Rare. Comes in the middle of the lane's work: do not call the lane from here.
  std::function<void(severity, std::string_view line)> on_log;
};

class BEELINE_API lane {
public:
  using executor_type = boost::asio::any_io_executor;

  // Starts to link at once. Throws std::invalid_argument, in one line that says what to change, and
  // std::system_error when the process has no file descriptors left. The io_context must be run by one
  // thread, and outlive the lane.
  lane(boost::asio::io_context& context, lane_options options, lane_handlers handlers);
  // Cuts the links without a good-bye; what waits for an answer completes with errc::outcome_unknown.
  ~lane();
  lane(const lane&) = delete;
  lane& operator=(const lane&) = delete;

  executor_type get_executor() const noexcept; // any thread

  // --- state ---
  bool ready() const noexcept; // in sync with every shard
  std::string problem() const; // why not ready, in words; empty when ready
  // Completes when ready, at once if it is. Errors: shutting_down. Any thread.
  template <boost::asio::completion_token_for<void(boost::system::error_code)> Token>
  auto async_wait_ready(Token&& token) {
    return initiate<void(boost::system::error_code)>(
        token, [](impl& i, auto done) { wait_ready(i, std::move(done)); });
  }

  // --- clients ---
  // Takes the id now: messages for it may come before the registration has completed. Errors:
  // already_attached, invalid_client_id, shutting_down. Whoever had the id elsewhere is kicked.
  client_handle attach(std::string_view id, boost::system::error_code& ec);
  // The same; completes when the shard has it, so that everybody reaches it: give it a welcome only then.
  // Errors: those above, kicked, not_attached (detached meanwhile). Any thread.
  template <boost::asio::completion_token_for<void(boost::system::error_code, client_handle)> Token>
  auto async_attach(std::string id, Token&& token) {
    return initiate<void(boost::system::error_code, client_handle)>(
        token, [id = std::move(id)](impl& i, auto done) { attach_and_wait(i, id, std::move(done)); });
  }
  bool registered(client_handle c) const noexcept; // over a link that is up
  // Ends the session: from now on messages for the id find nobody, and what it sent and is not under way yet
  // is not sent. Receipts that are open complete with outcome_unknown. False: it was not attached.
  bool detach(client_handle c);

  // --- messages ---
  // QoS 0. Errors: not_attached, invalid_message, message_too_large, not_ready, would_block, shutting_down.
  bool send(client_handle from, const message& m, boost::system::error_code& ec);
  // QoS 1. Completes with the receipt; errors: those above but not_ready, and outcome_unknown. What the
  // message views is copied when the operation starts: before this returns, or, with tokens that start later
  // (use_awaitable, deferred), when it is awaited. Any thread; from another one it is copied once more.
  template <boost::asio::completion_token_for<void(boost::system::error_code, receipt)> Token>
  auto async_send(client_handle from, const message& m, Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code, receipt)>(
        [i = impl_, from, &m](auto handler) {
          send_and_wait(i, from, m, bind<void(boost::system::error_code, receipt)>(*i, std::move(handler)));
        },
        token);
  }
  // False: stop taking messages from your clients until on_want_more; queues towards a router are long.
  bool want_more() const noexcept;

  // --- end ---
  // Takes no more; waits until every QoS 1 message is answered, at most `patience`; then detaches all
  // clients, says good-bye and closes the links. Completes with true if every message was answered. Any
  // thread.
  template <boost::asio::completion_token_for<void(boost::system::error_code, bool)> Token>
  auto async_shutdown(std::chrono::milliseconds patience, Token&& token) {
    return initiate<void(boost::system::error_code, bool)>(
        token, [patience](impl& i, auto done) { shut_down(i, patience, std::move(done)); });
  }

  link::statistics statistics() const;

private:
  struct impl;
  // A completion handler, bound to its executor: called once, from the lane, it completes there.
  template <class Signature> using completion = std::function<Signature>;

  template <class Signature, class Handler> struct bound;
  template <class Handler, class... Args> struct bound<void(Args...), Handler> {
    using executor = boost::asio::associated_executor_t<Handler, executor_type>;
    Handler handler;
    boost::asio::executor_work_guard<executor> work;

    bound(Handler h, const executor_type& e)
        : handler(std::move(h)),
          work(boost::asio::make_work_guard(boost::asio::get_associated_executor(handler, e))) {}
    void complete(Args... args) {
      const auto where = work.get_executor();
      const auto memory = boost::asio::get_associated_allocator(handler);
      boost::asio::post(where,
                        boost::asio::bind_allocator(memory, [h = std::move(handler), args...]() mutable {
                          std::move(h)(std::move(args)...);
                        }));
      work.reset();
    }
  };

  template <class Signature, class Handler> static completion<Signature> bind(impl& i, Handler handler) {
    auto b = std::make_shared<bound<Signature, Handler>>(std::move(handler), executor_of(i));
    return [b]<class... Args>(Args&&... args) { b->complete(std::forward<Args>(args)...); };
  }

  // Runs start(impl, completion) in the lane's thread.
  template <class Signature, class Token, class Start> auto initiate(Token& token, Start start) {
    return boost::asio::async_initiate<Token, Signature>(
        [i = impl_, start = std::move(start)](auto handler) mutable {
          auto done = bind<Signature>(*i, std::move(handler));
          boost::asio::dispatch(executor_of(*i),
                                [i, start = std::move(start), done = std::move(done)]() mutable {
                                  start(*i, std::move(done));
                                });
        },
        token);
  }

  static executor_type executor_of(const impl& i) noexcept;
  static void wait_ready(impl& i, completion<void(boost::system::error_code)> done);
  static void attach_and_wait(impl& i, std::string_view id,
                              completion<void(boost::system::error_code, client_handle)> done);
  static void send_and_wait(const std::shared_ptr<impl>& i, client_handle from, const message& m,
                            completion<void(boost::system::error_code, receipt)> done);
  static void shut_down(impl& i, std::chrono::milliseconds patience,
                        completion<void(boost::system::error_code, bool)> done);

  std::shared_ptr<impl> impl_;
};

BEELINE_LINK_END
