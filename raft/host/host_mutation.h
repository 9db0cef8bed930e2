// raft/host/host_mutation.h
// Known bugs that the simulation puts back into the host, one at a time, to show that it would find
// them (GroupHostOptions::mutation; as raft/core's Mutation). Nothing but tests sets one: no
// configuration, flag or environment leads here.
// Threads: values.
#pragma once

#include <cstdint>

namespace holdfast::raft {

enum class HostMutation : uint8_t {
  kNone = 0,
  kAcknowledgeBeforeSync = 1,      // Log writes ask for no sync, and are answered as if they had.
  kAnswerBeforeCommit = 2,         // A proposal is answered before its rows are written.
  kElideWithoutIndex = 3,          // A body that is gone is said to have ended with its own entry.
  kElideUnapplied = 4,             // A body that is missing is taken for one that ended.
  kHearVotesAfterRestart = 5,      // No election timeout of silence after a start.
  kLeadBeforeOwnEntryApplied = 6,  // Leadership is announced as soon as the core leads.
  kAbortWhenLeadershipIsLost = 7,  // Losing leadership is taken for "not applied".
  kReadBeforeApplied = 8,          // A confirmed read does not wait for apply.
  kApplyTwiceAfterRestart = 9,     // The applied index is read one too low.
  kForgetElidedOfSnapshot = 10,    // An install does not say which bodies came elided.
  kInstallFromAnySource = 11,      // A snapshot of a former leader is acknowledged to this one.
  kVoteWithAmnesia = 20,           // What peers remember of this replica's word is not heeded.
  kLeaveJointAtOnce = 12,          // A joint configuration is left where it is entered.
  kLearnerVotes = 13,              // Who is to learn is counted as a voter.
  kForgetMembersOfSnapshot = 14,   // An install keeps the members of before.
  kForgetMembersApplied = 15,      // A change of members is not written beside the rows.
  kKeepAbandonedBodies = 16,       // Garbage is looked for after an install only.
  kTruncateBodies = 17,            // Bodies go with the headers that are truncated.
  kForgetRowsOfSnapshot = 18,      // The last row of each piece of a snapshot is left out.
};

}  // namespace holdfast::raft
