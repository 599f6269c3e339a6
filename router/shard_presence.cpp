// The shard's presence: registrations, and whose a client id is when two sessions claim it.
//
// The table knows hashes, not ids. Where a second session claims a hash, the shard opens a contest:
// it keeps the claims with their full ids as they become known, asks the owner whose id it does not
// know, and closes the contest when one claim is left. Two ids with one hash stay contested.
#include "common/base/refusable_work.hpp"
#include "router/shard.hpp"

#include <algorithm>
#include <new>

namespace beeline::router {
namespace {
// Connect times are stored in units of 10 µs, biased so that sessions older than our clock fit too.
constexpr std::int64_t time_bias = std::int64_t{1} << 43;
std::uint64_t pack_time(std::int64_t us) {
  return static_cast<std::uint64_t>(std::clamp<std::int64_t>(us / 10 + time_bias, 0, 2 * time_bias - 1));
}
constexpr std::size_t sweep_step_entries = 20'000;  // well under a millisecond
constexpr std::size_t settle_step_contests = 1'000; // likewise
std::int64_t unpack_time(std::uint64_t t) { return (static_cast<std::int64_t>(t) - time_bias) * 10; }
} // namespace

// --- table ----------------------------------------------------------------------------------------

void shard::set_entry(id_hash h, const presence_entry& e) {
  if (const auto old = table_.find(h)) {
    if (old->link != contested_mark) --members_[old->link].entries;
  }
  const std::size_t before = plant.rehash_drops ? table_.memory_bytes() : 0;
  table_.insert_or_assign(h, e);
  if (e.link != contested_mark) ++members_[e.link].entries;
  if (plant.rehash_drops && table_.memory_bytes() > before && table_.size() > 4) {
    id_hash victim = h;
    table_.for_each([&](id_hash other, const presence_entry& x) {
      if (other != h && x.link != contested_mark) victim = other;
    });
    erase_entry(victim);
  }
}

// False: there is no memory for one entry more.
bool shard::insert_entry(id_hash h, const presence_entry& e, time_point now) {
  try {
    const refusable_work may_be_refused;
    set_entry(h, e);
    return true;
  } catch (const std::bad_alloc&) {
    on_memory_short(now);
    return false;
  }
}

void shard::erase_entry(id_hash h) {
  const auto old = table_.find(h);
  if (!old) return;
  if (old->link != contested_mark) --members_[old->link].entries;
  table_.erase(h);
}

// --- claims ---------------------------------------------------------------------------------------

bool shard::on_register(peer& p, const_bytes payload, time_point now) {
  if (members_[p.index].st == index_state::syncing) last_progress_ = p.sync_progress_at = now;
  return wire::for_each_record<wire::registration>(payload,
                                                   [&](const wire::registration& r) { on_claim(p, r, now); });
}

void shard::on_claim(peer& p, const wire::registration& r, time_point now) {
  counters.registrations.add();
  const id_hash h = hasher_(r.id);
  if (!table_.owns(h))
    return counters.claims_refused.add(); // the lane's map is older than ours: it will learn
  claim mine;
  mine.link = p.index;
  mine.h = r.client;
  mine.connected =
      pack_time(static_cast<std::int64_t>(r.connected_at + static_cast<std::uint64_t>(p.clock.us())));
  if (plant.claims_by_arrival || (plant.arrival_wins_while_warming && warming_))
    mine.connected = pack_time(static_cast<std::int64_t>(to_us(now)));
  mine.since = r.since;
  const auto e = table_.find(h);
  const bool free = !e || absent(e->link);
  const bool same_session =
      !free && e->link != contested_mark && members_[e->link].of == p.of && e->owner_handle == r.client;
  // Only the owner so far, or anybody while we warm up, is believed when it was the owner.
  if (!warming_ && !same_session && (free || e->link != contested_mark)) mine.since = 0;
  if (!e && (table_.size() >= config_.clients_max || memory_is_short()))
    return refuse(h, mine, r.id, close_reason::registration_refused, now);
  if (free || same_session || plant.collision_overwrites) {
    if (!insert_entry(h, {mine.h, mine.link, mine.connected}, now))
      return refuse(h, mine, r.id, close_reason::registration_refused, now);
    return confirm(mine, now);
  }
  mine.id = r.id;
  enter_contest(h, std::move(mine), now);
}

// Tells the lane that its client can be reached, and since when in shard time. A session that was
// the owner before says so itself; during warm-up a new one gets its time with `in service`.
void shard::confirm(claim& c, time_point now) {
  c.waits = false;
  if (c.since == 0) c.since = warming_ ? wire::since_warm_up : shard_time(now);
  else if (c.since != wire::since_warm_up) c.since = std::max(c.since, since_min_);
  peer& p = *members_[c.link].p;
  wire::registered_client{c.h, c.since}.put(p.registered.next(p.urgent()));
  touch(p);
}

bool shard::later_wins(const claim& a, const claim& b) const noexcept {
  if (a.connected != b.connected) return a.connected > b.connected;
  return members_[a.link].of->id > members_[b.link].of->id;
}

void shard::enter_contest(id_hash h, claim mine, time_point now) {
  const auto e = table_.find(h);
  const bool fresh = !contests_.contains(h);
  if (fresh && ((contests_.size() >= config_.contested_max && !plant.contested_ignored) || memory_is_short()))
    return refuse(h, mine, mine.id, close_reason::registration_busy, now);
  contest& all = contests_[h];
  if (fresh) {
    claim owner;
    owner.link = e->link;
    owner.h = e->owner_handle;
    owner.connected = e->connected;
    all.push_back(std::move(owner));
    set_entry(h, {{}, contested_mark, 0});
  }
  // The same session again, over a newer link: its id is known now.
  const auto same = std::find_if(all.begin(), all.end(), [&](const claim& c) {
    return c.h == mine.h && members_[c.link].of == members_[mine.link].of;
  });
  if (same != all.end()) {
    const bool waits = same->waits;
    // It may not have heard that it was not the owner meanwhile, or that it was not believed before.
    if ((same->may_have_to_close() && !plant.deposed_is_owner) || (waits && !warming_)) mine.since = 0;
    *same = std::move(mine);
    same->waits = waits;
    if (!waits) confirm(*same, now);
    return settle(h, now);
  }
  if (!warming_) mine.since = 0;
  mine.waits = std::any_of(all.begin(), all.end(), [&](const claim& c) {
    return c.id.empty() && !absent(c.link) && !later_wins(mine, c);
  });
  for (claim& c : all)
    if (c.id.empty() && !absent(c.link)) ask(h, c, mine);
  if (!mine.waits) confirm(mine, now);
  all.push_back(std::move(mine));
  settle(h, now);
}

// An owner whose id we do not know is asked for it. If it has lost in case the ids are the same, it
// is told to close at once.
void shard::ask(id_hash h, claim& owner, const claim& claimant) {
  const bool ask_only = claimant.waits || !later_wins(claimant, owner);
  ++owner.asked;
  if (!ask_only) owner.last_close = owner.asked;
  if (!linked(owner.link)) return; // when it comes back its id is known
  peer& p = *members_[owner.link].p;
  wire::kick k;
  k.hash = h;
  k.client = owner.h;
  k.wish = ask_only ? wire::kick::ask : wire::kick::close;
  k.claimant = claimant.id;
  if (!ask_only && plant.takeover_keeps_old) return;
  if (!ask_only) counters.takeovers.add();
  k.put(p.kicks.next(p.urgent()));
  touch(p);
}

void shard::kick(id_hash h, const claim& loser, std::string_view claimant) {
  counters.takeovers.add();
  if (!linked(loser.link) || plant.takeover_keeps_old) return; // when it comes back it loses again
  peer& p = *members_[loser.link].p;
  wire::kick k;
  k.hash = h;
  k.client = loser.h;
  k.claimant = claimant;
  k.put(p.kicks.next(p.urgent()));
  touch(p);
}

// A limit leaves no room for the claim: its lane tells the client so.
void shard::refuse(id_hash h, const claim& mine, std::string_view id, close_reason why, time_point now) {
  counters.claims_refused.add();
  drops_.put(drop_kind::connect, name_of(why), id, {}, drop_record::no_qos, now);
  peer& p = *members_[mine.link].p;
  wire::kick k;
  k.hash = h;
  k.client = mine.h;
  // A lane of an earlier version takes it for a session elsewhere that won.
  if (p.handshake.version() >= wire::version_with_refusals)
    k.wish = why == close_reason::registration_busy ? wire::kick::busy : wire::kick::full;
  k.claimant = id;
  k.put(p.kicks.next(p.urgent()));
  touch(p);
}

// A claim that is the last one of its contest. One that waits is confirmed before that, if its link is up.
bool shard::may_be_owner(const claim& c) const noexcept {
  return plant.deposed_is_owner || !(c.may_have_to_close() || c.waits);
}

// Settles what can be settled of a contest with what is known now.
void shard::settle(id_hash h, time_point now) {
  const auto it = contests_.find(h);
  if (it == contests_.end()) return;
  contest& all = it->second;
  std::erase_if(all, [&](const claim& c) { return absent(c.link); });
  const auto later = [&](const claim& a, const claim& b) { return later_wins(a, b); };
  if (all.size() > 1)
    for (const claim& c : take_losers(all, later)) kick(h, c, c.id);
  const bool in_doubt = std::any_of(all.begin(), all.end(), [](const claim& c) { return c.id.empty(); });
  if (!in_doubt || all.size() == 1)
    for (claim& c : all)
      if (c.waits && linked(c.link)) confirm(c, now);
  if (all.size() > 1 || (all.size() == 1 && !may_be_owner(all[0]))) {
    counters.contested.set(contests_.size());
    return;
  }
  const contest rest = std::move(all);
  contests_.erase(h);
  counters.contested.set(contests_.size());
  if (rest.empty()) erase_entry(h);
  else set_entry(h, {rest[0].h, rest[0].link, rest[0].connected});
}

bool shard::on_unregister(peer& p, const_bytes payload, time_point now) {
  return wire::for_each_record<wire::unregistration>(payload, [&](const wire::unregistration& u) {
    if (!table_.owns(u.hash)) return;
    const auto e = table_.find(u.hash);
    if (!e) return;
    counters.unregistrations.add();
    if (e->link == contested_mark) {
      std::erase_if(contests_.at(u.hash),
                    [&](const claim& c) { return c.h == u.client && members_[c.link].of == p.of; });
      return settle(u.hash, now);
    }
    if (plant.lower_epoch_unregisters || (members_[e->link].of == p.of && e->owner_handle == u.client))
      erase_entry(u.hash);
  });
}

// An owner says what the id of its session is.
bool shard::on_identity(peer& p, const_bytes payload, time_point now) {
  return wire::for_each_record<wire::identity>(payload, [&](const wire::identity& w) {
    const auto it = contests_.find(w.hash);
    if (it == contests_.end()) return;
    if (!w.same) counters.collisions.add();
    for (claim& c : it->second)
      if (c.h == w.client && members_[c.link].of == p.of) c.id = w.id, ++c.said;
    settle(w.hash, now);
  });
}

// Links are dead since the last time: contests that waited for them go on. When an edge ends and its clients
// have come back elsewhere, those are very many: some in each turn, and messages in between.
void shard::settle_stale(time_point now) {
  if (unsettled_.empty()) {
    if (!std::exchange(contests_stale_, false)) return;
    unsettled_.reserve(contests_.size());
    for (const auto& [h, all] : contests_) unsettled_.push_back(h);
  }
  for (std::size_t n = 0; n < settle_step_contests && !unsettled_.empty(); ++n) {
    const auto it = contests_.find(unsettled_.back());
    unsettled_.pop_back();
    if (it != contests_.end() &&
        std::any_of(it->second.begin(), it->second.end(), [&](const claim& c) { return absent(c.link); }))
      settle(it->first, now);
  }
  if (unsettled_.empty()) unsettled_.shrink_to_fit();
}

// --- dead indexes ---------------------------------------------------------------------------------

// The lane's former links are dead from now on. Returns them. Their claims are absent, and nobody's, and go
// out of their contests by and by.
std::vector<member_index> shard::bury_former(lane& l) {
  std::vector<member_index> former = std::exchange(l.former, {});
  for (member_index i : former) start_dying(i);
  if (!former.empty() && !contests_.empty()) contests_stale_ = true;
  return former;
}

// From now on its entries count as absent.
void shard::start_dying(member_index i) {
  members_[i].st = index_state::dead;
  members_[i].p = nullptr;
  members_[i].of = nullptr;
  dying_.push_back(i);
}

// Sweeps a little of the table for entries of dead indexes; an index whose entries are gone may be
// used again after its quarantine.
void shard::sweep(time_point now) {
  if (settling()) return; // contests name dead indexes too: those first
  const auto retire = [&](std::vector<member_index>& all) {
    std::erase_if(all, [&](member_index i) {
      if (members_[i].entries) return false;
      quarantine_.emplace_back(now + limits::index_quarantine, i);
      return true;
    });
  };
  retire(dying_);
  if (!sweeping_now_) {
    if (dying_.empty()) return;
    sweeping_.swap(dying_);
    sweeping_now_ = true;
  }
  const auto dead = [&](member_index i) {
    if (i == contested_mark || members_[i].st != index_state::dead) return false;
    --members_[i].entries;
    return true;
  };
  const bool done = table_.sweep(cursor_, sweep_step_entries, dead, [](id_hash) {});
  if (!done) return;
  sweeping_now_ = false;
  retire(sweeping_);
  dying_.insert(dying_.end(), sweeping_.begin(), sweeping_.end());
  sweeping_.clear();
}

bool shard::has_index(time_point now) const noexcept {
  return members_.size() < config_.members_max || (!quarantine_.empty() && quarantine_.front().first <= now);
}

// An index that was never used; when there is none, the one that has rested longest.
member_index shard::new_index() {
  if (members_.size() < config_.members_max) {
    members_.emplace_back();
    return static_cast<member_index>(members_.size() - 1);
  }
  const member_index i = quarantine_.front().second;
  quarantine_.pop_front();
  return i;
}

// --- questions --------------------------------------------------------------------------------------

shard::whereabouts shard::where(std::string_view id, time_point now) const {
  whereabouts w;
  const id_hash h = hasher_(id);
  if (!table_.owns(h)) return w;
  const auto say = [&](member_index i, std::uint64_t connected) {
    const member_slot& m = members_[i];
    if (m.st == index_state::dead || !m.of) return;
    w.online = true;
    w.lingering = m.p == nullptr;
    w.edge = m.of->edge;
    w.lane = m.of->number;
    w.connected_for = duration(static_cast<std::int64_t>(to_us(now)) - unpack_time(connected));
  };
  const auto e = table_.find(h);
  if (!e) return w;
  if (e->link != contested_mark) {
    say(e->link, e->connected);
    return w;
  }
  w.contested = true;
  for (const claim& c : contests_.at(h))
    if (!c.waits && (c.id.empty() || c.id == id)) say(c.link, c.connected);
  return w;
}

} // namespace beeline::router
