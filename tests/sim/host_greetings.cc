#include "tests/sim/host_greetings.h"

#include <algorithm>
#include <vector>

#include "base/text.h"

namespace holdfast::raft_test {

absl::Duration HostGreetings::UpTo(absl::Duration most) {
  return most * (static_cast<double>(shared_.luck.Below(10'000)) / 10'000.0);
}

std::optional<NodeId> HostGreetings::Knower(const HostNode& node, const RecordOf& record_of) const {
  const std::vector<GroupId> groups = node.groups();
  for (const auto& [id, peer] : nodes_) {
    const bool awaited =
        std::all_of(groups.begin(), groups.end(), [&record_of, peer = id](GroupId group) {
          const std::vector<NodeId> voters = record_of(group).conf_state.voters;
          return std::find(voters.begin(), voters.end(), peer) != voters.end();
        });
    if (!awaited || id == node.id() || !peer->running() || peer->forgetful() ||
        peer->paused_until() > shared_.loop.now() || !connects_(id, node.id())) {
      continue;
    }
    for (const raft::Acknowledgement& given : peer->host().AcknowledgedBy(node.id())) {
      if (!raft::CheckAcknowledged(record_of(given.group), given, id).ok()) return id;
    }
  }
  return std::nullopt;
}

void HostGreetings::Begin(HostNode& node) {
  knowers_.erase(node.id());
  if (node.forgetful()) {
    const std::optional<NodeId> knower =
        Knower(node, [&node](GroupId group) { return node.RecordOf(group); });
    if (!knower) return node.GiveUp();
    knowers_[node.id()] = {*knower, nodes_.at(*knower)->life()};
  }
  for (const auto& [id, peer] : nodes_) {
    if (id != node.id()) Later(node.id(), node.life(), id);
  }
}

void HostGreetings::Later(NodeId node, uint64_t life, NodeId peer) {
  shared_.loop.After(UpTo(late_max_), [this, node, life, peer] { Meet(node, life, peer); });
}

void HostGreetings::Meet(NodeId node, uint64_t life, NodeId peer) {
  HostNode& one = *nodes_.at(node);
  HostNode& other = *nodes_.at(peer);
  if (!one.running() || one.life() != life) return;
  const bool meets = Meets(one, other);
  const auto knower = knowers_.find(node);
  if (!meets && knower != knowers_.end() && knower->second.first == peer) {
    // Who knew is gone, or comes too late: nobody could find it out any more.
    return one.GiveUp();
  }
  if (!meets && !other.running()) return;  // It greets when it starts.
  if (!meets) return Later(node, life, peer);
  MeetNow(one, other);
}

bool HostGreetings::Meets(const HostNode& one, const HostNode& other) const {
  const absl::Duration paused = std::max(one.paused_until(), other.paused_until());
  return one.running() && other.running() && connects_(one.id(), other.id()) &&
         paused <= shared_.loop.now();
}

void HostGreetings::MeetNow(HostNode& one, HostNode& other) {
  if (!Meets(one, other)) return;
  Hear(one, other);
  if (one.running() && other.running()) Hear(other, one);
}

void HostGreetings::Hear(HostNode& node, HostNode& peer) {
  const auto knower = knowers_.find(node.id());
  if (knower != knowers_.end() && knower->second.first == peer.id() &&
      knower->second.second != peer.life()) {
    return node.GiveUp();  // Who knew has restarted, and knows no more.
  }
  const absl::Status kept = node.host().Greeted(peer.id(), peer.host().AcknowledgedBy(node.id()));
  shared_.trace.Note("greeted", {node.id().value(), peer.id().value(), kept.ok()});
  if (kept.ok()) return node.AfterCall();
  if (!node.forgetful()) {
    shared_.checker.Fail(format("node {} lost nothing, and is said to have forgotten: {}",
                                node.id().value(), Message(kept)));
  }
  ++found_;
  knowers_.erase(node.id());
  node.GiveUp();
}

}  // namespace holdfast::raft_test
