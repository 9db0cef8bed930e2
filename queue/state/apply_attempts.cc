// What attempts do to their units: intents and outcomes.
#include <set>

#include "queue/state/apply_step.h"
#include "queue/state/keys.h"
#include "queue/state/rows.h"

namespace holdfast::queue {
namespace {

template <typename Attempt>
AttemptKey KeyOf(const Attempt& attempt) {
  return {attempt.attempt_id(), attempt.node_id(), attempt.boot_id()};
}

rows::AttemptRow* FindClosed(const AttemptKey& attempt, rows::UnitRow* unit) {
  for (rows::AttemptRow& closed : *unit->mutable_closed()) {
    if (KeyOf(closed) == attempt) return &closed;
  }
  return nullptr;
}

const rows::AttemptRow* FindClosed(const AttemptKey& attempt, const rows::UnitRow& unit) {
  for (const rows::AttemptRow& closed : unit.closed()) {
    if (KeyOf(closed) == attempt) return &closed;
  }
  return nullptr;
}

rows::RecipientRow* FindRecipient(uint32_t recipient, rows::UnitRow* unit) {
  for (rows::RecipientRow& row : *unit->mutable_recipients()) {
    if (row.recipient() == recipient) return &row;
  }
  return nullptr;
}

const rows::RecipientRow* FindRecipient(uint32_t recipient, const rows::UnitRow& unit) {
  for (const rows::RecipientRow& row : unit.recipients()) {
    if (row.recipient() == recipient) return &row;
  }
  return nullptr;
}

rows::RecipientRow::End EndOf(command::Result result) {
  switch (result) {
    case command::RESULT_DELIVERED:
      return rows::RecipientRow::DELIVERED;
    case command::RESULT_BOUNCED:
      return rows::RecipientRow::BOUNCED;
    case command::RESULT_EXPIRED:
      return rows::RecipientRow::EXPIRED;
    case command::RESULT_SUPPRESSED:
      return rows::RecipientRow::SUPPRESSED;
    default:
      return rows::RecipientRow::OPEN;
  }
}

bool StaysOpen(command::Result result) {
  return result == command::RESULT_DEFERRED || result == command::RESULT_NOT_SENT;
}

// An attempt that ended for our own reasons is no failure of the remote's.
bool Counts(const command::AttemptOutcome& outcome) {
  for (const command::RecipientOutcome& recipient : outcome.recipients()) {
    if (recipient.result() != command::RESULT_NOT_SENT) return true;
  }
  return false;
}

}  // namespace

absl::Status ApplyStep::Intents(const command::Intents& intents) {
  std::vector<absl::Status> items;
  for (const command::Intent& intent : intents.intents()) {
    items.push_back(OpenIntent(intent));
    const UnitKey key{QueueId::Parse(intent.queue_id()).value_or(QueueId()), intent.unit()};
    if (items.back().ok()) {
      result_.events.push_back(IntentOpened{key, KeyOf(intent)});
    } else {
      result_.events.push_back(IntentRefused{key, KeyOf(intent), items.back()});
    }
  }
  return TakeItems(std::move(items));
}

absl::Status ApplyStep::OpenIntent(const command::Intent& intent) {
  std::optional<QueueId> id = QueueId::Parse(intent.queue_id());
  if (!id) return absl::InvalidArgumentError("not a queue id");
  if (intent.attempt_id() == 0) return absl::InvalidArgumentError("an intent needs an attempt id");
  const UnitKey key{*id, intent.unit()};
  std::optional<UnitRow> unit = LoadOpenUnit(key);
  if (!unit) return absl::NotFoundError("no such open unit");
  if (unit->has_intent()) {
    if (KeyOf(unit->intent()) == KeyOf(intent)) return absl::OkStatus();
    return absl::FailedPreconditionError("another attempt's intent is open");
  }
  if (unit->held()) return absl::FailedPreconditionError("the message is held");
  if (FindClosed(KeyOf(intent), *unit) != nullptr) {
    return absl::AlreadyExistsError("the attempt has ended");
  }
  UnitRow after = *unit;
  rows::AttemptRow* row = after.mutable_intent();
  row->set_attempt_id(intent.attempt_id());
  row->set_node_id(intent.node_id());
  row->set_boot_id(intent.boot_id());
  row->set_stamped_us(intent.stamped_us());
  ledger_.ChangeUnit(key, &*unit, &after, intent.stamped_us());
  return absl::OkStatus();
}

absl::Status ApplyStep::Outcomes(const command::Outcomes& outcomes) {
  std::vector<absl::Status> items;
  for (const command::AttemptOutcome& outcome : outcomes.attempts()) {
    items.push_back(RecordOutcome(outcome));
    if (!items.back().ok()) {
      const QueueId id = QueueId::Parse(outcome.queue_id()).value_or(QueueId());
      result_.events.push_back(OutcomeRefused{{id, outcome.unit()}, KeyOf(outcome), items.back()});
    }
  }
  return TakeItems(std::move(items));
}

absl::Status ApplyStep::CheckOutcome(const command::AttemptOutcome& outcome,
                                     const UnitRow& unit) const {
  if (outcome.recipients().empty()) return absl::InvalidArgumentError("no recipients");
  std::set<uint32_t> seen;
  for (const command::RecipientOutcome& recipient : outcome.recipients()) {
    if (FindRecipient(recipient.recipient(), unit) == nullptr ||
        !seen.insert(recipient.recipient()).second) {
      return absl::InvalidArgumentError("a recipient is not of the unit, or named twice");
    }
    if (recipient.result() == command::RESULT_UNSET) {
      return absl::InvalidArgumentError("a recipient has no result");
    }
    if (StaysOpen(recipient.result()) && outcome.next_due_us() == 0) {
      return absl::InvalidArgumentError("recipients stay open, and no next attempt is due");
    }
  }
  return absl::OkStatus();
}

// Each attempt is recorded once. One exception: a leader that closed an intent in doubt knew
// nothing, so when the attempt itself turns up later and says delivered, that is news, and saves
// the recipient from a repeat.
absl::StatusOr<ApplyStep::OutcomeKind> ApplyStep::JudgeOutcome(
    const command::AttemptOutcome& outcome, const UnitRow& unit) const {
  const AttemptKey attempt = KeyOf(outcome);
  if (unit.has_intent() && KeyOf(unit.intent()) == attempt) return OutcomeKind::kNormal;
  if (attempt.attempt_id != 0) {
    const bool again = mutation_ == QueueMutation::kOutcomeTwice;
    if (const rows::AttemptRow* closed = again ? nullptr : FindClosed(attempt, unit)) {
      if (closed->in_doubt() && !outcome.in_doubt()) return OutcomeKind::kLate;
      return absl::AlreadyExistsError("the attempt's outcome is recorded already");
    }
  }
  if (unit.has_intent()) {
    return absl::FailedPreconditionError("another attempt's intent is open");
  }
  if (outcome.in_doubt()) return absl::FailedPreconditionError("no such intent is open");
  // An attempt that opened no intent. Without an id its start and its node tell it apart.
  if (attempt.attempt_id == 0 && unit.last_ended_us() != 0 &&
      unit.last_started_us() == outcome.started_us() && unit.last_node_id() == outcome.node_id()) {
    return absl::AlreadyExistsError("the attempt's outcome is recorded already");
  }
  if (mutation_ == QueueMutation::kOutcomeTwice) return OutcomeKind::kNormal;
  for (const command::RecipientOutcome& recipient : outcome.recipients()) {
    if (FindRecipient(recipient.recipient(), unit)->end() != rows::RecipientRow::OPEN) {
      return absl::AlreadyExistsError("a recipient has ended already");
    }
  }
  return OutcomeKind::kNormal;
}

void ApplyStep::CloseAttempt(const command::AttemptOutcome& outcome, OutcomeKind kind,
                             UnitRow* unit) {
  const AttemptKey attempt = KeyOf(outcome);
  if (kind == OutcomeKind::kLate) {
    FindClosed(attempt, unit)->set_in_doubt(false);
    return;
  }
  unit->clear_intent();
  if (outcome.in_doubt()) unit->set_in_doubt_count(unit->in_doubt_count() + 1);
  if (Counts(outcome)) unit->set_attempts(unit->attempts() + 1);
  unit->set_last_started_us(outcome.started_us());
  unit->set_last_ended_us(outcome.ended_us());
  unit->set_last_remote(BoundedText(outcome.remote(), kReplyTextBytesMax));
  unit->set_last_tls(BoundedText(outcome.tls(), kReplyTextBytesMax));
  unit->set_last_node_id(outcome.node_id());
  unit->set_due_us(outcome.next_due_us() != 0 ? outcome.next_due_us() : outcome.ended_us());
  if (attempt.attempt_id == 0) return;
  if (unit->closed_size() >= static_cast<int>(kClosedAttemptsMax)) {
    unit->mutable_closed()->DeleteSubrange(0, 1);
  }
  rows::AttemptRow* closed = unit->add_closed();
  closed->set_attempt_id(attempt.attempt_id);
  closed->set_node_id(attempt.node_id);
  closed->set_boot_id(attempt.boot_id);
  closed->set_stamped_us(outcome.ended_us());
  closed->set_in_doubt(outcome.in_doubt());
}

bool ApplyStep::SettleRecipients(const command::AttemptOutcome& outcome, OutcomeKind kind,
                                 const MessageRow& message, const UnitKey& key, UnitRow* unit) {
  AttemptRecorded recorded;
  recorded.key = key;
  recorded.attempt = KeyOf(outcome);
  recorded.destination = unit->destination();
  recorded.remote = BoundedText(outcome.remote(), kReplyTextBytesMax);
  recorded.tls = BoundedText(outcome.tls(), kReplyTextBytesMax);
  recorded.started = absl::FromUnixMicros(outcome.started_us());
  recorded.ended = absl::FromUnixMicros(outcome.ended_us());
  recorded.attempts = unit->attempts();
  recorded.in_doubt = outcome.in_doubt();
  std::vector<Event> events;
  for (const command::RecipientOutcome& said : outcome.recipients()) {
    rows::RecipientRow* row = FindRecipient(said.recipient(), unit);
    const bool ended = row->end() != rows::RecipientRow::OPEN;
    if (ended && mutation_ != QueueMutation::kOutcomeTwice) continue;
    if (kind == OutcomeKind::kLate && said.result() != command::RESULT_DELIVERED) continue;
    if (said.result() == command::RESULT_NOT_SENT) {
      ++recorded.not_sent;
      continue;
    }
    row->set_end(EndOf(said.result()));
    row->set_code(said.code());
    row->set_enhanced(BoundedText(said.enhanced(), 16));
    row->set_text(BoundedText(said.text(), kReplyTextBytesMax));
    RecipientFinal final = FinalOf(key.queue_id, message, *unit, *row, outcome.ended_us());
    final.reply.remote = recorded.remote;
    final.reply.tls = recorded.tls;
    if (row->end() == rows::RecipientRow::OPEN) {
      ++recorded.deferred;
      events.push_back(RecipientDeferred{final.message, final.address, final.destination,
                                         final.reply, final.attempts, final.at,
                                         absl::FromUnixMicros(unit->due_us())});
      continue;
    }
    unit->set_recipients_open(unit->recipients_open() - 1);
    ++(row->end() == rows::RecipientRow::DELIVERED ? recorded.delivered : recorded.failed);
    if (row->end() == rows::RecipientRow::SUPPRESSED) {
      rows::AuditRow audit = AuditOf("suppressed", key.queue_id, message);
      audit.set_reason(BoundedText(said.text(), kAuditTextBytesMax));
      audit.set_stamped_us(outcome.ended_us());
      audit.set_recipients(BoundedText(final.address, kAuditTextBytesMax));
      audit.set_recipient_count(1);
      RecordAudit(std::move(audit));
    }
    events.push_back(std::move(final));
  }
  if (kind == OutcomeKind::kLate && recorded.delivered == 0) return false;
  result_.events.push_back(std::move(recorded));
  for (Event& event : events) result_.events.push_back(std::move(event));
  return true;
}

absl::Status ApplyStep::RecordOutcome(const command::AttemptOutcome& outcome) {
  std::optional<QueueId> id = QueueId::Parse(outcome.queue_id());
  if (!id) return absl::InvalidArgumentError("not a queue id");
  const UnitKey key{*id, outcome.unit()};
  std::optional<UnitRow> unit = LoadOpenUnit(key);
  std::optional<MessageRow> message = LoadMessage(*id);
  if (!unit || !message) return absl::NotFoundError("no such open unit");
  HOLDFAST_RETURN_IF_ERROR(CheckOutcome(outcome, *unit));
  HOLDFAST_ASSIGN_OR_RETURN(OutcomeKind kind, JudgeOutcome(outcome, *unit));
  HOLDFAST_RETURN_IF_ERROR(CheckNotices(outcome.notices()));
  UnitRow after = *unit;
  CloseAttempt(outcome, kind, &after);
  if (!SettleRecipients(outcome, kind, *message, key, &after)) {
    return absl::AlreadyExistsError("the attempt's outcome is recorded already");
  }
  FinishUnit(key, *unit, after, *message, outcome.ended_us());
  // A late outcome was adopted in part at most, and what its notices say may be settled otherwise.
  if (kind == OutcomeKind::kNormal) QueueNotices(outcome.notices(), *id);
  return absl::OkStatus();
}

void ApplyStep::FinishUnit(const UnitKey& key, const UnitRow& before, const UnitRow& after,
                           const MessageRow& message, int64_t now_us) {
  if (after.recipients_open() > 0) {
    ledger_.ChangeUnit(key, &before, &after, now_us);
    return;
  }
  ledger_.ChangeUnit(key, &before, nullptr, now_us);
  if (HasOpenUnits(key.queue_id)) {
    UnitRow ended = after;
    ended.clear_intent();
    tables_.Put(EndedUnitKey(key), EncodeRow(ended));
  } else {
    EndMessage(key.queue_id, message, now_us);
  }
}

}  // namespace holdfast::queue
