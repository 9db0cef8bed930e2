// tests/sim/host_aim.h
// HostAim makes faults that aim at one rule each, which faults without a plan hit too seldom to
// show that the rule is needed:
//
//   a loss      a disk goes back, with its witness, to a moment of the same life, just when
//   somebody
//               has the node's word for what came later (decision 015)
//   a traitor   of three voters one hears the leader and the other does not; the one in between
//               confirms reads, restarts, is greeted by all, loses the leader before a heartbeat of
//               it came, and is then asked for its vote
//
// A seed has one kind or both: who lost its disk stays down, and of three voters there are then no
// two others. With luck of its own: a seed without such faults tells the same story as if there
// were none.
// Threads: one. Lifetime: outlives the nodes.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "tests/sim/host_greetings.h"
#include "tests/sim/host_network.h"
#include "tests/sim/host_workload.h"

namespace holdfast::raft_test {

class HostAim {
 public:
  struct Cluster {
    const std::vector<std::unique_ptr<HostNode>>& nodes;
    HostNetwork& network;
    HostGreetings& greetings;
    HostWorkload& workload;
    uint32_t queue_groups = 1;
    absl::Duration election;  // The least timeout.
    std::function<bool(const HostNode&)> may_lose_disk;
    std::function<bool()> is_over;
  };

  HostAim(const SimShared& shared, uint64_t seed, Cluster cluster);

  void Begin();
  // Disks that were taken back and nodes that turned.
  uint64_t made() const { return made_; }

 private:
  // Who plays what.
  struct Cast {
    GroupId group;
    HostNode* leader = nullptr;
    HostNode* between = nullptr;
    HostNode* apart = nullptr;
  };

  absl::Duration UpTo(absl::Duration most);
  // Once `delay` is over, if `node` still runs in the same life and faults go on.
  void Later(absl::Duration delay, HostNode& node, std::function<void()> act);
  void Repeat(absl::Duration mean, std::function<void()> fault);
  void Lose();
  void Betray();
  // Leader null: the group has none now, or not just two other voters that run.
  Cast Choose(GroupId group, bool swapped) const;
  // The one in between restarts.
  void Turn(const Cast& cast);
  void CutBoth(const HostNode& a, const HostNode& b);
  // `started` is told when it runs again.
  void Restart(HostNode& node, absl::Duration within, std::function<void()> started);
  void Ask(HostNode& leader, GroupId group, int times);

  const SimShared shared_;
  Random luck_;
  const Cluster cluster_;
  absl::Duration betrays_until_;
  uint64_t made_ = 0;
};

}  // namespace holdfast::raft_test
