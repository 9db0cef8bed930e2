#include "tests/bench/bench_node.h"

#include <algorithm>

#include "base/check.h"

namespace holdfast::raft {
namespace {

constexpr LogIndex kBodyLife = 200;

}  // namespace

absl::Status BenchMachine::Apply(const CommittedEntry& entry, StateBatch& batch) {
  batch.Put(std::to_string(entry.index), entry.command);
  if (entry.index > kBodyLife) {
    const LogIndex old = entry.index - kBodyLife;
    batch.DeleteBody(BodyKey{group_, old, entry.term, 0});
    batch.Delete(std::to_string(old));
  }
  return absl::OkStatus();
}

absl::Status BenchMachine::LiveBodies(const StateReader&, const BodyVisitor&) const {
  return absl::UnimplementedError("a benchmark makes no snapshots");
}

BenchNode::BenchNode(const BenchNodeOptions& options) : options_(options) {
  std::vector<NodeId> voters;
  for (uint32_t node = 1; node <= options.nodes; ++node) voters.push_back(NodeId(node));
  StoreOptions store_options;
  store_options.directory = options.folder;
  auto store = CreateStore(store_options, {options.cluster_id, options.self},
                           SeedsOfCluster(voters, options.groups));
  HOLDFAST_CHECK(store.ok()) << store.status().ToString();
  store_ = *std::move(store);
  if (options.nodes > 1) {
    GrpcTransportOptions transport;
    transport.self = options.self;
    transport.cluster_id = options.cluster_id;
    transport.listen = "127.0.0.1:0";
    transport.plain_text_on_loopback = true;
    auto started = GrpcTransport::Start(transport, *this);
    HOLDFAST_CHECK(started.ok()) << started.status().ToString();
    transport_ = *std::move(started);
  }
  GroupHostOptions host_options;
  host_options.self = options.self;
  Transport& wire = transport_ ? static_cast<Transport&>(*transport_) : no_transport_;
  host_ = std::make_unique<GroupHost>(
      host_options, GroupHostContexts{raft_, storage_, apply_}, *store_, wire, clock_,
      [this](GroupId group) -> StateMachine& {
        return *(machines_[group] = std::make_unique<BenchMachine>(group));
      });
}

BenchNode::~BenchNode() {
  if (ticker_) ticker_->Stop();
  host_->Stop();
  if (transport_) transport_->Stop();
  raft_.Stop();
  apply_.Stop();
  storage_.Stop();
}

std::string BenchNode::address() const {
  return transport_ ? "127.0.0.1:" + std::to_string(transport_->bound_port()) : "";
}

void BenchNode::SetPeers(const std::vector<PeerAddress>& peers) {
  const absl::Status set = transport_->UpdatePeers(peers);
  HOLDFAST_CHECK(set.ok()) << set.ToString();
}

void BenchNode::Start(bool may_campaign) {
  const absl::Status started = host_->Start();
  HOLDFAST_CHECK(started.ok()) << started.ToString();
  host_->SetMayCampaign(may_campaign);
  open_ = true;
  ticker_ = std::make_unique<Ticker>(GroupHostOptions{}.tick, [this] { host_->Tick(); });
}

bool BenchNode::LeadsAll() const {
  return std::all_of(machines_.begin(), machines_.end(),
                     [](const auto& item) { return item.second->leads(); });
}

void BenchNode::OnMessage(NodeId, GroupId group, Message message) {
  if (open_) host_->Receive(group, std::move(message));
}

void BenchNode::OnMessages(NodeId, std::vector<GroupMessage> messages) {
  if (open_) host_->ReceiveAll(std::move(messages));
}

void BenchNode::OnUnreachable(NodeId peer) {
  if (open_) host_->PeerUnreachable(peer);
}

absl::Status BenchNode::FillBodies(GroupId group, Message& message) {
  return host_->FillBodies(group, message);
}

absl::StatusOr<std::unique_ptr<FetchSource>> BenchNode::OpenFetch(NodeId peer,
                                                                  std::string_view request) {
  return host_->OpenFetch(peer, request);
}

void BenchNode::OnCall(NodeId, std::string, CallReply reply) {
  reply(absl::UnimplementedError("no calls here"));
}

}  // namespace holdfast::raft
