// node/control/control_state.h
// ControlState is what the nodes agree on about themselves: group 0's state machine. It holds the
// versions of the policy, nodes that came and went, the feature level, and the audit trail. It
// changes only in Apply(), one command at a time, in log order; equal histories give equal rows. It
// does not judge whether a policy makes sense: that is done by the leader before it proposes, for
// builds may differ in it. Pure: no clock, no luck, no I/O but the rows.
// Threads: owned by the apply context. Others see a PolicySnapshot, published after each apply.
// Limits:  keeps options.policy_versions_max versions and options.audit_lines_max lines; older ones
//          go. Apply never refuses for size what a leader proposed, but for a policy text over
//          options.policy_bytes_max, which is a verdict like any other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "node/control/control_nodes.h"
#include "node/control/control_tables.h"

namespace holdfast::command {
class Command;
class SetPolicy;
class Audit;
class RaiseFeatureLevel;
}  // namespace holdfast::command

namespace holdfast::node {

// Replicated behaviour: the same on all nodes, so not configuration of one node.
struct ControlOptions {
  uint32_t policy_versions_max = 100;
  uint32_t audit_lines_max = 10000;
  size_t policy_bytes_max = 1 << 20;
};

struct ControlResult {
  ControlVerdict verdict = ControlVerdict::kApplied;
  // The current policy version after the command.
  uint64_t policy_version = 0;
  bool policy_changed = false;
  bool nodes_changed = false;
  bool level_changed = false;
};

struct PolicyVersionRow {
  uint64_t version = 0;
  std::string actor;
  std::string comment;
  int64_t stamped_us = 0;
  std::string text;
};

struct AuditRow {
  uint64_t number = 0;  // 1, 2, 3, ... for ever.
  int64_t index = 0;    // Of the entry in the log.
  int64_t stamped_us = 0;
  std::string actor;
  std::string verb;
  std::string reason;
  std::string detail;
};

class ControlState {
 public:
  // `tables` is the batch of the entry being applied (or a read view, for the questions below).
  explicit ControlState(ControlTables& tables, ControlOptions options = {});

  // Applies the entry at `index`. CHECK-fails on a command that the control group does not know:
  // skipping it would fork the cluster. Call Knows() first where stopping politely is possible.
  ControlResult Apply(const command::Command& command, int64_t index);
  // Whether this build understands the command wholly (kind, format and every field).
  static bool Knows(const command::Command& command);

  // 0 before any policy was applied.
  uint64_t CurrentPolicyVersion() const;
  // Nothing for version 0, for versions not made yet and for those forgotten.
  std::optional<PolicyVersionRow> FindPolicy(uint64_t version) const;
  // Newest first, without texts.
  std::vector<PolicyVersionRow> PolicyHistory(uint32_t versions_max) const;
  // Nodes that were added or removed since the cluster was formed, by id.
  std::vector<NodeRow> Nodes() const;
  uint64_t NodesVersion() const;
  // What the cluster has agreed to speak.
  uint32_t FeatureLevel() const;
  // Whether the cluster speaks more once `command` is applied.
  bool Raises(const command::Command& command) const;
  // Oldest first, from `number_from` on.
  std::vector<AuditRow> AuditTrail(uint64_t number_from, uint32_t lines_max) const;

 private:
  ControlResult ApplySetPolicy(const command::SetPolicy& set, int64_t index);
  ControlResult ApplyNodes(const command::Command& command, int64_t index);
  ControlResult ApplyLevel(const command::RaiseFeatureLevel& raise, int64_t index);
  void AppendAudit(const command::Audit& audit, int64_t index);
  uint64_t ReadCounter(std::string_view key) const;
  void WriteCounter(std::string_view key, uint64_t value);

  ControlTables& tables_;
  const ControlOptions options_;
};

}  // namespace holdfast::node
