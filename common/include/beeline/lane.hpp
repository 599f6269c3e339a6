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
// leaves io_context::run() as everywhere in Asio, and the lane goes on when it is run again. A handler's
// executor, allocator and cancellation slot are honoured; handlers that wait when the io_context is destroyed
// are destroyed with it, without a call.
//
// Limits: client id 1-128 bytes; message 1 MiB; 1,048,576 unanswered messages a lane, and what
// lane_options says. One lane is one link to each shard: 64 routers, 256 shards each.
#pragma once
#include <beeline/detail/completion.hpp>
#include <beeline/error.hpp>
#include <beeline/message.hpp>
#include <beeline/receipt.hpp>
#include <beeline/statistics.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/dispatch.hpp>
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
  std::uint64_t generation = 0; // counts the attaches of a lane: none comes twice
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
  std::chrono::milliseconds receipt_timeout{30'000};    // for message::ask_recipient
  std::size_t receipts_max = 262'144; // waited for, then errc::would_block; owed, then not_promised
};

struct lane_handlers {
  // A message for a client of ours; lives until you return. Your answer becomes the sender's receipt:
  // accepted, full (your queue for that client is full) or refused. Required. The first message may come
  // before async_attach has completed: go by m.to().
  std::function<outcome(client_handle to, const message_view&)> on_message;
  // A shard has ended it: the client is detached already, tell it. taken_over: the same id attached somewhere
  // else and won. router_full, router_busy: refused at a limit; that comes after attach, or when a client is
  // registered again and its room is gone, for the router has started anew or the link was lost for longer
  // than the router's --linger. A lost link alone ends nobody. An async_attach that waits is told instead,
  // with the same code.
  std::function<void(boost::system::error_code why, client_handle, std::string_view id)> on_kicked;
  // In sync with every shard of every router, or no more. Sending is allowed either way.
  std::function<void(bool ready)> on_ready;
  // After want_more() was false: it is true again.
  std::function<void()> on_want_more;
  // One line for your log. Rare. Comes in the middle of the lane's work: do not call the lane from here.
  std::function<void(severity, std::string_view line)> on_log;
};

class BEELINE_API lane {
public:
  using executor_type = boost::asio::io_context::executor_type;

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
  // Completes when ready, at once if it is. Errors: shutting_down. Cancellation: all types. Any thread.
  template <boost::asio::completion_token_for<void(boost::system::error_code)> Token>
  auto async_wait_ready(Token&& token) {
    return initiate<boost::system::error_code>(detail::any_cancellation, token,
                                               [](impl& i, auto done) { wait_ready(i, std::move(done)); });
  }

  // --- clients ---
  // Takes the id now: messages for it may come before the registration has completed. Errors:
  // already_attached, invalid_client_id, shutting_down. Whoever had the id elsewhere is kicked.
  client_handle attach(std::string_view id, boost::system::error_code& ec);
  // The same; completes when the shard has it, so that everybody reaches it: give it a welcome only then.
  // Errors: those above, those of on_kicked, not_attached (detached meanwhile). Any thread. Cancellation:
  // terminal and partial; the client is detached, and whoever had the id may have been kicked for it.
  template <boost::asio::completion_token_for<void(boost::system::error_code, client_handle)> Token>
  auto async_attach(std::string id, Token&& token) {
    return initiate<boost::system::error_code, client_handle>(
        detail::without_undo, token,
        [id = std::move(id)](impl& i, auto done) { attach_and_wait(i, id, std::move(done)); });
  }
  bool registered(client_handle c) const noexcept; // over a link that is up
  // Completes when it is registered, at once if it is: after attach, or when links were lost. Errors: those
  // of on_kicked (which comes too), not_attached (also when detach withdraws it), shutting_down.
  // Cancellation: all types; the client stays attached. Any thread.
  template <boost::asio::completion_token_for<void(boost::system::error_code)> Token>
  auto async_wait_registered(client_handle c, Token&& token) {
    return initiate<boost::system::error_code>(
        detail::any_cancellation, token, [c](impl& i, auto done) { wait_registered(i, c, std::move(done)); });
  }
  // Ends the session: from now on messages for the id find nobody, and what it sent and is not under way yet
  // is not sent. Receipts that are open complete with outcome_unknown. False: it was not attached.
  bool detach(client_handle c);

  // --- messages ---
  // QoS 0. Errors: not_attached, invalid_message, message_too_large, not_ready, would_block, shutting_down.
  bool send(client_handle from, const message& m, boost::system::error_code& ec);
  // QoS 1. Completes with the receipt; errors: those above but not_ready, and outcome_unknown. What the
  // message views is copied when the operation starts: before this returns, or, with tokens that start later
  // (use_awaitable, deferred), when it is awaited. Any thread; from another one it is copied once more.
  // Cancellation: terminal and partial; ends the wait for the receipt with operation_aborted. The message is
  // not unsent: it goes its way and may be delivered.
  template <boost::asio::completion_token_for<void(boost::system::error_code, receipt)> Token>
  auto async_send(client_handle from, const message& m, Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code, receipt)>(
        [i = impl_, from, &m](auto handler) { begin_send(i, from, m, std::move(handler)); }, token);
  }
  // False: stop taking messages from your clients until on_want_more; queues towards a router are long.
  bool want_more() const noexcept;

  // --- end ---
  // Takes no more; waits until every QoS 1 message is answered, at most `patience`; then detaches all
  // clients, says good-bye and closes the links. Completes with true if every message was answered. Any
  // thread. Errors: shutting_down, when it was called before. Cancellation: terminal and partial; the lane
  // waits no longer, says good-bye, and completes with operation_aborted.
  template <boost::asio::completion_token_for<void(boost::system::error_code, bool)> Token>
  auto async_shutdown(std::chrono::milliseconds patience, Token&& token) {
    return initiate<boost::system::error_code, bool>(
        detail::without_undo, token,
        [patience](impl& i, auto done) { shut_down(i, patience, std::move(done)); });
  }

  link::statistics statistics() const;

private:
  struct impl;
  struct owned_message;
  template <class... Args> using completion = detail::completion<Args...>;

  // Runs start(impl, completion) in the lane's thread.
  template <class... Args, class Token, class Start>
  auto initiate(detail::cancellation_type honoured, Token& token, Start start) {
    return boost::asio::async_initiate<Token, void(Args...)>(
        [i = impl_, honoured, start = std::move(start)](auto handler) mutable {
          const auto memory = detail::allocator_of(handler);
          auto done = detail::bind<Args...>(std::move(handler), executor_of(*i), i, honoured);
          auto run = [i, start = std::move(start), done = std::move(done)]() mutable {
            start(*i, std::move(done));
          };
          boost::asio::dispatch(executor_of(*i), boost::asio::bind_allocator(memory, std::move(run)));
        },
        token);
  }
  // As above, but the message is copied before it goes to another thread.
  template <class Handler>
  static void begin_send(const std::shared_ptr<impl>& i, client_handle from, const message& m,
                         Handler handler) {
    const auto memory = detail::allocator_of(handler);
    auto done = detail::bind<boost::system::error_code, receipt>(std::move(handler), executor_of(*i), i,
                                                                 detail::without_undo);
    if (in_thread(*i)) return send_and_wait(*i, from, m, std::move(done));
    auto run = [i, from, copy = copy_of(m), done = std::move(done)]() mutable {
      send_and_wait(*i, from, *copy, std::move(done));
    };
    boost::asio::post(executor_of(*i), boost::asio::bind_allocator(memory, std::move(run)));
  }

  static executor_type executor_of(const impl& i) noexcept;
  static bool in_thread(const impl& i) noexcept;
  static std::shared_ptr<const owned_message> copy_of(const message& m);
  static void wait_ready(impl& i, completion<boost::system::error_code> done);
  static void attach_and_wait(impl& i, std::string_view id,
                              completion<boost::system::error_code, client_handle> done);
  static void wait_registered(impl& i, client_handle c, completion<boost::system::error_code> done);
  static void send_and_wait(impl& i, client_handle from, const message& m,
                            completion<boost::system::error_code, receipt> done);
  static void send_and_wait(impl& i, client_handle from, const owned_message& m,
                            completion<boost::system::error_code, receipt> done);
  static void shut_down(impl& i, std::chrono::milliseconds patience,
                        completion<boost::system::error_code, bool> done);

  std::shared_ptr<impl> impl_;
};

BEELINE_LINK_END
