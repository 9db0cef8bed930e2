// tests/sim/host_workload.h
// Clients of the simulated cluster: they propose serials with bodies, end them, offer the same
// again when they don't know how it went, read, and tell the checker every answer.
// Threads: one. Lifetime: the nodes outlive it; it outlives the nodes' lives.
// Limits:  `asked_max` proposals without an answer.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "tests/sim/host_node.h"

namespace holdfast::raft_test {

struct WorkloadWeather {
  absl::Duration pause_max = absl::Milliseconds(30);  // Between two acts.
  uint64_t body_bytes_max = 2000;
  uint64_t asked_max = 200;
};

class HostWorkload {
 public:
  // `lease`: for how long a read point promises that nobody else leads.
  HostWorkload(const SimShared& shared, absl::Duration lease) : shared_(shared), lease_(lease) {}

  void Join(HostNode& node) { nodes_.push_back(&node); }
  WorkloadWeather& weather() { return weather_; }
  void Begin();
  void End() { ended_ = true; }

  // One more proposal at the group's leader; false: nobody leads. Asked for after End().
  bool ProposeLast(GroupId group);
  // Asked in a life that still goes on, and not answered.
  uint64_t Unanswered() const;
  HostNode* Leader(GroupId group) const;
  // Nothing is proposed to the group until then.
  void Hush(GroupId group, absl::Duration until) { hushed_until_[group] = until; }
  // One read, checked.
  void Read(HostNode& node, GroupId group);

  uint64_t proposed() const { return proposed_; }
  uint64_t reads() const { return reads_; }

 private:
  // A read point that was given, until the status behind it has been seen.
  struct Point {
    GroupId group;
    absl::Duration asked_at;
  };

  void Act();
  HostNode* AnyRunning();
  HostNode* Choose(GroupId group);
  void Add(HostNode& node, GroupId group, uint64_t serial);
  void Finish(HostNode& node, GroupId group);
  void Propose(HostNode& node, HostChecker::Asked asked, std::vector<raft::Body> bodies);

  const SimShared shared_;
  const absl::Duration lease_;
  std::vector<HostNode*> nodes_;
  WorkloadWeather weather_;
  bool ended_ = false;
  uint64_t next_serial_ = 1;
  uint64_t next_attempt_ = 1;
  uint64_t next_ask_ = 1;
  uint64_t proposed_ = 0;
  uint64_t reads_ = 0;
  // Without an answer: at which node, in which life.
  std::map<uint64_t, std::pair<HostNode*, uint64_t>> asked_;
  std::map<GroupId, absl::Duration> hushed_until_;
  // To be ended, or offered again.
  std::map<GroupId, std::vector<uint64_t>> alive_;
  std::map<GroupId, std::vector<uint64_t>> unknown_;
};

}  // namespace holdfast::raft_test
