// queue/schedule/retry_policy.h
// When a recipient is tried again, when we give up, and when its sender is told about the delay
// (RFC 5321 4.5.4.1). Functions of their arguments: the caller brings time and luck.
// Threads: any.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <vector>

#include "queue/state/queue_types.h"

namespace holdfast::queue {

// One rule; the policy may have another for a destination.
struct RetryRule {
  // From a failed attempt to the next one; the last wait repeats. Empty counts as one hour.
  std::vector<absl::Duration> waits = {absl::Minutes(5), absl::Minutes(10), absl::Minutes(20),
                                       absl::Minutes(40), absl::Hours(1)};
  uint32_t jitter_percent = 20;  // At most 100.
  absl::Duration expiry = absl::Hours(120);
  absl::Duration null_sender_expiry = absl::Hours(120);
  // 0: nobody is ever told.
  absl::Duration delay_notice_after = absl::Hours(4);
  // Tells all senders, not only those who asked (NOTIFY=DELAY).
  bool delay_notice_always = false;
};

// `attempts` have failed by now, this one included (at least 1). `luck` is any 64 random bits.
absl::Time NextDue(absl::Time now, uint32_t attempts, const RetryRule& rule, uint64_t luck);

// When a message accepted at `accepted` expires.
absl::Time ExpiresAt(absl::Time accepted, bool null_sender, const RetryRule& rule);

// Whether a delay notice is due, by age alone; who wants one is dsn/notice_rules.h's question.
bool DelayNoticeDue(absl::Time now, absl::Time accepted, const RetryRule& rule);

// What an attempt found out about one recipient, before policy judges it.
struct RecipientResult {
  enum class Kind {
    kDelivered,
    kTemporary,   // 4yz, connection or DNS trouble.
    kPermanent,   // 5yz, or our own permanent verdict.
    kNotSent,     // Ended before the dot for our own reasons (drain, hand-over).
    kSuppressed,  // By policy.
  };
  uint32_t recipient = 0;  // Index into the message's recipients.
  Kind kind = Kind::kTemporary;
  uint32_t code = 0;
  std::string enhanced;
  std::string text;
};

enum class Judgement { kDelivered, kDeferred, kBounced, kExpired, kNotSent, kSuppressed };

struct JudgedAttempt {
  std::vector<Judgement> recipients;  // As the results given.
  // When what stays open is due again: set when any is deferred or not sent. Not-sent recipients
  // alone are due at once.
  absl::Time next_due = absl::InfiniteFuture();
  bool counts = true;  // False when nothing but not-sent happened.
};

// `attempts_before` as in the unit's row. A temporary failure is an expiry only when the attempt
// ended past `expires`, so that every message is tried at least once after a long stop.
JudgedAttempt JudgeAttempt(const std::vector<RecipientResult>& results, absl::Time ended,
                           absl::Time expires, uint32_t attempts_before, const RetryRule& rule,
                           uint64_t luck);

}  // namespace holdfast::queue
