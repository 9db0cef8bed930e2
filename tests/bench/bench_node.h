// tests/bench/bench_node.h
// BenchNode is one node of a benchmark: a RocksDB store, a group host with production options, and,
// when there is more than one node, the gRPC transport in plain text on loopback. Its state machine
// writes a row for each entry and ends the body that came 200 entries ago, as most mail is
// delivered soon.
//
// Threads: its own contexts and ticker; the methods are thread-safe once the constructor is done.
// Errors:  a benchmark that can't go on ends (CHECK).
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "raft/host/group_host.h"
#include "raft/host/state_machine.h"
#include "raft/host/ticker.h"
#include "raft/storage/rocksdb_store.h"
#include "raft/transport/grpc_transport.h"
#include "raft/transport/transport.h"

namespace holdfast::raft {

class BenchMachine final : public StateMachine {
 public:
  explicit BenchMachine(GroupId group) : group_(group) {}
  absl::Status Apply(const CommittedEntry& entry, StateBatch& batch) override;
  void OnCommitted(LogIndex) override {}
  void OnLeaderChange(bool leader, Term) override { leads_ = leader; }
  // No node of a benchmark falls so far behind that it needs a snapshot.
  absl::Status LiveBodies(const StateReader& rows, const BodyVisitor& visit) const override;
  void OnSnapshotInstalled(LogIndex) override {}
  bool leads() const { return leads_; }

 private:
  const GroupId group_;
  std::atomic<bool> leads_{false};
};

struct BenchNodeOptions {
  NodeId self{1};
  uint32_t nodes = 1;   // Ids 1 to `nodes`, all voters of all groups.
  uint32_t groups = 1;  // Queue groups; the control group idles beside them.
  std::string folder;
  std::string cluster_id;
};

class BenchNode final : public PeerHandler {
 public:
  explicit BenchNode(const BenchNodeOptions& options);
  ~BenchNode() override;

  // host:port; "" when it is alone.
  std::string address() const;
  void SetPeers(const std::vector<PeerAddress>& peers);
  // Only one node campaigns, so that it leads everything.
  void Start(bool may_campaign);
  bool LeadsAll() const;
  GroupHost& host() { return *host_; }
  Store& store() { return *store_; }

  std::string Hello(NodeId) override { return ""; }
  absl::Status OnHello(NodeId, std::string_view) override { return absl::OkStatus(); }
  void OnMessage(NodeId from, GroupId group, Message message) override;
  void OnMessages(NodeId from, std::vector<GroupMessage> messages) override;
  void OnUnreachable(NodeId peer) override;
  absl::Status FillBodies(GroupId group, Message& message) override;
  absl::StatusOr<std::unique_ptr<FetchSource>> OpenFetch(NodeId peer,
                                                         std::string_view request) override;
  void OnCall(NodeId peer, std::string request, CallReply reply) override;

 private:
  const BenchNodeOptions options_;
  SystemClock clock_;
  std::unique_ptr<Store> store_;
  NullTransport no_transport_;
  std::unique_ptr<GrpcTransport> transport_;
  ThreadContext raft_{"raft", 65536};
  ThreadContext storage_{"storage", 65536};
  ThreadContext apply_{"apply", 65536};
  std::map<GroupId, std::unique_ptr<BenchMachine>> machines_;
  std::unique_ptr<GroupHost> host_;
  std::atomic<bool> open_{false};
  std::unique_ptr<Ticker> ticker_;
};

}  // namespace holdfast::raft
