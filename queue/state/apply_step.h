// queue/state/apply_step.h
// ApplyStep is one Apply() under way: what the verbs share. Internal to queue/state.
// Threads: owned by the apply context. Lifetime: of one Apply().
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "proto/command.pb.h"
#include "proto/queue_rows.pb.h"
#include "queue/state/ledger.h"
#include "queue/state/queue_state.h"
#include "queue/state/rows.h"

namespace holdfast::queue {

// nullopt: no such row. One that can't be parsed ends the process.
template <typename Row>
std::optional<Row> Load(const TablesReader& tables, const std::string& key) {
  std::optional<std::string> value = tables.Get(key);
  if (!value) return std::nullopt;
  Row row;
  absl::Status decoded = DecodeRow(*value, &row);
  HOLDFAST_CHECK(decoded.ok()) << decoded;
  return row;
}

class ApplyStep {
 public:
  ApplyStep(uint64_t index, uint64_t term, const command::Command& command,
            std::span<const BodyRef> bodies, Tables& tables, QueueMutation mutation);

  ApplyResult Run();

 private:
  using MessageRow = rows::MessageRow;
  using UnitRow = rows::UnitRow;
  struct OpenUnit {
    UnitKey key;
    UnitRow row;
  };
  // How an outcome stands to what the unit knows of its attempt.
  enum class OutcomeKind { kNormal, kLate };

  // apply_submission.cc
  absl::Status Enqueue(const command::Enqueue& enqueue);
  absl::Status Chunk(const command::Chunk& chunk);
  absl::Status Abandon(const command::Abandon& abandon);
  absl::Status CheckEnqueue(const command::Enqueue& enqueue) const;
  absl::Status CheckEnvelope(const command::Envelope& envelope) const;
  absl::Status CheckUnknown(const QueueId& id) const;
  absl::Status CheckNotices(
      const google::protobuf::RepeatedPtrField<command::Notice>& notices) const;
  // Rows of the submission's chunks; kFailedPrecondition unless they are exactly 0 .. count - 1.
  absl::StatusOr<std::vector<BodyRef>> ChunksFor(const QueueId& id, uint32_t count);
  void DropChunks(const QueueId& id, size_t count, uint64_t bytes);
  void AcceptMessage(const command::Enqueue& enqueue, std::vector<BodyRef> content);
  void AddUnits(const QueueId& id, const MessageRow& message, int64_t due_us);
  void QueueNotices(const google::protobuf::RepeatedPtrField<command::Notice>& notices,
                    const QueueId& about);

  // apply_attempts.cc
  absl::Status Intents(const command::Intents& intents);
  absl::Status OpenIntent(const command::Intent& intent);
  absl::Status Outcomes(const command::Outcomes& outcomes);
  absl::Status RecordOutcome(const command::AttemptOutcome& outcome);
  absl::StatusOr<OutcomeKind> JudgeOutcome(const command::AttemptOutcome& outcome,
                                           const UnitRow& unit) const;
  absl::Status CheckOutcome(const command::AttemptOutcome& outcome, const UnitRow& unit) const;
  void CloseAttempt(const command::AttemptOutcome& outcome, OutcomeKind kind, UnitRow* unit);
  // Settles the recipients named; false when nothing of the outcome was news.
  bool SettleRecipients(const command::AttemptOutcome& outcome, OutcomeKind kind,
                        const MessageRow& message, const UnitKey& key, UnitRow* unit);
  void FinishUnit(const UnitKey& key, const UnitRow& before, const UnitRow& after,
                  const MessageRow& message, int64_t now_us);

  // apply_operator.cc
  absl::Status ForEach(const google::protobuf::RepeatedPtrField<std::string>& queue_ids,
                       absl::Status (ApplyStep::*verb)(const QueueId&, MessageRow&));
  absl::Status HoldOne(const QueueId& id, MessageRow& message);
  absl::Status ReleaseOne(const QueueId& id, MessageRow& message);
  absl::Status RemoveOne(const QueueId& id, MessageRow& message);
  absl::Status RetryOne(const QueueId& id, MessageRow& message);
  absl::Status RerouteOne(const QueueId& id, MessageRow& message);
  absl::Status Warn(const command::Warn& warn);
  absl::Status RaiseVersion(const command::RaiseStateVersion& raise);
  absl::Status Bounce(const command::Bounce& bounce);
  void EndAllUnits(const QueueId& id, const MessageRow& message, rows::RecipientRow::End end,
                   const rows::AuditRow& audit, int64_t now_us);

  // apply_replays.cc
  void KeepFingerprint(const QueueId& id, const command::Fingerprint& fingerprint, int64_t now_us);
  absl::Status Confirm(const command::Confirm& confirm);
  // False: it isn't there.
  bool ForgetFingerprint(const std::string& sha256, const std::string& queue_id);
  // Looks at up to `steps` places of the ring, and forgets there what is old, and the oldest while
  // there are more than `kept_max`.
  void ForgetOldFingerprints(int64_t now_us, uint64_t kept_max, uint64_t steps);

  // queue_state.cc: rows and records
  std::optional<MessageRow> LoadMessage(const QueueId& id) const;
  std::optional<UnitRow> LoadOpenUnit(const UnitKey& key) const;
  std::vector<OpenUnit> LoadOpenUnits(const QueueId& id) const;
  bool HasOpenUnits(const QueueId& id) const;
  void SaveMessage(const QueueId& id, const MessageRow& message);
  // The last open unit has ended: removes the message's rows and ends its bodies.
  void EndMessage(const QueueId& id, const MessageRow& message, int64_t now_us);
  void Remember(const QueueId& id, rows::RememberedRow::Why why, int64_t now_us);
  void ForgetOld(int64_t now_us);
  void RecordAudit(rows::AuditRow row);
  absl::Status TakeItems(std::vector<absl::Status> items);
  MessageFacts FactsOf(const QueueId& id, const MessageRow& message) const;
  RecipientFinal FinalOf(const QueueId& id, const MessageRow& message, const UnitRow& unit,
                         const rows::RecipientRow& recipient, int64_t at_us) const;
  rows::AuditRow AuditOf(std::string_view verb, const QueueId& id, const MessageRow& message) const;

  const uint64_t index_;
  const uint64_t term_;
  const command::Command& command_;
  const std::span<const BodyRef> bodies_;
  Tables& tables_;
  const QueueMutation mutation_;
  ApplyResult result_;
  Ledger ledger_;
  std::vector<bool> adopted_;  // As bodies_.
};

// The text of an AuditRow or a reply, cut to what a row may hold.
std::string BoundedText(std::string_view text, size_t bytes_max);
// A name that may stand in a key and in a log line: 1 to kDestinationBytesMax printable bytes.
bool IsDestination(std::string_view text);

}  // namespace holdfast::queue
