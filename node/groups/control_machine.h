// node/groups/control_machine.h
// ControlMachine is the state machine of group 0: it feeds committed commands to ControlState,
// with the group's rows as tables, and publishes the policy that results.
// Threads:  owned by the apply context, but for the questions at the end, which read committed rows
//           and are thread-safe.
// Lifetime: reader, holder, admission and level outlive it.
// Errors:   a command that this build does not know ends the process (skipping it would fork the
//           cluster), and so does a feature level that it does not speak (FeatureLevel); rows that
//           can't be read do too.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "node/control/control_state.h"
#include "node/control/feature_level.h"
#include "node/control/policy.h"
#include "node/submit/admission.h"
#include "raft/host/state_machine.h"

namespace holdfast::node {

// The list of nodes that came and went, and its version.
using NodesCallback = std::function<void(std::vector<NodeRow> nodes, uint64_t version)>;

// Of committed rows of the control group; kept by whoever has no machine for them. Unreadable rows
// end the process.
std::vector<NodeRow> ReadNodes(const raft::StateReader& rows);

class ControlMachine final : public raft::StateMachine {
 public:
  // `on_nodes` gets the list of nodes that came and went: from Load(), and on the apply context
  // when it changes.
  ControlMachine(std::unique_ptr<raft::StateReader> reader, PolicyHolder& holder,
                 Admission& admission, FeatureLevel& level, NodesCallback on_nodes);

  // Publishes the stored policy, or the default one, the nodes and the feature level. Before the
  // host starts. kUnimplemented: this build does not speak that level.
  absl::Status Load();

  absl::Status Apply(const raft::CommittedEntry& entry, raft::StateBatch& batch) override;
  void OnCommitted(raft::LogIndex last) override;
  void OnLeaderChange(bool leader, raft::Term term) override;
  // The control group has none.
  absl::Status LiveBodies(const raft::StateReader& rows, const BodyVisitor& visit) const override;
  // Publishes what came with it.
  void OnSnapshotInstalled(raft::LogIndex last) override;

  bool leads() const { return leads_.load(std::memory_order_acquire); }

  // Of committed rows.
  uint64_t PolicyVersion() const;
  std::optional<PolicyVersionRow> FindPolicy(uint64_t version) const;
  std::vector<PolicyVersionRow> PolicyHistory(uint32_t versions_max) const;

 private:
  absl::Status Publish();
  void PublishNodes();
  uint32_t StoredLevel() const;
  void PublishLevel();
  // A stored policy that is not usable is logged: the former one stays in effect.
  void PublishOrLog();

  const std::unique_ptr<raft::StateReader> reader_;
  PolicyHolder& holder_;
  Admission& admission_;
  FeatureLevel& level_;
  const NodesCallback on_nodes_;
  std::atomic<bool> leads_{false};
  bool policy_changed_ = false;
  bool nodes_changed_ = false;
  bool level_changed_ = false;
};

}  // namespace holdfast::node
