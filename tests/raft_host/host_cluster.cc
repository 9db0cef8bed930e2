#include "tests/raft_host/host_cluster.h"

#include <gtest/gtest.h>

#include <deque>
#include <filesystem>
#include <sstream>

#include "base/check.h"
#include "raft/host/snapshot_codec.h"

namespace holdfast::raft {
namespace {

std::string BodyRow(const BodyKey& key) {
  return holdfast::format("body {:08} {:08} {}", key.index, key.term, key.ordinal);
}

}  // namespace

absl::Status RowMachine::Apply(const CommittedEntry& entry, StateBatch& batch) {
  const std::string command(entry.command);
  if (command.rfind("end ", 0) == 0) {
    std::istringstream words(command.substr(4));
    BodyKey key{group_, 0, 0, 0};
    words >> key.index >> key.term;
    batch.DeleteBody(key);
    batch.Delete(BodyRow(key));
  }
  auto known = batch.Get("command " + command);
  HOLDFAST_CHECK(known.ok()) << known.status();
  if (known->has_value()) {
    for (const BodyRef& body : entry.bodies) batch.DeleteBody(body.key);
    return absl::AlreadyExistsError("known");
  }
  batch.Put("command " + command, std::to_string(entry.index));
  for (const BodyRef& body : entry.bodies) {
    batch.Put(BodyRow(body.key), holdfast::format("{} {}", body.bytes, body.crc32c));
  }
  return absl::OkStatus();
}

absl::Status RowMachine::LiveBodies(const StateReader& rows, const BodyVisitor& visit) const {
  return rows
      .Scan("body ", "body!", SIZE_MAX,
            [&](std::string_view key, std::string_view value) {
              BodyRef ref{BodyKey{group_, 0, 0, 0}};
              std::istringstream words(std::string(key.substr(5)) + " " + std::string(value));
              words >> ref.key.index >> ref.key.term >> ref.key.ordinal >> ref.bytes >> ref.crc32c;
              return visit(ref);
            })
      .status();
}

// What a node sends, until Deliver() takes it.
class HostCluster::Wire final : public Transport {
 public:
  struct Sent {
    NodeId to;
    GroupId group;
    Message message;
  };
  void Send(NodeId to, GroupId group, Message message) override {
    sent.push_back({to, group, std::move(message)});
  }
  struct Fetched {
    NodeId peer;
    std::string request;
    std::shared_ptr<FetchSink> sink;
    std::unique_ptr<FetchSource> source;
  };
  void Fetch(NodeId peer, std::string request, std::shared_ptr<FetchSink> sink) override {
    fetches.push_back({peer, std::move(request), std::move(sink), nullptr});
  }
  void Call(NodeId, std::string, absl::Duration, CallReply done) override {
    done(absl::UnavailableError("this network carries no calls"));
  }
  std::deque<Sent> sent;
  std::deque<Fetched> fetches;
};

HostCluster::HostCluster(uint64_t nodes, GroupHostOptions options) : options_(options) {
  for (uint64_t node = 1; node <= nodes; ++node) {
    nodes_[NodeId(node)] = std::make_unique<NodeParts>();
  }
  for (auto& [node, parts] : nodes_) Open(node, /*create=*/true, this->nodes());
  Heal();
}

// Fetches first: they hold parts of several stores.
HostCluster::~HostCluster() {
  for (auto& [node, parts] : nodes_) {
    if (parts->wire != nullptr) parts->wire->fetches.clear();
  }
}

void HostCluster::AddNode(NodeId node) {
  nodes_[node] = std::make_unique<NodeParts>();
  Open(node, /*create=*/true);
  ConnectWithAll(node);
}

std::vector<NodeId> HostCluster::nodes() const {
  std::vector<NodeId> all;
  for (const auto& [node, parts] : nodes_) all.push_back(node);
  return all;
}

void HostCluster::Open(NodeId node, bool create, const std::vector<NodeId>& voters) {
  NodeParts& parts = *nodes_.at(node);
  auto store = create ? parts.world.Create({"0123456789abcdef0123456789abcdef", node},
                                           SeedsOfCluster(voters, 1))
                      : parts.world.Open();
  HOLDFAST_CHECK(store.ok()) << store.status();
  parts.store = *std::move(store);
  parts.machines.clear();
  for (GroupId group : {kControl, kGroup}) {
    parts.machines[group] = std::make_unique<RowMachine>(group);
  }
  parts.wire = std::make_unique<Wire>();
  GroupHostOptions options = options_;
  options.self = node;
  options.seed = 1000 * ++starts_ + node.value();
  parts.host = std::make_unique<GroupHost>(
      options, GroupHostContexts{parts.raft, parts.storage, parts.apply}, *parts.store, *parts.wire,
      parts.clock, [&parts](GroupId group) -> StateMachine& { return *parts.machines.at(group); });
  const absl::Status started = parts.host->Start();
  HOLDFAST_CHECK(started.ok()) << started;
  parts.greeted.clear();
}

void HostCluster::Crash(NodeId node) {
  NodeParts& parts = *nodes_.at(node);
  parts.host.reset();
  std::vector<Wire::Fetched> broken;
  for (auto& [other, others] : nodes_) {
    if (other == node || others->wire == nullptr) continue;
    for (Wire::Fetched& fetch : std::exchange(others->wire->fetches, {})) {
      if (fetch.peer == node) {
        broken.push_back(std::move(fetch));
      } else {
        others->wire->fetches.push_back(std::move(fetch));
      }
    }
  }
  for (Wire::Fetched& fetch : broken) {
    fetch.source.reset();
    fetch.sink->OnDone(absl::UnavailableError("the peer is gone"));
  }
  parts.wire->fetches.clear();
  parts.raft.RunAll();
  parts.storage.RunAll();
  parts.apply.RunAll();
  parts.wire->sent.clear();
  parts.store.reset();
  parts.world.CutPower();
}

void HostCluster::Restart(NodeId node) {
  Open(node, /*create=*/false);
  ConnectWithAll(node);
}

void HostCluster::Connect(NodeId a, NodeId b) {
  NodeParts& left = *nodes_.at(a);
  NodeParts& right = *nodes_.at(b);
  if (!options_.greetings || a == b || !left.host || !right.host || !Passes(a, b)) return;
  left.greeted.push_back(left.host->Greeted(b, right.host->AcknowledgedBy(a)));
  right.greeted.push_back(right.host->Greeted(a, left.host->AcknowledgedBy(b)));
}

void HostCluster::ConnectWithAll(NodeId node) {
  for (const NodeId other : nodes()) Connect(node, other);
}

void HostCluster::Heal() {
  cut_.clear();
  for (const NodeId node : nodes()) ConnectWithAll(node);
}

void HostCluster::KeepDisk(NodeId node) {
  const std::string folder = nodes_.at(node)->world.folder();
  std::filesystem::remove_all(folder + ".kept");
  std::filesystem::copy(folder, folder + ".kept", std::filesystem::copy_options::recursive);
}

void HostCluster::BringDiskBack(NodeId node) {
  const std::string folder = nodes_.at(node)->world.folder();
  std::filesystem::remove_all(folder);
  std::filesystem::rename(folder + ".kept", folder);
}

void HostCluster::CutOff(NodeId node) {
  for (const auto& [other, parts] : nodes_) {
    if (other != node) Cut(node, other);
  }
}

bool HostCluster::Passes(NodeId a, NodeId b) const {
  return !cut_.contains({std::min(a, b), std::max(a, b)});
}

bool HostCluster::DeliverFetches(NodeId node) {
  if (hold_fetches) return false;
  bool any = false;
  NodeParts& parts = *nodes_.at(node);
  for (Wire::Fetched& fetch : std::exchange(parts.wire->fetches, {})) {
    const auto peer = nodes_.find(fetch.peer);
    if (peer == nodes_.end() || peer->second->host == nullptr || !Passes(node, fetch.peer)) {
      fetch.source.reset();
      fetch.sink->OnDone(absl::UnavailableError("no connection"));
      any = true;
      continue;
    }
    const SnapshotRequest asked = *DecodeSnapshotRequest(fetch.request, SnapshotLimits{});
    const bool counts = !std::holds_alternative<WaitingRequest>(asked);
    if (counts && pieces_per_tick && pieces_left_ == 0) {
      parts.wire->fetches.push_back(std::move(fetch));
      continue;
    }
    any = true;
    absl::Status ended;
    if (fetch.source == nullptr) {
      fetched_.rows += std::holds_alternative<RowsRequest>(asked);
      fetched_.waiting += std::holds_alternative<WaitingRequest>(asked);
      if (const auto* bodies = std::get_if<BodiesRequest>(&asked)) {
        fetched_.bodies += bodies->keys.size();
      }
      auto source = peer->second->host->OpenFetch(node, fetch.request);
      if (!source.ok()) {
        fetch.sink->OnDone(source.status());
        continue;
      }
      fetch.source = *std::move(source);
    } else {
      if (counts && pieces_per_tick) --pieces_left_;
      absl::StatusOr<std::string> piece = fetch.source->Next();
      const bool end = !piece.ok() || piece->empty();
      ended = end ? piece.status() : fetch.sink->OnPiece(*std::move(piece));
      if (end || !ended.ok()) {
        fetch.source.reset();
        fetch.sink->OnDone(ended);
        continue;
      }
    }
    parts.wire->fetches.push_back(std::move(fetch));
  }
  return any;
}

bool HostCluster::Deliver() {
  bool any = false;
  for (auto& [node, parts] : nodes_) {
    if (parts->host == nullptr) continue;
    any |= DeliverFetches(node);
    std::deque<Wire::Sent> sent;
    std::swap(sent, parts->wire->sent);
    for (Wire::Sent& one : sent) {
      any = true;
      ++sent_[one.message.type];
      const auto to = nodes_.find(one.to);
      const bool arrives = to != nodes_.end() && to->second->host != nullptr &&
                           Passes(node, one.to) &&
                           parts->host->FillBodies(one.group, one.message).ok() &&
                           !(lose && lose(node, one.to, one.message));
      if (arrives) {
        to->second->host->Receive(one.group, std::move(one.message));
      } else {
        parts->host->PeerUnreachable(one.to);
      }
    }
  }
  return any;
}

void HostCluster::Settle() {
  for (bool more = true; more;) {
    more = false;
    for (auto& [node, parts] : nodes_) {
      if (parts->host == nullptr) continue;
      const bool writes = node != stalled_disk;
      while (parts->raft.RunOne() || (writes && parts->storage.RunOne()) || parts->apply.RunOne()) {
        more = true;
      }
    }
    more |= Deliver();
  }
}

void HostCluster::Tick() {
  pieces_left_ = pieces_per_tick.value_or(0);
  for (auto& [node, parts] : nodes_) {
    parts->clock.Advance(options_.tick);
    if (parts->host != nullptr) parts->host->Tick();
  }
  Settle();
}

bool HostCluster::RunUntil(const std::function<bool()>& holds, int ticks_max) {
  Settle();
  for (int tick = 0; tick < ticks_max; ++tick) {
    if (holds()) return true;
    Tick();
  }
  return holds();
}

NodeId HostCluster::Leader(GroupId group) const {
  NodeId leader = kNoNode;
  Term newest = 0;
  for (const auto& [node, parts] : nodes_) {
    if (parts->host == nullptr) continue;
    const std::optional<GroupStatus> status = parts->host->Status(group);
    if (!status || !status->leading || status->term <= newest) continue;
    leader = node;
    newest = status->term;
  }
  return leader;
}

NodeId HostCluster::AwaitLeader() {
  EXPECT_TRUE(RunUntil([this] { return Leader() != kNoNode; })) << "nobody leads";
  return Leader();
}

ProposeResult HostCluster::Propose(NodeId node, std::string command,
                                   std::vector<std::string> bodies) {
  Proposal proposal;
  proposal.command = std::move(command);
  for (std::string& body : bodies) {
    proposal.bodies.push_back(std::make_shared<const std::string>(std::move(body)));
  }
  auto answer = std::make_shared<std::optional<ProposeResult>>();
  host(node).Propose(kGroup, std::move(proposal),
                     [answer](const ProposeResult& result) { *answer = result; });
  EXPECT_TRUE(RunUntil([&] { return answer->has_value(); })) << "no answer";
  return answer->value_or(ProposeResult{});
}

ProposeResult HostCluster::Change(NodeId node, const ConfChange& change) {
  auto answer = std::make_shared<std::optional<ProposeResult>>();
  host(node).ProposeConfChange(kGroup, change,
                               [answer](const ProposeResult& result) { *answer = result; });
  EXPECT_TRUE(RunUntil([&] { return answer->has_value(); })) << "no answer";
  return answer->value_or(ProposeResult{});
}

std::map<std::string, std::string> HostCluster::Rows(NodeId node) const {
  std::map<std::string, std::string> rows;
  auto end = nodes_.at(node)->store->Reader(kGroup)->Scan(
      "", "", SIZE_MAX, [&](std::string_view key, std::string_view value) {
        rows.emplace(key, value);
        return true;
      });
  HOLDFAST_CHECK(end.ok()) << end.status();
  return rows;
}

bool HostCluster::InStep(NodeId node, NodeId leader) const {
  return nodes_.at(node)->host->Status(kGroup)->applied ==
             nodes_.at(leader)->host->Status(kGroup)->applied &&
         Rows(node) == Rows(leader);
}

std::string HostCluster::Row(NodeId node, const std::string& key) const {
  auto row = nodes_.at(node)->store->Reader(kGroup)->Get(key);
  HOLDFAST_CHECK(row.ok()) << row.status();
  return row->value_or("");
}

std::string HostCluster::BodyAt(NodeId node, LogIndex index, Term term) const {
  auto body = nodes_.at(node)->store->ReadBody(BodyKey{kGroup, index, term, 0});
  return body.ok() ? **body : absl::StatusCodeToString(body.status().code());
}

}  // namespace holdfast::raft
