// tests/sim/mail_levels.h
// MailLevels is the operator who upgrades a simulated cluster node by node while everything else
// happens: installs a newer build on a node, or by mistake the one before, and asks any node to
// raise the cluster's feature level, as `holdfast cluster raise-level` does. Builds differ in
// nothing but the levels that they speak, from 1 on; what a level brings is the entry in each
// group's log that raises it, which no older build may pass.
//
//   raise     not while a member runs a build that does not speak it, as far as it could be known
//   builds    a node that meets a level beyond its build ends before it applies that, and does not
//             start again with that build; who speaks less than the cluster is heard by nobody
//   groups    no queue group goes there before the control group did; at the end all have
//
// Threads: one. Lifetime: outlives the nodes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "node/control/feature_level.h"
#include "node/node_mutation.h"
#include "tests/sim/mail_checker.h"
#include "tests/sim/mail_node.h"

namespace holdfast::raft_test {

class MailLevels {
 public:
  MailLevels(const SimShared& shared, uint64_t seed, MailChecker& checker,
             std::vector<std::unique_ptr<HostNode>>& nodes, node::NodeMutation mutation);

  // Of the build that is on the node's machine now.
  node::LevelRange SpokenBy(NodeId node);
  // One thing that an operator does.
  void Act();
  // From now on all machines have the newest build, and the cluster is raised as far as that
  // speaks.
  void Finish();
  // Nothing of `from` is heard at `to`: there is no connection, for one does not speak what the
  // other knows of the cluster; or `to` has learned since that `from` does not.
  bool Apart(NodeId from, NodeId to);
  // What is not so yet; only after Finish().
  std::string Unsettled() const;

  // Before Finish().
  uint64_t installs() const { return installs_; }
  uint64_t raises() const { return raises_; }
  uint64_t refusals() const { return refusals_; }

 private:
  struct Build {
    uint32_t level = 1;
    absl::Duration since;
  };

  static MailNode& Mail(HostNode& node) { return static_cast<MailNode&>(node.inside()); }
  Build& BuildOf(NodeId node);
  HostNode* AnyRunning();
  // Of the highest level that a running node has heard of.
  uint32_t Agreed() const;
  // At which level the cluster must be in the end.
  uint32_t Wanted() const;
  void Install(HostNode& node, uint32_t level);
  void InstallSome();
  // Starts it once it is down.
  void StartSoon(HostNode& node);
  // By any node that finds that it may be done.
  void Raise();
  bool RaiseAt(HostNode& asked);
  // As ClusterVerbs::RaiseLevel() decides it there.
  absl::StatusOr<uint32_t> ChoiceAt(HostNode& asked, uint32_t wanted);
  void GoBackSoon();
  void RaiseBehindABack();
  void CheckAllSpeak(HostNode& asked, uint32_t level);
  void RaiseAgain();

  const SimShared shared_;
  Random luck_;
  MailChecker& checker_;
  std::vector<std::unique_ptr<HostNode>>& nodes_;
  const node::NodeMutation mutation_;
  const uint32_t newest_;
  bool finished_ = false;
  std::map<NodeId, Build> builds_;
  // Connections that were made, by the lives of both ends: they last, whatever is agreed later.
  std::map<std::pair<NodeId, NodeId>, std::pair<uint64_t, uint64_t>> connected_;
  uint64_t installs_ = 0;
  uint64_t raises_ = 0;
  uint64_t refusals_ = 0;
};

}  // namespace holdfast::raft_test
