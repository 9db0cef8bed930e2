// tests/sim/host_aim.h
// HostAim makes faults that aim at one rule each, which faults without a plan hit too seldom to
// show that the rule is needed:
//
//   a loss      a disk goes back, with its witness, to a moment of the same life, while others
//   still
//               have the node's word for what came later (decision 015)
//   a traitor   of three voters one hears the leader and the other does not; the one in between
//               confirms reads, restarts at once, and is then asked for its vote
//
// With luck of its own: a seed without them tells the same story as if there were none.
// Threads: one. Lifetime: outlives the nodes.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "tests/sim/host_network.h"
#include "tests/sim/host_workload.h"

namespace holdfast::raft_test {

class HostAim {
 public:
  struct Cluster {
    const std::vector<std::unique_ptr<HostNode>>& nodes;
    HostNetwork& network;
    HostWorkload& workload;
    uint32_t queue_groups = 1;
    absl::Duration election;  // The least timeout.
    std::function<bool(const HostNode&)> may_lose_disk;
    std::function<bool()> is_over;
  };

  HostAim(const SimShared& shared, uint64_t seed, Cluster cluster);

  void Begin();

 private:
  absl::Duration UpTo(absl::Duration most);
  // Once `delay` is over, if `node` still runs in the same life and faults go on.
  void Later(absl::Duration delay, HostNode& node, std::function<void()> act);
  void Repeat(absl::Duration mean, std::function<void()> fault);
  void Lose();
  void Betray();
  void CutBoth(const HostNode& a, const HostNode& b);
  void Restart(HostNode& node, absl::Duration within);
  void Ask(HostNode& leader, GroupId group, int times);

  const SimShared shared_;
  Random luck_;
  const Cluster cluster_;
};

}  // namespace holdfast::raft_test
