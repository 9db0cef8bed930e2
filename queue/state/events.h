// queue/state/events.h
// What applying a command did, as values. The node turns them into log lines and metrics on the
// leader, and feeds those about units to the scheduler. Equal on all replicas, in order.
// Threads: values.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/status.h"
#include "queue/state/queue_types.h"

namespace holdfast::queue {

// What log lines about a message say of it.
struct MessageFacts {
  QueueId queue_id;
  std::string sender;  // Empty for <>.
  std::string message_id;
  std::string client;
  uint64_t bytes = 0;
  absl::Time accepted;
  bool is_notice = false;
};

struct MessageAccepted {
  MessageFacts message;
  uint32_t recipients = 0;
  std::string auth_user;
};

// A unit entered its destination's ready list, or its due time there changed.
struct UnitDue {
  UnitKey key;
  std::string destination;
  absl::Time due;
};

// A unit left its destination's ready list: ended, held, rerouted, or an intent was opened.
struct UnitGone {
  UnitKey key;
  std::string destination;
};

// An operator wants attempts at this destination now (retry, release, reroute to it): if it rests
// because no host answered, that is over; and an attempt of the unit that is under way just now
// does not stand for the one that is asked for.
struct AttemptsAsked {
  UnitKey key;
  std::string destination;
  bool by_operator = true;  // False: by the queue itself, for an operator who asked before.
};

struct IntentOpened {
  UnitKey key;
  AttemptKey attempt;
};

// The attempt must not reach its final dot.
struct IntentRefused {
  UnitKey key;
  AttemptKey attempt;
  absl::Status why;
};

// The outcome of an attempt was recorded; one RecipientFinal or RecipientDeferred for each
// recipient follows.
struct AttemptRecorded {
  UnitKey key;
  AttemptKey attempt;
  std::string destination;
  std::string remote;
  std::string tls;
  absl::Time started;
  absl::Time ended;
  uint32_t attempts = 0;  // Of the unit, this one included.
  uint32_t delivered = 0;
  uint32_t deferred = 0;
  uint32_t failed = 0;  // Bounced, expired or suppressed.
  uint32_t not_sent = 0;
  bool in_doubt = false;  // Nobody knows: recorded so that the unit can go on.
};

// The outcome was not recorded: a repeat, or the unit is gone.
struct OutcomeRefused {
  UnitKey key;
  AttemptKey attempt;
  absl::Status why;
};

// What a remote said to one recipient, or what we say instead.
struct Reply {
  uint32_t code = 0;  // 0: `text` is ours.
  std::string enhanced;
  std::string text;
  std::string remote;
  std::string tls;
};

struct RecipientFinal {
  MessageFacts message;
  std::string address;
  std::string destination;
  RecipientEnd end = RecipientEnd::kOpen;  // Never kOpen.
  Reply reply;
  uint32_t attempts = 0;
  absl::Time at;
  std::string actor;  // The operator who ended it; empty: nobody did.
};

struct RecipientDeferred {
  MessageFacts message;
  std::string address;
  std::string destination;
  Reply reply;
  uint32_t attempts = 0;
  absl::Time at;
  absl::Time next_due;
};

struct MessageHeld {
  MessageFacts message;
  std::string reason;
  std::string actor;
};

struct MessageReleased {
  MessageFacts message;
  std::string actor;
};

// A notice became a message in the command that caused it (its MessageAccepted stands before).
struct NoticeQueued {
  QueueId notice;
  QueueId about;
};

// Every recipient has ended, and the rows are gone.
struct MessageEnded {
  QueueId queue_id;
};

using Event =
    std::variant<MessageAccepted, UnitDue, UnitGone, AttemptsAsked, IntentOpened, IntentRefused,
                 AttemptRecorded, OutcomeRefused, RecipientFinal, RecipientDeferred, MessageHeld,
                 MessageReleased, NoticeQueued, MessageEnded>;

// One line, for scripts and debug logs.
std::string EventText(const Event& event);

}  // namespace holdfast::queue
