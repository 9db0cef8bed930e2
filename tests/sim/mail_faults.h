// tests/sim/mail_faults.h
// MailFaults are faults with an aim: they strike where a promise of the relay hangs on what comes
// first, which faults without a plan hardly ever hit.
//
//   lag      a leader's state machine becomes slow just when an intent is on its way into the log,
//            and another node is to lead meanwhile, or the process is stopped: the leader hears of
//            its own intent when it leads no more, and does not know
//
// They have luck of their own, so that everything else happens as it would without them.
// Threads: one. Lifetime: what Parts refers to outlives it and the loop's events.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "base/random.h"
#include "tests/sim/host_node.h"

namespace holdfast::raft_test {

class MailFaults {
 public:
  MailFaults(const SimShared& shared, std::vector<HostNode*> nodes, uint64_t seed);

  // In half of the seeds.
  void Begin();
  void End() { ended_ = true; }

  // From the nodes: the group's leader here wants an intent recorded.
  void OnIntent(HostNode& node, GroupId group);

 private:
  void Arm();
  void Lag(HostNode& node);
  void TakeLeadership(HostNode& node, GroupId group);
  absl::Duration Between(uint64_t low_ms, uint64_t high_ms);
  // Runs `act` then, if faults go on and the node is still in the life that it is in now.
  void Later(absl::Duration after, HostNode& node, std::function<void()> act);

  const SimShared shared_;
  const std::vector<HostNode*> nodes_;
  Random luck_;
  absl::Duration pause_max_;
  bool armed_ = false;  // The next intent is struck.
  bool ended_ = false;
};

}  // namespace holdfast::raft_test
