// tests/sim/host_node.h
// HostNode is one node of the simulation: a whole GroupHost on a SimStore, with three contexts
// whose tasks run one at a time and take as long as luck says. It can lose its power at any step,
// be stopped for a while like a process, and come back.
//
// A *life* is the time between a start and the next crash. What a life left in the loop or in the
// network does not reach the next one.
// Threads: one. Lifetime: loop, checker and network outlive it.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "raft/host/group_host.h"
#include "raft/transport/transport.h"
#include "tests/sim/host_checker.h"
#include "tests/sim/sim_context.h"
#include "tests/sim/sim_loop.h"
#include "tests/sim/sim_machine.h"
#include "tests/storage/sim_store.h"

namespace holdfast::raft_test {

// What all parts of one simulation share.
struct SimShared {
  SimLoop& loop;
  SimTrace& trace;
  Random& luck;
  HostChecker& checker;
};

// How long things take on a node; each time drawn anew up to the maximum.
struct NodePace {
  absl::Duration raft_max = absl::Microseconds(100);
  absl::Duration disk_max = absl::Milliseconds(5);
  absl::Duration apply_max = absl::Microseconds(500);
  absl::Duration io_max = absl::Microseconds(200);
};

class HostNode;

// What stands around a node's host in one life: the state machines, and whatever else acts there.
// Made when store and host are, before the host starts.
class NodeInside {
 public:
  virtual ~NodeInside() = default;
  virtual raft::StateMachine& Machine(GroupId group) = 0;
  // False: it finds something that keeps it from starting, and the node is down again.
  virtual bool MayBegin() const { return true; }
  // The host has started.
  virtual void Begin() {}
  virtual void Tick() {}
  // The life ends, with or without an order to stop: nothing acts on the host from here on.
  virtual void End() {}
  virtual void OnCall(NodeId /*peer*/, std::string /*request*/, raft::CallReply reply) {
    reply(absl::UnavailableError("this node answers no calls"));
  }
  // A task ran in the apply context.
  virtual void AfterApply() {}
};

class HostNode {
 public:
  // Of a cluster whose state machines are SimMachines when there is no `inside`.
  using MakeInside = std::function<std::unique_ptr<NodeInside>(HostNode& node)>;

  // The network, as a node sees it.
  struct Links {
    std::function<void(HostNode& from, NodeId to, GroupId group, raft::Message message)> send;
    std::function<void(HostNode& from, NodeId peer, std::string request,
                       std::shared_ptr<raft::FetchSink> sink)>
        fetch;
    std::function<void(HostNode& from, NodeId to, std::string request, absl::Duration timeout,
                       raft::CallReply done)>
        call;
    // The node's life ends: whatever is under way from or to it is let go.
    std::function<void(NodeId node)> forget;
    // The node has started.
    std::function<void(HostNode& node)> greet;
  };

  // Without `voters`: made to join a cluster that there is.
  HostNode(const SimShared& shared, const raft::GroupHostOptions& options,
           const std::vector<NodeId>& voters, uint32_t queue_groups, Links links,
           MakeInside make_inside = nullptr, absl::Time began = absl::UnixEpoch());
  ~HostNode();

  NodeId id() const { return options_.self; }
  std::vector<GroupId> groups() const;

  // False: the store refused to open, and the node stays down for good; or what is inside refused
  // to begin.
  bool Start();
  void Crash();
  // The host stops in order, the store is closed, and the node is down once that is done.
  void StopInOrder();
  // No task runs and no tick is given until then; the clock goes on.
  void PauseUntil(absl::Duration time);
  // After its power was cut the disk is as it was once, long ago, with the witness of today.
  void LoseDisk();
  // The same with the witness of then: only those who have the node's word can tell.
  void LoseDiskAndWitness();
  // Its disk is gone: it stays down for good, and only another node can take its place.
  void Wipe();
  // The same, as it was at a moment that the caller kept; a witness of then tells nothing of what
  // is younger, so no witness need have overtaken it.
  void GoBackTo(const raft::SimImage& image);
  // A bit of some body flips; false: it has none. The node goes on.
  bool DamageBody(Random& luck);
  // A bit of log or hard state flips: the node goes on, and its store must not open again.
  void DamageStore(GroupId group);
  // No sync succeeds any more: each life ends with the first one.
  void SpoilSyncs();
  // For one of the two before: it is known now, and the node stays down.
  void EndDoomed();
  // The store is known to have forgotten something, and the node stays down.
  void GiveUp();

  // It was removed from the cluster and is switched off for good, with its disk.
  void Retire();

  bool running() const { return host_ != nullptr; }
  bool lost() const { return lost_; }
  // Its disk went back, and its own witness does not tell.
  bool forgetful() const { return forgetful_; }
  raft::GroupRecord RecordOf(GroupId group) const { return *store_->LoadGroup(group); }
  bool retired() const { return retired_; }
  bool stopping() const { return running() && stopping_; }
  bool may_start() const { return !running() && !lost_ && !retired_; }
  // Lost, or will be as soon as it starts, or can't do any work.
  bool damaged() const { return lost_image_.has_value() || store_damaged_ || syncs_spoiled_; }
  // Some bodies may be damaged: whoever has them must not be lost.
  bool flipped() const { return flipped_; }
  uint64_t life() const { return life_; }
  uint64_t crashes() const { return crashes_; }
  // The power went out within the task that is running: nothing that it still says is heard.
  bool dying() const { return disk_.failed(); }
  absl::Duration paused_until() const { return paused_until_; }

  raft::GroupHost& host() { return *host_; }
  NodeInside& inside() { return *inside_; }
  raft::Store& store() { return *store_; }
  raft::Transport& wire();
  Context& apply_context() { return contexts_[kApply]; }
  // For the inside's threads: one more lane, with the pace of io_max.
  Context& io_context() { return contexts_[kIo]; }
  const raft::GroupHostOptions& options() const { return options_; }
  const std::vector<NodeId>& voters() const { return voters_; }
  const SimShared& shared() const { return shared_; }
  raft::SimDisk& disk() { return disk_; }
  const raft::SimDisk& disk() const { return disk_; }
  const SimClock& clock() const { return clock_; }
  void JumpClock(absl::Duration by) { clock_.Jump(by); }
  // Its clock and its ticks; 1: as the loop's.
  void SetClockRate(double rate) { clock_.SetRate(rate); }
  NodePace& pace() { return pace_; }
  // What the checker may rely on: see HostChecker.
  const raft::SimImage& durable() const { return lost_image_ ? *lost_image_ : disk_.durable(); }

  // After something outside a context called into the host or its store: crashes if the power went
  // out meanwhile, or looks at what changed.
  void AfterCall();

 private:
  class Wire;
  class MachinesOnly;
  enum Lane { kRaft, kStorage, kApply, kIo };

  raft::SimStoreOptions StoreOptions();
  void Wake(Lane lane);
  void Turn(Lane lane, uint64_t life);
  void Tick(uint64_t life);
  void FinishStop();
  void Look();
  void CheckForgetful(const raft::Message& message);
  void End(bool cut_power);

  const SimShared shared_;
  const raft::GroupHostOptions options_;
  const std::vector<NodeId> voters_;
  const uint32_t queue_groups_;
  const Links links_;
  const MakeInside make_inside_;
  SimClock clock_;
  Random luck_;
  SimMachine::Watcher watcher_;
  NodePace pace_;

  raft::SimDisk disk_;
  std::optional<raft::SimImage> old_image_;
  std::optional<raft::SimImage> lost_image_;
  bool lost_ = false;
  bool forgetful_ = false;
  bool store_damaged_ = false;
  bool syncs_spoiled_ = false;
  bool flipped_ = false;
  bool retired_ = false;
  bool stopping_ = false;
  uint64_t life_ = 0;
  uint64_t crashes_ = 0;
  absl::Duration paused_until_ = absl::ZeroDuration();

  std::unique_ptr<raft::Store> store_;
  std::unique_ptr<Wire> wire_;
  std::array<SimContext, 4> contexts_;
  std::unique_ptr<raft::GroupHost> host_;
  std::unique_ptr<NodeInside> inside_;
};

}  // namespace holdfast::raft_test
