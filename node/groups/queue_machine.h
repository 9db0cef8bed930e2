// node/groups/queue_machine.h
// QueueMachine is the state machine of a queue group: it feeds committed commands to QueueState
// with the group's rows as tables, ends the lives of bodies, and tells the leader's duties and the
// logs what happened once a batch is written.
// Threads:  owned by the apply context.
// Lifetime: what it is given outlives the host's Stop().
// Errors:   a command that this build does not know, a state version that it does not speak
//           (FeatureLevel), and rows that can't be read, end the process.
#pragma once

#include <vector>

#include "node/control/feature_level.h"
#include "node/delivery/group_duties.h"
#include "node/groups/event_log.h"
#include "node/leader_table.h"
#include "queue/state/queue_state.h"
#include "raft/host/state_machine.h"

namespace holdfast::node {

class QueueMachine final : public raft::StateMachine {
 public:
  QueueMachine(GroupId group, GroupDuties& duties, LeaderTable& leaders, NodeMetrics& metrics,
               const FeatureLevel& level)
      : group_(group),
        state_(duties.mutation() == NodeMutation::kOutcomeTwice
                   ? queue::QueueMutation::kOutcomeTwice
                   : queue::QueueMutation::kNone),
        duties_(duties),
        leaders_(leaders),
        level_(level),
        log_(group, metrics) {}

  // Before the host starts. kUnimplemented: the group is at a state version that this build does
  // not speak.
  absl::Status Load() const;

  absl::Status Apply(const raft::CommittedEntry& entry, raft::StateBatch& batch) override;
  void OnCommitted(raft::LogIndex last) override;
  void OnLeaderChange(bool leader, raft::Term term) override;
  absl::Status LiveBodies(const raft::StateReader& rows, const BodyVisitor& visit) const override;
  void OnSnapshotInstalled(raft::LogIndex last) override;

 private:
  std::string Name() const;

  const GroupId group_;
  const queue::QueueState state_;
  GroupDuties& duties_;
  LeaderTable& leaders_;
  const FeatureLevel& level_;
  EventLog log_;
  std::vector<queue::Event> events_;  // Of the batch being applied.
};

}  // namespace holdfast::node
