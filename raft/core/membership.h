// raft/core/membership.h
// Who belongs to a group, how far each is, and the pure steps from one configuration to the next
// (thesis chapter 4). A step takes the present membership and answers with the next one, or says
// why not; it changes nothing by itself.
// Threads: values and pure functions.
// Errors:  kInvalidArgument with the reason.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "raft/core/confchange.h"
#include "raft/core/progress.h"
#include "raft/core/quorum.h"
#include "raft/core/raft_types.h"

namespace holdfast::raft {

// Voters and learners never overlap. Who is to become a learner but still votes in the outgoing
// half waits in `learners_next`.
struct Configuration {
  JointQuorum voters;
  NodeSet learners;
  NodeSet learners_next;
  bool auto_leave = false;

  ConfState ToConfState() const;
  bool operator==(const Configuration&) const = default;
};

using ProgressMap = std::map<NodeId, Progress>;

struct Membership {
  Configuration config;
  ProgressMap progress;

  // What a majority (or both) has acknowledged, by their match indexes.
  LogIndex Committed() const;
};

class MembershipChanger {
 public:
  // `last` is the last index of the leader's log: new members are probed from there.
  MembershipChanger(LogIndex last, InflightLimits limits) : last_(last), limits_(limits) {}

  // The step that `change` asks for: simple, into a joint configuration or out of it.
  absl::StatusOr<Membership> Apply(const Membership& now, const ConfChange& change) const;

  // Changes at most one voter.
  absl::StatusOr<Membership> Simple(const Membership& now,
                                    const std::vector<ConfChangeStep>& steps) const;
  absl::StatusOr<Membership> EnterJoint(const Membership& now, bool auto_leave,
                                        const std::vector<ConfChangeStep>& steps) const;
  absl::StatusOr<Membership> LeaveJoint(const Membership& now) const;

  // The membership that `state` describes, from nothing.
  absl::StatusOr<Membership> Restore(const ConfState& state) const;

 private:
  absl::Status ApplySteps(Membership& next, const std::vector<ConfChangeStep>& steps) const;
  void MakeVoter(Membership& next, NodeId node) const;
  void MakeLearner(Membership& next, NodeId node) const;
  void Remove(Membership& next, NodeId node) const;
  void AddProgress(Membership& next, NodeId node, bool learner) const;

  LogIndex last_;
  InflightLimits limits_;
};

// OK, or which rule between configuration and progress is broken.
absl::Status CheckMembership(const Membership& membership);
// Equal but for the order in which nodes are listed.
bool Equivalent(const ConfState& a, const ConfState& b);

}  // namespace holdfast::raft
