#include "queue/state/queue_state.h"

#include "base/check.h"
#include "base/utf8.h"
#include "proto/command.pb.h"
#include "queue/state/apply_step.h"
#include "queue/state/keys.h"
#include "queue/state/rows.h"

namespace holdfast::queue {
namespace {

// How many remembered ids one command may forget: more than it can add, so that the ring shrinks
// when it must, and few enough that no command pays for a crowd.
constexpr int kForgetPerCommand = 4;

}  // namespace

ApplyResult QueueState::Apply(uint64_t index, uint64_t term, const command::Command& command,
                              std::span<const BodyRef> entry_bodies, Tables& tables) const {
  return ApplyStep(index, term, command, entry_bodies, tables, mutation_).Run();
}

ApplyStep::ApplyStep(uint64_t index, uint64_t term, const command::Command& command,
                     std::span<const BodyRef> bodies, Tables& tables, QueueMutation mutation)
    : index_(index),
      term_(term),
      command_(command),
      bodies_(bodies),
      tables_(tables),
      mutation_(mutation),
      ledger_(tables, result_.events),
      adopted_(bodies.size(), false) {}

ApplyResult ApplyStep::Run() {
  using Kind = command::Command::KindCase;
  switch (command_.kind_case()) {
    case Kind::kEnqueue:
      result_.verdict = Enqueue(command_.enqueue());
      break;
    case Kind::kChunk:
      result_.verdict = Chunk(command_.chunk());
      break;
    case Kind::kAbandon:
      result_.verdict = Abandon(command_.abandon());
      break;
    case Kind::kIntents:
      result_.verdict = Intents(command_.intents());
      break;
    case Kind::kOutcomes:
      result_.verdict = Outcomes(command_.outcomes());
      break;
    case Kind::kWarn:
      result_.verdict = Warn(command_.warn());
      break;
    case Kind::kHold:
      result_.verdict = ForEach(command_.hold().queue_ids(), &ApplyStep::HoldOne);
      break;
    case Kind::kRelease:
      result_.verdict = ForEach(command_.release().queue_ids(), &ApplyStep::ReleaseOne);
      break;
    case Kind::kRemove:
      result_.verdict = ForEach(command_.remove().queue_ids(), &ApplyStep::RemoveOne);
      break;
    case Kind::kRetry:
      result_.verdict = ForEach(command_.retry().queue_ids(), &ApplyStep::RetryOne);
      break;
    case Kind::kReroute:
      result_.verdict = ForEach(command_.reroute().queue_ids(), &ApplyStep::RerouteOne);
      break;
    case Kind::kBounce:
      result_.verdict = Bounce(command_.bounce());
      break;
    case Kind::kConfirm:
      result_.verdict = Confirm(command_.confirm());
      break;
    case Kind::kRaiseStateVersion:
      result_.verdict = RaiseVersion(command_.raise_state_version());
      break;
    case Kind::kSetPolicy:
    case Kind::kAudit:
    case Kind::kAddNode:
    case Kind::kAdmitNode:
    case Kind::kRemoveNode:
    case Kind::kRaiseFeatureLevel:
    case Kind::KIND_NOT_SET:
      result_.verdict = absl::InvalidArgumentError("not a command of a queue group");
      break;
  }
  ledger_.Flush();
  for (size_t i = 0; i < bodies_.size(); ++i) {
    if (!adopted_[i]) result_.ended_bodies.push_back(bodies_[i]);
  }
  return std::move(result_);
}

absl::Status ApplyStep::RaiseVersion(const command::RaiseStateVersion& raise) {
  const absl::StatusOr<uint32_t> current = ReadStateVersion(tables_);
  HOLDFAST_CHECK(current.ok()) << current.status();
  if (raise.version() <= *current) return absl::AlreadyExistsError("the group is there already");
  rows::StateVersionRow row;
  row.set_version(raise.version());
  tables_.Put(StateVersionKey(), EncodeRow(row));
  return absl::OkStatus();
}

absl::Status ApplyStep::TakeItems(std::vector<absl::Status> items) {
  result_.items = std::move(items);
  if (result_.items.empty()) return absl::InvalidArgumentError("the command names nothing");
  for (const absl::Status& item : result_.items) {
    if (item.ok()) return absl::OkStatus();
  }
  return result_.items.front();
}

std::optional<rows::MessageRow> ApplyStep::LoadMessage(const QueueId& id) const {
  return Load<MessageRow>(tables_, MessageKey(id));
}

std::optional<rows::UnitRow> ApplyStep::LoadOpenUnit(const UnitKey& key) const {
  return Load<UnitRow>(tables_, OpenUnitKey(key));
}

std::vector<ApplyStep::OpenUnit> ApplyStep::LoadOpenUnits(const QueueId& id) const {
  std::vector<OpenUnit> units;
  const KeyRange range = OpenUnitsOf(id);
  tables_.Scan(range.from, range.to, kRecipientsPerMessageMax,
               [&units](std::string_view key, std::string_view value) {
                 std::optional<UnitKey> unit_key = DecodeUnitKey(key);
                 HOLDFAST_CHECK(unit_key.has_value()) << "unreadable key of a unit";
                 OpenUnit& unit = units.emplace_back(OpenUnit{*unit_key, {}});
                 absl::Status decoded = DecodeRow(value, &unit.row);
                 HOLDFAST_CHECK(decoded.ok()) << decoded;
                 return true;
               });
  return units;
}

bool ApplyStep::HasOpenUnits(const QueueId& id) const {
  const KeyRange range = OpenUnitsOf(id);
  bool found = false;
  tables_.Scan(range.from, range.to, 1, [&found](std::string_view, std::string_view) {
    found = true;
    return false;
  });
  return found;
}

void ApplyStep::SaveMessage(const QueueId& id, const MessageRow& message) {
  tables_.Put(MessageKey(id), EncodeRow(message));
}

void ApplyStep::EndMessage(const QueueId& id, const MessageRow& message, int64_t now_us) {
  tables_.Delete(MessageKey(id));
  if (message.unit_count() > 1) {
    std::vector<std::string> keys;
    const KeyRange range = EndedUnitsOf(id);
    tables_.Scan(range.from, range.to, kRecipientsPerMessageMax,
                 [&keys](std::string_view key, std::string_view) {
                   keys.emplace_back(key);
                   return true;
                 });
    for (const std::string& key : keys) tables_.Delete(key);
  }
  uint64_t content_bytes = 0;
  for (const rows::BodyRefRow& body : message.bodies()) {
    result_.ended_bodies.push_back(FromRow(body));
    content_bytes += body.bytes();
  }
  rows::TotalsRow& totals = ledger_.totals();
  totals.set_messages(totals.messages() - 1);
  totals.set_content_bytes(totals.content_bytes() - content_bytes);
  if (message.held()) totals.set_held_messages(totals.held_messages() - 1);
  Remember(id, rows::RememberedRow::ENDED, now_us);
  result_.events.push_back(MessageEnded{id});
}

void ApplyStep::Remember(const QueueId& id, rows::RememberedRow::Why why, int64_t now_us) {
  rows::RememberedRow row;
  row.set_why(why);
  row.set_stamped_us(now_us);
  tables_.Put(RememberedKey(id), EncodeRow(row));
  rows::RememberedRingRow ring;
  ring.set_queue_id(id.ToString());
  ring.set_stamped_us(now_us);
  rows::TotalsRow& totals = ledger_.totals();
  tables_.Put(RememberedRingKey(totals.remembered_next()), EncodeRow(ring));
  totals.set_remembered_next(totals.remembered_next() + 1);
  ForgetOld(now_us);
}

void ApplyStep::ForgetOld(int64_t now_us) {
  rows::TotalsRow& totals = ledger_.totals();
  for (int i = 0; i < kForgetPerCommand; ++i) {
    const uint64_t first = totals.remembered_first();
    const uint64_t count = totals.remembered_next() - first;
    if (count <= 1) return;
    const std::string key = RememberedRingKey(first);
    std::optional<rows::RememberedRingRow> oldest = Load<rows::RememberedRingRow>(tables_, key);
    if (!oldest) return;
    const bool old =
        absl::FromUnixMicros(oldest->stamped_us()) + kRememberedFor < absl::FromUnixMicros(now_us);
    if (!old && count <= kRememberedMax) return;
    if (std::optional<QueueId> id = QueueId::Parse(oldest->queue_id())) {
      tables_.Delete(RememberedKey(*id));
    }
    tables_.Delete(key);
    totals.set_remembered_first(first + 1);
  }
}

void ApplyStep::RecordAudit(rows::AuditRow row) {
  rows::TotalsRow& totals = ledger_.totals();
  tables_.Put(AuditKey(totals.audit_next()), EncodeRow(row));
  totals.set_audit_next(totals.audit_next() + 1);
  if (totals.audit_next() - totals.audit_first() > kAuditRowsMax) {
    tables_.Delete(AuditKey(totals.audit_first()));
    totals.set_audit_first(totals.audit_first() + 1);
  }
}

rows::AuditRow ApplyStep::AuditOf(std::string_view verb, const QueueId& id,
                                  const MessageRow& message) const {
  rows::AuditRow row;
  row.set_verb(std::string(verb));
  row.set_queue_id(id.ToString());
  row.set_sender(message.envelope().sender());
  return row;
}

MessageFacts ApplyStep::FactsOf(const QueueId& id, const MessageRow& message) const {
  const command::Envelope& envelope = message.envelope();
  return {id,
          envelope.sender(),
          envelope.message_id(),
          envelope.client(),
          envelope.content_bytes(),
          absl::FromUnixMicros(message.accepted_us()),
          envelope.is_notice()};
}

RecipientFinal ApplyStep::FinalOf(const QueueId& id, const MessageRow& message, const UnitRow& unit,
                                  const rows::RecipientRow& recipient, int64_t at_us) const {
  RecipientFinal event;
  event.message = FactsOf(id, message);
  event.address = message.envelope().recipients(recipient.recipient()).address();
  event.destination = unit.destination();
  event.end = static_cast<RecipientEnd>(recipient.end());
  event.reply = {recipient.code(), recipient.enhanced(), recipient.text(), unit.last_remote(),
                 unit.last_tls()};
  event.attempts = unit.attempts();
  event.at = absl::FromUnixMicros(at_us);
  return event;
}

std::string BoundedText(std::string_view text, size_t bytes_max) {
  return std::string(CutUtf8(text, bytes_max));
}

bool IsDestination(std::string_view text) {
  if (text.empty() || text.size() > kDestinationBytesMax) return false;
  for (unsigned char c : text) {
    if (c <= ' ' || c == 0x7F) return false;
  }
  return true;
}

}  // namespace holdfast::queue
