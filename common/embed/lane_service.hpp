// Lets go of what waits in the lanes of an io_context when that is destroyed, as Asio's own services do:
// a completion handler may own the lane that it waits in, and nobody else would end that circle.
//
// Any thread may add; shutdown is called by the io_context's destructor, when no thread runs it any more.
#pragma once
#include <boost/asio/execution_context.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace beeline::link {

class lane_service final : public boost::asio::execution_context::service {
public:
  using key_type = lane_service;
  using drop_fn = void (*)(void* lane) noexcept;
  static boost::asio::execution_context::id id;

  explicit lane_service(boost::asio::execution_context& context) : service(context) {}
  // `drop` is called when the io_context is destroyed and the lane is still there.
  void add(std::weak_ptr<void> lane, drop_fn drop) {
    const std::lock_guard lock(mutex_);
    std::erase_if(lanes_, [](const auto& l) { return l.expired(); });
    lanes_.push_back(std::move(lane));
    drop_ = drop;
  }

private:
  void shutdown() override {
    for (const auto& weak : std::exchange(lanes_, {}))
      if (const auto lane = weak.lock()) drop_(lane.get());
  }

  std::mutex mutex_; // several threads may make lanes on one context before it is run
  std::vector<std::weak_ptr<void>> lanes_;
  drop_fn drop_ = nullptr;
};

} // namespace beeline::link
