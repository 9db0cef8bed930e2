#include "node/delivery/outcome_writer.h"

#include <utility>

#include "queue/state/queue_state.h"

namespace holdfast::node {
namespace {

using Kind = queue::RecipientResult::Kind;

Kind KindOf(smtp::OutcomeClass outcome, bool not_sent) {
  switch (outcome) {
    case smtp::OutcomeClass::kDelivered:
      return Kind::kDelivered;
    case smtp::OutcomeClass::kPermanent:
      return Kind::kPermanent;
    case smtp::OutcomeClass::kTemporary:
    case smtp::OutcomeClass::kInDoubt:
      return Kind::kTemporary;
    case smtp::OutcomeClass::kNotAttempted:
      break;
  }
  return not_sent ? Kind::kNotSent : Kind::kTemporary;
}

command::Result ResultOf(queue::Judgement judgement) {
  switch (judgement) {
    case queue::Judgement::kDelivered:
      return command::RESULT_DELIVERED;
    case queue::Judgement::kDeferred:
      return command::RESULT_DEFERRED;
    case queue::Judgement::kBounced:
      return command::RESULT_BOUNCED;
    case queue::Judgement::kExpired:
      return command::RESULT_EXPIRED;
    case queue::Judgement::kNotSent:
      return command::RESULT_NOT_SENT;
    case queue::Judgement::kSuppressed:
      return command::RESULT_SUPPRESSED;
  }
  return command::RESULT_DEFERRED;
}

// The reply's words without the codes, which stand beside it.
std::string TextOf(const smtp::Answer& answer) {
  std::string text;
  for (const std::string& line : answer.lines) {
    if (!text.empty()) text += " / ";
    text += line;
    // A remote may say 64 KiB; what is kept is bounded, and commands with it.
    if (text.size() > queue::kReplyTextBytesMax) break;
  }
  if (text.size() > queue::kReplyTextBytesMax) text.resize(queue::kReplyTextBytesMax);
  return text;
}

queue::RecipientResult ResultFor(const AttemptRecipient& recipient,
                                 const smtp::RecipientOutcome& outcome, bool not_sent) {
  queue::RecipientResult result;
  result.recipient = recipient.index;
  result.kind = KindOf(outcome.outcome, not_sent);
  if (result.kind == Kind::kNotSent) return result;
  // Code 0 says that the words are ours.
  result.code = outcome.answer.from_remote ? static_cast<uint32_t>(outcome.answer.code) : 0;
  result.enhanced = outcome.answer.enhanced.ToString();
  result.text = TextOf(outcome.answer);
  return result;
}

NoticeFact FactOf(const queue::RecipientResult& result, queue::NoticeCause cause,
                  const AttemptReport& report) {
  NoticeFact fact;
  fact.recipient = result.recipient;
  fact.cause = cause;
  fact.code = result.code;
  fact.enhanced = result.enhanced;
  fact.text = result.text;
  fact.remote = report.remote;
  fact.last_attempt = report.ended;
  return fact;
}

}  // namespace

queue::RetryRule RetryRuleOf(const RetrySettings& settings) {
  queue::RetryRule rule;
  rule.waits = settings.waits;
  rule.jitter_percent = settings.jitter_percent;
  rule.expiry = settings.expiry;
  rule.null_sender_expiry = settings.null_sender_expiry;
  rule.delay_notice_after = settings.delay_notice_after;
  rule.delay_notice_always = settings.delay_notice_always;
  return rule;
}

MadeOutcome OutcomeWriter::Make(const queue::MessageView& message, uint32_t unit,
                                const queue::AttemptKey& attempt,
                                const std::vector<AttemptRecipient>& recipients,
                                const AttemptReport& report, const PolicySnapshot& policy,
                                uint64_t luck) const {
  const queue::rows::UnitRow& row = message.units[unit].row;
  const queue::RetryRule rule = RetryRuleOf(policy.DestinationFor(row.destination()).retry);
  std::vector<queue::RecipientResult> results;
  MadeOutcome made;
  for (size_t i = 0; i < recipients.size(); ++i) {
    results.push_back(ResultFor(recipients[i], report.outcomes[i], report.not_sent));
    if (report.outcomes[i].outcome == smtp::OutcomeClass::kInDoubt) made.outcome.set_in_doubt(true);
  }
  const queue::JudgedAttempt judged =
      queue::JudgeAttempt(results, report.ended, absl::FromUnixMicros(message.row.expires_us()),
                          row.attempts(), rule, luck);
  command::AttemptOutcome& outcome = made.outcome;
  outcome.set_queue_id(message.queue_id.ToString());
  outcome.set_unit(unit);
  outcome.set_attempt_id(attempt.attempt_id);
  outcome.set_node_id(attempt.node_id);
  outcome.set_boot_id(attempt.boot_id);
  outcome.set_started_us(absl::ToUnixMicros(report.started));
  outcome.set_ended_us(absl::ToUnixMicros(report.ended));
  outcome.set_remote(report.remote);
  outcome.set_tls(report.tls);
  if (judged.next_due != absl::InfiniteFuture()) {
    outcome.set_next_due_us(absl::ToUnixMicros(judged.next_due));
  }
  std::vector<NoticeFact> facts;
  std::vector<NoticeFact> delayed;
  for (size_t i = 0; i < results.size(); ++i) {
    const queue::RecipientResult& result = results[i];
    command::RecipientOutcome& one = *outcome.add_recipients();
    one.set_recipient(result.recipient);
    one.set_result(ResultOf(judged.recipients[i]));
    one.set_code(result.code);
    one.set_enhanced(result.enhanced);
    one.set_text(result.text);
    switch (judged.recipients[i]) {
      case queue::Judgement::kBounced:
      case queue::Judgement::kExpired:
        facts.push_back(FactOf(result, queue::NoticeCause::kFailed, report));
        facts.back().expired = judged.recipients[i] == queue::Judgement::kExpired;
        break;
      case queue::Judgement::kDelivered:
        facts.push_back(FactOf(
            result,
            report.dsn_passed_on ? queue::NoticeCause::kHandedOn : queue::NoticeCause::kRelayed,
            report));
        break;
      case queue::Judgement::kDeferred:
        delayed.push_back(FactOf(result, queue::NoticeCause::kDelayed, report));
        break;
      case queue::Judgement::kNotSent:
      case queue::Judgement::kSuppressed:
        break;
    }
  }
  if (!facts.empty()) made.notices = notices_.Make(message, facts, policy, report.ended);
  made.delayed =
      !delayed.empty() && message.row.warned_us() == 0 &&
      queue::DelayNoticeDue(report.ended, absl::FromUnixMicros(message.row.accepted_us()), rule);
  if (made.delayed) made.delay_notices = notices_.Make(message, delayed, policy, report.ended);
  return made;
}

MadeOutcome OutcomeWriter::MakeUnknown(const queue::MessageView& message,
                                       const queue::InDoubtUnit& unit, const PolicySnapshot& policy,
                                       absl::Time now) const {
  const bool bounce = policy.settings().in_doubt_policy == InDoubtPolicy::kBounce;
  MadeOutcome made;
  command::AttemptOutcome& outcome = made.outcome;
  outcome.set_queue_id(unit.key.queue_id.ToString());
  outcome.set_unit(unit.key.unit);
  outcome.set_attempt_id(unit.attempt.attempt_id);
  outcome.set_node_id(unit.attempt.node_id);
  outcome.set_boot_id(unit.attempt.boot_id);
  outcome.set_started_us(absl::ToUnixMicros(unit.since));
  outcome.set_ended_us(absl::ToUnixMicros(now));
  outcome.set_next_due_us(absl::ToUnixMicros(now));
  outcome.set_in_doubt(true);
  std::vector<NoticeFact> facts;
  for (const queue::rows::RecipientRow& recipient : message.units[unit.key.unit].row.recipients()) {
    if (recipient.end() != queue::rows::RecipientRow::OPEN) continue;
    command::RecipientOutcome& one = *outcome.add_recipients();
    one.set_recipient(recipient.recipient());
    one.set_result(bounce ? command::RESULT_BOUNCED : command::RESULT_DEFERRED);
    one.set_enhanced(bounce ? "5.4.2" : "4.4.2");
    one.set_text("The outcome of the last attempt is not known: its node stopped meanwhile");
    if (!bounce) continue;
    NoticeFact fact;
    fact.recipient = recipient.recipient();
    fact.enhanced = one.enhanced();
    fact.text = one.text();
    fact.last_attempt = unit.since;
    facts.push_back(std::move(fact));
  }
  if (!facts.empty()) made.notices = notices_.Make(message, facts, policy, now);
  return made;
}

}  // namespace holdfast::node
