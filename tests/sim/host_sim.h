// tests/sim/host_sim.h
// HostSim runs a cluster of whole GroupHosts in one thread, from a seed: stores, network, clock and
// clients are simulated, everything between is the product. Faults for a while; then everything
// heals, and within bounded time each group must have a leader, every proposal be decided, and all
// nodes agree. HostChecker watches all along.
// Threads: thread-compatible; nothing is shared between two simulations.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/host_aim.h"
#include "tests/sim/host_greetings.h"
#include "tests/sim/host_members.h"
#include "tests/sim/host_network.h"
#include "tests/sim/host_workload.h"

namespace holdfast::raft_test {

struct HostSimOptions {
  uint64_t seed = 1;
  int seconds = 30;  // Of simulated time, with faults.
  int nodes = 0;     // 0: the seed decides: 3 to 5.
  // Whether members change; kBySeed: in half of the seeds from kMembersFromSeed on. (Those before
  // have older stories to tell.)
  enum class Members { kBySeed, kStay, kChange };
  Members members = Members::kBySeed;
  static constexpr uint64_t kMembersFromSeed = 1000;
  // Whether there are faults that aim at one rule each (host_aim.h); kBySeed: in a quarter of the
  // same seeds.
  enum class Aim { kBySeed, kNever, kAlways };
  Aim aim = Aim::kBySeed;
  bool trace = false;
  raft::HostMutation mutation = raft::HostMutation::kNone;
};

struct HostSimResult {
  std::string error;  // Empty: all checks held.
  uint64_t hash = 0;  // Of all that happened: equal for equal options.
  uint64_t events = 0;
  uint64_t committed = 0;
  uint64_t elected = 0;
  uint64_t crashes = 0;
  uint64_t elided = 0;
  uint64_t installed = 0;  // Snapshots.
  uint64_t acknowledged = 0;
  uint64_t reads = 0;
  uint64_t lost_disks = 0;
  uint64_t found_out = 0;  // By what others remember.
  uint64_t changes = 0;    // Of members, in all groups.
  uint64_t aimed = 0;      // Faults that aim at one rule.
};

class HostSim {
 public:
  explicit HostSim(const HostSimOptions& options);
  ~HostSim();
  HostSimResult Run();

 private:
  // How unkind this seed is: mean time between two faults of a kind.
  struct Weather {
    absl::Duration crash;
    absl::Duration pause;
    absl::Duration cut;
    absl::Duration transfer;
    absl::Duration stall;
    absl::Duration calm;  // A node may not campaign for a while, or is stopped in order.
    absl::Duration outage;
    bool may_lose_disks = false;
    absl::Duration wish = absl::InfiniteDuration();  // For other members.
  };

  raft::GroupHostOptions DrawHostOptions();
  void DrawWeather();
  HostNode::Links NetworkLinks();
  SimShared Shared() { return SimShared{loop_, trace_, luck_, *checker_}; }
  HostNode& AddNode(const std::vector<NodeId>& voters);
  void BeginMembers();
  void BeginAim();
  // Whether the others can spare the node for ever.
  bool MayLoseDisk(const HostNode& node) const;
  HostNode& AnyNode() { return *nodes_[luck_.Below(nodes_.size())]; }
  // Something like exponential, with mean `mean`.
  absl::Duration Wait(absl::Duration mean);
  absl::Duration UpTo(absl::Duration most);
  // Does `fault` again and again until the faults end.
  void Repeat(absl::Duration mean, std::function<void()> fault);
  void BeginFaults();
  void CrashOne();
  void CrashAll();
  void StartLater(HostNode& node);
  void Stall();
  void Calm();
  void Transfer();
  void RunUntil(absl::Duration end);
  void Heal();
  // Empty when everything has settled, or what has not.
  std::string Unsettled();
  bool Pulling() const;
  // Fails with `otherwise` if that is not so within the time.
  void RunUntil(const std::function<bool()>& reached, absl::Duration most,
                const std::string& otherwise);
  void SettleWithin(absl::Duration most);
  size_t LostNodes() const;

  const HostSimOptions options_;
  Random luck_;
  SimLoop loop_;
  SimTrace trace_;
  raft::GroupHostOptions host_options_;
  std::vector<NodeId> voters_;
  uint32_t queue_groups_ = 1;
  Weather weather_;
  std::map<NodeId, NodePace> paces_;  // While faults last, between stalls.
  std::unique_ptr<HostChecker> checker_;
  std::unique_ptr<HostNetwork> network_;
  std::unique_ptr<HostGreetings> greetings_;
  std::vector<std::unique_ptr<HostNode>> nodes_;
  std::unique_ptr<HostWorkload> workload_;
  std::unique_ptr<HostMembers> members_;  // Null: they stay.
  std::unique_ptr<HostAim> aim_;          // Null: no such faults.
  bool healing_ = false;
};

HostSimResult RunHostSim(const HostSimOptions& options);
// The same in a process of its own: a broken invariant ends that one, and is told in `error`.
HostSimResult RunHostSimApart(const HostSimOptions& options);

}  // namespace holdfast::raft_test
