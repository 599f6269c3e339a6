// Why a connection ended, why a message was dropped, what became of a message.
//
// Each value feeds the log, a counter and the tests under the same name.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace beeline {

#define BEELINE_CLOSE_REASONS(X)                                                                             \
  X(none, "open")                                                                                            \
  X(peer_closed, "the peer closed the connection")                                                           \
  X(network_error, "the network reported an error")                                                          \
  X(client_disconnect, "DISCONNECT from the client")                                                         \
  X(malformed, "malformed packet")                                                                           \
  X(protocol_error, "packet not allowed here")                                                               \
  X(packet_too_large, "packet above the limit")                                                              \
  X(receive_maximum_exceeded, "more unacknowledged messages than announced")                                 \
  X(unsupported, "feature that is not offered")                                                              \
  X(connect_refused, "CONNECT refused")                                                                      \
  X(connect_timeout, "no whole CONNECT in time")                                                             \
  X(not_registered, "no shard answered the registration in time")                                            \
  X(registration_refused, "the router has as many clients as it may")                                        \
  X(registration_busy, "too many client ids are claimed twice at this moment")                               \
  X(keep_alive_timeout, "nothing heard for 1.5 x keep-alive")                                                \
  X(taken_over, "the client connected elsewhere")                                                            \
  X(message_refused, "a 3.1.1 publish was refused")                                                          \
  X(prelogin_limit, "bytes before login above the limit")                                                    \
  X(incomplete_limit, "packets that are not whole took too much memory, and this one was large")             \
  X(connection_limit, "too many connections")                                                                \
  X(address_limit, "too many connections from one address")                                                  \
  X(moved_lane, "handed to the id's lane")                                                                   \
  X(client_write_stall, "client takes no bytes")                                                             \
  X(link_silence, "link silent for too long")                                                                \
  X(link_write_stall, "link takes no bytes")                                                                 \
  X(link_paused, "this process was stopped too long")                                                        \
  X(link_replaced, "a newer link of the same lane")                                                          \
  X(link_bad_frame, "link frame malformed or damaged")                                                       \
  X(link_bad_state, "link frame not allowed in this state")                                                  \
  X(link_refused, "link handshake refused")                                                                  \
  X(link_handshake_timeout, "link handshake not done in time")                                               \
  X(link_went_away, "the peer said it goes away")                                                            \
  X(link_error, "the peer reported an error")                                                                \
  X(map_changed, "the router's slot map changed")                                                            \
  X(out_of_memory, "a memory limit was reached")                                                             \
  X(drained, "told to go to another server, as this one is to end")                                          \
  X(shutdown, "this process ends")

enum class close_reason : std::uint8_t {
#define X(name, text) name,
  BEELINE_CLOSE_REASONS(X)
#undef X
};
inline constexpr std::string_view close_reason_names[] = {
#define X(name, text) #name,
    BEELINE_CLOSE_REASONS(X)
#undef X
};
inline constexpr std::string_view close_reason_texts[] = {
#define X(name, text) text,
    BEELINE_CLOSE_REASONS(X)
#undef X
};
inline constexpr std::size_t close_reason_count = sizeof close_reason_names / sizeof close_reason_names[0];
constexpr std::string_view name_of(close_reason r) { return close_reason_names[static_cast<std::size_t>(r)]; }
constexpr std::string_view text_of(close_reason r) { return close_reason_texts[static_cast<std::size_t>(r)]; }

// A message or copy that goes no further. QoS 1 messages also get an answer; QoS 0 ones end here.
#define BEELINE_DROP_REASONS(X)                                                                              \
  X(nobody, "QoS 0: nobody has that id")                                                                     \
  X(link_down, "QoS 0: no link to the shard of the recipient")                                               \
  X(warming_up, "QoS 0: the shard has just started")                                                         \
  X(owner_lingering, "QoS 0: the recipient's lane is lost or not yet in sync")                               \
  X(moved, "QoS 0: slot not served by this shard")                                                           \
  X(link_full, "QoS 0: the output of a link is full")                                                        \
  X(not_here, "QoS 0: the recipient's session had ended")                                                    \
  X(recipient_slow, "QoS 0: the recipient reads too slowly")                                                 \
  X(recipient_full, "the recipient's queue is full")                                                         \
  X(too_large_for_recipient, "above the recipient's Maximum Packet Size")                                    \
  X(expired, "the message expired on its way")                                                               \
  X(bad_topic, "topic that no rule serves")                                                                  \
  X(bad_property, "a user property that means something here has no meaning")                                \
  X(properties_too_large, "user properties above 64 KiB")                                                    \
  X(retain, "a 3.1.1 client wants it retained")                                                              \
  X(receipts_full, "too many receipts of recipients are waited for")                                         \
  X(bad_body, "body CRC wrong")                                                                              \
  X(sender_gone, "the sender's session ended before the message could be sent")                              \
  X(recipient_gone, "accepted, and the recipient's session ended before it took it")                         \
  X(gave_up, "resent too often, or no link for too long")                                                    \
  X(memory_limit, "a memory limit was reached")

enum class drop_reason : std::uint8_t {
#define X(name, text) name,
  BEELINE_DROP_REASONS(X)
#undef X
};
inline constexpr std::string_view drop_reason_names[] = {
#define X(name, text) #name,
    BEELINE_DROP_REASONS(X)
#undef X
};
inline constexpr std::size_t drop_reason_count = sizeof drop_reason_names / sizeof drop_reason_names[0];
constexpr std::string_view name_of(drop_reason r) { return drop_reason_names[static_cast<std::size_t>(r)]; }

// What became of a QoS 1 message (docs/link-protocol.md, answers). The first six are final.
#define BEELINE_ANSWERS(X) /* name, final, text */                                                           \
  X(accepted, true, "in the recipient's session at its owner")                                               \
  X(nobody, true, "nobody has it, nobody kept it")                                                           \
  X(full, true, "the recipient's queue is full")                                                             \
  X(refused, true, "a limit was passed")                                                                     \
  X(expired, true, "expired on its way")                                                                     \
  X(unknown, true, "outcome unknown")                                                                        \
  X(retry, false, "its predecessor is not there yet")                                                        \
  X(not_here, false, "the session has left that lane")                                                       \
  X(busy, false, "a queue on its way is full")                                                               \
  X(moved, false, "the slot is another shard's")                                                             \
  X(later_warm_up, false, "the shard is warming up")                                                         \
  X(later_lane, false, "the owner lane is lost or not yet in sync")

enum class answer : std::uint8_t {
#define X(name, final, text) name,
  BEELINE_ANSWERS(X)
#undef X
};
inline constexpr std::string_view answer_names[] = {
#define X(name, final, text) #name,
    BEELINE_ANSWERS(X)
#undef X
};
inline constexpr std::string_view answer_texts[] = {
#define X(name, final, text) text,
    BEELINE_ANSWERS(X)
#undef X
};
inline constexpr std::size_t answer_count = sizeof answer_names / sizeof answer_names[0];
constexpr std::string_view name_of(answer a) { return answer_names[static_cast<std::size_t>(a)]; }
constexpr std::string_view text_of(answer a) { return answer_texts[static_cast<std::size_t>(a)]; }
constexpr bool is_final(answer a) noexcept { return a <= answer::unknown; }

} // namespace beeline
