// tests/sim/mail_node.h
// MailNode is what a node of the relay has around its group host, in one life of a HostNode: the
// product's state machines, duties, router, submit path and attempts, joined as node/node.cc joins
// them. Only the edges are simulated: remotes and DNS (MailRemotes), calls of peers (HostNetwork),
// time, and the threads, which are lanes of the HostNode. Attempts and submissions run in one
// io context, which is polled.
// Threads: one. Lifetime: one life of the HostNode, which outlives it.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "node/admin/metrics.h"
#include "node/cluster/cluster_duties.h"
#include "node/cluster/level_choice.h"
#include "node/cluster/load_watch.h"
#include "node/control/feature_level.h"
#include "node/control/policy.h"
#include "node/delivery/attempt_gate.h"
#include "node/delivery/attempt_notes.h"
#include "node/delivery/attempt_runner.h"
#include "node/delivery/group_duties.h"
#include "node/delivery/intent_router.h"
#include "node/groups/control_machine.h"
#include "node/groups/queue_machine.h"
#include "node/leader_table.h"
#include "node/limits/destination_limits.h"
#include "node/limits/share_exchange.h"
#include "node/node_metrics.h"
#include "node/node_mutation.h"
#include "node/peers/peer_gate.h"
#include "node/peers/propose_router.h"
#include "node/replay/replay_guard.h"
#include "node/submit/admission.h"
#include "node/submit/node_health.h"
#include "node/submit/submit_path.h"
#include "proto/command.pb.h"
#include "smtp/stream/tls_context.h"
#include "tests/sim/host_node.h"
#include "tests/sim/mail_checker.h"
#include "tests/sim/mail_remotes.h"

namespace holdfast::raft_test {

// What is equal for all nodes and lives.
struct MailCluster {
  MailCluster(MailChecker& account, MailRemotes& world) : checker(account), remotes(world) {}

  MailChecker& checker;
  MailRemotes& remotes;
  uint32_t queue_groups = 1;
  node::TimingSettings timing;
  node::AttemptSettings attempts;
  uint64_t submission_memory_bytes = uint64_t{4} << 20;
  std::string policy_text;
  std::string notes_directory;
  // Not null: conversations go by their node's own clock, which may drift, and the rest by this.
  const Clock* timers = nullptr;
  // For a node that acts by the default policy, before it has heard of the cluster's.
  std::shared_ptr<const smtp::TlsContext> tls;
  node::NodeMutation mutation = node::NodeMutation::kNone;
  // What the build on the node's machine speaks.
  std::function<node::LevelRange(NodeId)> speaks = [](NodeId) { return node::kBuildLevels; };
  // An attempt wants its intent recorded.
  std::function<void(HostNode& node, GroupId group)> on_intent = [](HostNode&, GroupId) {};
};

class MailNode final : public NodeInside {
 public:
  // `peers`: the other nodes of its node file.
  MailNode(HostNode& node, const MailCluster& cluster, const std::vector<NodeId>& peers,
           uint64_t seed);
  ~MailNode() override;

  raft::StateMachine& Machine(GroupId group) override;
  bool MayBegin() const override { return may_begin_; }
  void Begin() override;
  void Tick() override;
  void End() override;
  void OnCall(NodeId peer, std::string request, raft::CallReply reply) override;
  void AfterApply() override { WakeIo(); }

  // It takes mail.
  bool ready() const { return health_.MayAccept().ok(); }
  // One message, from beginning to end; `done` is not called when the life ends before.
  void Submit(std::shared_ptr<const smtp::Envelope> envelope,
              std::vector<std::shared_ptr<const std::string>> pieces, smtp::FinalFacts facts,
              std::function<void(absl::StatusOr<std::string>)> done);
  // What the client does after its 250: it goes on, or is not heard any more.
  void GoesOn(const std::string& queue_id) { submit_->Confirmed(queue_id); }
  void HangsUp(const std::string& queue_id) { submit_->Unconfirmed(queue_id); }
  bool leads(GroupId group) const { return leaders_.Leads(group); }
  const node::FeatureLevel& level() const { return level_; }
  std::vector<NodeId> AllMembers() const;
  std::vector<node::SpokenLevels> WhatMembersSpeak() const;
  void HandOver(GroupId group, NodeId target);
  // An operator's drain: all groups go to others, until TakePartAgain().
  void Drain() { cluster_duties_->HandOverAll(); }
  void TakePartAgain() { cluster_duties_->TakePartAgain(); }
  // As an operator does it, whoever leads the control group.
  void ApplyPolicy(const std::string& text);
  // 0: none of the cluster's yet.
  uint32_t connections_per_destination() const {
    return node::LimitsOf(*policy_.Current(), "any.test").concurrency_max;
  }
  uint64_t policy_version() const { return policy_.Current()->version(); }
  // Has the control group decide; `done` is not called when the life ends before.
  void Decide(command::Command command, std::function<void(const absl::Status&)> done);
  // Nodes that were added or removed, as far as this node has applied that.
  std::vector<node::NodeRow> members(uint64_t* version) const {
    return cluster_duties_->nodes(version);
  }
  // Members that it would call, with itself.
  std::vector<NodeId> nodes() const;
  bool Knows(NodeId peer) const;
  // As one that was removed.
  bool Refuses(NodeId peer) const;
  // What the next look at the disk says.
  void SetFreeBytes(uint64_t bytes);
  // Nothing of a message or an attempt is left in memory; otherwise what is.
  std::string Leftovers() const;
  // Of each destination: connections that are open or being opened here, wanted and allowed.
  std::string Shares();

 private:
  class Watched;
  class WatchedFence;
  class SimPeers;

  node::ProposeRouter::Parts RouterParts();
  using ProposeCall = std::function<void(GroupId, raft::Proposal, raft::ProposeCallback)>;
  ProposeCall Proposer();
  void CheckBounds();
  void OnForeignLevel();
  void MakeReplays();
  void MakeShares();
  void MakeDuties(Random& luck);
  void WakeIo();

  HostNode& node_;
  const MailCluster& cluster_;
  const uint64_t boot_id_;
  const std::string hostname_;
  bool ended_ = false;
  bool may_begin_ = true;
  bool meets_foreign_ = false;  // It applies nothing more.
  bool io_waits_ = false;
  bool tick_waits_ = false;

  node::MetricRegistry registry_;
  node::NodeMetrics metrics_{registry_};
  node::LeaderTable leaders_;
  node::NodeHealth health_;
  node::PolicyHolder policy_;
  node::Admission admission_;
  node::FeatureLevel level_;
  node::PeerGate gate_;
  node::AttemptGate attempts_gate_;
  node::AttemptGate suspects_gate_{1, 1};
  std::unique_ptr<node::AttemptNotes> notes_;
  std::unique_ptr<node::ShareExchange> shares_;
  std::vector<std::unique_ptr<raft::StateReader>> queue_rows_;
  std::unique_ptr<smtp::Connector> connector_;
  // When a life ends in the middle of things, submissions and attempts die with the callbacks that
  // hold them (router_) or with io_: what they point to stands before, what has timers there
  // behind.
  std::unique_ptr<node::SubmitPath> submit_;
  boost::asio::io_context io_{1};
  std::unique_ptr<node::ReplayGuard> replays_;  // The router answers its proposals.
  std::unique_ptr<node::ProposeRouter> router_;
  node::IntentRouter intents_;
  std::unique_ptr<WatchedFence> fence_;
  std::unique_ptr<node::AttemptRunner> runner_;
  std::unique_ptr<node::ControlMachine> control_;
  std::vector<std::unique_ptr<node::GroupDuties>> duties_;
  std::vector<std::unique_ptr<node::QueueMachine>> machines_;
  std::map<GroupId, std::unique_ptr<Watched>> watched_;
  std::unique_ptr<SimPeers> peers_;
  std::unique_ptr<node::LoadWatch> load_;
  std::unique_ptr<node::ClusterDuties> cluster_duties_;
};

}  // namespace holdfast::raft_test
