// tests/sim/host_members.h
// HostMembers lets nodes join, be replaced and leave while everything else goes wrong too: it is
// the operator, who may wish what the product's verbs would take, and the duty of each leader,
// which the product decides (node/cluster/members.h). The list of wishes is the control group's: a
// node knows as much of it as it has applied of that group.
//
// A node that no group has any more is switched off after a while.
// Threads: one. Lifetime: outlives the nodes.
// Limits:  kNodesMax nodes in the life of a cluster.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "node/cluster/members.h"
#include "tests/sim/host_node.h"
#include "tests/sim/members_look.h"

namespace holdfast::raft_test {

class HostMembers {
 public:
  static constexpr size_t kNodesMax = 9;
  static constexpr size_t kMembersMax = 5;

  struct Cluster {
    std::vector<std::unique_ptr<HostNode>>& nodes;
    // A node with the next id, made to join.
    std::function<HostNode&()> add_node;
    std::function<HostNode*(GroupId)> leader;
    // An entry for the control group: what was decided is known behind it.
    std::function<void()> propose;
    uint32_t queue_groups = 1;
  };

  HostMembers(const SimShared& shared, uint64_t seed, Cluster cluster);

  // Leaders do their duty from now on.
  void Begin();
  // One wish.
  void Act();

  // Whether one of the two has cut the other off, as one that was removed.
  bool Apart(NodeId a, NodeId b) const { return CutsOff(a, b) || CutsOff(b, a); }
  // Who belongs to the cluster in the end.
  std::set<NodeId> Members() const;
  // What is still to be done; empty: nothing.
  std::string Unsettled() const;

 private:
  using Rows = MembersLook::Rows;
  struct Version {
    raft::LogIndex known_at = 0;  // By those who have applied so much of the control group.
    Rows rows;
  };
  struct Beat {
    absl::Duration time;
    std::map<GroupId, std::set<NodeId>> members;  // Of the groups that the teller leads.
  };

  HostNode& Node(NodeId node) const { return *cluster_.nodes[node.value() - 1]; }
  const Rows& Newest() const { return versions_.back().rows; }
  const Rows& RowsOf(NodeId node) const;
  bool CutsOff(NodeId at, NodeId other) const;
  void Decide(Rows rows);
  void Join();
  void Replace();
  void Remove();
  void DoDuties();
  void DutyOf(HostNode& node);
  bool LeftQueueGroups(NodeId node) const;
  void HandOver(HostNode& node, const raft::GroupStatus& group);
  void Change(HostNode& node, GroupId group, const raft::ConfChange& change);
  void RetireThoseWhoLeft();

  const SimShared shared_;
  Random luck_;
  const Cluster cluster_;
  const MembersLook look_;
  const std::set<NodeId> first_;
  std::vector<Version> versions_;
  std::map<NodeId, size_t> told_;  // Which version a node was told of when it joined.
  std::map<NodeId, Beat> beats_;
  // The life in which a change was asked for that has no answer yet; 0: none.
  std::map<std::pair<NodeId, GroupId>, uint64_t> changing_life_;
  std::set<NodeId> retiring_;
};

}  // namespace holdfast::raft_test
