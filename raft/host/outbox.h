// raft/host/outbox.h
// Outbox collects what the replicas of all groups have to say while the raft context runs one task;
// it goes out when the task is done, one batch for each peer, because each frame wakes threads on
// both sides.
//
// An append without entries only tells how far the leader has committed. No client of the leader
// waits for that, only who reads a follower's own rows (up to a tick longer): it travels with the
// next batch for the same peer, or at the next tick, and of several for a group only the last does.
// (etcd sends each at once, and has each answered; with small batches that was a third of all
// frames.)
//
// Threads:  the raft context. Limits: one held append for each group and peer.
#pragma once

#include <map>
#include <vector>

#include "base/strong_id.h"
#include "raft/core/raft_types.h"
#include "raft/transport/transport.h"

namespace holdfast::raft {

class Outbox {
 public:
  using Batches = std::map<NodeId, std::vector<GroupMessage>>;

  void Add(GroupId group, Message message);
  // All that is held may go: at each tick.
  void ReleaseHeld();
  // What goes out now, each peer's in the order in which it was added; what was held comes last.
  Batches Take();

 private:
  std::map<NodeId, std::vector<GroupMessage>> now_;
  std::map<NodeId, std::map<GroupId, Message>> held_;
};

}  // namespace holdfast::raft
