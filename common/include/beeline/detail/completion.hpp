// How a lane keeps a completion handler until it can be called. For lane.hpp alone: nothing here is promised.
//
//   token -> handler -> operation, in memory of the handler's allocator, owned by a completion in the lane
//
// Completing an operation frees it and then posts the handler to its executor; dropping one destroys the
// handler without a call. An operation belongs to the lane's thread once it has begun. The handler's
// cancellation slot is touched only where the handler may be: when the operation begins, and just before the
// handler is called. A signal is posted to the lane, which does what on_cancel said.
#pragma once
#include <beeline/config.hpp>

#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/recycling_allocator.hpp>
#include <functional>
#include <memory>
#include <utility>

BEELINE_LINK_BEGIN
namespace detail {

using lane_executor = boost::asio::io_context::executor_type;
using boost::asio::cancellation_type;
inline constexpr cancellation_type without_undo = cancellation_type::terminal | cancellation_type::partial;
inline constexpr cancellation_type any_cancellation = without_undo | cancellation_type::total;

// What the lane does when the operation is cancelled; empty when it has ended. Signals that are on their way
// share it, so it may outlive the operation: it is not in memory of the handler's allocator.
struct cancel_action {
  std::function<void()> act;
};

struct on_signal {
  on_signal(cancellation_type h, lane_executor e, std::weak_ptr<const void> l,
            std::shared_ptr<cancel_action> a)
      : honoured(h), executor(std::move(e)), lane(std::move(l)), action(std::move(a)) {}
  cancellation_type honoured;
  lane_executor executor;
  std::weak_ptr<const void> lane;
  std::shared_ptr<cancel_action> action;
  void operator()(cancellation_type wanted) const {
    if ((wanted & honoured) == cancellation_type::none) return;
    if (const auto alive = lane.lock())
      boost::asio::post(executor, [a = action] {
        if (const auto act = std::exchange(a->act, nullptr)) act();
      });
  }
};

template <class... Args> class operation {
public:
  virtual void complete(Args... args) = 0; // both end its life
  virtual void drop() noexcept = 0;
  std::shared_ptr<cancel_action> cancel; // null: the handler has no slot

protected:
  operation() = default;
  ~operation() {
    if (cancel) cancel->act = nullptr;
  }
};

// Owns an operation. Call it once.
template <class... Args> class completion {
public:
  completion() = default;
  explicit completion(operation<Args...>* o) noexcept : operation_(o) {}
  completion(completion&& o) noexcept : operation_(std::exchange(o.operation_, nullptr)) {}
  completion& operator=(completion o) noexcept {
    std::swap(operation_, o.operation_);
    return *this;
  }
  ~completion() {
    if (operation_) operation_->drop();
  }
  explicit operator bool() const noexcept { return operation_ != nullptr; }
  void operator()(Args... args) { std::exchange(operation_, nullptr)->complete(std::move(args)...); }
  std::shared_ptr<cancel_action> make_cancellable() {
    return operation_->cancel = std::make_shared<cancel_action>();
  }
  // From now on a signal calls `act`, once, from the io_context.
  template <class F> void on_cancel(F act) {
    if (operation_->cancel) operation_->cancel->act = std::move(act);
  }
  const void* id() const noexcept { return operation_; }

private:
  operation<Args...>* operation_ = nullptr;
};

template <class Handler> auto allocator_of(const Handler& h) {
  return boost::asio::get_associated_allocator(h, boost::asio::recycling_allocator<void>());
}

template <class Handler, class... Args> class bound_operation final : public operation<Args...> {
  using executor = boost::asio::associated_executor_t<Handler, lane_executor>;
  using allocator = typename std::allocator_traits<decltype(allocator_of(
      std::declval<const Handler&>()))>::template rebind_alloc<bound_operation>;
  using memory = std::allocator_traits<allocator>;

  Handler handler_;
  boost::asio::executor_work_guard<executor> work_;

public:
  bound_operation(Handler&& h, const lane_executor& e)
      : handler_(std::move(h)),
        work_(boost::asio::make_work_guard(boost::asio::get_associated_executor(handler_, e))) {}

  static bound_operation* make(Handler&& h, const lane_executor& e) {
    allocator a(allocator_of(h));
    bound_operation* const p = memory::allocate(a, 1);
    try {
      return ::new (static_cast<void*>(p)) bound_operation(std::move(h), e);
    } catch (...) {
      memory::deallocate(a, p, 1);
      throw;
    }
  }
  void complete(Args... args) override {
    Handler handler(std::move(handler_));
    const auto work = std::move(work_);
    release(allocator(allocator_of(handler)));
    const auto bound_memory = allocator_of(handler);
    boost::asio::post(work.get_executor(),
                      boost::asio::bind_allocator(bound_memory, [h = std::move(handler), args...]() mutable {
                        if (auto slot = boost::asio::get_associated_cancellation_slot(h); slot.is_connected())
                          slot.clear();
                        std::move(h)(std::move(args)...);
                      }));
  }
  void drop() noexcept override {
    // What the handler owns may be the lane that owned this operation: it goes when all else has gone.
    [[maybe_unused]] const Handler handler(std::move(handler_));
    [[maybe_unused]] const auto work = std::move(work_);
    release(allocator(allocator_of(handler)));
  }

private:
  void release(allocator a) noexcept {
    this->~bound_operation();
    memory::deallocate(a, this, 1);
  }
};

// `lane`: only whether it is still there is asked.
template <class... Args, class Handler>
completion<Args...> bind(Handler handler, const lane_executor& e, const std::shared_ptr<const void>& lane,
                         cancellation_type honoured) {
  auto slot = boost::asio::get_associated_cancellation_slot(handler);
  completion<Args...> done(bound_operation<Handler, Args...>::make(std::move(handler), e));
  if (slot.is_connected()) slot.template emplace<on_signal>(honoured, e, lane, done.make_cancellable());
  return done;
}

} // namespace detail
BEELINE_LINK_END
