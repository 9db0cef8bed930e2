// What operators and delay do to messages: Hold, Release, Remove, Retry, Reroute, Bounce, Warn.
#include <algorithm>
#include <set>

#include "base/text.h"
#include "queue/state/apply_step.h"
#include "queue/state/keys.h"
#include "queue/state/rows.h"

namespace holdfast::queue {

absl::Status ApplyStep::ForEach(const google::protobuf::RepeatedPtrField<std::string>& queue_ids,
                                absl::Status (ApplyStep::*verb)(const QueueId&, MessageRow&)) {
  std::vector<absl::Status> items;
  for (const std::string& text : queue_ids) {
    std::optional<QueueId> id = QueueId::Parse(text);
    if (!id) {
      items.push_back(absl::InvalidArgumentError("not a queue id"));
      continue;
    }
    std::optional<MessageRow> message = LoadMessage(*id);
    items.push_back(message ? (this->*verb)(*id, *message)
                            : absl::NotFoundError("no such message"));
  }
  return TakeItems(std::move(items));
}

absl::Status ApplyStep::HoldOne(const QueueId& id, MessageRow& message) {
  const command::Hold& hold = command_.hold();
  if (message.held()) return absl::AlreadyExistsError("already held");
  message.set_held(true);
  message.set_held_reason(BoundedText(hold.reason(), kAuditTextBytesMax));
  message.set_held_by(BoundedText(hold.actor(), kAuditTextBytesMax));
  message.set_held_us(hold.stamped_us());
  SaveMessage(id, message);
  ledger_.totals().set_held_messages(ledger_.totals().held_messages() + 1);
  for (const OpenUnit& unit : LoadOpenUnits(id)) {
    UnitRow after = unit.row;
    after.set_held(true);
    ledger_.ChangeUnit(unit.key, &unit.row, &after, hold.stamped_us());
  }
  rows::AuditRow audit = AuditOf("hold", id, message);
  audit.set_actor(message.held_by());
  audit.set_reason(message.held_reason());
  audit.set_stamped_us(hold.stamped_us());
  RecordAudit(std::move(audit));
  result_.events.push_back(
      MessageHeld{FactsOf(id, message), message.held_reason(), message.held_by()});
  return absl::OkStatus();
}

absl::Status ApplyStep::ReleaseOne(const QueueId& id, MessageRow& message) {
  const command::Release& release = command_.release();
  if (!message.held()) return absl::FailedPreconditionError("not held");
  message.set_held(false);
  message.clear_held_reason();
  message.clear_held_by();
  message.clear_held_us();
  SaveMessage(id, message);
  ledger_.totals().set_held_messages(ledger_.totals().held_messages() - 1);
  for (const OpenUnit& unit : LoadOpenUnits(id)) {
    UnitRow after = unit.row;
    after.set_held(false);
    after.set_due_us(release.stamped_us());
    ledger_.ChangeUnit(unit.key, &unit.row, &after, release.stamped_us());
    result_.events.push_back(AttemptsAsked{unit.key, after.destination()});
  }
  rows::AuditRow audit = AuditOf("release", id, message);
  audit.set_actor(BoundedText(release.actor(), kAuditTextBytesMax));
  audit.set_reason(BoundedText(release.reason(), kAuditTextBytesMax));
  audit.set_stamped_us(release.stamped_us());
  RecordAudit(std::move(audit));
  result_.events.push_back(MessageReleased{FactsOf(id, message), release.actor()});
  return absl::OkStatus();
}

absl::Status ApplyStep::RetryOne(const QueueId& id, MessageRow& message) {
  const int64_t now_us = command_.retry().stamped_us();
  if (message.held()) return absl::FailedPreconditionError("held");
  bool any = false;
  for (const OpenUnit& unit : LoadOpenUnits(id)) {
    // Also when it is due already: its destination may rest. Also under its final dot: if that
    // fails for now, the next attempt is wanted at once.
    result_.events.push_back(
        AttemptsAsked{unit.key, unit.row.destination(), command_.retry().actor() != kQueueActor});
    if (unit.row.has_intent()) continue;
    any = true;
    if (unit.row.due_us() <= now_us) continue;
    UnitRow after = unit.row;
    after.set_due_us(now_us);
    ledger_.ChangeUnit(unit.key, &unit.row, &after, now_us);
  }
  return any ? absl::OkStatus()
             : absl::FailedPreconditionError(
                   "an attempt is under way; if it fails, the next follows at once");
}

absl::Status ApplyStep::RerouteOne(const QueueId& id, MessageRow& message) {
  const command::Reroute& reroute = command_.reroute();
  if (!IsDestination(reroute.destination())) {
    return absl::InvalidArgumentError("not a destination");
  }
  const std::vector<OpenUnit> units = LoadOpenUnits(id);
  for (const OpenUnit& unit : units) {
    if (unit.row.has_intent()) return absl::FailedPreconditionError("an attempt is under way");
  }
  for (const OpenUnit& unit : units) {
    UnitRow after = unit.row;
    after.set_destination(reroute.destination());
    after.set_due_us(reroute.stamped_us());
    ledger_.ChangeUnit(unit.key, &unit.row, &after, reroute.stamped_us());
    result_.events.push_back(AttemptsAsked{unit.key, after.destination()});
  }
  rows::AuditRow audit = AuditOf("reroute", id, message);
  audit.set_actor(BoundedText(reroute.actor(), kAuditTextBytesMax));
  audit.set_reason(BoundedText(format("to {}: {}", reroute.destination(), reroute.reason()),
                               kAuditTextBytesMax));
  audit.set_stamped_us(reroute.stamped_us());
  RecordAudit(std::move(audit));
  return absl::OkStatus();
}

void ApplyStep::EndAllUnits(const QueueId& id, const MessageRow& message,
                            rows::RecipientRow::End end, const rows::AuditRow& audit,
                            int64_t now_us) {
  for (const OpenUnit& unit : LoadOpenUnits(id)) {
    for (rows::RecipientRow recipient : unit.row.recipients()) {
      if (recipient.end() != rows::RecipientRow::OPEN) continue;
      recipient.set_end(end);
      recipient.set_code(0);
      recipient.set_enhanced(end == rows::RecipientRow::BOUNCED ? "5.7.0" : "");
      recipient.set_text(audit.reason());
      RecipientFinal event = FinalOf(id, message, unit.row, recipient, now_us);
      event.reply.remote.clear();
      event.reply.tls.clear();
      event.actor = audit.actor();
      result_.events.push_back(std::move(event));
    }
    ledger_.ChangeUnit(unit.key, &unit.row, nullptr, now_us);
  }
  EndMessage(id, message, now_us);
}

namespace {

// What the audit trail says of recipients that an operator ended.
void AddRecipients(const rows::MessageRow& message, const rows::UnitRow& unit,
                   rows::AuditRow* audit) {
  for (const rows::RecipientRow& recipient : unit.recipients()) {
    if (recipient.end() != rows::RecipientRow::OPEN) continue;
    audit->set_recipient_count(audit->recipient_count() + 1);
    const std::string& address = message.envelope().recipients(recipient.recipient()).address();
    if (audit->recipients().size() + address.size() + 1 > kAuditTextBytesMax) continue;
    if (!audit->recipients().empty()) audit->mutable_recipients()->push_back(' ');
    audit->mutable_recipients()->append(address);
  }
  if (unit.has_intent()) audit->set_in_doubt(true);
}

}  // namespace

absl::Status ApplyStep::RemoveOne(const QueueId& id, MessageRow& message) {
  const command::Remove& remove = command_.remove();
  rows::AuditRow audit = AuditOf("remove", id, message);
  audit.set_actor(BoundedText(remove.actor(), kAuditTextBytesMax));
  audit.set_reason(BoundedText(remove.reason(), kAuditTextBytesMax));
  audit.set_stamped_us(remove.stamped_us());
  for (const OpenUnit& unit : LoadOpenUnits(id)) AddRecipients(message, unit.row, &audit);
  EndAllUnits(id, message, rows::RecipientRow::REMOVED, audit, remove.stamped_us());
  RecordAudit(std::move(audit));
  return absl::OkStatus();
}

absl::Status ApplyStep::Bounce(const command::Bounce& bounce) {
  std::optional<QueueId> id = QueueId::Parse(bounce.queue_id());
  if (!id) return absl::InvalidArgumentError("not a queue id");
  std::optional<MessageRow> message = LoadMessage(*id);
  if (!message) return absl::NotFoundError("no such message");
  rows::AuditRow audit = AuditOf("bounce", *id, *message);
  audit.set_actor(BoundedText(bounce.actor(), kAuditTextBytesMax));
  audit.set_reason(BoundedText(bounce.reason(), kAuditTextBytesMax));
  audit.set_stamped_us(bounce.stamped_us());
  std::set<uint32_t> open;
  for (const OpenUnit& unit : LoadOpenUnits(*id)) {
    // It may be delivered at this moment; a bounce would then be a lie.
    if (unit.row.has_intent()) return absl::FailedPreconditionError("an attempt is under way");
    AddRecipients(*message, unit.row, &audit);
    for (const rows::RecipientRow& recipient : unit.row.recipients()) {
      if (recipient.end() == rows::RecipientRow::OPEN) open.insert(recipient.recipient());
    }
  }
  if (open != std::set<uint32_t>(bounce.recipients().begin(), bounce.recipients().end())) {
    return absl::FailedPreconditionError("other recipients are open by now; look and repeat");
  }
  HOLDFAST_RETURN_IF_ERROR(CheckNotices(bounce.notices()));
  EndAllUnits(*id, *message, rows::RecipientRow::BOUNCED, audit, bounce.stamped_us());
  RecordAudit(std::move(audit));
  QueueNotices(bounce.notices(), *id);
  return absl::OkStatus();
}

absl::Status ApplyStep::Warn(const command::Warn& warn) {
  std::optional<QueueId> id = QueueId::Parse(warn.queue_id());
  if (!id) return absl::InvalidArgumentError("not a queue id");
  std::optional<MessageRow> message = LoadMessage(*id);
  if (!message) return absl::NotFoundError("no such message");
  if (message->warned_us() != 0) return absl::AlreadyExistsError("already warned");
  HOLDFAST_RETURN_IF_ERROR(CheckNotices(warn.notices()));
  message->set_warned_us(std::max<int64_t>(warn.stamped_us(), 1));  // 0: not warned.
  SaveMessage(*id, *message);
  QueueNotices(warn.notices(), *id);
  return absl::OkStatus();
}

}  // namespace holdfast::queue
