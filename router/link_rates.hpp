// Messages and bytes a second of each link: what links have carried, sampled once a second over the last ten.
//
//   samples, of all shards:  [-10 s] ... [-1 s][newest]     rates: the newest less the oldest, by the time
//                                                           that was really between them
//
// A link that came up within that time counts from 0, one that is gone has no rate. Links are named by their
// member index, which names no other for limits::index_quarantine. Windows that are longer than the program
// has run take what there is; samples from before a stall, more than a second older than the window, are
// dropped.
//
// Sampled by the control loop, read by the thread that makes pages: samples do not change once they are kept.
// Memory is bounded by --links-max: 40 bytes for a link and sample, 440 bytes a link in all; 1.8 MB for a
// shard with all the links that the default, 4,096, lets in.
#pragma once
#include "common/base/limits.hpp"
#include "common/base/time.hpp"
#include "router/shard.hpp"

#include <deque>
#include <memory>
#include <mutex>

namespace beeline::router {

struct link_sample { // of one shard
  time_point at;     // by its own turn
  std::vector<shard::link_total> links;
};

struct traffic_rates { // a second
  double messages_in = 0, messages_out = 0, bytes_in = 0, bytes_out = 0;
  traffic_rates& operator+=(const traffic_rates& other);
};

// Two moments and what is between them. Plain data.
class link_window {
public:
  using instant = std::shared_ptr<const std::vector<link_sample>>; // by shard, links by index

  link_window() = default;
  link_window(instant before, instant newest) : before_(std::move(before)), newest_(std::move(newest)) {}
  traffic_rates of(std::size_t shard, member_index link) const;

private:
  instant before_, newest_; // both or none
};

class link_rate_meter {
public:
  void put(std::vector<link_sample> shards); // in the order of shards, always as many
  link_window window() const;

private:
  mutable std::mutex mutex_;
  std::deque<link_window::instant> kept_;
};

} // namespace beeline::router
