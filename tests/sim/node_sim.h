// tests/sim/node_sim.h
// NodeSim runs a cluster of whole relay nodes in one thread, from a seed: HostNodes with a MailNode
// inside, clients that send mail, remotes that take it or not. Faults for a while; then everything
// heals, and within bounded time each message must have come to its end, and all nodes agree.
// HostChecker and MailChecker watch all along.
// Threads: thread-compatible; one simulation at a time (the timers' clock is the process's).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/host_network.h"
#include "tests/sim/mail_clients.h"
#include "tests/sim/mail_faults.h"
#include "tests/sim/mail_levels.h"
#include "tests/sim/mail_members.h"

namespace holdfast::raft_test {

struct NodeSimOptions {
  uint64_t seed = 1;
  int seconds = 30;  // Of simulated time, with faults.
  int nodes = 0;     // 0: the seed decides: 3 to 5; seldom 7 where members change.
  // Whether members change; kBySeed: in half of the seeds from kMembersFromSeed on.
  enum class Members { kBySeed, kStay, kChange };
  Members members = Members::kBySeed;
  static constexpr uint64_t kMembersFromSeed = 11;
  // Disks are bad in half of the seeds from this one on.
  static constexpr uint64_t kBadDisksFromSeed = 11;
  // Disks are emptied in three quarters of the seeds from this one on in which members change, and
  // in half of the others.
  static constexpr uint64_t kWipesFromSeed = 11;
  // One seed in ten from this one on has large mail.
  static constexpr uint64_t kLargeMailFromSeed = 11;
  // Nodes are upgraded, and the feature level raised, in half of the seeds from this one on.
  static constexpr uint64_t kLevelsFromSeed = 11;
  // Clocks drift in a third of the seeds from this one on.
  static constexpr uint64_t kDriftFromSeed = 11;
  bool trace = false;
  node::NodeMutation mutation = node::NodeMutation::kNone;
};

struct NodeSimResult {
  std::string error;  // Empty: all checks held.
  uint64_t hash = 0;  // Of all that happened: equal for equal options.
  uint64_t events = 0;
  uint64_t elected = 0;
  uint64_t crashes = 0;
  uint64_t sent = 0;
  uint64_t acknowledged = 0;
  uint64_t delivered = 0;  // Recipients.
  uint64_t failed = 0;
  uint64_t taken = 0;    // By remotes, messages and notices.
  uint64_t repeats = 0;  // Recipients whose message a remote took again.
  uint64_t doubts = 0;
  uint64_t offered_again = 0;  // Messages, by clients that did not know.
  uint64_t empty = 0;          // Messages acknowledged.
  uint64_t largest = 0;        // Acknowledged, of 25 MB.
  uint64_t changes = 0;        // Of members, in all groups.
  uint64_t lost_disks = 0;
  uint64_t wiped = 0;           // Of them.
  uint64_t flipped_bodies = 0;  // Bits of bodies.
  uint64_t failed_syncs = 0;    // Of disks that were to fail one.
  uint64_t damaged_stores = 0;
  uint64_t dead_disks = 0;
  uint64_t drifting = 0;  // Clocks.
  uint64_t put_back = 0;  // Machines that began again as another node.
  uint64_t installs = 0;  // Of other builds.
  uint64_t raises = 0;    // Of the feature level.
  uint64_t raises_refused = 0;
  double simulated_seconds = 0;
};

class NodeSim {
 public:
  explicit NodeSim(const NodeSimOptions& options);
  ~NodeSim();
  NodeSimResult Run();

 private:
  // Mean time between two faults of a kind.
  struct Weather {
    absl::Duration crash;
    absl::Duration pause;
    absl::Duration cut;
    absl::Duration transfer;
    absl::Duration stall;
    absl::Duration outage;
    absl::Duration policy;
    absl::Duration drain;
    absl::Duration jump;
    absl::Duration full;  // A disk.
    absl::Duration bad;   // A disk fails again and again.
    // Where members change: a wish for other members.
    absl::Duration wish = absl::InfiniteDuration();
    absl::Duration level = absl::InfiniteDuration();  // An operator's step of an upgrade.
    absl::Duration wipe = absl::InfiniteDuration();   // A disk is emptied.
    // Where disks are bad: a bit of a body flips, one of log or hard state; a sync fails, or all.
    absl::Duration flip = absl::InfiniteDuration();
    absl::Duration decay = absl::InfiniteDuration();
    absl::Duration sync = absl::InfiniteDuration();
    absl::Duration die = absl::InfiniteDuration();
  };

  void DrawHostOptions();
  void DrawWeather();
  void DrawRemotes();
  std::string DrawPolicy();
  void ChangePolicy();
  void DrainOne();
  void JumpClock();
  void FillDisk();
  void SpoilDisk();
  void CheckConnections(uint64_t open);
  SimShared Shared() { return SimShared{loop_, trace_, luck_, *checker_}; }
  uint64_t DrawNodes();
  // With luck of its own: a seed without changes tells the same story as before there were any.
  void DrawMembers();
  void MakeNodes(uint64_t count);
  HostNode& AddNode(const std::vector<NodeId>& voters, const std::vector<NodeId>& peers);
  void BeginMembers();
  void BeginLevels();
  void DrawWipes();
  void WipeOne();
  void DriftClocks();
  void DrawBadDisks();
  void BeginBadDisks();
  // Whether the others can spare the node's disk for ever.
  bool MayLose(const HostNode& node) const;
  // A node whose disk may be lost; null: there is none.
  HostNode* ToLose(Random& luck);
  HostNode::Links NetworkLinks();
  HostNode& AnyNode() { return *nodes_[luck_.Below(nodes_.size())]; }
  absl::Duration UpTo(absl::Duration most);
  void Repeat(absl::Duration mean, std::function<void()> fault);
  void RepeatBy(Random& luck, absl::Duration mean, std::function<void()> fault);
  void BeginFaults();
  void CrashOne();
  void StartLater(HostNode& node);
  void Stall();
  bool MayLead(HostNode& leader, GroupId group, NodeId target) const;
  void Transfer();
  void RunUntil(absl::Duration end);
  void Heal();
  void SettleMembers();
  void HandOverInOrder();
  void HandOverBeyondDots();
  std::string Unsettled();
  void Settle();

  const NodeSimOptions options_;
  Random luck_;
  SimLoop loop_;
  SimTrace trace_;
  SimClock timers_;
  raft::GroupHostOptions host_options_;
  std::vector<NodeId> voters_;
  Weather weather_;
  std::unique_ptr<HostChecker> checker_;
  std::unique_ptr<MailChecker> mail_checker_;
  std::unique_ptr<MailRemotes> remotes_;
  std::unique_ptr<MailCluster> cluster_;
  std::unique_ptr<HostNetwork> network_;
  std::vector<std::unique_ptr<HostNode>> nodes_;
  std::unique_ptr<MailClients> clients_;
  std::unique_ptr<MailFaults> faults_;
  Random members_luck_;
  bool members_change_ = false;
  Random levels_luck_;
  Random wipe_luck_;
  Random disk_luck_;
  Random clock_luck_;
  bool clocks_drift_ = false;
  std::unique_ptr<MailMembers> members_;  // Null: they stay.
  std::unique_ptr<MailLevels> levels_;    // Null: one build.
  bool healing_ = false;
  uint64_t limit_max_ = 0;  // Of connections at a destination, in any policy so far.
  NodeSimResult spoiled_;   // Only the counts of lost and bad disks and of clocks.
};

NodeSimResult RunNodeSim(const NodeSimOptions& options);
// The same in a process of its own: a broken invariant ends that one, and is told in `error`.
NodeSimResult RunNodeSimApart(const NodeSimOptions& options);

}  // namespace holdfast::raft_test
