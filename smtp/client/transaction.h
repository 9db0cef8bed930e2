// smtp/client/transaction.h
// What an outgoing transaction is given and what becomes of it. Plain values.
// Threads: values.
#pragma once

#include <absl/status/status.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "smtp/protocol/esmtp_params.h"
#include "smtp/protocol/reply.h"
#include "smtp/stream/ip_address.h"
#include "smtp/stream/tls_context.h"

namespace holdfast::smtp {

struct TransactionRecipient {
  std::string mailbox;  // local@domain as received, without brackets.
  std::optional<NotifySet> notify;
  std::optional<std::string> orcpt;  // As received, or "rfc822;" and xtext made from the mailbox.
};

struct Transaction {
  std::string reverse_path;  // Without brackets; empty is the null sender.
  std::vector<TransactionRecipient> recipients;
  uint64_t content_bytes = 0;  // Before dot-stuffing, for SIZE=.
  std::optional<BodyType> body;
  bool smtputf8 = false;      // The message came with SMTPUTF8.
  bool needs_8bit = false;    // The content has bytes beyond ASCII.
  bool utf8_headers = false;  // Its header section has.
  // Absent stays absent (RFC 3461 5.2.1).
  std::optional<DsnReturn> ret;
  std::optional<std::string> envid;
};

// How far a conversation came.
enum class Phase {
  kRoute,
  kConnect,
  kGreeting,
  kEhlo,
  kStartTls,
  kMail,
  kRcpt,
  kData,
  kContent,
  kFinalDot,
};
std::string_view ToString(Phase phase);

enum class OutcomeClass {
  kDelivered,     // 2xx to the final dot.
  kTemporary,     // Try again later.
  kPermanent,     // Never again.
  kNotAttempted,  // Nothing was decided about this recipient, and nothing was delivered.
  kInDoubt,       // The final dot may have arrived and no answer came: MUST be tried again
                  // (RFC 5321 4.5.3.2.6), and may then arrive twice.
};
std::string_view ToString(OutcomeClass outcome);

// An answer of the remote, or in its place one of ours, from which a DSN can be written.
struct Answer {
  int code = 451;
  EnhancedCode enhanced{4, 4, 2};
  std::vector<std::string> lines;  // Printable; a remote's enhanced code is still in front.
  bool from_remote = false;

  std::string ToString() const;  // "550 5.1.1 no such user / second line"
};

struct RecipientOutcome {
  OutcomeClass outcome = OutcomeClass::kNotAttempted;
  Phase phase = Phase::kMail;
  Answer answer;
  // With kNotAttempted: another transaction may follow at once, without counting as an attempt
  // (too many recipients for one transaction, or a reused connection that had ended already).
  bool retry_now = false;
};

struct RemoteFacts {
  std::string host;
  Endpoint endpoint;
  TlsFacts tls;
};

struct TransactionResult {
  std::vector<RecipientOutcome> recipients;  // In the order of the transaction's.
  RemoteFacts remote;
  Phase phase = Phase::kMail;  // The last one begun.
  // The final dot was handed to the kernel, at least in part. False: surely nothing was delivered.
  bool dot_sent = false;
  // Another transaction may follow on the connection.
  bool reusable = false;
  uint64_t bytes_sent = 0;  // Of content, dot-stuffed.
  // Why we ourselves ended it before the dot: the fence said no, the body could not be read, or
  // the attempt was aborted. OK otherwise.
  absl::Status own_failure;
  // DSN was offered and our parameters were passed on, so that the remote answers for
  // NOTIFY=SUCCESS (RFC 3461 5.2.2).
  bool dsn_passed_on = false;
};

}  // namespace holdfast::smtp
