#include "common/cli/explain_text.hpp"

#include <algorithm>

namespace beeline::cli {
namespace {

std::string number_text(const json& page, path keys) { return count_text(number(page, keys)); }

std::string at_router(const json& r) {
  std::string out = "Its slot is " + number_text(r, {"slot"}) + ", served by shard " +
                    number_text(r, {"shard"}) + " of the router at " + text(r, {"admin"}) + ". ";
  if (!truth(r, {"online"}))
    return out + "There nobody has this id: a message to it is answered \"nobody there\".";
  out += "There it is online at edge " + text_or(r, {"edge"}) + ", lane " + number_text(r, {"lane"}) +
         ", for " + span_text(number(r, {"connected_for_seconds"})) + ".";
  if (truth(r, {"lingering"}))
    out +=
        " The link to that edge is lost: messages wait at their senders' edges until it is back or given up.";
  if (truth(r, {"contested"}))
    out += " Two sessions claim the id; the one that connected later will have it.";
  return out;
}

std::string session(const json& e) {
  std::string out = " has it on lane " + number_text(e, {"lane"}) + ": " + text_or(e, {"state"});
  if (const std::string protocol = text(e, {"protocol"}); !protocol.empty()) out += ", MQTT " + protocol;
  out += ", " + number_text(e, {"window", "in_flight"}) + " of at most " + number_text(e, {"window", "max"}) +
         " messages in flight to it, " + number_text(e, {"queue", "messages"}) + " waiting (" +
         bytes_text(number(e, {"queue", "bytes"})) + "), " + bytes_text(number(e, {"output_bytes"})) +
         " that its socket has not taken, " + number_text(e, {"unanswered_messages"}) +
         " of its own unanswered.";
  const json& registered = at(e, {"registered"});
  if (registered.is_boolean() && !registered.get<bool>())
    out += " The router has not confirmed its registration yet.";
  return out;
}

// As the edge names it, but where that could be read as if the link were up and had nothing to do.
std::string link_words(const std::string& state) {
  if (state == "idle") return "not connected, and dialled again in a moment";
  if (state == "dialling") return "not connected: it is being dialled";
  return state;
}

std::string at_edge(const json& e) {
  std::string out = "Edge " + text_or(e, {"edge"}) + " at " + text(e, {"admin"});
  out += truth(e, {"here"}) ? session(e) : " does not have it.";
  if (const std::string link = text(e, {"link_state"}); !link.empty())
    out += " Its link to the slot's shard is " + link_words(link) + ".";
  return out;
}

// Where the answers do not fit together. One of them may be older than the other by a moment.
std::string disagreement(const findings& f) {
  std::string out;
  for (const json& r : f.routers) {
    const std::string owner = truth(r, {"online"}) ? text(r, {"edge"}) : std::string();
    for (const json& e : f.edges) {
      const std::string name = text(e, {"edge"});
      if (name.empty()) continue; // it has not told its name
      if (truth(e, {"here"}) && owner != name)
        out += "Edge " + name + " has a session of the id, but the router says " +
               (owner.empty() ? "nobody" : "edge " + owner) + ". ";
      if (!truth(e, {"here"}) && owner == name && e.contains("here"))
        out += "The router says edge " + name + ", which has no such session. ";
    }
  }
  return out.empty() ? out : out + "If it stays so when asked again, the link between them is at fault.";
}

// The owner edge, when the router names one that has not told its side.
std::string missing_edge(const findings& f, const json& r) {
  const std::string owner = truth(r, {"online"}) ? text(r, {"edge"}) : std::string();
  const bool told =
      std::any_of(f.edges.begin(), f.edges.end(), [&](const json& e) { return text(e, {"edge"}) == owner; });
  if (owner.empty() || told) return {};
  return " Edge " + owner + ", which has it, was not among those " +
         (f.silent.empty() ? "asked: give its admin address, too." : "that answered.");
}

std::vector<std::string> drops(const findings& f) {
  std::vector<std::string> lines;
  for (const auto* side : {&f.routers, &f.edges})
    for (const json& answer : *side)
      for (const json& d : list(answer, "drops"))
        lines.push_back(drop_line(d) + ", " + text(answer, {"admin"}));
  std::sort(lines.begin(), lines.end()); // they begin with the time
  return lines;
}

} // namespace

std::optional<bool> findings::online() const {
  const bool here = std::any_of(edges.begin(), edges.end(), [](const json& e) { return truth(e, {"here"}); });
  if (routers.empty()) return here ? std::optional(true) : std::nullopt; // an edge knows of its own only
  return std::any_of(routers.begin(), routers.end(), [](const json& r) { return truth(r, {"online"}); });
}

std::string unknown_text(const findings& f) {
  std::string out =
      "it is not known whether client " + ops::quoted(f.id) + " is online: no router that serves its slot ";
  out += f.silent.empty() ? "was asked" : "answered";
  for (const std::string& r : f.elsewhere) out += ", " + r + " serves others";
  return out;
}

std::string explain_text(const findings& f) {
  const auto online = f.online();
  std::string out =
      "Client " + ops::quoted(f.id) + (online.value_or(false) ? " is online.\n" : " is not online.\n");
  if (!online) {
    out = unknown_text(f) + ".\n";
    out[0] = 'I';
  }
  for (const json& r : f.routers) out += at_router(r) + missing_edge(f, r) + "\n";
  if (online && f.routers.empty())
    out += std::string("No router that serves its slot ") + (f.silent.empty() ? "was asked" : "answered") +
           ".\n";
  for (const json& e : f.edges) out += at_edge(e) + "\n";
  if (const std::string d = disagreement(f); !d.empty()) out += d + "\n";
  const auto lines = drops(f);
  if (!lines.empty()) out += "Dropped or refused lately:\n";
  for (const std::string& line : lines) out += "  " + line + "\n";
  for (const std::string& s : f.silent) out += "No answer from " + s + "\n";
  return out;
}

std::string drop_line(const json& d) {
  std::string out = text_or(d, {"at"}) + "  " + text_or(d, {"what"}) + "  " + text_or(d, {"reason"}) + "  " +
                    text_or(d, {"from"}) + " -> " + text_or(d, {"to"});
  if (const maybe qos = number(d, {"qos"})) out += ", QoS " + count_text(qos);
  if (const std::string where = text(d, {"where"}); !where.empty()) out += ", " + where;
  return out;
}

} // namespace beeline::cli
