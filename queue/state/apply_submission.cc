// How submissions become messages: Enqueue, Chunk, Abandon, and the notices inside other commands.
#include <map>

#include "queue/state/apply_step.h"
#include "queue/state/keys.h"
#include "queue/state/rows.h"

namespace holdfast::queue {
namespace {

// Larger than any command line, smaller than any harm.
constexpr size_t kAddressBytesMax = 4096;
constexpr uint32_t kChunksMax = 16 * 1024;

bool HasControls(std::string_view text) {
  for (unsigned char c : text) {
    if (c < ' ' || c == 0x7F) return true;
  }
  return false;
}

absl::StatusOr<QueueId> ParseId(const std::string& text) {
  std::optional<QueueId> id = QueueId::Parse(text);
  if (!id) return absl::InvalidArgumentError("not a queue id");
  return *id;
}

}  // namespace

absl::Status ApplyStep::CheckEnvelope(const command::Envelope& envelope) const {
  if (envelope.recipients().empty()) return absl::InvalidArgumentError("no recipients");
  if (envelope.recipients_size() > static_cast<int>(kRecipientsPerMessageMax)) {
    return absl::InvalidArgumentError("too many recipients");
  }
  if (envelope.sender().size() > kAddressBytesMax || HasControls(envelope.sender())) {
    return absl::InvalidArgumentError("the sender is not an address");
  }
  for (const command::Recipient& recipient : envelope.recipients()) {
    if (recipient.address().empty() || recipient.address().size() > kAddressBytesMax ||
        HasControls(recipient.address())) {
      return absl::InvalidArgumentError("a recipient is not an address");
    }
    if (!IsDestination(recipient.destination())) {
      return absl::InvalidArgumentError("a recipient has no destination");
    }
  }
  return absl::OkStatus();
}

absl::Status ApplyStep::CheckUnknown(const QueueId& id) const {
  if (tables_.Get(MessageKey(id))) return absl::AlreadyExistsError("the message is queued already");
  std::optional<std::string> value = tables_.Get(RememberedKey(id));
  if (!value) return absl::OkStatus();
  rows::RememberedRow remembered;
  absl::Status decoded = DecodeRow(*value, &remembered);
  if (decoded.ok() && remembered.why() == rows::RememberedRow::ABANDONED) {
    return absl::AbortedError("the submission was abandoned");
  }
  return absl::AlreadyExistsError("the message was queued, and has ended");
}

absl::Status ApplyStep::CheckEnqueue(const command::Enqueue& enqueue) const {
  HOLDFAST_ASSIGN_OR_RETURN(QueueId id, ParseId(enqueue.queue_id()));
  HOLDFAST_RETURN_IF_ERROR(CheckUnknown(id));
  HOLDFAST_RETURN_IF_ERROR(CheckEnvelope(enqueue.envelope()));
  const uint64_t end = uint64_t{enqueue.first_body_ordinal()} + enqueue.body_count();
  if (end > bodies_.size()) return absl::InvalidArgumentError("the entry lacks a body");
  if (enqueue.body_count() == 0 && enqueue.chunk_count() == 0) {
    return absl::InvalidArgumentError("no content");
  }
  if (enqueue.chunk_count() > kChunksMax) return absl::InvalidArgumentError("too many chunks");
  if (enqueue.has_fingerprint() && enqueue.fingerprint().sha256().size() != kFingerprintBytes) {
    return absl::InvalidArgumentError("not a fingerprint");
  }
  for (uint64_t i = enqueue.first_body_ordinal(); i < end; ++i) {
    if (adopted_[i]) return absl::InvalidArgumentError("a body has two owners");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<BodyRef>> ApplyStep::ChunksFor(const QueueId& id, uint32_t count) {
  std::vector<BodyRef> chunks;
  if (ledger_.totals().chunks() > 0) {
    const KeyRange range = ChunksOf(id);
    bool in_order = true;
    tables_.Scan(range.from, range.to, size_t{kChunksMax} + 1,
                 [&](std::string_view key, std::string_view value) {
                   std::optional<ChunkParts> parts = DecodeChunkKey(key);
                   rows::ChunkRow row;
                   if (!parts || parts->ordinal != chunks.size() || !DecodeRow(value, &row).ok()) {
                     in_order = false;
                   }
                   chunks.push_back(FromRow(row.body()));
                   return in_order;
                 });
    if (!in_order) return absl::FailedPreconditionError("chunks are missing");
  }
  if (chunks.size() != count) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition, "{} of {} chunks are here",
                      chunks.size(), count);
  }
  return chunks;
}

void ApplyStep::DropChunks(const QueueId& id, size_t count, uint64_t bytes) {
  for (size_t i = 0; i < count; ++i) {
    tables_.Delete(ChunkKey(id, static_cast<uint32_t>(i)));
  }
  rows::TotalsRow& totals = ledger_.totals();
  totals.set_chunks(totals.chunks() - count);
  totals.set_chunk_bytes(totals.chunk_bytes() - bytes);
}

absl::Status ApplyStep::Enqueue(const command::Enqueue& enqueue) {
  HOLDFAST_RETURN_IF_ERROR(CheckEnqueue(enqueue));
  HOLDFAST_ASSIGN_OR_RETURN(QueueId id, ParseId(enqueue.queue_id()));
  HOLDFAST_ASSIGN_OR_RETURN(std::vector<BodyRef> content, ChunksFor(id, enqueue.chunk_count()));
  if (!content.empty()) {
    uint64_t bytes = 0;
    for (const BodyRef& chunk : content) bytes += chunk.bytes;
    DropChunks(id, content.size(), bytes);
  }
  AcceptMessage(enqueue, std::move(content));
  if (enqueue.has_fingerprint()) {
    KeepFingerprint(id, enqueue.fingerprint(), enqueue.accepted_us());
  }
  return absl::OkStatus();
}

void ApplyStep::AcceptMessage(const command::Enqueue& enqueue, std::vector<BodyRef> content) {
  const QueueId id = *QueueId::Parse(enqueue.queue_id());
  for (uint32_t i = 0; i < enqueue.body_count(); ++i) {
    const uint32_t at = enqueue.first_body_ordinal() + i;
    adopted_[at] = true;
    content.push_back(bodies_[at]);
  }
  MessageRow message;
  *message.mutable_envelope() = enqueue.envelope();
  message.set_accepted_us(enqueue.accepted_us());
  message.set_expires_us(enqueue.expires_us());
  message.set_policy_version(command_.policy_version());
  message.set_log_index(index_);
  uint64_t content_bytes = 0;
  for (const BodyRef& body : content) {
    *message.add_bodies() = ToRow(body);
    content_bytes += body.bytes;
  }
  rows::TotalsRow& totals = ledger_.totals();
  totals.set_messages(totals.messages() + 1);
  totals.set_content_bytes(totals.content_bytes() + content_bytes);
  if (enqueue.held()) {
    message.set_held(true);
    message.set_held_reason(BoundedText(enqueue.held_reason(), kAuditTextBytesMax));
    message.set_held_us(enqueue.accepted_us());
    totals.set_held_messages(totals.held_messages() + 1);
  }
  result_.events.push_back(MessageAccepted{
      FactsOf(id, message), static_cast<uint32_t>(message.envelope().recipients_size()),
      message.envelope().auth_user()});
  AddUnits(id, message, enqueue.due_us());
}

void ApplyStep::AddUnits(const QueueId& id, const MessageRow& message, int64_t due_us) {
  std::vector<UnitRow> units;
  std::map<std::string_view, size_t> filling;  // The unit of a destination that has room.
  const command::Envelope& envelope = message.envelope();
  for (int i = 0; i < envelope.recipients_size(); ++i) {
    const std::string& destination = envelope.recipients(i).destination();
    auto found = filling.find(destination);
    if (found == filling.end() || units[found->second].recipients_open() >= kRecipientsPerUnitMax) {
      found = filling.insert_or_assign(destination, units.size()).first;
      UnitRow& unit = units.emplace_back();
      unit.set_destination(destination);
      unit.set_due_us(due_us);
      unit.set_held(message.held());
      unit.set_accepted_us(message.accepted_us());
      unit.set_expires_us(message.expires_us());
    }
    UnitRow& unit = units[found->second];
    unit.add_recipients()->set_recipient(static_cast<uint32_t>(i));
    unit.set_recipients_open(unit.recipients_open() + 1);
  }
  MessageRow with_units = message;
  with_units.set_unit_count(static_cast<uint32_t>(units.size()));
  SaveMessage(id, with_units);
  for (uint32_t i = 0; i < units.size(); ++i) {
    ledger_.ChangeUnit({id, i}, nullptr, &units[i], message.accepted_us());
  }
  if (message.held()) {
    result_.events.push_back(MessageHeld{FactsOf(id, message), message.held_reason(), ""});
  }
}

absl::Status ApplyStep::CheckNotices(
    const google::protobuf::RepeatedPtrField<command::Notice>& notices) const {
  if (notices.size() > static_cast<int>(kNoticesPerOutcomeMax)) {
    return absl::InvalidArgumentError("too many notices");
  }
  for (int i = 0; i < notices.size(); ++i) {
    const command::Enqueue& enqueue = notices[i].enqueue();
    HOLDFAST_RETURN_IF_ERROR(CheckEnqueue(enqueue));
    if (!enqueue.envelope().is_notice() || !enqueue.envelope().sender().empty() ||
        enqueue.chunk_count() != 0 || enqueue.has_fingerprint()) {
      return absl::InvalidArgumentError(
          "a notice must have the null sender, be whole, and is nobody's submission");
    }
    const KeyRange chunks = ChunksOf(*QueueId::Parse(enqueue.queue_id()));
    const auto stop = [](std::string_view, std::string_view) { return false; };
    if (tables_.Scan(chunks.from, chunks.to, 1, stop).rows > 0) {
      return absl::InvalidArgumentError("a notice has the queue id of another submission");
    }
    for (int j = 0; j < i; ++j) {
      const command::Enqueue& other = notices[j].enqueue();
      const bool apart = enqueue.first_body_ordinal() >=
                             uint64_t{other.first_body_ordinal()} + other.body_count() ||
                         other.first_body_ordinal() >=
                             uint64_t{enqueue.first_body_ordinal()} + enqueue.body_count();
      if (!apart || other.queue_id() == enqueue.queue_id()) {
        return absl::InvalidArgumentError("two notices share a body or a queue id");
      }
    }
  }
  return absl::OkStatus();
}

void ApplyStep::QueueNotices(const google::protobuf::RepeatedPtrField<command::Notice>& notices,
                             const QueueId& about) {
  for (const command::Notice& notice : notices) {
    AcceptMessage(notice.enqueue(), {});
    result_.events.push_back(NoticeQueued{*QueueId::Parse(notice.enqueue().queue_id()), about});
  }
}

absl::Status ApplyStep::Chunk(const command::Chunk& chunk) {
  HOLDFAST_ASSIGN_OR_RETURN(QueueId id, ParseId(chunk.queue_id()));
  if (bodies_.size() != 1) return absl::InvalidArgumentError("a chunk has one body");
  if (chunk.ordinal() >= kChunksMax) return absl::InvalidArgumentError("too many chunks");
  HOLDFAST_RETURN_IF_ERROR(CheckUnknown(id));
  const std::string key = ChunkKey(id, chunk.ordinal());
  if (tables_.Get(key)) return absl::AlreadyExistsError("the chunk is here already");
  rows::ChunkRow row;
  *row.mutable_body() = ToRow(bodies_[0]);
  row.set_stamped_us(chunk.stamped_us());
  tables_.Put(key, EncodeRow(row));
  adopted_[0] = true;
  rows::TotalsRow& totals = ledger_.totals();
  totals.set_chunks(totals.chunks() + 1);
  totals.set_chunk_bytes(totals.chunk_bytes() + bodies_[0].bytes);
  return absl::OkStatus();
}

absl::Status ApplyStep::Abandon(const command::Abandon& abandon) {
  HOLDFAST_ASSIGN_OR_RETURN(QueueId id, ParseId(abandon.queue_id()));
  absl::Status known = CheckUnknown(id);
  // Done before is done.
  if (known.code() == absl::StatusCode::kAborted) return absl::OkStatus();
  HOLDFAST_RETURN_IF_ERROR(known);
  std::vector<std::string> keys;
  uint64_t bytes = 0;
  const KeyRange range = ChunksOf(id);
  if (ledger_.totals().chunks() > 0) {
    tables_.Scan(range.from, range.to, kChunksMax,
                 [&](std::string_view key, std::string_view value) {
                   rows::ChunkRow row;
                   if (DecodeRow(value, &row).ok()) {
                     bytes += row.body().bytes();
                     result_.ended_bodies.push_back(FromRow(row.body()));
                   }
                   keys.emplace_back(key);
                   return true;
                 });
  }
  for (const std::string& key : keys) tables_.Delete(key);
  rows::TotalsRow& totals = ledger_.totals();
  totals.set_chunks(totals.chunks() - keys.size());
  totals.set_chunk_bytes(totals.chunk_bytes() - bytes);
  Remember(id, rows::RememberedRow::ABANDONED, abandon.stamped_us());
  return absl::OkStatus();
}

}  // namespace holdfast::queue
