#include "tests/sim/host_sim.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/text.h"
#include "tests/raft/apart.h"

namespace holdfast::raft_test {
namespace {

// How many times the longest election timeout a healed cluster may take for everything.
constexpr int kElectionsToSettle = 20;
// And for what was wished of members: some steps for each, one a second.
constexpr absl::Duration kMembersToSettle = absl::Seconds(60);
// More, while a snapshot comes in.
constexpr absl::Duration kPullsToSettle = absl::Minutes(10);
// A stalled step takes as long at most, and this many of them end within the time for a stop.
constexpr absl::Duration kStallMax = absl::Milliseconds(1500);
constexpr int kStallsToStop = 4;
// A simulation that goes on for ever is a failure too.
constexpr uint64_t kEventsMax = 50'000'000;

}  // namespace

HostSim::HostSim(const HostSimOptions& options)
    : options_(options), luck_(options.seed), trace_(loop_, options.trace) {
  const uint64_t count = options.nodes > 0 ? static_cast<uint64_t>(options.nodes)
                                           : (luck_.OneIn(3) ? luck_.Between(4, 5) : 3);
  for (uint64_t node = 1; node <= count; ++node) voters_.push_back(NodeId(node));
  queue_groups_ = static_cast<uint32_t>(luck_.Between(1, 2));
  host_options_ = DrawHostOptions();
  DrawWeather();
  checker_ = std::make_unique<HostChecker>(
      voters_,
      [this](NodeId node) -> const raft::SimImage& { return nodes_[node.value() - 1]->durable(); },
      [this](NodeId node) -> const raft::SimImage& {
        return nodes_[node.value() - 1]->disk().now();
      });
  network_ = std::make_unique<HostNetwork>(Shared());
  // Well within the time for which nothing is heard without them.
  greetings_ = std::make_unique<HostGreetings>(
      Shared(), [this](NodeId a, NodeId b) { return network_->Connects(a, b); },
      host_options_.tick * host_options_.election_ticks * 0.5);
  // As the node does it: the least election timeout less a margin of two ticks.
  const absl::Duration lease = host_options_.tick * (host_options_.election_ticks - 2);
  workload_ = std::make_unique<HostWorkload>(Shared(), lease);
  for (size_t node = 0; node < voters_.size(); ++node) AddNode(voters_);
  workload_->weather().pause_max = absl::Milliseconds(static_cast<int64_t>(luck_.Between(5, 60)));
  if (luck_.OneIn(5)) workload_->weather().body_bytes_max = 20'000;
  BeginMembers();
  BeginAim();
}

HostNode& HostSim::AddNode(const std::vector<NodeId>& voters) {
  raft::GroupHostOptions host_options = host_options_;
  host_options.self = NodeId(nodes_.size() + 1);
  nodes_.push_back(
      std::make_unique<HostNode>(Shared(), host_options, voters, queue_groups_, NetworkLinks()));
  HostNode& node = *nodes_.back();
  network_->Join(node);
  greetings_->Join(node);
  workload_->Join(node);
  return node;
}

// With luck of its own: a seed without changes tells the same story as before there were any.
void HostSim::BeginMembers() {
  using Members = HostSimOptions::Members;
  Random luck(options_.seed ^ 0x6D656D62657273);
  const bool drawn = options_.seed >= HostSimOptions::kMembersFromSeed && luck.OneIn(2);
  if (options_.members == Members::kStay || (options_.members == Members::kBySeed && !drawn)) {
    return;
  }
  weather_.wish = absl::Milliseconds(static_cast<int64_t>(luck.Between(1000, 10'000)));
  const auto add_node = [this]() -> HostNode& {
    HostNode& node = AddNode({});
    checker_->AddNode(node.id());
    paces_[node.id()] = node.pace();
    node.Start();
    return node;
  };
  members_ = std::make_unique<HostMembers>(
      Shared(), luck.Next(),
      HostMembers::Cluster{nodes_, add_node,
                           [this](GroupId group) { return workload_->Leader(group); },
                           [this] { (void)workload_->ProposeLast(GroupId(0)); }, queue_groups_});
  network_->SetApart([this](NodeId a, NodeId b) { return members_->Apart(a, b); });
}

void HostSim::BeginAim() {
  using Aim = HostSimOptions::Aim;
  Random luck(options_.seed ^ 0x61696D);
  const bool drawn = options_.seed >= HostSimOptions::kMembersFromSeed && luck.OneIn(4);
  if (options_.aim == Aim::kNever || (options_.aim == Aim::kBySeed && !drawn)) return;
  aim_ = std::make_unique<HostAim>(
      Shared(), luck.Next(),
      HostAim::Cluster{nodes_, *network_, *greetings_, *workload_, queue_groups_,
                       host_options_.tick * host_options_.election_ticks,
                       [this](const HostNode& node) { return MayLoseDisk(node); },
                       [this] { return healing_; }});
}

// Nodes first: they let go of their fetches.
HostSim::~HostSim() { nodes_.clear(); }

HostNode::Links HostSim::NetworkLinks() {
  HostNode::Links links;
  links.send = [this](HostNode& from, NodeId to, GroupId group, raft::Message message) {
    network_->Send(from, to, group, std::move(message));
  };
  links.fetch = [this](HostNode& from, NodeId peer, std::string request,
                       std::shared_ptr<raft::FetchSink> sink) {
    network_->Fetch(from, peer, std::move(request), std::move(sink));
  };
  links.forget = [this](NodeId node) { network_->Forget(node); };
  links.greet = [this](HostNode& node) { greetings_->Begin(node); };
  return links;
}

raft::GroupHostOptions HostSim::DrawHostOptions() {
  raft::GroupHostOptions options;
  options.tick = absl::Milliseconds(50);
  options.heartbeat_ticks = static_cast<int>(luck_.Between(1, 3));
  options.election_ticks = static_cast<int>(luck_.Between(8, 20));
  options.commit_timeout = absl::Milliseconds(static_cast<int64_t>(luck_.Between(300, 5000)));
  options.apply_batch_entries_max =
      static_cast<uint32_t>(luck_.OneIn(2) ? luck_.Between(1, 8) : 512);
  options.storage_batch_bytes_max = luck_.OneIn(2) ? 1000 : options.storage_batch_bytes_max;
  options.log_cache_bytes_max = luck_.OneIn(2) ? luck_.Below(2000) : options.log_cache_bytes_max;
  options.group_undecided_bytes_max = luck_.OneIn(4) ? 100'000 : options.group_undecided_bytes_max;
  options.undecided_proposals_max = luck_.OneIn(4) ? 50 : options.undecided_proposals_max;
  raft::SnapshotOptions& snapshots = options.snapshots;
  snapshots.bytes_per_second = 0;  // Its wait is a real one.
  snapshots.patience = absl::Seconds(2);
  if (luck_.OneIn(2)) {  // Short logs: who lags needs a snapshot.
    options.log_entries_kept = luck_.Between(2, 40);
    snapshots.log_kept_times = luck_.Between(1, 8);
    snapshots.piece_bytes_max =
        luck_.OneIn(2) ? luck_.Between(50, 4000) : snapshots.piece_bytes_max;
    snapshots.rows_bytes = luck_.Between(1, 2000);
    snapshots.request_keys_max = static_cast<uint32_t>(luck_.Between(1, 20));
    snapshots.missing_bodies_max = luck_.Between(1, 50);
    snapshots.garbage_steps = luck_.Between(1, 50);
  }
  options.mutation = options_.mutation;
  options.greetings = true;
  return options;
}

void HostSim::DrawWeather() {
  const auto between = [this](uint64_t low_ms, uint64_t high_ms) {
    return absl::Milliseconds(static_cast<int64_t>(luck_.Between(low_ms, high_ms)));
  };
  weather_.crash = between(500, 8000);
  weather_.pause = between(1000, 15'000);
  weather_.cut = between(500, 8000);
  weather_.transfer = between(500, 8000);
  weather_.stall = between(1000, 10'000);
  weather_.calm = between(2000, 20'000);
  weather_.outage = between(10'000, 100'000);
  weather_.may_lose_disks = luck_.OneIn(3);
}

absl::Duration HostSim::UpTo(absl::Duration most) {
  return most * (static_cast<double>(luck_.Below(10'000)) / 10'000.0);
}

absl::Duration HostSim::Wait(absl::Duration mean) {
  return mean * -std::log(1.0 - static_cast<double>(luck_.Below(10'000)) / 10'001.0);
}

void HostSim::Repeat(absl::Duration mean, std::function<void()> fault) {
  loop_.After(Wait(mean), [this, mean, fault = std::move(fault)] {
    if (healing_) return;
    fault();
    Repeat(mean, fault);
  });
}

void HostSim::BeginFaults() {
  NetworkWeather& network = network_->weather();
  network.lose_permille = luck_.OneIn(3) ? 0 : luck_.Below(150);
  network.repeat_permille = luck_.OneIn(3) ? 0 : luck_.Below(100);
  network.late_permille = luck_.OneIn(3) ? 0 : luck_.Below(50);
  network.queue_max = luck_.OneIn(3) ? absl::Milliseconds(200) : network.queue_max;
  for (const auto& node : nodes_) {
    node->pace().disk_max = absl::Milliseconds(static_cast<int64_t>(luck_.Between(1, 60)));
    if (luck_.OneIn(3)) node->pace().apply_max = absl::Milliseconds(100);
    paces_[node->id()] = node->pace();
  }
  Repeat(weather_.crash, [this] { CrashOne(); });
  Repeat(weather_.outage, [this] { CrashAll(); });
  Repeat(weather_.pause, [this] {
    HostNode& node = AnyNode();
    if (node.running()) node.PauseUntil(loop_.now() + UpTo(absl::Seconds(3)));
  });
  Repeat(weather_.cut, [this] { network_->CutOrMend(); });
  Repeat(weather_.transfer, [this] { Transfer(); });
  Repeat(weather_.stall, [this] { Stall(); });
  Repeat(weather_.calm, [this] { Calm(); });
  if (aim_ != nullptr) aim_->Begin();
  if (members_ == nullptr) return;
  members_->Begin();
  Repeat(weather_.wish, [this] { members_->Act(); });
}

void HostSim::StartLater(HostNode& node) {
  const uint64_t kind = luck_.Below(3);
  const absl::Duration most = kind == 0   ? absl::Seconds(8)
                              : kind == 1 ? absl::Milliseconds(800)
                                          : absl::Milliseconds(60);
  loop_.After(UpTo(most), [this, &node] {
    if (node.may_start() && !healing_) node.Start();
  });
}

size_t HostSim::LostNodes() const {
  size_t count = 0;
  for (const auto& node : nodes_) count += node->damaged();
  return count;
}

bool HostSim::MayLoseDisk(const HostNode& node) const {
  if (members_ == nullptr) return 2 * (LostNodes() + 1) < nodes_.size();
  const std::set<NodeId> members = members_->Members();
  if (!members.contains(node.id()) || !members_->Unsettled().empty()) return false;
  size_t lost = 1;
  for (const NodeId member : members) lost += nodes_[member.value() - 1]->damaged();
  return 2 * lost < members.size();
}

// Half of the crashes come between two steps of the disk, wherever the node then is.
void HostSim::CrashOne() {
  HostNode& node = AnyNode();
  if (!node.running()) {
    if (node.may_start()) StartLater(node);
    return;
  }
  if (luck_.OneIn(2)) {
    const bool took_effect = luck_.OneIn(2);
    const uint64_t steps = luck_.Below(12);
    node.disk().FailAt(steps, took_effect);
    return StartLater(node);  // If it has crashed by then.
  }
  node.Crash();
  if (weather_.may_lose_disks && luck_.OneIn(6) && MayLoseDisk(node)) {
    luck_.OneIn(2) ? node.LoseDisk() : node.LoseDiskAndWitness();
  }
  StartLater(node);
}

void HostSim::CrashAll() {
  for (const auto& node : nodes_) {
    if (node->running()) node->Crash();
    if (node->may_start()) StartLater(*node);
  }
}

void HostSim::Stall() {
  HostNode& node = AnyNode();
  const NodePace usual = paces_[node.id()];
  (luck_.OneIn(2) ? node.pace().disk_max : node.pace().apply_max) = kStallMax;
  loop_.After(UpTo(absl::Seconds(5)), [this, &node, usual] {
    if (!healing_) node.pace() = usual;
  });
}

void HostSim::Calm() {
  HostNode& node = AnyNode();
  if (!node.running()) return;
  if (luck_.OneIn(2)) {
    node.StopInOrder();
    return StartLater(node);
  }
  node.host().SetMayCampaign(false);
  loop_.After(UpTo(absl::Seconds(4)), [&node, life = node.life()] {
    if (node.running() && node.life() == life) node.host().SetMayCampaign(true);
  });
}

void HostSim::Transfer() {
  const GroupId group(static_cast<uint32_t>(luck_.Below(queue_groups_ + 1)));
  HostNode* leader = workload_->Leader(group);
  if (leader == nullptr) return;
  const NodeId target = AnyNode().id();
  trace_.Note("transfer", {leader->id().value(), group.value(), target.value()});
  leader->host().TransferLeadership(group, target);
}

void HostSim::RunUntil(absl::Duration end) {
  while (checker_->error().empty() && loop_.RunOne(end)) {
    checker_->SetNow(loop_.now());
    if (loop_.events() > kEventsMax) checker_->Fail("it does not end");
  }
}

HostSimResult HostSim::Run() {
  for (const auto& node : nodes_) node->Start();
  workload_->Begin();
  BeginFaults();
  RunUntil(absl::Seconds(options_.seconds));
  if (checker_->error().empty()) Heal();
  HostSimResult result;
  result.error = checker_->error();
  result.hash = trace_.hash();
  result.events = loop_.events();
  for (uint32_t group = 0; group <= queue_groups_; ++group) {
    result.committed += checker_->committed(GroupId(group));
  }
  result.elected = checker_->elected();
  for (const auto& node : nodes_) result.crashes += node->crashes();
  result.elided = checker_->elided();
  result.installed = checker_->installed();
  result.acknowledged = checker_->acknowledged();
  result.reads = workload_->reads();
  result.lost_disks = LostNodes();
  result.found_out = greetings_->found();
  result.changes = checker_->changes();
  if (aim_ != nullptr) result.aimed = aim_->made();
  return result;
}

void HostSim::Heal() {
  trace_.Note("heals", {});
  healing_ = true;
  network_->Mend();
  network_->weather() = NetworkWeather();
  for (const auto& node : nodes_) {
    node->pace() = NodePace();
    node->disk().DontFail();
    if (node->running()) {
      node->PauseUntil(loop_.now());
      node->host().SetMayCampaign(true);
    }
  }
  // Those that are stopping come down first, each when its disk has done what it is at.
  RunUntil(loop_.now() + host_options_.commit_timeout);
  const absl::Duration down_by = loop_.now() + kStallsToStop * kStallMax;
  const auto stopping = [](const auto& node) { return node->stopping(); };
  while (std::any_of(nodes_.begin(), nodes_.end(), stopping) && loop_.now() < down_by) {
    RunUntil(loop_.now() + host_options_.tick);
  }
  for (const auto& node : nodes_) {
    if (node->may_start()) node->Start();
  }
  absl::Duration most =
      host_options_.tick * (2 * host_options_.election_ticks * kElectionsToSettle);
  if (members_ != nullptr) most += kMembersToSettle;
  const auto led = [this] {
    for (uint32_t group = 0; group <= queue_groups_; ++group) {
      if (workload_->Leader(GroupId(group)) == nullptr) return false;
    }
    return true;
  };
  RunUntil(led, most, "a healed group has no leader");
  RunUntil(loop_.now() + absl::Seconds(2));  // Clients go on for a while.
  workload_->End();
  for (uint32_t group = 0; group <= queue_groups_; ++group) {
    // Who is to leave may be handing over just now.
    RunUntil([this, group] { return workload_->ProposeLast(GroupId(group)); }, most,
             format("group {} lost its leader after healing", group));
  }
  SettleWithin(most);
}

void HostSim::RunUntil(const std::function<bool()>& reached, absl::Duration most,
                       const std::string& otherwise) {
  absl::Duration end = loop_.now() + most;
  const absl::Duration last = end + kPullsToSettle;
  while (checker_->error().empty() && !reached()) {
    if (loop_.now() >= end) return checker_->Fail(otherwise + ": " + Unsettled());
    RunUntil(loop_.now() + host_options_.tick);
    if (Pulling()) end = std::min(loop_.now() + most, last);  // A voter that the leader needs.
  }
}

void HostSim::SettleWithin(absl::Duration most) {
  absl::Duration end = loop_.now() + most;
  const absl::Duration last = end + kPullsToSettle;
  std::string unsettled = Unsettled();
  while (checker_->error().empty() && !unsettled.empty() && loop_.now() < end) {
    RunUntil(loop_.now() + host_options_.tick);
    unsettled = Unsettled();
    if (Pulling()) end = std::min(loop_.now() + most, last);
  }
  if (!unsettled.empty()) checker_->Fail("a healed cluster does not settle: " + unsettled);
  std::vector<NodeId> alive;
  for (const auto& node : nodes_) {
    if (!node->lost() && !node->retired()) alive.push_back(node->id());
  }
  for (uint32_t group = 0; group <= queue_groups_ && checker_->error().empty(); ++group) {
    checker_->OnSettled(alive, GroupId(group));
  }
}

// A snapshot of many bodies comes in as small pieces as luck drew them.
bool HostSim::Pulling() const {
  for (const auto& node : nodes_) {
    if (!node->running()) continue;
    for (const raft::GroupStatus& status : node->host().Statuses()) {
      if (status.receiving_snapshot) return true;
    }
  }
  return false;
}

std::string HostSim::Unsettled() {
  std::string all;
  for (uint32_t group = 0; group <= queue_groups_; ++group) {
    const raft::LogIndex committed = checker_->committed(GroupId(group));
    for (const auto& node : nodes_) {
      if (node->lost() || node->retired()) continue;
      if (!node->running()) {
        all += format("\n  node {} is down", node->id().value());
        continue;
      }
      const raft::GroupStatus status = *node->host().Status(GroupId(group));
      const bool garbage = node->disk().now().groups.at(GroupId(group)).garbage_through.has_value();
      if (status.applied == committed && status.last == committed &&
          status.undecided_proposals == 0 && !status.receiving_snapshot && !garbage) {
        continue;
      }
      all += format(
          "\n  group {} node {}: role {} term {} leader {} commit {} applied {} last {} "
          "undecided {}, committed {}",
          group, node->id().value(), static_cast<int>(status.role), status.term,
          status.leader.value(), status.commit, status.applied, status.last,
          status.undecided_proposals, committed);
    }
  }
  if (const uint64_t count = workload_->Unanswered(); count > 0) {
    all += format("\n  {} proposals without an answer", count);
  }
  if (members_ != nullptr) all += members_->Unsettled();
  return all;
}

HostSimResult RunHostSim(const HostSimOptions& options) { return HostSim(options).Run(); }

HostSimResult RunHostSimApart(const HostSimOptions& options) {
  HostSimResult result;
  result.error = RunApart([&options] { return RunHostSim(options).error; });
  return result;
}

}  // namespace holdfast::raft_test
