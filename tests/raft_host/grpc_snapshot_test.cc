// Snapshots on threads, between real transports and stores.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>

#include "base/context.h"
#include "base/mutex.h"
#include "raft/host/group_host.h"
#include "raft/host/ticker.h"
#include "tests/raft_host/host_cluster.h"
#include "tests/raft_host/memory_store.h"
#include "tests/transport/recording_peer.h"

namespace holdfast::raft {
namespace {

const std::vector<NodeId> kVoters = {NodeId(1), NodeId(2), NodeId(3)};
constexpr size_t kBodyBytes = 1 << 20;

bool Await(const std::function<bool()>& holds) {
  Mutex mutex;
  CondVar changed;
  return AwaitTrue(mutex, changed, holds);
}

class GrpcNode final : public PeerHandler {
 public:
  GrpcNode(NodeId self, GroupHostOptions options) {
    auto store =
        world_.Create({"0123456789abcdef0123456789abcdef", self}, SeedsOfCluster(kVoters, 1));
    EXPECT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    transport_ = StartTransport(LoopbackOptions(self.value(), nullptr), *this);
    options.self = self;
    for (GroupId group : {kControl, kGroup}) {
      machines_[group] = std::make_unique<RowMachine>(group);
    }
    host_ = std::make_unique<GroupHost>(
        options, GroupHostContexts{raft_, storage_, apply_}, *store_, *transport_, clock_,
        [this](GroupId group) -> StateMachine& { return *machines_.at(group); });
    EXPECT_TRUE(host_->Start().ok());
    open_ = true;
    ticker_ = std::make_unique<Ticker>(options.tick, [this] { host_->Tick(); });
  }
  ~GrpcNode() override { Stop(); }

  void Stop() {
    ticker_->Stop();
    host_->Stop();
    transport_->Stop();
    raft_.Stop();
    storage_.Stop();
    apply_.Stop();
  }

  std::string Hello(NodeId) override { return ""; }
  absl::Status OnHello(NodeId, std::string_view) override { return absl::OkStatus(); }
  void OnMessage(NodeId, GroupId group, Message message) override {
    if (!open_) return;
    if (message.type == MessageType::kHeartbeat && host_->Status(kGroup)->receiving_snapshot) {
      ++heartbeats_meanwhile;
    }
    host_->Receive(group, std::move(message));
  }
  void OnUnreachable(NodeId peer) override {
    if (open_) host_->PeerUnreachable(peer);
  }
  absl::Status FillBodies(GroupId group, Message& message) override {
    return host_->FillBodies(group, message);
  }
  absl::StatusOr<std::unique_ptr<FetchSource>> OpenFetch(NodeId peer,
                                                         std::string_view request) override {
    return host_->OpenFetch(peer, request);
  }
  void OnCall(NodeId, std::string, CallReply reply) override {
    reply(absl::UnimplementedError("no calls here"));
  }

  GroupHost& host() { return *host_; }
  Store& store() { return *store_; }
  GrpcTransport& transport() { return *transport_; }
  GroupStatus Status(GroupId group = kGroup) { return *host_->Status(group); }

  std::atomic<int> heartbeats_meanwhile{0};

 private:
  MemoryWorld world_;
  SystemClock clock_;
  std::unique_ptr<Store> store_;
  std::map<GroupId, std::unique_ptr<RowMachine>> machines_;
  std::atomic<bool> open_{false};
  std::unique_ptr<GrpcTransport> transport_;
  ThreadContext raft_{"raft", 1024};
  ThreadContext storage_{"storage", 1024};
  ThreadContext apply_{"apply", 1024};
  std::unique_ptr<GroupHost> host_;
  std::unique_ptr<Ticker> ticker_;
};

class GrpcSnapshotTest : public testing::Test {
 protected:
  GrpcSnapshotTest() {
    options_.log_entries_kept = 8;
    options_.election_ticks = 60;  // Long, for a loaded machine.
    options_.commit_timeout = absl::Seconds(60);
  }

  void StartNode(NodeId node) {
    nodes_[node] = std::make_unique<GrpcNode>(node, options_);
    for (auto& [self, from] : nodes_) {
      std::vector<PeerAddress> peers;
      for (auto& [other, to] : nodes_) {
        if (other != self) peers.push_back({other, AddressOf(to->transport())});
      }
      ASSERT_TRUE(from->transport().UpdatePeers(peers).ok());
    }
  }

  // Nodes 1 and 2 with that many bodies and a log that begins behind them.
  void FillTwo(int bodies) {
    StartNode(NodeId(1));
    StartNode(NodeId(2));
    ASSERT_TRUE(Await([&] {
      for (auto& [self, node] : nodes_) {
        if (node->Status().leading) leader_ = self;
      }
      return leader_ != kNoNode;
    }));
    for (int i = 0; i < bodies; ++i) Propose(i, std::string(kBodyBytes, static_cast<char>(i)));
    for (int i = 0; i < 30; ++i) Propose(bodies + i, "");
    ASSERT_TRUE(Await([&] { return Leader().Status().first > 2; }));
  }
  void Propose(int number, std::string body) {
    Proposal proposal{holdfast::format("command {}", number), {}};
    if (!body.empty()) proposal.bodies = {std::make_shared<const std::string>(std::move(body))};
    std::atomic<bool> answered{false};
    ProposeResult result;
    Leader().host().Propose(kGroup, std::move(proposal), [&](const ProposeResult& r) {
      result = r;
      answered = true;
    });
    ASSERT_TRUE(Await([&] { return answered.load(); }));
    ASSERT_TRUE(result.status.ok()) << result.status;
    results_.push_back(result);
  }
  GrpcNode& Leader() { return *nodes_.at(leader_); }

  GroupHostOptions options_;
  std::map<NodeId, std::unique_ptr<GrpcNode>> nodes_;
  NodeId leader_;
  std::vector<ProposeResult> results_;
};

TEST_F(GrpcSnapshotTest, BodiesArePulledWhileHeartbeatsGoOn) {
  options_.snapshots.bytes_per_second = 24 << 20;
  FillTwo(64);
  const Term term = Leader().Status().term;
  const Term control_term = Leader().Status(kControl).term;
  StartNode(NodeId(3));
  GrpcNode& late = *nodes_.at(NodeId(3));
  ASSERT_TRUE(Await([&] {
    return late.Status().applied == Leader().Status().applied && !late.Status().receiving_snapshot;
  }));
  for (int i = 0; i < 64; ++i) {
    auto body = late.store().ReadBody(BodyKey{kGroup, results_[i].index, results_[i].term, 0});
    ASSERT_TRUE(body.ok()) << i << ": " << body.status();
    EXPECT_EQ(**body, std::string(kBodyBytes, static_cast<char>(i)));
  }
  // The limit makes it last more than two seconds; nobody thought meanwhile that the leader was
  // gone, and heartbeats came all the time.
  EXPECT_GE(late.heartbeats_meanwhile, 8);
  for (auto& [self, node] : nodes_) {
    EXPECT_EQ(node->Status().term, term) << self;
    EXPECT_EQ(node->Status(kControl).term, control_term) << self;
  }
}

TEST_F(GrpcSnapshotTest, NodesStopInTheMiddle) {
  options_.snapshots.bytes_per_second = 1 << 20;
  FillTwo(12);
  StartNode(NodeId(3));
  GrpcNode& late = *nodes_.at(NodeId(3));
  ASSERT_TRUE(Await([&] { return late.Status().receiving_snapshot; }));
  ASSERT_TRUE(Await([&] { return late.heartbeats_meanwhile > 3; }));
  late.Stop();
  EXPECT_EQ(late.Status().applied, 0u);
  Leader().Stop();
}

}  // namespace
}  // namespace holdfast::raft
