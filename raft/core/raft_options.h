// raft/core/raft_options.h
// The numbers and switches of one replica. All replicas of a group need equal timers, pre_vote and
// check_quorum; byte limits may differ.
// Threads: a value.
#pragma once

#include <cstdint>
#include <limits>

#include "base/status.h"
#include "raft/core/raft_types.h"

namespace holdfast::raft {

inline constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();

// How a leader proves that it still leads before it answers a read (thesis 6.4).
enum class ReadMode : uint8_t {
  kQuorum = 0,  // A round of heartbeats per batch of reads: clocks don't matter.
  kLease = 1,   // Trusts check_quorum and bounded clock drift. Needs check_quorum.
};

// Tests only: puts a known bug back, to show that a test or an invariant finds it.
enum class Mutation : uint8_t {
  kNone = 0,
  kCommitEarlierTermByCounting = 1,    // Thesis figure 3.7.
  kAcknowledgeBeforeDurable = 2,       // Votes and acknowledgements leave with send_now.
  kLeaderCountsItselfAtOnce = 3,       // Own entries count before they are durable.
  kIgnoreTermOfStoredAppend = 4,       // The ABA race of overlapping writes.
  kJointNeedsIncomingOnly = 5,         // A joint configuration decided by one majority.
  kVoteForStaleLog = 6,                // The up-to-date check of votes is left out.
  kCampaignWithPendingConfChange = 7,  // Elections over configurations not yet applied.
  kLeadBeforeOwnVoteIsDurable = 8,     // Others' votes are enough; see CountVote().
};

struct RaftOptions {
  NodeId id;  // Never 0.

  // An election starts after election_ticks to 2 * election_ticks - 1 silent ticks.
  int election_ticks = 20;
  int heartbeat_ticks = 3;  // Less than election_ticks.
  // Draws the election timeouts; give every replica another one.
  uint64_t seed = 1;

  // The last entry that the state machine had applied when it was stored.
  LogIndex applied = 0;

  bool pre_vote = true;      // Thesis 9.6: a node that can't win disturbs nobody.
  bool check_quorum = true;  // A leader that hears no quorum steps down; leases hold off votes.
  ReadMode read_mode = ReadMode::kQuorum;

  uint64_t message_bytes_max = uint64_t{1} << 20;    // Entries of one append; at least one goes.
  uint64_t inflight_messages_max = 256;              // Unanswered appends per peer, and ...
  uint64_t inflight_bytes_max = uint64_t{16} << 20;  // ... their bytes. >= message_bytes_max.
  uint64_t uncommitted_bytes_max = uint64_t{256} << 20;  // Of a leader's undecided proposals.
  uint64_t applying_bytes_max = uint64_t{4} << 20;       // In ApplyTasks not yet done.
  uint64_t pending_reads_max = 10'000;

  // A follower passes proposals on to its leader instead of refusing them.
  bool forward_proposals = false;
  // A leader that is removed or demoted steps down when it applies that.
  bool step_down_on_removal = true;
  // Committed entries may come in an ApplyTask before their own write is known to be durable here
  // (a quorum has them). Only for callers that finish each Ready's AppendTask before they send its
  // messages and begin its ApplyTask.
  bool apply_unstable = false;
  // Accepts configuration changes that the present configuration can't take yet. Only for callers
  // that order and check changes themselves: a wrong one ends the process when applied.
  bool skip_conf_change_validation = false;

  Mutation mutation = Mutation::kNone;
};

// OK, or kInvalidArgument with the reason.
absl::Status ValidateOptions(const RaftOptions& options);

}  // namespace holdfast::raft
