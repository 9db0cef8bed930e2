// queue/state/queue_state.h
// QueueState is what the replicas of a queue group agree on: messages, units, outcomes and holds.
// It changes only in Apply(), one command at a time, in log order; equal histories give equal
// tables. Its rows live in Tables, not in memory. It does not choose what to attempt (Scheduler
// does) and never touches a body: it only says whose life has ended.
//
// What it promises:
//  - a queue id becomes a message at most once while it is known (alive, or remembered after its
//    end: kRememberedFor, kRememberedMax);
//  - every body of an entry is adopted by exactly one message or submission, or is in ended_bodies
//    of the same Apply; an adopted body is in ended_bodies of exactly one later Apply;
//  - a recipient ends once; the notice that its end causes becomes a message in the same Apply or
//    not at all;
//  - the fingerprint of a submission is known from its Enqueue to its Confirm, or until it is
//    forgotten, whatever becomes of the message meanwhile;
//  - an attempt's outcome is recorded once. A unit with an open intent is attempted by nobody else.
//
// Threads: it keeps nothing, hence thread-safe; the tables belong to the apply context.
// Errors:  a refusal is a replicated verdict, equal on all replicas, and never a crash: nothing
//          that a client, a remote, an operator or a leader can say fails a CHECK. Rows that cannot
//          be parsed do: a node that doubts its own state must stop.
// Limits:  memory is the entry and the rows that it touches. Admission bounds the queue; Apply
// never
//          refuses for size, for a replica that refuses what another accepted is no replica.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "queue/state/events.h"
#include "queue/state/queue_mutation.h"
#include "queue/state/queue_types.h"
#include "queue/state/tables.h"

namespace holdfast::command {
class Command;
}

namespace holdfast::queue {

// Part of the replicated state machine: changing one of these is a new state version.
inline constexpr uint32_t kRecipientsPerUnitMax = 50;
inline constexpr uint32_t kRecipientsPerMessageMax = 10'000;
inline constexpr uint32_t kNoticesPerOutcomeMax = 4;
inline constexpr uint32_t kClosedAttemptsMax = 8;    // Remembered per unit.
inline constexpr uint64_t kRememberedMax = 200'000;  // Ids of ended or abandoned submissions.
inline constexpr absl::Duration kRememberedFor = absl::Hours(1);
inline constexpr uint64_t kAuditRowsMax = 10'000;
inline constexpr uint32_t kUnconfirmedMax = 1'000'000;  // Whatever a command asks for.
inline constexpr uint32_t kEqualUnconfirmedMax = 16;    // Of one fingerprint.
inline constexpr uint32_t kConfirmedPerCommandMax = 1000;
inline constexpr size_t kReplyTextBytesMax = 1024;  // Longer texts are cut.
inline constexpr size_t kAuditTextBytesMax = 2048;
inline constexpr size_t kDestinationBytesMax = 255;

struct ApplyResult {
  // OK, or why nothing of the command was done. For commands of several items (Intents, Outcomes,
  // Hold, Release, Remove, Retry, Reroute, Confirm): OK when at least one item was done, else the
  // first item's refusal.
  //   kAlreadyExists       done before: the queue id is a message, or was one
  //   kAborted             the submission was abandoned: it will never be a message
  //   kNotFound            no such message or unit (any more)
  //   kFailedPrecondition  its state forbids it: held, an intent is open, chunks are missing, ...
  //   kInvalidArgument     the command contradicts itself or its entry
  absl::Status verdict;
  // One per item of such a command, in order.
  std::vector<absl::Status> items;
  std::vector<BodyRef> ended_bodies;
  std::vector<Event> events;
};

class QueueState {
 public:
  explicit QueueState(QueueMutation mutation = QueueMutation::kNone) : mutation_(mutation) {}

  // Applies the command of the entry at `index`, whose bodies are `entry_bodies`. `command` came
  // from DecodeCommand() (command_codec.h).
  ApplyResult Apply(uint64_t index, uint64_t term, const command::Command& command,
                    std::span<const BodyRef> entry_bodies, Tables& tables) const;

 private:
  QueueMutation mutation_;
};

}  // namespace holdfast::queue
