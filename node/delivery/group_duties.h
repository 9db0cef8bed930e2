// node/delivery/group_duties.h
// GroupDuties is what the leader of a queue group does for its mail: lets the scheduler grant,
// starts attempts, records intents and outcomes, waits for what is in doubt and then settles it by
// policy, abandons submissions that were left half way, holds messages that seem to crash the node
// (AttemptNotes), and raises the group's state version when the cluster's feature level has risen.
//
// When leadership ends, attempts short of their dot are cut; those past it go on, and their
// outcomes are recorded with whoever leads by then. Before a planned transfer the same happens
// first, so that nothing has to be repeated. A new leader leaves units with an open intent alone as
// long as the node that made it says that the attempt is under way, and then for the policy's
// in_doubt_wait.
//
// Threads:  owned by the apply context, but for RecordIntent() and what attempts report, which post
//           there.
// Lifetime: everything in Parts outlives it; the apply context is stopped before it is destroyed.
// Limits:   attempts under way by scheduler and gate; a sweep of in-doubt units reads at most
//           kInDoubtPerSweep rows.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/random.h"
#include "node/control/feature_level.h"
#include "node/control/policy.h"
#include "node/delivery/attempt_gate.h"
#include "node/delivery/attempt_notes.h"
#include "node/delivery/attempt_runner.h"
#include "node/delivery/attempts_under_way.h"
#include "node/delivery/intent_claims.h"
#include "node/delivery/leader_lease.h"
#include "node/delivery/notice_writer.h"
#include "node/delivery/outcome_writer.h"
#include "node/delivery/recorder.h"
#include "node/delivery/unreadable_units.h"
#include "node/groups/group_tables.h"
#include "node/node_metrics.h"
#include "node/node_mutation.h"
#include "queue/schedule/attempt_permits.h"
#include "queue/schedule/scheduler.h"
#include "raft/host/group_host.h"

namespace holdfast::node {

// Asks `node` which of the attempts of its life `boot_id` are under way. OK: those are.
using UnderWayQuestion =
    std::function<void(NodeId node, GroupId group, uint64_t boot_id, std::vector<uint64_t> attempts,
                       std::function<void(absl::StatusOr<std::vector<uint64_t>>)> done)>;

struct DutyParts {
  raft::GroupHost& host;
  // Proposes to whoever leads the group.
  std::function<void(GroupId, raft::Proposal, raft::ProposeCallback)> propose;
  UnderWayQuestion ask_under_way;
  Context& apply;
  const raft::Store& store;
  const PolicyHolder& policy;
  const FeatureLevel& level;
  const Clock& clock;
  NodeMetrics& metrics;
  AttemptRunner& runner;
  AttemptGate& gate;
  // Lets one suspect at a time through.
  AttemptGate& suspects_gate;
  AttemptNotes& notes;
  // What the schedulers of all groups share; the group's number is its name there.
  queue::AttemptPermits& permits;
  std::function<std::string()> next_queue_id;
};

struct DutyOptions {
  std::string hostname;
  NodeId node;
  uint64_t boot_id = 0;
  // The node's life began; submissions that it took before are abandoned.
  absl::Time started;
  // Other nodes' submissions without an end are abandoned after so long: no session lasts longer.
  absl::Duration submission_max = absl::Hours(2);
  // See LeaderLease.
  absl::Duration lease;
  queue::SchedulerOptions scheduler;
  uint64_t seed = 0;  // Of the jitter in retries.
  NodeMutation mutation = NodeMutation::kNone;
};

class GroupDuties {
 public:
  GroupDuties(GroupId group, const DutyParts& parts, const DutyOptions& options);
  ~GroupDuties();

  void OnLeaderChange(bool leads);
  // Of a committed batch, which readers see.
  void OnEvents(const std::vector<queue::Event>& events);
  // Lets the scheduler grant what can start; after events, which told it what is due: the index of
  // due destinations is looked at with each tick.
  void Run() { RunScheduler(false); }
  // A permit came back for which the scheduler waits.
  void Wake();
  // Every 50 ms or so.
  void Tick();
  // No new attempts from now on.
  void Drain();
  // While this node's clock is off, what it would stamp would be wrong: no attempts, nothing is
  // settled or abandoned. Outcomes of attempts past their dot are recorded all the same, for
  // without them mail would be repeated.
  void SetClockOff(bool off);
  // Cuts attempts short of their dot, waits for that a moment, and transfers leadership to
  // `target`. What comes of it shows in leads(); if nothing does, attempts go on after
  // hand_over_wait.
  void HandOver(NodeId target);

  // Thread-safe.
  void RecordIntent(const AttemptTask& task, std::function<void(absl::Status)> done);
  void ConfirmLeadership(const AttemptTask& task, std::function<void(absl::Status)> done);

  // Which of these attempts of this life are not settled yet.
  std::vector<uint64_t> UnderWay(uint64_t boot_id, const std::vector<uint64_t>& attempts) const;

  // What the group's commands and rows may be, by its rows.
  uint32_t StateVersion() const;

  bool leads() const { return leads_; }
  // Nothing is under way and nothing waits to be recorded.
  bool idle() const;
  const queue::Scheduler& scheduler() const { return scheduler_; }
  NodeMutation mutation() const { return options_.mutation; }

 private:
  void RunScheduler(bool all_due = true);
  void StartAttempt(const queue::Grant& grant);
  // nullptr: nothing to attempt; the grant has been ended.
  std::shared_ptr<AttemptTask> MakeTask(const queue::Grant& grant, const queue::MessageView& view);
  void EnterGate(const std::shared_ptr<AttemptTask>& task, const queue::Grant& grant,
                 uint64_t memory_bytes);
  void Launch(std::shared_ptr<AttemptTask> task);
  void FailWithoutAttempt(const std::shared_ptr<AttemptTask>& task, const std::string& why);
  void OnAttemptDone(const std::shared_ptr<AttemptTask>& task, const AttemptReport& report);
  void EndGrant(const queue::UnitKey& key, uint64_t attempt_id, queue::AttemptEnded::Kind kind,
                std::string text);
  // This node leads, and will for a while.
  bool MayAttempt() const {
    return leads_ && !hand_over_ && !draining_ && !clock_off_ && parts_.policy.known();
  }
  // `task` was granted in this leadership: what other leaders did meanwhile it can't know.
  bool MayStart(const AttemptTask& task) const {
    return MayAttempt() && task.leadership == leadership_;
  }
  // Once the control group permits it, the group goes there by an entry of its own log.
  void FollowLevel();
  void ReportNotSent(const std::shared_ptr<AttemptTask>& task);
  void FollowHandOver();
  void TellFailedHandOver();
  // Asks the nodes that made open intents about them; what they answer for is left alone.
  void AskAboutIntents(const std::vector<queue::InDoubtUnit>& units);
  void SettleInDoubt();
  void SettleOne(const queue::InDoubtUnit& unit, const PolicySnapshot& policy);
  // Ends the grants of messages whose quarantine was applied, and asks again for the others.
  void FollowQuarantine();
  // A unit whose content could not be read for so long that its attempt counts as failed.
  void PutOffUnreadable(const queue::UnitKey& key, uint64_t attempt_id);
  UnreadableUnits::State StateOf(const queue::UnitKey& key) const;
  UnreadableUnits::Parts UnreadableParts();
  void ProposeHold(const queue::QueueId& message, std::string actor, std::string reason);
  void ProposeRetry(const queue::QueueId& message);
  void Quarantine(const queue::UnitKey& key, const queue::MessageView& view);
  void AbandonStale();
  queue::AttemptKey KeyOf(uint64_t attempt_id) const;
  absl::StatusOr<queue::MessageView> Show(const queue::QueueId& id) const;

  const GroupId group_;
  const DutyParts parts_;
  const DutyOptions options_;
  const std::unique_ptr<raft::StateReader> rows_;
  queue::Scheduler scheduler_;
  NoticeWriter notices_;
  OutcomeWriter outcomes_;
  std::shared_ptr<Recorder> recorder_;
  std::shared_ptr<LeaderLease> lease_;
  Random random_;
  struct HandingOver {
    NodeId target;
    absl::Duration asked;  // Clock::SinceBoot().
    bool transferred = false;
  };
  std::optional<HandingOver> hand_over_;
  std::optional<HandingOver> handed_over_;  // The one under way when leadership ended, last.
  // Attempts that other nodes answer for.
  IntentClaims claims_;
  bool leads_ = false;
  uint64_t leadership_ = 0;  // How many this life has seen begin.
  bool draining_ = false;
  bool waking_ = false;
  bool clock_off_ = false;
  uint64_t policy_version_ = 0;
  uint32_t state_version_ = kFirstFeatureLevel;  // When it was read last.
  // Attempts of this life, from grant to recorded outcome, by attempt id.
  AttemptsUnderWay under_way_;
  // Granted, and to be held instead of attempted, by attempt id.
  std::map<uint64_t, queue::UnitKey> quarantined_;
  // Granted, attempted in vain, and waiting for their content.
  UnreadableUnits unreadable_;
  // Unknown outcomes on their way into the log.
  std::map<queue::AttemptKey, queue::UnitKey> settling_;
  // Clock::SinceBoot(), so that a wall clock that is set back stops nothing.
  absl::Duration leading_since_;
  absl::Duration next_question_;
  absl::Duration next_sweep_;
  absl::Duration next_stale_sweep_;
};

}  // namespace holdfast::node
