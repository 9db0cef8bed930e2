// node/delivery/group_duties.h
// GroupDuties is what the leader of a queue group does for its mail: lets the scheduler grant,
// starts attempts, records intents and outcomes, waits for what is in doubt and then settles it by
// policy, abandons submissions that a former life of the leader left half way, and holds messages
// that seem to crash the node (AttemptNotes).
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
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/random.h"
#include "node/control/policy.h"
#include "node/delivery/attempt_gate.h"
#include "node/delivery/attempt_notes.h"
#include "node/delivery/attempt_runner.h"
#include "node/delivery/notice_writer.h"
#include "node/delivery/outcome_writer.h"
#include "node/delivery/recorder.h"
#include "node/groups/group_tables.h"
#include "node/node_metrics.h"
#include "queue/schedule/scheduler.h"
#include "raft/host/group_host.h"

namespace holdfast::node {

struct DutyParts {
  raft::GroupHost& host;
  Context& apply;
  const raft::Store& store;
  const PolicyHolder& policy;
  const Clock& clock;
  NodeMetrics& metrics;
  AttemptRunner& runner;
  AttemptGate& gate;
  // Lets one suspect at a time through.
  AttemptGate& suspects_gate;
  AttemptNotes& notes;
  std::function<std::string()> next_queue_id;
};

struct DutyOptions {
  std::string hostname;
  NodeId node;
  uint64_t boot_id = 0;
  queue::SchedulerOptions scheduler;
};

class GroupDuties {
 public:
  GroupDuties(GroupId group, const DutyParts& parts, const DutyOptions& options);
  ~GroupDuties();

  void OnLeaderChange(bool leads);
  // Of a committed batch, which readers see.
  void OnEvents(const std::vector<queue::Event>& events);
  // Lets the scheduler grant what can start; after events.
  void Run() { RunScheduler(); }
  // Every 50 ms or so.
  void Tick();
  // No new attempts from now on.
  void Drain();

  // Thread-safe.
  void RecordIntent(const AttemptTask& task, std::function<void(absl::Status)> done);

  bool leads() const { return leads_; }
  // Nothing is under way and nothing waits to be recorded.
  bool idle() const;
  const queue::Scheduler& scheduler() const { return scheduler_; }

 private:
  void RunScheduler();
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
  void SettleInDoubt();
  void SettleOne(const queue::InDoubtUnit& unit, const PolicySnapshot& policy, absl::Time now);
  // Ends the grants of messages whose quarantine was applied, and asks again for the others.
  void FollowQuarantine();
  void ProposeHold(const queue::QueueId& message, std::string actor, std::string reason);
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
  Random random_;
  bool leads_ = false;
  bool draining_ = false;
  uint64_t policy_version_ = 0;
  // Attempts of this life, from grant to recorded outcome, by attempt id.
  std::map<uint64_t, queue::UnitKey> under_way_;
  // Granted, and to be held instead of attempted, by attempt id.
  std::map<uint64_t, queue::UnitKey> quarantined_;
  // Unknown outcomes on their way into the log.
  std::map<queue::AttemptKey, queue::UnitKey> settling_;
  absl::Time leading_since_;
  absl::Time next_sweep_;
};

}  // namespace holdfast::node
