// node/cluster/cluster_duties.h
// ClusterDuties is what a node does because it is one of several: it keeps the table of leaders
// current, tells peers how it is, places leaders (LeaderPlacement), hands all of them over when it
// stops, is drained, doubts its clock or has not got the cluster's policy, and seeds the policy of
// a new cluster. A node that is alone does the same, with nobody to talk to.
//
// Threads:  Tick() from the node's ticker; HandOverAll() and LeadsAnything() from another thread.
//           MakeBeat(): any.
// Lifetime: everything in Parts outlives it.
#pragma once

#include <absl/time/time.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/mutex.h"
#include "base/strong_id.h"
#include "node/cluster/leader_placement.h"
#include "node/cluster/load_watch.h"
#include "node/cluster/members.h"
#include "node/control/feature_level.h"
#include "node/control/policy.h"
#include "node/delivery/group_duties.h"
#include "node/groups/control_machine.h"
#include "node/leader_table.h"
#include "node/node_metrics.h"
#include "node/peers/peers.h"
#include "node/submit/node_health.h"
#include "raft/host/group_host.h"

namespace holdfast::node {

class ClusterDuties {
 public:
  struct Parts {
    raft::GroupHost& host;
    // Proposes to whoever leads the group.
    std::function<void(GroupId, raft::Proposal, raft::ProposeCallback)> propose;
    Peers& room;
    LeaderTable& leaders;
    NodeHealth& health;
    LoadWatch& load;
    NodeMetrics& metrics;
    PolicyHolder& policy;
    const FeatureLevel& level;
    Context& apply;
    // Of queue group i + 1; touched in the apply context.
    std::vector<std::unique_ptr<GroupDuties>>& duties;
    uint32_t queue_groups;
    const Clock& clock;
  };
  struct Options {
    NodeId self;
    std::string hostname;
    // For a cluster without a policy; empty: none. And where it is from.
    std::string seed_policy_text;
    std::string seed_policy_file;
    LoadSheddingOptions shedding;
  };

  ClusterDuties(const Parts& parts, Options options);

  // Every tick of the node.
  void Tick();
  peer_call::Beat MakeBeat() const;

  // Groups led here go to other nodes, as far as there are any that can lead, and this node does
  // not campaign any more. What comes of it shows in LeadsAnything(); Tick() tries again until
  // TakePartAgain().
  void HandOverAll();
  // Takes part again.
  void TakePartAgain();
  // For an operator, wherever the request came in. kFailedPrecondition: not led here, or `target`
  // is no other voter of it.
  absl::Status HandOverOnRequest(GroupId group, NodeId target, std::string_view reason);
  // A group that this node leads; GroupDuties::HandOver().
  void HandOver(GroupId group, NodeId target, std::string_view reason);
  // What the control group has decided about nodes; on the apply context, or before Tick().
  void SetNodes(std::vector<NodeRow> nodes, uint64_t version);
  std::vector<NodeRow> nodes(uint64_t* version = nullptr) const;

  bool LeadsAnything() const;
  bool draining() const { return draining_.load(std::memory_order_relaxed); }

 private:
  // See PolicyHolder::known().
  void FollowPolicy(const std::vector<raft::GroupStatus>& groups);
  // The cluster has no policy, as far as anybody knows who would.
  bool HasNoPolicy(const std::vector<raft::GroupStatus>& groups) const;
  void SeedPolicy();
  // Once a second, what follows from how this node and the others are.
  void LookAround(const std::vector<raft::GroupStatus>& groups, absl::Duration now);
  void FollowClock(bool off);
  // Hands over for load, and brings home.
  void Place(const std::vector<raft::GroupStatus>& groups, absl::Duration now);
  // The node was heard from lately; nullopt: it was not.
  std::optional<HeardBeat> HeardLately(NodeId node) const;
  // Connects to those who joined, and cuts off those who were removed, once no group has them:
  // until then they vote and may lead.
  void FollowNodes(const std::vector<raft::GroupStatus>& groups);
  // Brings the members of groups led here one step nearer to what the control group wants.
  void ChangeMembers(const std::vector<raft::GroupStatus>& groups);
  void RecordReplaced(const raft::GroupStatus& control, const std::vector<NodeRow>& wanted);
  // No group of which anybody knows has `node`, but for the control group.
  bool LeftQueueGroups(NodeId node, const std::vector<raft::GroupStatus>& groups) const;
  // What was moved, and why last.
  void FillMoves(peer_call::Beat* beat) const;
  void HandOverLed(const std::vector<raft::GroupStatus>& groups);
  // The best other voter to lead; 0: none is fit. `willing_only`: none that is loaded or so.
  NodeId BestFollower(const raft::GroupStatus& group, bool willing_only) const;
  // It was heard from lately, stays, trusts its clock, knows a policy, and neither is overloaded
  // nor was lately.
  bool MayTake(NodeId node) const;
  // It says that it does not stand for election, not even when a leader asks it to.
  bool Refuses(NodeId node) const;

  const Parts parts_;
  const Options options_;
  const absl::Time started_;
  std::atomic<bool> draining_{false};
  std::atomic<bool> seeding_{false};
  std::atomic<bool> recording_{false};
  absl::Duration next_balance_;
  absl::Duration next_seed_;
  bool clock_off_ = false;
  mutable Mutex mutex_;
  LeaderPlacement placement_ ABSL_GUARDED_BY(mutex_);
  struct HandedOver {
    absl::Time at;
    GroupId group;
    std::string reason;
  };
  // The last one for load.
  std::optional<HandedOver> handed_over_ ABSL_GUARDED_BY(mutex_);
  std::vector<NodeRow> nodes_ ABSL_GUARDED_BY(mutex_);
  uint64_t nodes_version_ ABSL_GUARDED_BY(mutex_) = 0;
  // Groups whose change has no answer yet.
  std::set<GroupId> changing_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::node
