// tests/sim/host_greetings.h
// What simulated nodes tell each other when they connect: what each remembers of the other's
// promises. A node that starts greets all others, each as soon as both run and both directions of
// their link are open; often late, so that messages come first.
//
// A node whose disk went back to an earlier moment, with its witness, is found out by this, if
// anybody knows; else it counts as failed, for such a loss is outside what the product promises.
// Threads: one. Lifetime: the nodes given to Join() outlive it.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "tests/sim/host_node.h"

namespace holdfast::raft_test {

class HostGreetings {
 public:
  // `connects`: both directions of a link are open.
  HostGreetings(const SimShared& shared, std::function<bool(NodeId, NodeId)> connects,
                absl::Duration late_max)
      : shared_(shared), connects_(std::move(connects)), late_max_(late_max) {}

  void Join(HostNode& node) { nodes_[node.id()] = &node; }

  // The node has just started.
  void Begin(HostNode& node);
  // They need not be late: the two connect now, if both run and their link is open.
  void MeetNow(HostNode& one, HostNode& other);
  // A peer that could tell now that the node has forgotten a promise, were its groups' records
  // these, and whom all its replicas, as they remember their groups, would wait for.
  using RecordOf = std::function<raft::GroupRecord(GroupId)>;
  std::optional<NodeId> Knower(const HostNode& node, const RecordOf& record_of) const;
  // Promises that were found to be forgotten.
  uint64_t found() const { return found_; }

 private:
  bool Meets(const HostNode& one, const HostNode& other) const;
  void Later(NodeId node, uint64_t life, NodeId peer);
  void Meet(NodeId node, uint64_t life, NodeId peer);
  void Hear(HostNode& node, HostNode& peer);
  absl::Duration UpTo(absl::Duration most);

  const SimShared shared_;
  const std::function<bool(NodeId, NodeId)> connects_;
  const absl::Duration late_max_;
  std::map<NodeId, HostNode*> nodes_;
  // Of nodes that have forgotten, until they are found out; and in which life these know it.
  std::map<NodeId, std::pair<NodeId, uint64_t>> knowers_;
  uint64_t found_ = 0;
};

}  // namespace holdfast::raft_test
