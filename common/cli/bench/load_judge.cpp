#include "common/cli/bench/load_judge.hpp"

#include <algorithm>
#include <cstring>

namespace beeline::load {
namespace {

constexpr std::uint32_t magic = 0x4c4f4144; // "LOAD"
constexpr std::uint8_t nobody = 0x10;       // MQTT's "no matching subscribers"

std::uint32_t latency(std::uint64_t from, std::uint64_t to) noexcept {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(to - from, ~std::uint32_t{0}));
}

} // namespace

judge::judge(const settings& s, const std::vector<std::string>& topics)
    : topics_(topics), clients_(s.clients), qos_(s.qos), messages_(s.messages),
      sent_seq_(std::size_t{s.clients} * s.clients), seen_seq_(std::size_t{s.clients} * s.clients),
      accounts_(s.clients) {}

void judge::owe_delivery(std::uint32_t recipient) {
  if (accounts_[recipient].gone) return;
  ++accounts_[recipient].deliveries;
  ++deliveries_owed_;
}

stamp judge::published(std::uint32_t number, std::uint32_t recipient, std::uint64_t since_us) {
  const std::uint32_t sender = sender_of(number);
  fate& m = messages_[number];
  m.since_us = since_us;
  m.recipient = recipient;
  m.published = true;
  ++r_.published;
  if (qos_) {
    ++accounts_[sender].answers;
    ++answers_owed_;
  } else {
    m.code = 0;
    owe_delivery(recipient);
  }
  return {magic, sender, recipient, ++at_pair(sent_seq_, sender, recipient), number};
}

void judge::delivered(std::uint32_t client, std::string_view topic, std::string_view payload,
                      std::uint64_t now_us) {
  stamp st{};
  if (payload.size() >= sizeof st) std::memcpy(&st, payload.data(), sizeof st);
  if (st.magic != magic || st.number >= messages_.size() || !messages_[st.number].published ||
      st.sender != sender_of(st.number) || st.recipient != messages_[st.number].recipient ||
      payload.find_first_not_of('x', sizeof st) != payload.npos)
    return damaged();
  if (st.recipient != client || topic != topics_[st.sender]) {
    ++r_.misdelivered;
    return;
  }
  fate& m = messages_[st.number];
  if (m.delivered) {
    ++r_.duplicates;
    return;
  }
  m.delivered = true;
  ++r_.delivered;
  r_.last_delivery_us = now_us;
  r_.delivery_us.push_back(latency(m.since_us, now_us));
  std::uint32_t& seen = at_pair(seen_seq_, st.sender, client);
  if (st.sequence <= seen) ++r_.reordered;
  seen = std::max(seen, st.sequence);
  if (m.code != 0) return; // it was not owed yet
  --accounts_[client].deliveries;
  --deliveries_owed_;
}

void judge::answered(std::uint32_t number, std::uint8_t code, std::uint64_t now_us) {
  fate& m = messages_[number];
  m.code = code;
  ++r_.answers[code];
  ++r_.answered;
  r_.answer_us.push_back(latency(m.since_us, now_us));
  --accounts_[sender_of(number)].answers;
  --answers_owed_;
  if (code == 0 && !m.delivered) owe_delivery(m.recipient);
}

void judge::gone(std::uint32_t client) {
  account& a = accounts_[client];
  a.gone = true;
  answers_owed_ -= a.answers;
  deliveries_owed_ -= a.deliveries;
}

void judge::judge_one(std::uint32_t number, const fate& m) {
  const bool sender_gone = accounts_[sender_of(number)].gone, recipient_gone = accounts_[m.recipient].gone;
  if (qos_ == 0) {
    if (!m.delivered) ++(sender_gone || recipient_gone ? r_.left_out : r_.dropped);
  } else if (m.code == no_answer) {
    ++(sender_gone ? r_.left_out : r_.unanswered);
  } else if (m.code == 0 && !m.delivered) {
    ++(recipient_gone ? r_.left_out : r_.accepted_not_delivered);
  } else if (m.code == nobody && m.delivered) {
    ++r_.nobody_but_delivered;
  }
}

result judge::finish() {
  for (std::uint32_t k = 0; k < messages_.size(); ++k)
    if (messages_[k].published) judge_one(k, messages_[k]);
  std::sort(r_.delivery_us.begin(), r_.delivery_us.end());
  std::sort(r_.answer_us.begin(), r_.answer_us.end());
  return std::move(r_);
}

} // namespace beeline::load
