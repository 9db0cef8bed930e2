// node/admin/events.h
// What happens to mail, as log lines. The names of the events and of their fields are an interface:
// programs read them, so they are added to and never renamed.
//
//   ts=... level=info event=delivered node=1 group=3 queue_id=01J9... from=a@example.com
//   to=b@example.net destination=example.net mx=mx1.example.net tls="TLSv1.3 ..." status=2.0.0
//   reply="250 2.0.0 Ok" attempt=1 delay_ms=812
//
// Fields that do not apply are left out, and always stand in the order below. ts, level, event and
// node are written by base/log.h.
// Threads: thread-safe.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/strong_id.h"

namespace holdfast::node {

enum class MailEventKind {
  kAccepted,   // A submission became a message: 250 was answered.
  kRejected,   // A command or a submission was refused.
  kAttempt,    // An attempt ended, whatever its outcome; the outcomes follow, one per recipient.
  kDelivered,  // A recipient's mail was taken over by the remote.
  kDeferred,   // Not yet; another attempt follows.
  kBounced,    // Never: the sender is told, unless it asked otherwise.
  kExpired,    // Deferred for too long: the same.
  kHeld,       // Waits for an operator.
  kRemoved,    // Ended by an operator.
};

struct MailEvent {
  MailEventKind kind = MailEventKind::kAccepted;
  std::optional<GroupId> group;
  std::string queue_id;
  std::string message_id;
  std::string client;               // "192.0.2.1:4711".
  std::optional<std::string> from;  // Empty but present for the null sender.
  std::string to;
  std::optional<uint64_t> bytes;
  std::string destination;
  std::string mx;      // "mx1.example.net [192.0.2.1]:25".
  std::string tls;     // "TLSv1.3 TLS_AES_256_GCM_SHA384".
  std::string status;  // Enhanced status code (RFC 3463), "2.0.0".
  std::string reply;   // What the remote, or we, said. An operator's reason for held and removed.
  std::optional<uint32_t> attempt;      // 1 for the first.
  std::optional<absl::Duration> delay;  // Since the message was accepted.
  std::string actor;                    // The operator who ended it.
};

std::string_view MailEventName(MailEventKind kind);
// The fields present, in their order.
std::vector<LogField> MailEventFields(const MailEvent& event);
// Values longer than kEventFieldBytesMax are cut, with "..." at the end.
inline constexpr size_t kEventFieldBytesMax = 1024;

// At info level; rejected at info too, for strangers' mistakes are not ours.
void LogMailEvent(const MailEvent& event);

}  // namespace holdfast::node
