#include "node/backend/admin_views.h"

#include <string>

#include "base/text.h"

namespace holdfast::node {
namespace {

admin::MessageState StateOf(queue::MessageState state) {
  switch (state) {
    case queue::MessageState::kDeferred:
      return admin::DEFERRED;
    case queue::MessageState::kHeld:
      return admin::HELD;
    case queue::MessageState::kInDoubt:
      return admin::IN_DOUBT;
    case queue::MessageState::kActive:
    case queue::MessageState::kAny:
      break;
  }
  return admin::ACTIVE;
}

std::string StatusText(const queue::rows::RecipientRow& recipient) {
  std::string text;
  if (recipient.code() != 0) text = format("{} ", recipient.code());
  // A remote's words begin with its enhanced code already.
  if (!recipient.enhanced().empty() && recipient.text().rfind(recipient.enhanced(), 0) != 0) {
    text += recipient.enhanced() + " ";
  }
  return text + recipient.text();
}

}  // namespace

queue::QueueFilter FilterOf(const admin::QueueFilter& filter) {
  queue::QueueFilter out;
  out.destination = filter.destination();
  out.sender = filter.sender();
  out.recipient = filter.recipient();
  out.age_min = absl::Seconds(static_cast<int64_t>(filter.age_seconds_min()));
  switch (filter.state()) {
    case admin::ACTIVE:
      out.state = queue::MessageState::kActive;
      break;
    case admin::DEFERRED:
      out.state = queue::MessageState::kDeferred;
      break;
    case admin::HELD:
      out.state = queue::MessageState::kHeld;
      break;
    case admin::IN_DOUBT:
      out.state = queue::MessageState::kInDoubt;
      break;
    default:
      break;
  }
  return out;
}

void SetTimestamp(absl::Time time, google::protobuf::Timestamp* out) {
  const int64_t micros = absl::ToUnixMicros(time);
  out->set_seconds(micros / 1'000'000);
  out->set_nanos(static_cast<int32_t>(micros % 1'000'000) * 1000);
}

void FillEntry(const queue::MessageView& view, GroupId group, admin::QueueEntry* entry) {
  entry->set_queue_id(view.queue_id.ToString());
  entry->set_state(StateOf(view.state));
  SetTimestamp(absl::FromUnixMicros(view.row.accepted_us()), entry->mutable_accepted());
  entry->set_bytes(view.row.envelope().content_bytes());
  entry->set_sender(view.row.envelope().sender());
  entry->set_recipients(static_cast<uint32_t>(view.row.envelope().recipients_size()));
  entry->set_recipients_open(view.recipients_open);
  entry->set_destination(view.first_open_destination);
  if (view.next_attempt) SetTimestamp(*view.next_attempt, entry->mutable_next_attempt());
  entry->set_last_status(view.last_status);
  entry->set_held_reason(view.row.held_reason());
  entry->set_group(group.value());
}

void FillShow(const queue::MessageView& view, GroupId group, admin::QueueShowResponse* response) {
  FillEntry(view, group, response->mutable_message());
  const command::Envelope& envelope = view.row.envelope();
  SetTimestamp(absl::FromUnixMicros(view.row.expires_us()), response->mutable_expires());
  response->set_message_id(envelope.message_id());
  response->set_client(envelope.client());
  response->set_ehlo(envelope.ehlo());
  response->set_auth_user(envelope.auth_user());
  response->set_envelope_id(envelope.envid());
  response->set_policy_version(view.row.policy_version());
  response->set_log_index(view.row.log_index());
  for (const queue::UnitView& unit : view.units) {
    for (const queue::rows::RecipientRow& recipient : unit.row.recipients()) {
      admin::RecipientStatus& out = *response->add_recipients();
      out.set_address(envelope.recipients(static_cast<int>(recipient.recipient())).address());
      out.set_destination(unit.row.destination());
      const bool open = recipient.end() == queue::rows::RecipientRow::OPEN;
      out.set_outcome(open && unit.row.has_intent()
                          ? "in doubt"
                          : std::string(queue::RecipientEndName(
                                static_cast<queue::RecipientEnd>(recipient.end()))));
      out.set_attempts(unit.row.attempts());
      if (unit.row.last_ended_us() != 0) {
        SetTimestamp(absl::FromUnixMicros(unit.row.last_ended_us()), out.mutable_last_attempt());
      }
      if (open && !unit.row.held()) {
        SetTimestamp(absl::FromUnixMicros(unit.row.due_us()), out.mutable_next_attempt());
      }
      out.set_remote(unit.row.last_remote());
      out.set_tls(unit.row.last_tls());
      out.set_last_status(StatusText(recipient));
    }
  }
}

}  // namespace holdfast::node
