// tests/sim/mail_members.h
// MailMembers is the operator of a simulated relay whose members change: it has the control group
// add a node, starts it with an empty disk and has it ask members until they let it begin; has one
// removed, and switches it off when it has left. The rest is the product's (ClusterDuties of each
// node). As `holdfast cluster` it asks any member, decides by what is known, and asks again where
// it does not know what became of its wish.
//
// A machine whose disk was emptied may ask to begin again under its old id, which nobody must
// grant; mostly the operator soon puts it back as another node in the old one's place, at the same
// address.
//
// One node joins at a time, as far as the asking goes: others may still be on their way.
// Threads: one. Lifetime: outlives the nodes.
// Limits:  kNodesMax nodes until everything heals, and then as many more as are lost.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "proto/command.pb.h"
#include "tests/sim/mail_node.h"
#include "tests/sim/members_look.h"

namespace holdfast::raft_test {

class MailMembers {
 public:
  static constexpr size_t kNodesMax = 11;

  struct Cluster {
    std::vector<std::unique_ptr<HostNode>>& nodes;
    // Starts a node with the next id and an empty disk, that knows these.
    std::function<void(std::vector<NodeId> peers)> begin_node;
    uint32_t queue_groups = 1;
    size_t members_max = 5;
  };

  MailMembers(const SimShared& shared, uint64_t seed, Cluster cluster);

  // Looks after what was wished, from now on.
  void Begin();
  // One wish.
  void Act();
  // The node's disk was emptied just now.
  void OnWiped(NodeId node);
  // From now on nodes whose disk was lost before all groups had their votes are replaced, one after
  // the other: others may wait for their places. `lost_too`: so are all that are lost.
  void Finish(bool lost_too) {
    finish_ = true;
    replace_lost_ = lost_too;
  }

  // Whether `from` does not know the other, or is refused by it.
  bool Apart(NodeId from, NodeId to) const;
  // The others can spare this node's disk for ever.
  bool MayLose(NodeId node) const;
  // What is still to be done; empty: nothing.
  std::string Unsettled() const;
  // Of the list: nodes that were added, began or were removed.
  uint64_t changes() const { return version_; }
  // Nodes that began in the place of a machine's former one.
  uint64_t put_back() const { return put_back_; }

 private:
  // A node that the control group is to add, and that then asks to begin.
  struct Joining {
    NodeId node;
    NodeId replaces;
    bool same_address = false;  // As the one that it replaces.
    bool added = false;
  };

  std::set<NodeId> Members() const { return MembersLook::Members(first_, rows_); }
  HostNode* Leader(GroupId group) const;
  // A member that takes questions; null: the one that was tried does not.
  HostNode* AnyMember();
  MailNode& Mail(HostNode& node) const { return static_cast<MailNode&>(node.inside()); }
  void Join(NodeId replaces, bool same_address = false);
  void PutBackSoon(NodeId node);
  void AskToBeginAgain(NodeId node);
  void Replace();
  void Remove();
  // By a node that is well, as far as the list goes.
  bool IsBeingReplaced(NodeId node) const;
  // Lost, and to be replaced.
  bool IsToBeReplaced(NodeId node) const;
  void Look();
  // The newest list of members that any node knows.
  void FollowRows();
  void AskToBegin();
  // `admission`: it was asked whether the node may begin, not that it be added.
  void OnAnswer(NodeId node, bool admission, HostNode& member, const absl::Status& status);
  void SwitchOffThoseWhoLeft();

  const SimShared shared_;
  Random luck_;
  Random wipe_luck_;
  const Cluster cluster_;
  const MembersLook look_;
  const std::set<NodeId> first_;
  MembersLook::Rows all_rows_;  // As the control group has them.
  MembersLook::Rows rows_;      // Of nodes that have begun.
  uint64_t version_ = 0;
  std::optional<Joining> joining_;
  uint64_t put_back_ = 0;
  bool finish_ = false;
  bool replace_lost_ = false;
  // Their removal was asked for, and may still be decided.
  std::set<NodeId> removing_;
  std::set<NodeId> switching_off_;
};

}  // namespace holdfast::raft_test
