// smtp/server/session_observer.h
// SessionObserver hears what sessions did, for log lines and metrics. All texts in its arguments
// are Printable() or pass it when a reply is formatted; a log may write them as they are.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "smtp/protocol/reply.h"
#include "smtp/server/envelope.h"

namespace holdfast::smtp {

// One command or message that was refused.
struct Rejection {
  std::string_view command;  // "RCPT", "DATA", "" for a line that is no command.
  std::string from;          // Of the transaction; "" is the null sender too.
  std::string to;            // For RCPT.
  std::string queue_id;      // When content had begun.
};

// Threads:  thread-safe. Lifetime: outlives every session. Every method may be left as it is.
class SessionObserver {
 public:
  virtual ~SessionObserver() = default;

  virtual void OnConnect(const ClientFacts& client) { (void)client; }
  // A connection turned away with 421 because of a limit (named in `reply`).
  virtual void OnTurnedAway(const ClientFacts& client, const Reply& reply) {
    (void)client, (void)reply;
  }
  virtual void OnRejected(const ClientFacts& client, const Rejection& rejection,
                          const Reply& reply) {
    (void)client, (void)rejection, (void)reply;
  }
  virtual void OnAccepted(const Envelope& envelope, const FinalFacts& facts,
                          const std::string& queue_id) {
    (void)envelope, (void)facts, (void)queue_id;
  }
  // `why` is OK after QUIT, kDeadlineExceeded, kAborted (vanished), kCancelled (stopped) otherwise.
  virtual void OnDisconnect(const ClientFacts& client, const absl::Status& why) {
    (void)client, (void)why;
  }
};

}  // namespace holdfast::smtp
