#include "queue/state/events.h"

#include "base/text.h"

namespace holdfast::queue {
namespace {

std::string TimeText(absl::Time time) {
  if (time == absl::InfinitePast()) return "-";
  return format("{}s", absl::ToDoubleSeconds(time - absl::UnixEpoch()));
}

std::string SenderText(const std::string& sender) { return format("<{}>", sender); }

std::string AttemptText(const AttemptKey& attempt) {
  return format("{}.{}.{}", attempt.node_id, attempt.boot_id, attempt.attempt_id);
}

std::string ReplyText(const Reply& reply) {
  return format("{} {} {}", reply.code, reply.enhanced, reply.text);
}

struct TextOf {
  std::string operator()(const MessageAccepted& e) const {
    return format("accepted {} from={} recipients={} bytes={}{}", e.message.queue_id.text(),
                  SenderText(e.message.sender), e.recipients, e.message.bytes,
                  e.message.is_notice ? " notice" : "");
  }
  std::string operator()(const UnitDue& e) const {
    return format("due {} {} at={}", e.key.ToString(), e.destination, TimeText(e.due));
  }
  std::string operator()(const UnitGone& e) const {
    return format("gone {} {}", e.key.ToString(), e.destination);
  }
  std::string operator()(const AttemptsAsked& e) const {
    return format("asked {} {}{}", e.key.ToString(), e.destination, e.by_operator ? "" : " again");
  }
  std::string operator()(const IntentOpened& e) const {
    return format("intent {} attempt={}", e.key.ToString(), AttemptText(e.attempt));
  }
  std::string operator()(const IntentRefused& e) const {
    return format("intent refused {} attempt={}: {}", e.key.ToString(), AttemptText(e.attempt),
                  Message(e.why));
  }
  std::string operator()(const AttemptRecorded& e) const {
    return format("attempt {} attempt={} n={} delivered={} deferred={} failed={} not_sent={}{}",
                  e.key.ToString(), AttemptText(e.attempt), e.attempts, e.delivered, e.deferred,
                  e.failed, e.not_sent, e.in_doubt ? " in doubt" : "");
  }
  std::string operator()(const OutcomeRefused& e) const {
    return format("outcome refused {} attempt={}: {}", e.key.ToString(), AttemptText(e.attempt),
                  Message(e.why));
  }
  std::string operator()(const RecipientFinal& e) const {
    return format("{} {} to={} ({}){}", RecipientEndName(e.end), e.message.queue_id.text(),
                  e.address, ReplyText(e.reply), e.actor.empty() ? "" : " by=" + e.actor);
  }
  std::string operator()(const RecipientDeferred& e) const {
    return format("deferred {} to={} ({}) next={}", e.message.queue_id.text(), e.address,
                  ReplyText(e.reply), TimeText(e.next_due));
  }
  std::string operator()(const MessageHeld& e) const {
    return format("held {} by={} reason={}", e.message.queue_id.text(), e.actor, e.reason);
  }
  std::string operator()(const MessageReleased& e) const {
    return format("released {} by={}", e.message.queue_id.text(), e.actor);
  }
  std::string operator()(const NoticeQueued& e) const {
    return format("notice {} about {}", e.notice.text(), e.about.text());
  }
  std::string operator()(const MessageEnded& e) const {
    return format("ended {}", e.queue_id.text());
  }
};

}  // namespace

std::string EventText(const Event& event) { return std::visit(TextOf(), event); }

}  // namespace holdfast::queue
