#include "queue/schedule/retry_policy.h"

#include <algorithm>

namespace holdfast::queue {
namespace {

absl::Duration WaitFor(uint32_t attempts, const RetryRule& rule) {
  if (rule.waits.empty()) return absl::Hours(1);
  const size_t at = std::min<size_t>(attempts == 0 ? 0 : attempts - 1, rule.waits.size() - 1);
  return std::max(rule.waits[at], absl::ZeroDuration());
}

Judgement JudgeRecipient(const RecipientResult& result, bool past_expiry) {
  switch (result.kind) {
    case RecipientResult::Kind::kDelivered:
      return Judgement::kDelivered;
    case RecipientResult::Kind::kTemporary:
      return past_expiry ? Judgement::kExpired : Judgement::kDeferred;
    case RecipientResult::Kind::kPermanent:
      return Judgement::kBounced;
    case RecipientResult::Kind::kNotSent:
      return Judgement::kNotSent;
    case RecipientResult::Kind::kSuppressed:
      return Judgement::kSuppressed;
  }
  return Judgement::kNotSent;
}

}  // namespace

absl::Time NextDue(absl::Time now, uint32_t attempts, const RetryRule& rule, uint64_t luck) {
  const absl::Duration wait = WaitFor(attempts, rule);
  // A share of the wait in thousandths of a percent, from -jitter to +jitter.
  const int64_t jitter = std::min<int64_t>(rule.jitter_percent, 100) * 1000;
  const int64_t share = static_cast<int64_t>(luck % static_cast<uint64_t>(2 * jitter + 1)) - jitter;
  return now + wait + wait / 100'000 * share;
}

absl::Time ExpiresAt(absl::Time accepted, bool null_sender, const RetryRule& rule) {
  return accepted + (null_sender ? rule.null_sender_expiry : rule.expiry);
}

bool DelayNoticeDue(absl::Time now, absl::Time accepted, const RetryRule& rule) {
  return rule.delay_notice_after > absl::ZeroDuration() &&
         now - accepted >= rule.delay_notice_after;
}

JudgedAttempt JudgeAttempt(const std::vector<RecipientResult>& results, absl::Time ended,
                           absl::Time expires, uint32_t attempts_before, const RetryRule& rule,
                           uint64_t luck) {
  JudgedAttempt judged;
  judged.counts = false;
  bool deferred = false;
  bool not_sent = false;
  for (const RecipientResult& result : results) {
    judged.recipients.push_back(JudgeRecipient(result, ended >= expires));
    const Judgement judgement = judged.recipients.back();
    deferred = deferred || judgement == Judgement::kDeferred;
    not_sent = not_sent || judgement == Judgement::kNotSent;
    judged.counts = judged.counts || judgement != Judgement::kNotSent;
  }
  if (deferred) {
    judged.next_due = NextDue(ended, attempts_before + 1, rule, luck);
  } else if (not_sent) {
    judged.next_due = ended;
  }
  return judged;
}

}  // namespace holdfast::queue
