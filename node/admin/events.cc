#include "node/admin/events.h"

#include <algorithm>

#include "base/text.h"

namespace holdfast::node {
namespace {

// Cut between UTF-8 characters, so that what was valid stays valid.
std::string Bounded(std::string_view text) {
  if (text.size() <= kEventFieldBytesMax) return std::string(text);
  size_t end = kEventFieldBytesMax - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return format("{}...", text.substr(0, end));
}

void AddText(std::vector<LogField>& fields, std::string_view key, const std::string& value) {
  if (!value.empty()) fields.emplace_back(key, Bounded(value));
}

}  // namespace

std::string_view MailEventName(MailEventKind kind) {
  switch (kind) {
    case MailEventKind::kAccepted:
      return "accepted";
    case MailEventKind::kRejected:
      return "rejected";
    case MailEventKind::kAttempt:
      return "attempt";
    case MailEventKind::kDelivered:
      return "delivered";
    case MailEventKind::kDeferred:
      return "deferred";
    case MailEventKind::kBounced:
      return "bounced";
    case MailEventKind::kExpired:
      return "expired";
    case MailEventKind::kHeld:
      return "held";
    case MailEventKind::kRemoved:
      return "removed";
  }
  return "attempt";
}

std::vector<LogField> MailEventFields(const MailEvent& event) {
  std::vector<LogField> fields;
  fields.reserve(15);
  if (event.group) fields.emplace_back("group", event.group->value());
  AddText(fields, "queue_id", event.queue_id);
  AddText(fields, "message_id", event.message_id);
  AddText(fields, "client", event.client);
  if (event.from) fields.emplace_back("from", Bounded(*event.from));
  AddText(fields, "to", event.to);
  if (event.bytes) fields.emplace_back("bytes", *event.bytes);
  AddText(fields, "destination", event.destination);
  AddText(fields, "mx", event.mx);
  AddText(fields, "tls", event.tls);
  AddText(fields, "status", event.status);
  AddText(fields, "reply", event.reply);
  if (event.attempt) fields.emplace_back("attempt", *event.attempt);
  if (event.delay) {
    // A clock that was set back must not make a negative delay.
    fields.emplace_back("delay_ms", std::max<int64_t>(0, absl::ToInt64Milliseconds(*event.delay)));
  }
  AddText(fields, "actor", event.actor);
  return fields;
}

void LogMailEvent(const MailEvent& event) {
  if (!LogEnabled(LogLevel::kInfo)) return;
  const std::vector<LogField> fields = MailEventFields(event);
  LogSpan(LogLevel::kInfo, MailEventName(event.kind), fields.data(), fields.size());
}

}  // namespace holdfast::node
