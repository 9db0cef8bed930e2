#include "node/groups/event_log.h"

#include <string>
#include <variant>

#include "base/text.h"
#include "node/admin/events.h"

namespace holdfast::node {
namespace {

MailEvent About(MailEventKind kind, GroupId group, const queue::MessageFacts& message) {
  MailEvent event;
  event.kind = kind;
  event.group = group;
  event.queue_id = message.queue_id.ToString();
  event.message_id = message.message_id;
  event.from = message.sender;
  return event;
}

void AddReply(const queue::Reply& reply, MailEvent& event) {
  event.mx = reply.remote;
  event.tls = reply.tls;
  event.status = reply.enhanced;
  event.reply = reply.code == 0 ? reply.text : format("{} {}", reply.code, reply.text);
}

MailEvent Attempt(GroupId group, const queue::AttemptRecorded& recorded) {
  MailEvent event;
  event.kind = MailEventKind::kAttempt;
  event.group = group;
  event.queue_id = recorded.key.queue_id.ToString();
  event.destination = recorded.destination;
  event.mx = recorded.remote;
  event.tls = recorded.tls;
  event.attempt = recorded.attempts;
  event.delay = recorded.ended - recorded.started;
  event.reply = format("delivered {}, deferred {}, failed {}, not sent {}{}", recorded.delivered,
                       recorded.deferred, recorded.failed, recorded.not_sent,
                       recorded.in_doubt ? ", in doubt" : "");
  return event;
}

MailEventKind KindOf(queue::RecipientEnd end) {
  switch (end) {
    case queue::RecipientEnd::kDelivered:
      return MailEventKind::kDelivered;
    case queue::RecipientEnd::kExpired:
      return MailEventKind::kExpired;
    case queue::RecipientEnd::kRemoved:
    case queue::RecipientEnd::kSuppressed:
      return MailEventKind::kRemoved;
    case queue::RecipientEnd::kBounced:
    case queue::RecipientEnd::kOpen:
      break;
  }
  return MailEventKind::kBounced;
}

void Count(const queue::RecipientFinal& final, NodeMetrics& metrics) {
  switch (final.end) {
    case queue::RecipientEnd::kDelivered:
      metrics.delivered.Increment();
      metrics.queue_seconds.Observe(absl::ToDoubleSeconds(final.at - final.message.accepted));
      break;
    case queue::RecipientEnd::kBounced:
      metrics.bounced.Increment();
      break;
    case queue::RecipientEnd::kExpired:
      metrics.expired.Increment();
      break;
    case queue::RecipientEnd::kSuppressed:
      metrics.suppressed.Increment();
      break;
    case queue::RecipientEnd::kRemoved:
      metrics.removed.Increment();
      break;
    case queue::RecipientEnd::kOpen:
      break;
  }
}

}  // namespace

void EventLog::Write(const std::vector<queue::Event>& events) {
  for (const queue::Event& event : events) WriteOne(event);
}

void EventLog::WriteOne(const queue::Event& event) {
  if (const auto* recorded = std::get_if<queue::AttemptRecorded>(&event)) {
    metrics_.attempts.Increment();
    if (recorded->in_doubt) metrics_.in_doubt.Increment();
    metrics_.attempt_seconds.Observe(absl::ToDoubleSeconds(recorded->ended - recorded->started));
    LogMailEvent(Attempt(group_, *recorded));
  } else if (const auto* final = std::get_if<queue::RecipientFinal>(&event)) {
    Count(*final, metrics_);
    MailEvent line = About(KindOf(final->end), group_, final->message);
    line.to = final->address;
    line.destination = final->destination;
    AddReply(final->reply, line);
    line.actor = final->actor;
    line.attempt = final->attempts;
    line.delay = final->at - final->message.accepted;
    LogMailEvent(line);
  } else if (const auto* deferred = std::get_if<queue::RecipientDeferred>(&event)) {
    metrics_.deferred.Increment();
    MailEvent line = About(MailEventKind::kDeferred, group_, deferred->message);
    line.to = deferred->address;
    line.destination = deferred->destination;
    AddReply(deferred->reply, line);
    line.attempt = deferred->attempts;
    line.delay = deferred->at - deferred->message.accepted;
    LogMailEvent(line);
  } else if (const auto* held = std::get_if<queue::MessageHeld>(&event)) {
    MailEvent line = About(MailEventKind::kHeld, group_, held->message);
    line.reply = format("{} ({})", held->reason, held->actor);
    LogMailEvent(line);
  } else if (const auto* accepted = std::get_if<queue::MessageAccepted>(&event)) {
    // Submissions are logged by the session that answered 250; a notice has no session.
    if (!accepted->message.is_notice) return;
    metrics_.notices.Increment();
    MailEvent line = About(MailEventKind::kAccepted, group_, accepted->message);
    line.bytes = accepted->message.bytes;
    LogMailEvent(line);
  }
}

}  // namespace holdfast::node
