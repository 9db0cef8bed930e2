// node/cluster/cluster_duties.h
// ClusterDuties is what a node does because it is one of several: it keeps the table of leaders
// current, tells peers how it is, brings groups home (LeaderBalance), hands all of them over when
// it stops or is drained, and seeds the policy of a new cluster when it leads the control group. A
// node that is alone does the same, with nobody to talk to.
//
// Threads:  Tick() from the node's ticker; HandOverAll() and LeadsAnything() from another thread.
//           MakeBeat(): any.
// Lifetime: everything in Parts outlives it.
#pragma once

#include <absl/time/time.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/strong_id.h"
#include "node/cluster/leader_balance.h"
#include "node/control/policy.h"
#include "node/delivery/group_duties.h"
#include "node/groups/control_machine.h"
#include "node/leader_table.h"
#include "node/node_metrics.h"
#include "node/peers/peer_room.h"
#include "node/submit/node_health.h"
#include "raft/host/group_host.h"

namespace holdfast::node {

class ClusterDuties {
 public:
  struct Parts {
    raft::GroupHost& host;
    PeerRoom& room;
    LeaderTable& leaders;
    NodeHealth& health;
    const NodeMetrics& metrics;
    const PolicyHolder& policy;
    const ControlMachine& control;
    Context& apply;
    // Of queue group i + 1; touched in the apply context.
    std::vector<std::unique_ptr<GroupDuties>>& duties;
    const Clock& clock;
  };
  struct Options {
    NodeId self;
    std::string hostname;
    // For a cluster without a policy; empty: none. And where it is from.
    std::string seed_policy_text;
    std::string seed_policy_file;
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
  bool LeadsAnything() const;
  bool draining() const { return draining_.load(std::memory_order_relaxed); }

 private:
  void SeedPolicy();
  void HandOverLed(const std::vector<raft::GroupStatus>& groups);
  // The best other voter to lead; 0: none is fit.
  NodeId BestFollower(const raft::GroupStatus& group) const;
  // It was heard from lately, stays, and has load to spare.
  bool MayTake(NodeId node) const;

  const Parts parts_;
  const Options options_;
  const absl::Time started_;
  LeaderBalance balance_;
  std::atomic<bool> draining_{false};
  std::atomic<bool> seeding_{false};
  absl::Duration next_balance_;
};

}  // namespace holdfast::node
