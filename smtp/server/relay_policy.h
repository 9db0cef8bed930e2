// smtp/server/relay_policy.h
// AdmissionPolicy decides what a session may accept; the session asks it at MAIL and at each RCPT,
// before any content is read. RelayRules (relay_rules.h) is the decision from configuration; the
// relay puts its own state (quorum, disk, load) in front of it.
#pragma once

#include <cstddef>
#include <optional>

#include "smtp/protocol/address.h"
#include "smtp/protocol/esmtp_params.h"
#include "smtp/protocol/reply.h"
#include "smtp/server/envelope.h"

namespace holdfast::smtp {

struct MailCommand {
  Path reverse_path;
  MailParameters parameters;
};

struct RcptCommand {
  Path recipient;
  RcptParameters parameters;
  size_t accepted = 0;  // Recipients that this transaction already has.
};

struct MailDecision {
  // Absent: accepted. Else what the client hears instead of 250, such as 451 4.3.2 with the reason
  // while no majority is connected, or 452 4.3.1 when disk or memory is short.
  std::optional<Reply> refusal;
  // The client may relay anywhere. Its bare CR and LF are mended rather than refused.
  bool trusted = false;
};

struct RcptDecision {
  std::optional<Reply> refusal;
  // Accepted, but it goes here instead: <Postmaster> and postmaster at names of our own.
  std::optional<Path> redirect;
};

// Threads:  thread-safe, and quick: no I/O, no lock held for long.
// Lifetime: outlives every session. An answer may change from call to call, as policy does.
class AdmissionPolicy {
 public:
  virtual ~AdmissionPolicy() = default;
  virtual MailDecision OnMail(const ClientFacts& client, const MailCommand& command) = 0;
  virtual RcptDecision OnRcpt(const ClientFacts& client, const MailCommand& mail,
                              const RcptCommand& command) = 0;
};

}  // namespace holdfast::smtp
