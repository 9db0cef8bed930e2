// node/delivery/attempt.h
// What an attempt is given and what came of it: plain values that pass between the apply context,
// which decides who is attempted, and an io context, where the conversation with the remote runs.
// Threads: values.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_budget.h"
#include "base/strong_id.h"
#include "node/control/policy.h"
#include "raft/storage/body_key.h"
#include "smtp/client/transaction.h"

namespace holdfast::node {

struct AttemptRecipient {
  uint32_t index = 0;  // In the message's list.
  smtp::TransactionRecipient recipient;
};

// One unit (the recipients of one message at one destination) to be attempted once.
struct AttemptTask {
  GroupId group;
  std::string queue_id;
  uint32_t unit = 0;
  uint64_t attempt_id = 0;
  uint32_t slot = 0;        // Of its permit: it uses no connections but those of this slot.
  uint64_t leadership = 0;  // Of the group's duties, in which it was granted.
  std::string destination;
  uint32_t attempts_before = 0;
  absl::Time accepted;
  std::string message_id;
  // Everything but the recipients.
  smtp::Transaction transaction;
  std::vector<AttemptRecipient> recipients;
  std::vector<raft::BodyRef> bodies;
  // One snapshot serves the whole attempt.
  std::shared_ptr<const PolicySnapshot> policy;
  // Crashes make it suspect: no other suspect is attempted beside it.
  bool alone = false;
  // Memory that the attempt may use for content.
  ByteBudget::Reservation memory;
};

struct AttemptReport {
  absl::Time started;
  absl::Time ended;
  // One for each of the task's recipients.
  std::vector<smtp::RecipientOutcome> outcomes;
  // "mx1.example.net [192.0.2.1]:25"; empty when nobody was reached.
  std::string remote;
  std::string tls;  // "TLSv1.3 TLS_AES_256_GCM_SHA384"
  // No host of the destination could be talked to: the destination is to blame, not the message.
  bool destination_failed = false;
  // An intent was committed for this attempt, or may have been.
  bool intent_made = false;
  // NOTIFY=SUCCESS was passed on to a remote that speaks DSN.
  bool dsn_passed_on = false;
  // We ended it ourselves before the dot; nothing was sent and it doesn't count.
  bool not_sent = false;
  std::string not_sent_reason;
  // Why it was not sent: this body is damaged or missing here. Others may have it.
  std::optional<raft::BodyRef> unreadable;
};

inline constexpr std::string_view kAttemptsStopped = "attempts are being stopped";

// Of an attempt that was stopped before anything of it was sent.
inline AttemptReport StoppedReport(const AttemptTask& task, absl::Time started, absl::Time ended) {
  AttemptReport report;
  report.started = started;
  report.ended = ended;
  report.outcomes.resize(task.recipients.size());
  report.not_sent = true;
  report.not_sent_reason = std::string(kAttemptsStopped);
  return report;
}

}  // namespace holdfast::node
