#include "common/base/reasons.hpp"
#include "common/wire/message.hpp"
#include "common/wire/properties.hpp"

#include <beeline/error.hpp>
#include <beeline/message.hpp>
#include <beeline/receipt.hpp>
#include <string>

BEELINE_LINK_BEGIN
namespace {

// Read only; the wire's view may also patch, which nobody does here.
wire::message_view view(const std::byte* frame, std::size_t size) {
  return wire::message_view({const_cast<std::byte*>(frame), size});
}

bool find(const std::byte* frame, std::size_t size, wire::property_id id, wire::property_record& out) {
  const const_bytes block = view(frame, size).properties();
  for (std::size_t at = 0; wire::next_property(block, at, out);)
    if (out.id == id) return true;
  return false;
}

} // namespace

std::string_view message_view::from() const noexcept { return view(frame_, size_).sender(); }
std::string_view message_view::to() const noexcept { return view(frame_, size_).destination(); }
std::string_view message_view::channel() const noexcept { return view(frame_, size_).channel(); }
bytes_view message_view::payload() const noexcept { return view(frame_, size_).payload(); }
qos message_view::qos() const noexcept {
  return view(frame_, size_).qos1() ? link::qos::at_least_once : link::qos::at_most_once;
}
std::optional<std::chrono::milliseconds> message_view::deadline() const noexcept {
  const std::uint32_t ttl = view(frame_, size_).ttl_ms();
  return ttl ? std::optional(std::chrono::milliseconds(ttl)) : std::nullopt;
}

std::string_view message_view::content_type() const noexcept {
  wire::property_record p;
  return find(frame_, size_, wire::property_id::content_type, p) ? p.text : std::string_view{};
}
std::string_view message_view::response_topic() const noexcept {
  wire::property_record p;
  return find(frame_, size_, wire::property_id::response_topic, p) ? p.text : std::string_view{};
}
bytes_view message_view::correlation_data() const noexcept {
  wire::property_record p;
  return find(frame_, size_, wire::property_id::correlation_data, p) ? as_bytes(p.text) : bytes_view{};
}
bool message_view::is_text() const noexcept {
  wire::property_record p;
  return find(frame_, size_, wire::property_id::payload_format, p) && p.flag == 1;
}
bool message_view::next_user_property(cursor& c, std::string_view& name,
                                      std::string_view& value) const noexcept {
  const const_bytes block = view(frame_, size_).properties();
  for (wire::property_record p; wire::next_property(block, c.at, p);) {
    if (p.id != wire::property_id::user_property) continue;
    name = p.text, value = p.value;
    return true;
  }
  return false;
}

// --- words ---------------------------------------------------------------------------------------------

std::string_view name_of(outcome o) noexcept { return beeline::name_of(static_cast<answer>(o)); }
std::string_view text_of(outcome o) noexcept { return beeline::text_of(static_cast<answer>(o)); }

namespace {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor" // Boost's base class has none, on purpose
struct link_category final : boost::system::error_category {
  const char* name() const noexcept override { return "beeline.link"; }
  std::string message(int value) const override {
    switch (static_cast<errc>(value)) {
    case errc::not_attached: return "the client is not attached to this lane";
    case errc::already_attached: return "a client of that id is attached to this lane already";
    case errc::invalid_client_id:
      return "a client id has 1 to 128 bytes of UTF-8, without / + # and control characters";
    case errc::message_too_large: return "the message is above 1 MiB, or unanswered_bytes_max";
    case errc::invalid_message: return "the message has no destination, or a field that cannot be sent";
    case errc::would_block: return "queues are full: wait for want_more";
    case errc::not_ready: return "no link to the recipient's router";
    case errc::taken_over: return "the id was attached elsewhere";
    case errc::router_full: return std::string(beeline::text_of(close_reason::registration_refused));
    case errc::router_busy: return std::string(beeline::text_of(close_reason::registration_busy));
    case errc::shutting_down: return "the lane is being shut down";
    case errc::outcome_unknown:
      return "the session or the lane ended before the message was answered: it may have been taken";
    }
    return "unknown error " + std::to_string(value);
  }
};
#pragma GCC diagnostic pop
} // namespace

const boost::system::error_category& error_category() noexcept {
  static const link_category category;
  return category;
}

BEELINE_LINK_END
