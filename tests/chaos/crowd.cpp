#include "tests/chaos/crowd.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <future>

namespace beeline::chaos {
namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {
constexpr auto tick_interval = 4ms;
constexpr std::size_t final_others = 80; // so many does each send to at rest: of a few dozen clients all
constexpr std::size_t final_unanswered_max = 200; // so that no queue fills at rest
constexpr std::int64_t ms = 1000;
} // namespace

crowd::crowd(crowd_settings s, clock::time_point begin, const std::string& history_path)
    : settings_(std::move(s)), begin_(begin), random_(settings_.seed ^ 0xc0ffee),
      clients_(settings_.clients.size()), history_(history_path) {
  for (std::uint32_t i = 0; i < clients_.size(); ++i) {
    const unsigned group = settings_.clients[i].group;
    if (group >= groups_.size()) groups_.resize(group + 1u);
    groups_[group].push_back(i);
  }
  asio::post(io_, [this] { tick(); });
  thread_ = std::thread([this] { io_.run(); });
}

crowd::~crowd() {
  if (thread_.joinable()) stop();
}

void crowd::post(std::function<void()> f) { asio::post(io_, std::move(f)); }

void crowd::connect_all() {
  post([this] {
    for (member& c : clients_) c.connect_at = now() + static_cast<std::int64_t>(random_.below(100)) * ms;
  });
}

void crowd::begin_load() {
  post([this] {
    loading_ = true;
    load_begin_ = next_churn_ = now();
    offered_ = 0;
  });
}

void crowd::end_load() {
  std::promise<void> done;
  post([&] {
    loading_ = false;
    for (member& c : clients_) {
      c.wanted = !random_.one_in(10);
      if (c.wanted && c.sessions.empty() && c.connect_at < 0) c.connect_at = now();
      if (!c.wanted)
        for (const auto& s : std::vector(c.sessions)) s->leave();
    }
    count();
    done.set_value();
  });
  done.get_future().get();
}

void crowd::deaf(std::uint32_t c, bool on) {
  post([this, c, on] {
    for (const auto& s : clients_[c].sessions) s->deaf(on);
  });
}

void crowd::begin_final() {
  post([this] {
    const auto steps = std::min(clients_.size() - 1, final_others);
    for (std::uint32_t step = 1; step <= steps; ++step)
      for (std::uint32_t from = 0; from < clients_.size(); ++from)
        final_left_.emplace_back(from, static_cast<std::uint32_t>((from + step) % clients_.size()));
    std::reverse(final_left_.begin(), final_left_.end());
    final_ = true;
  });
}

void crowd::stop() {
  post([this] {
    stopped_ = true;
    timer_.cancel();
    for (member& c : clients_) {
      c.wanted = false;
      for (const auto& s : std::vector(c.sessions)) s->abort();
    }
  });
  thread_.join();
  history_.close();
}

std::string crowd::words() {
  std::promise<std::string> told;
  post([&] {
    std::string text;
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      const member& c = clients_[i];
      std::size_t waiting = 0;
      for (const auto& s : c.sessions) waiting += s->unanswered();
      const bool right = c.wanted ? c.sessions.size() == 1 && c.sessions[0]->live() : c.sessions.empty();
      if (text.size() < 500 && (!right || waiting))
        text += " " + settings_.clients[i].id + (c.wanted ? "" : " (to be away)") + ": " +
                std::to_string(c.sessions.size()) + " sessions, " + std::to_string(waiting) + " unanswered;";
    }
    told.set_value(text);
  });
  return told.get_future().get();
}

// ---- for sessions ----

void crowd::see(const record& r) {
  if (stopped_) return; // what the end of the run itself causes
  history_.add(r);
  if (r.what == seen::answer || r.what == seen::receive || r.what == seen::publish) last_event_ = r.at;
}

int crowd::late_ack_ms(std::uint32_t c) {
  const int most = loading_ ? settings_.clients[c].late_ack_ms : 0;
  return most == 0 ? 0 : static_cast<int>(random_.below(static_cast<std::uint64_t>(most))) + 1;
}

void crowd::connected(std::uint32_t c, std::uint32_t) { clients_[c].failures = 0; }

void crowd::ended(std::uint32_t number, std::uint32_t ended_session) {
  member& c = clients_[number];
  std::erase_if(c.sessions, [&](const auto& s) { return s->number() == ended_session; });
  if (!c.wanted || !c.sessions.empty() || stopped_) return;
  if (loading_ && !settings_.clients[number].returns) return;
  const std::uint64_t most = std::min<std::uint64_t>(1000, 100u << std::min(c.failures++, 4u));
  c.connect_at = now() + static_cast<std::int64_t>(30 + random_.below(most)) * ms;
}

// ---- the clients' own doing ----

session* crowd::live_session(std::uint32_t number) {
  for (auto s = clients_[number].sessions.rbegin(); s != clients_[number].sessions.rend(); ++s)
    if ((*s)->live()) return s->get();
  return nullptr;
}

void crowd::open(std::uint32_t number, std::uint8_t edge) {
  auto s = std::make_shared<session>(*this, sessions_++, number, edge);
  clients_[number].sessions.push_back(s);
  s->connect(settings_.edges[edge]);
}

void crowd::connect_due() {
  for (std::uint32_t i = 0; i < clients_.size(); ++i) {
    member& c = clients_[i];
    if (c.connect_at < 0 || c.connect_at > now()) continue;
    c.connect_at = -1;
    if (!c.wanted || !c.sessions.empty()) continue;
    // Half of them where they began, so that an edge that comes back has clients again.
    const auto home = static_cast<std::uint8_t>(i % settings_.edges.size());
    const int always = settings_.clients[i].home;
    open(i, always >= 0 ? static_cast<std::uint8_t>(always) : random_.one_in(2) ? home : some_edge());
  }
}

// At another edge than its newest session, which may not have its CONNACK yet: so claims cross.
void crowd::take_over(std::uint32_t number) {
  constexpr std::size_t at_once_max = 4;
  const auto& its = clients_[number].sessions;
  if (its.empty() || its.size() >= at_once_max || takeovers_ == settings_.takeovers) return;
  ++takeovers_;
  open(number, static_cast<std::uint8_t>((its.back()->edge() + 1u) % settings_.edges.size()));
}

void crowd::churn() {
  if (settings_.churn <= 0) return;
  while (next_churn_ <= now()) {
    next_churn_ +=
        static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(2e6 / settings_.churn)) + 1);
    const auto number = static_cast<std::uint32_t>(random_.below(clients_.size()));
    if (settings_.takeovers) {
      take_over(number);
      continue;
    }
    session* s = live_session(number);
    if (!s) continue;
    const std::uint64_t dice = random_.below(100);
    if (dice < 45) {
      if (clients_[number].sessions.size() < 3) open(number, some_edge()); // takes over, here or elsewhere
      continue;
    }
    if (dice < 75) s->leave();
    else s->abort();
  }
}

std::uint32_t crowd::some_recipient(std::uint32_t from) {
  const int group = settings_.clients[from].sends_to;
  if (group < 0) return static_cast<std::uint32_t>(random_.below(clients_.size()));
  const auto& all = groups_[static_cast<std::size_t>(group)];
  return all[random_.below(all.size())];
}

wishes crowd::some_wishes(std::uint32_t from) {
  wishes w;
  if (!settings_.clients[from].v5) return w;
  if (settings_.receipt_percent) w.receipt = random_.below(100) < settings_.receipt_percent;
  if (settings_.deadline_percent && random_.below(100) < settings_.deadline_percent)
    w.deadline = static_cast<std::uint8_t>(random_.one_in(2) ? 1 + random_.below(5) : 1 + random_.below(100));
  return w;
}

bool crowd::publish_one() {
  const int tries_max = settings_.shifts_load ? 8 : 1;
  for (int tries = 0; tries < tries_max; ++tries) {
    const auto from = static_cast<std::uint32_t>(random_.below(clients_.size()));
    session* s = live_session(from);
    if (!s || !s->has_room()) continue;
    const std::uint32_t to = some_recipient(from);
    const std::size_t most = random_.one_in(50) ? 8 * settings_.payload_max : settings_.payload_max;
    const bool qos1 = random_.below(100) >= settings_.qos0_percent;
    const std::size_t bytes = random_.below(most);
    s->publish(to, qos1, false, bytes, qos1 ? some_wishes(from) : wishes{});
    return true;
  }
  return false;
}

void crowd::offer() {
  const auto due =
      static_cast<std::uint64_t>(static_cast<double>(now() - load_begin_) / 1e6 * settings_.rate);
  // After a pause of our own the load goes on at its rate; what was missed then is held back, not made up
  // for.
  const auto most = static_cast<std::uint64_t>(settings_.rate / 20) + 1;
  if (due > offered_ + most) {
    held_back_ += due - offered_ - most;
    offered_ = due - most;
  }
  for (; offered_ < due; ++offered_)
    if (!publish_one()) ++held_back_;
}

void crowd::send_final() {
  while (!final_left_.empty() && unanswered_ < final_unanswered_max) {
    const auto [from, to] = final_left_.back();
    session* s = live_session(from);
    if (s && !s->has_room()) return;
    final_left_.pop_back();
    if (!s) continue;
    s->publish(to, 1, true, 0);
    ++unanswered_;
  }
  if (final_left_.empty()) final_sent_ = true;
}

void crowd::count() {
  std::size_t live = 0, unanswered = 0, wrong = 0;
  for (std::uint32_t i = 0; i < clients_.size(); ++i) {
    const member& c = clients_[i];
    for (const auto& s : c.sessions) unanswered += s->unanswered(), live += s->live();
    wrong += c.wanted ? c.sessions.size() != 1 || !c.sessions[0]->live() : !c.sessions.empty();
  }
  live_count_ = live, unanswered_ = unanswered, wrong_ = wrong;
}

void crowd::tick() {
  if (stopped_) return;
  connect_due();
  for (member& c : clients_)
    for (const auto& s : std::vector(c.sessions)) s->tick();
  if (loading_) offer(), churn();
  count();
  if (final_) send_final();
  timer_.expires_after(tick_interval);
  timer_.async_wait([this](const boost::system::error_code&) { tick(); });
}

} // namespace beeline::chaos
