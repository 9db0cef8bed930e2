// tests/raft_host/host_cluster.h
// Some GroupHosts over real stores on one thread, with a network between them that a test can
// cut. Messages travel as the transport would carry them: bodies are filled in when they are sent,
// and fetches go piece by piece.
//
//   HostCluster cluster(3);
//   cluster.RunUntil([&] { return cluster.Leader(kGroup) != kNoNode; });
//
// Threads: one.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "raft/host/group_host.h"
#include "tests/storage/rocksdb_world.h"

namespace holdfast::raft {

inline constexpr GroupId kControl{0};
inline constexpr GroupId kGroup{1};

// A row "command X" -> index for each command; the same again is refused. A row "body N T I" for
// each living body, in the order of indexes. The command "end N T" deletes the first body of entry
// N of term T.
class RowMachine final : public StateMachine {
 public:
  explicit RowMachine(GroupId group) : group_(group) {}
  absl::Status Apply(const CommittedEntry& entry, StateBatch& batch) override;
  void OnCommitted(LogIndex) override {}
  void OnLeaderChange(bool leader, Term term) override { leads_in_ = leader ? term : 0; }
  absl::Status LiveBodies(const StateReader& rows, const BodyVisitor& visit) const override;
  void OnSnapshotInstalled(LogIndex last) override { installed_.push_back(last); }
  Term leads_in() const { return leads_in_; }
  // Snapshots, since the node was opened.
  const std::vector<LogIndex>& installed() const { return installed_; }

 private:
  const GroupId group_;
  Term leads_in_ = 0;
  std::vector<LogIndex> installed_;
};

// Fetches that were begun, by what they ask for.
struct FetchCounts {
  uint64_t rows = 0;
  uint64_t bodies = 0;  // Keys asked for.
  uint64_t waiting = 0;
};

class HostCluster {
 public:
  // Nodes 1 to `nodes`, all voters of the control group and one queue group.
  explicit HostCluster(uint64_t nodes, GroupHostOptions options = {});
  ~HostCluster();

  GroupHost& host(NodeId node) { return *nodes_.at(node)->host; }
  Store& store(NodeId node) { return *nodes_.at(node)->store; }
  // Of kGroup.
  RowMachine& machine(NodeId node) { return *nodes_.at(node)->machines.at(kGroup); }
  std::vector<NodeId> nodes() const;

  // An empty node, member of nothing.
  void AddNode(NodeId node);
  // The node stops as in a power cut, and comes back with what was synced.
  void Crash(NodeId node);
  void Restart(NodeId node);

  // Nothing passes between the two, or between the node and all others.
  void Cut(NodeId a, NodeId b) { cut_.insert({std::min(a, b), std::max(a, b)}); }
  void CutOff(NodeId node);
  void Heal();
  // What came of the greetings that the node heard in this life; with options.greetings only.
  const std::vector<absl::Status>& greeted(NodeId node) const { return nodes_.at(node)->greeted; }
  // Of a node that is down.
  void Damage(NodeId node, LogIndex index, Term term, BodyDamage damage = BodyDamage::kFlippedBit) {
    DamageBody(nodes_.at(node)->world.folder(), BodyKey{kGroup, index, term, 0}, damage);
  }
  // The node's disk as it is now, and back to it; the node is down.
  void KeepDisk(NodeId node);
  void BringDiskBack(NodeId node);
  // Counts what was sent of a type, delivered or not.
  uint64_t sent(MessageType type) const { return sent_.count(type) ? sent_.at(type) : 0; }
  const FetchCounts& fetched() const { return fetched_; }
  // Pieces of fetches that all nodes together get in one tick; those of keep-alives don't count.
  std::optional<uint64_t> pieces_per_tick;
  // No fetch goes on, nor does it end, but those that are cut.
  bool hold_fetches = false;
  // Writes of this node wait.
  NodeId stalled_disk = kNoNode;
  // Called for each message about to be delivered; true: it is lost.
  std::function<bool(NodeId from, NodeId to, const Message&)> lose;

  // One tick of the clock on all nodes, and everything that follows from it.
  void Tick();
  // Ticks until it holds; false after `ticks_max`.
  bool RunUntil(const std::function<bool()>& holds, int ticks_max = 400);
  // Without time passing.
  void Settle();

  // The node that leads the group in the highest term, if one does and knows it applied.
  NodeId Leader(GroupId group = kGroup) const;
  // Ticks until there is one.
  NodeId AwaitLeader();
  // Proposes at the leader and runs until it is answered.
  ProposeResult Propose(NodeId node, std::string command, std::vector<std::string> bodies = {});
  // The same for a change of the members of kGroup.
  ProposeResult Change(NodeId node, const ConfChange& change);
  // All rows of kGroup.
  std::map<std::string, std::string> Rows(NodeId node) const;
  // The node has applied what the leader has, with equal rows.
  bool InStep(NodeId node, NodeId leader) const;
  // A row of kGroup; "" when absent.
  std::string Row(NodeId node, const std::string& key) const;
  // The bytes, or the name of the status code.
  std::string BodyAt(NodeId node, LogIndex index, Term term) const;

 private:
  class Wire;
  struct NodeParts {
    RocksDbWorld world;
    ManualClock clock{absl::UnixEpoch()};
    std::unique_ptr<Store> store;
    std::map<GroupId, std::unique_ptr<RowMachine>> machines;
    std::unique_ptr<Wire> wire;
    ManualContext raft, storage, apply;
    std::unique_ptr<GroupHost> host;
    std::vector<absl::Status> greeted;
  };

  void Open(NodeId node, bool create, const std::vector<NodeId>& voters = {});
  bool Deliver();
  bool DeliverFetches(NodeId node);
  bool Passes(NodeId a, NodeId b) const;
  // The two connect, if they can: each tells what the other promised.
  void Connect(NodeId a, NodeId b);
  void ConnectWithAll(NodeId node);

  GroupHostOptions options_;
  std::map<NodeId, std::unique_ptr<NodeParts>> nodes_;
  std::set<std::pair<NodeId, NodeId>> cut_;
  std::map<MessageType, uint64_t> sent_;
  FetchCounts fetched_;
  uint64_t pieces_left_ = 0;
  uint64_t starts_ = 0;
};

}  // namespace holdfast::raft
