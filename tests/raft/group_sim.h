// tests/raft/group_sim.h
// GroupSim runs a group of cores in one thread, from a seed: messages are lost, repeated and
// reordered, links cut one way or both, nodes crash with unsynced writes and restart, disks and
// state machines lag, logs are compacted, members change, leadership is transferred. Then
// everything heals, and the group must elect a leader, decide a last proposal everywhere and agree.
// Threads: thread-compatible; nothing is shared between two simulations.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/raft/sim_checker.h"
#include "tests/raft/sim_node.h"

namespace holdfast::raft_test {

struct SimOptions {
  uint64_t seed = 1;
  int nodes = 5;
  int voters = 3;  // At the start; the others join and leave by configuration changes.
  int steps = 4000;
  raft::Mutation mutation = raft::Mutation::kNone;
};

struct SimResult {
  std::string error;  // Empty: all checks held.
  uint64_t hash = 0;  // Of all that happened: equal for equal options.
  uint64_t committed = 0;
  uint64_t leaders = 0;
  uint64_t crashes = 0;
  uint64_t conf_changes = 0;
  uint64_t snapshots = 0;
};

class GroupSim {
 public:
  explicit GroupSim(const SimOptions& options);
  SimResult Run();

 private:
  // How unkind this seed is.
  struct Weather {
    uint64_t drop_percent = 0;
    uint64_t repeat_percent = 0;
    uint64_t crash_one_in = 0;
    uint64_t cut_one_in = 0;
    uint64_t conf_change_one_in = 0;
    uint64_t slow_disk_percent = 0;
  };

  void Step();
  void Heal();
  bool Settled();
  void ReportLostSnapshots();
  void Act();
  void Post(std::vector<raft::Message> messages);
  void DeliverOne();
  void Drain(SimNode& node);
  void WatchLeaders();
  void Propose(SimNode& node);
  void ChangeMembers(SimNode& node);
  void CutOrMend();
  SimNode& AnyNode() { return *nodes_[luck_.Below(nodes_.size())]; }
  SimNode* Leader();
  void Mix(uint64_t value);

  SimOptions options_;
  Random luck_;
  Weather weather_;
  SimChecker checker_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
  std::vector<raft::Message> network_;
  std::set<std::pair<NodeId, NodeId>> cut_;  // From, to.
  std::set<raft::Term> seen_terms_;
  bool healing_ = false;
  uint64_t next_command_ = 1;
  SimResult result_;
};

SimResult RunSim(const SimOptions& options);
// The same in a process of its own: a broken invariant ends that one, and is told in `error`.
SimResult RunSimApart(const SimOptions& options);

}  // namespace holdfast::raft_test
