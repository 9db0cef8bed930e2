#include "tests/sim/node_sim.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "base/check.h"
#include "base/text.h"
#include "smtp/stream/timer.h"
#include "tests/raft/apart.h"

namespace holdfast::raft_test {
namespace {

// When everything is well again mail may take so long: retries, expiry, notices, which wait for no
// longer than 10 minutes.
constexpr absl::Duration kSettleMax = absl::Seconds(900);
// A new connection and a transaction, each step answered after up to 300 ms, and two commits.
constexpr absl::Duration kDeliveryMax = absl::Seconds(4);
// Then what faults left behind is over: the longest wait of an attempt is for its dot's answer.
constexpr absl::Duration kCalmDown = absl::Seconds(10);
constexpr uint64_t kEventsMax = 20'000'000;
// What was wished of members: some steps for each, one a second, and snapshots.
constexpr absl::Duration kMembersToSettle = absl::Seconds(120);
// Wall time at the beginning.
constexpr absl::Time kBegan = absl::FromUnixSeconds(1'800'000'000);

std::string NotesDirectory() {
  const char* base = std::getenv("TEST_TMPDIR");
  std::string pattern = format("{}/nodesim.XXXXXX", base == nullptr ? "/tmp" : base);
  HOLDFAST_CHECK(mkdtemp(pattern.data()) != nullptr) << pattern;
  return pattern;
}

}  // namespace

NodeSim::NodeSim(const NodeSimOptions& options)
    : options_(options),
      luck_(options.seed),
      trace_(loop_, options.trace),
      timers_(loop_, absl::Seconds(1'000'000)),
      members_luck_(options.seed ^ 0x6D656D62657273),
      levels_luck_(options.seed ^ 0x6C6576656C73),
      wipe_luck_(options.seed ^ 0x77697065),
      disk_luck_(options.seed ^ 0x6469736B73),
      clock_luck_(options.seed ^ 0x636C6F636B73) {
  smtp::TimerClock::Simulate(&timers_);
  DrawMembers();
  const uint64_t count = DrawNodes();
  for (uint64_t node = 1; node <= count; ++node) voters_.push_back(NodeId(node));
  const auto image = [this](NodeId node) -> HostNode& { return *nodes_[node.value() - 1]; };
  checker_ = std::make_unique<HostChecker>(
      voters_, [image](NodeId node) -> const raft::SimImage& { return image(node).durable(); },
      [image](NodeId node) -> const raft::SimImage& { return image(node).disk().now(); });
  mail_checker_ = std::make_unique<MailChecker>(
      MailChecker::Reports{
          [this](const std::string& what) { checker_->Fail(what); },
          [this](const raft::BodyKey& body, raft::LogIndex by) { checker_->OnEnded(body, by); }},
      options.mutation == node::NodeMutation::kOutcomeTwice ? queue::QueueMutation::kOutcomeTwice
                                                            : queue::QueueMutation::kNone);
  remotes_ = std::make_unique<MailRemotes>(loop_, trace_, luck_, *mail_checker_);
  remotes_->OnConnect([this](uint64_t open) { CheckConnections(open); });
  DrawRemotes();
  DrawHostOptions();
  DrawWeather();
  cluster_ = std::make_unique<MailCluster>(*mail_checker_, *remotes_);
  cluster_->queue_groups = static_cast<uint32_t>(luck_.Between(1, 3));
  cluster_->timing.tick = host_options_.tick;
  cluster_->timing.election_min = host_options_.tick * host_options_.election_ticks;
  cluster_->timing.commit_timeout = host_options_.commit_timeout;
  cluster_->policy_text = DrawPolicy();
  cluster_->notes_directory = NotesDirectory();
  cluster_->mutation = options.mutation;
  if (luck_.OneIn(3))
    cluster_->submission_memory_bytes = uint64_t{64 * 1024} * luck_.Between(2, 40);
  auto tls = smtp::TlsContext::LoadClient({.verify = false, .roots_file = {}});
  HOLDFAST_CHECK(tls.ok()) << tls.status();
  cluster_->tls = *std::move(tls);
  node::AttemptSettings& attempts = cluster_->attempts;
  attempts.connections_max = static_cast<uint32_t>(luck_.OneIn(3) ? luck_.Between(1, 5) : 50);
  attempts.connect_timeout = absl::Seconds(3);
  attempts.greeting_timeout = absl::Seconds(5);
  attempts.command_timeout = absl::Seconds(5);
  attempts.data_timeout = absl::Seconds(5);
  attempts.block_timeout = absl::Seconds(5);
  attempts.final_dot_timeout = absl::Seconds(static_cast<int64_t>(luck_.Between(3, 8)));
  MakeNodes(count);
  if (members_change_) BeginMembers();
  BeginLevels();
  network_->SetApart([this](NodeId a, NodeId b) {
    return (members_ != nullptr && members_->Apart(a, b)) ||
           (levels_ != nullptr && levels_->Apart(a, b));
  });
  DrawWipes();
  DrawBadDisks();
  clocks_drift_ = options.seed >= NodeSimOptions::kDriftFromSeed && clock_luck_.OneIn(3);
  if (clocks_drift_) cluster_->timers = &timers_;
}

void NodeSim::DrawMembers() {
  using Members = NodeSimOptions::Members;
  const bool drawn = options_.seed >= NodeSimOptions::kMembersFromSeed && members_luck_.OneIn(2);
  members_change_ =
      options_.members == Members::kChange || (options_.members == Members::kBySeed && drawn);
}

uint64_t NodeSim::DrawNodes() {
  if (options_.nodes > 0) return static_cast<uint64_t>(options_.nodes);
  const uint64_t count = luck_.OneIn(3) ? luck_.Between(4, 5) : 3;
  if (!members_change_) return count;
  if (members_luck_.OneIn(15)) return 7;
  return members_luck_.OneIn(3) ? 5 : count;
}

NodeSim::~NodeSim() {
  nodes_.clear();
  rmdir(cluster_->notes_directory.c_str());
  smtp::TimerClock::Simulate(nullptr);
}

void NodeSim::MakeNodes(uint64_t count) {
  network_ = std::make_unique<HostNetwork>(Shared());
  std::vector<HostNode*> all;
  for (uint64_t number = 1; number <= count; ++number) all.push_back(&AddNode(voters_, voters_));
  faults_ = std::make_unique<MailFaults>(Shared(), all, options_.seed);
  cluster_->on_intent = [this](HostNode& node, GroupId group) { faults_->OnIntent(node, group); };
  clients_ = std::make_unique<MailClients>(Shared(), *mail_checker_, std::move(all),
                                           remotes_->destinations(), luck_.Next());
  clients_->weather().pause_max =
      absl::Milliseconds(static_cast<int64_t>(luck_.OneIn(4) ? 100 : luck_.Between(200, 1000)));
  Random size_luck(options_.seed ^ 0x73697A6573);
  if (options_.seed < NodeSimOptions::kLargeMailFromSeed || !size_luck.OneIn(10)) return;
  clients_->weather().large_in = 12;
  clients_->weather().largest_in = 2;
  cluster_->submission_memory_bytes = uint64_t{8} << 20;  // Some at once, piece by piece.
}

HostNode& NodeSim::AddNode(const std::vector<NodeId>& voters, const std::vector<NodeId>& peers) {
  raft::GroupHostOptions host_options = host_options_;
  host_options.self = NodeId(nodes_.size() + 1);
  // Each clock is so many seconds ahead; of many nodes too, all must believe each other.
  const auto number = static_cast<int64_t>(host_options.self.value());
  const absl::Time began = kBegan - absl::Seconds(number > 5 ? number - number % 5 : 0);
  nodes_.push_back(std::make_unique<HostNode>(
      Shared(), host_options, voters, cluster_->queue_groups, NetworkLinks(),
      [this, peers](HostNode& node) {
        return std::make_unique<MailNode>(node, *cluster_, peers, luck_.Next() | 1);
      },
      began));
  network_->Join(*nodes_.back());
  return *nodes_.back();
}

void NodeSim::BeginMembers() {
  const auto between = [this](uint64_t low_ms, uint64_t high_ms) {
    return absl::Milliseconds(static_cast<int64_t>(members_luck_.Between(low_ms, high_ms)));
  };
  weather_.wish = between(2000, 12'000);
  members_ = std::make_unique<MailMembers>(
      Shared(), members_luck_.Next(),
      MailMembers::Cluster{nodes_,
                           [this](const std::vector<NodeId>& peers) {
                             HostNode& node = AddNode({}, peers);
                             checker_->AddNode(node.id());
                             clients_->Join(node);
                             node.Start();
                           },
                           cluster_->queue_groups, std::max<size_t>(voters_.size(), 5)});
}

// With luck of its own, as DrawMembers().
void NodeSim::BeginLevels() {
  if (options_.seed < NodeSimOptions::kLevelsFromSeed || !levels_luck_.OneIn(2)) return;
  weather_.level = absl::Milliseconds(static_cast<int64_t>(levels_luck_.Between(100, 1000)));
  levels_ = std::make_unique<MailLevels>(Shared(), levels_luck_.Next(), *mail_checker_, nodes_,
                                         cluster_->mutation);
  cluster_->speaks = [this](NodeId node) { return levels_->SpokenBy(node); };
}

HostNode::Links NodeSim::NetworkLinks() {
  HostNode::Links links;
  links.send = [this](HostNode& from, NodeId to, GroupId group, raft::Message message) {
    network_->Send(from, to, group, std::move(message));
  };
  links.fetch = [this](HostNode& from, NodeId peer, std::string request,
                       std::shared_ptr<raft::FetchSink> sink) {
    network_->Fetch(from, peer, std::move(request), std::move(sink));
  };
  links.call = [this](HostNode& from, NodeId to, std::string request, absl::Duration timeout,
                      raft::CallReply done) {
    network_->Call(from, to, std::move(request), timeout, std::move(done));
  };
  links.forget = [this](NodeId node) {
    network_->Forget(node);
    remotes_->Forget(node);
  };
  return links;
}

void NodeSim::DrawHostOptions() {
  raft::GroupHostOptions& options = host_options_;
  options.tick = absl::Milliseconds(50);
  options.heartbeat_ticks = static_cast<int>(luck_.Between(2, 4));
  options.election_ticks = static_cast<int>(luck_.Between(12, 24));
  options.commit_timeout = absl::Milliseconds(static_cast<int64_t>(luck_.Between(500, 5000)));
  options.apply_batch_entries_max =
      static_cast<uint32_t>(luck_.OneIn(2) ? luck_.Between(1, 8) : 512);
  options.log_cache_bytes_max = luck_.OneIn(2) ? luck_.Below(2000) : options.log_cache_bytes_max;
  options.snapshots.bytes_per_second = 0;  // Its wait is a real one.
  options.snapshots.patience = absl::Seconds(2);
  if (luck_.OneIn(2)) {  // Short logs: who lags needs a snapshot.
    options.log_entries_kept = luck_.Between(2, 40);
    options.snapshots.log_kept_times = luck_.Between(1, 8);
    options.snapshots.rows_bytes = luck_.Between(100, 4000);
  }
}

void NodeSim::DrawWeather() {
  const auto between = [this](uint64_t low_ms, uint64_t high_ms) {
    return absl::Milliseconds(static_cast<int64_t>(luck_.Between(low_ms, high_ms)));
  };
  weather_.crash = between(1500, 12'000);
  weather_.pause = between(2000, 15'000);
  weather_.cut = between(1000, 8000);
  weather_.transfer = between(500, 8000);
  weather_.stall = between(2000, 15'000);
  weather_.outage = between(10'000, 100'000);
  weather_.policy = between(3000, 60'000);
  weather_.drain = between(5000, 60'000);
  weather_.jump = between(5000, 100'000);
  weather_.full = between(5000, 100'000);
  weather_.bad = between(10'000, 100'000);
}

void NodeSim::DrawRemotes() {
  for (uint64_t number = luck_.Between(2, 5); number > 0; --number) {
    RemoteTemper temper;
    temper.delay_max = absl::Milliseconds(static_cast<int64_t>(luck_.Between(1, 300)));
    for (uint64_t* permille :
         {&temper.refuse_connection, &temper.mute_connection, &temper.defer_recipient,
          &temper.defer_dot, &temper.reject_dot, &temper.hang_up, &temper.vanish, &temper.stall,
          &temper.tarpit, &temper.unknown_name}) {
      if (luck_.OneIn(3)) *permille = luck_.Below(200);
    }
    remotes_->Add(temper);
  }
  RemoteTemper senders;  // Notices must get there.
  senders.defer_recipient = luck_.Below(200);
  senders.vanish = luck_.Below(100);
  remotes_->Add(senders);
}

std::string NodeSim::DrawPolicy() {
  const uint64_t limit = luck_.OneIn(3) ? 20 : luck_.Between(1, 6);
  limit_max_ = std::max(limit_max_, limit);
  return format(
      "mail_name: \"relay.test\"\n"
      "retry {{ waits: \"{}s\" waits: \"{}s\" expiry: \"{}s\" null_sender_expiry: \"10m\" }}\n"
      "outbound {{ tls: TLS_NONE }}\n"
      "in_doubt {{ wait: \"{}s\" }}\n"
      "replays {{ remember_for: \"15m\" }}\n"
      "limits {{ connections_per_destination_max: {} }}\n",
      luck_.Between(1, 2), luck_.Between(2, 6), luck_.Between(15, 60), luck_.Between(4, 8), limit);
}

// docs/decisions/017. Where there are fewer than nodes, each uses one connection when it is cut
// off.
void NodeSim::CheckConnections(uint64_t open) {
  const auto connects = [](const auto& node) { return !node->lost() && !node->retired(); };
  const auto nodes = std::count_if(nodes_.begin(), nodes_.end(), connects);
  const uint64_t limit = std::max<uint64_t>(limit_max_, static_cast<uint64_t>(nodes));
  if (open <= limit + (limit + 9) / 10) return;
  std::string shares;
  for (const auto& node : nodes_) {
    if (node->running()) shares += static_cast<MailNode&>(node->inside()).Shares();
  }
  checker_->Fail(
      format("{} connections are open at a destination that takes {}:{}", open, limit, shares));
}

void NodeSim::ChangePolicy() {
  HostNode& node = AnyNode();
  if (!node.running()) return;
  trace_.Note("policy", {node.id().value()});
  static_cast<MailNode&>(node.inside()).ApplyPolicy(DrawPolicy());
}

void NodeSim::DrainOne() {
  HostNode& node = AnyNode();
  if (!node.running()) return;
  trace_.Note("drains", {node.id().value()});
  static_cast<MailNode&>(node.inside()).Drain();
  loop_.After(UpTo(absl::Seconds(5)), [&node, life = node.life()] {
    if (node.life() == life) static_cast<MailNode&>(node.inside()).TakePartAgain();
  });
}

// Mostly by less than peers refuse each other for.
void NodeSim::JumpClock() {
  HostNode& node = AnyNode();
  absl::Duration by = UpTo(luck_.OneIn(4) ? absl::Minutes(3) : absl::Seconds(20));
  if (luck_.OneIn(2)) by = -by;
  trace_.Note("clock", {node.id().value(), static_cast<uint64_t>(absl::ToInt64Milliseconds(by))});
  node.JumpClock(by);
  loop_.After(UpTo(absl::Seconds(8)), [&node, by] { node.JumpClock(-by); });
}

void NodeSim::FillDisk() {
  HostNode& node = AnyNode();
  if (!node.running()) return;
  trace_.Note("full", {node.id().value()});
  static_cast<MailNode&>(node.inside()).SetFreeBytes(luck_.Below(100'000));
  loop_.After(UpTo(absl::Seconds(6)), [&node, life = node.life()] {
    if (node.life() != life) return;
    static_cast<MailNode&>(node.inside()).SetFreeBytes(uint64_t{1} << 40);
  });
}

// It refuses writes in this life and soon in each of the next ones.
void NodeSim::SpoilDisk() {
  HostNode& node = AnyNode();
  for (int time = 0; time < 4; ++time) {
    loop_.After(absl::Seconds(2 * time), [this, &node] {
      if (healing_) return;
      if (node.may_start()) node.Start();
      if (node.running()) node.disk().FailAt(luck_.Below(4), /*takes_effect=*/false);
    });
  }
}

absl::Duration NodeSim::UpTo(absl::Duration most) {
  return most * (static_cast<double>(luck_.Below(10'000)) / 10'000.0);
}

void NodeSim::Repeat(absl::Duration mean, std::function<void()> fault) {
  RepeatBy(luck_, mean, std::move(fault));
}

void NodeSim::RepeatBy(Random& luck, absl::Duration mean, std::function<void()> fault) {
  if (mean == absl::InfiniteDuration()) return;
  const double wait = -std::log(1.0 - static_cast<double>(luck.Below(10'000)) / 10'001.0);
  loop_.After(mean * wait, [this, &luck, mean, fault = std::move(fault)] {
    if (healing_) return;
    fault();
    RepeatBy(luck, mean, fault);
  });
}

void NodeSim::BeginFaults() {
  NetworkWeather& network = network_->weather();
  network.lose_permille = luck_.OneIn(3) ? 0 : luck_.Below(100);
  network.repeat_permille = luck_.OneIn(3) ? 0 : luck_.Below(100);
  network.late_permille = luck_.OneIn(3) ? 0 : luck_.Below(50);
  for (const auto& node : nodes_) {
    node->pace().disk_max = absl::Milliseconds(static_cast<int64_t>(luck_.Between(1, 40)));
    if (luck_.OneIn(4)) node->pace().apply_max = absl::Milliseconds(30);
  }
  Repeat(weather_.crash, [this] { CrashOne(); });
  Repeat(weather_.outage, [this] {
    for (const auto& node : nodes_) {
      if (node->running()) node->Crash();
      StartLater(*node);
    }
  });
  Repeat(weather_.pause, [this] {
    HostNode& node = AnyNode();
    if (node.running()) node.PauseUntil(loop_.now() + UpTo(absl::Seconds(3)));
  });
  Repeat(weather_.cut, [this] { network_->CutOrMend(); });
  Repeat(weather_.transfer, [this] { Transfer(); });
  Repeat(weather_.stall, [this] { Stall(); });
  Repeat(weather_.policy, [this] { ChangePolicy(); });
  Repeat(weather_.drain, [this] { DrainOne(); });
  Repeat(weather_.jump, [this] { JumpClock(); });
  Repeat(weather_.full, [this] { FillDisk(); });
  Repeat(weather_.bad, [this] { SpoilDisk(); });
  faults_->Begin();
  BeginBadDisks();
  if (clocks_drift_) DriftClocks();
  RepeatBy(wipe_luck_, weather_.wipe, [this] { WipeOne(); });
  RepeatBy(levels_luck_, weather_.level, [this] { levels_->Act(); });
  if (members_ == nullptr) return;
  members_->Begin();
  RepeatBy(members_luck_, weather_.wish, [this] { members_->Act(); });
}

void NodeSim::StartLater(HostNode& node) {
  loop_.After(UpTo(luck_.OneIn(3) ? absl::Seconds(10) : absl::Milliseconds(800)), [this, &node] {
    if (node.may_start() && !healing_) node.Start();
  });
}

void NodeSim::CrashOne() {
  HostNode& node = AnyNode();
  if (!node.running()) return StartLater(node);
  if (luck_.OneIn(2)) {
    node.disk().FailAt(luck_.Below(12), luck_.OneIn(2));
  } else {
    node.Crash();
  }
  StartLater(node);
}

void NodeSim::Stall() {
  HostNode& node = AnyNode();
  const NodePace usual = node.pace();
  (luck_.OneIn(2) ? node.pace().disk_max : node.pace().apply_max) = absl::Milliseconds(500);
  loop_.After(UpTo(absl::Seconds(4)), [this, &node, usual] {
    if (!healing_) node.pace() = usual;
  });
}

// As ClusterDuties::HandOverOnRequest() has it.
bool NodeSim::MayLead(HostNode& leader, GroupId group, NodeId target) const {
  const std::vector<NodeId> voters = leader.host().Status(group)->voters;
  return target != leader.id() && nodes_[target.value() - 1]->running() &&
         std::find(voters.begin(), voters.end(), target) != voters.end();
}

// Half of them as an operator's drain does it, half as Raft alone would.
void NodeSim::Transfer() {
  const GroupId group(static_cast<uint32_t>(luck_.Between(1, cluster_->queue_groups)));
  const NodeId target = AnyNode().id();
  for (const auto& node : nodes_) {
    if (!node->running()) continue;
    auto& mail = static_cast<MailNode&>(node->inside());
    if (!mail.leads(group) || node->id() == target) continue;
    trace_.Note("transfer", {node->id().value(), group.value(), target.value()});
    if (luck_.OneIn(2)) {
      if (members_ != nullptr && !MayLead(*node, group, target)) continue;
      mail.HandOver(group, target);
    } else {
      node->host().TransferLeadership(group, target);
    }
  }
}

void NodeSim::RunUntil(absl::Duration end) {
  while (checker_->error().empty() && loop_.RunOne(end)) {
    checker_->SetNow(loop_.now());
    if (loop_.events() > kEventsMax) checker_->Fail("it does not end");
  }
}

void NodeSim::Heal() {
  trace_.Note("heals", {});
  healing_ = true;
  faults_->End();
  network_->Mend();
  network_->weather() = NetworkWeather();
  remotes_->Heal();
  if (levels_ != nullptr) levels_->Finish();
  for (const auto& node : nodes_) {
    node->pace() = NodePace();
    node->SetClockRate(1);
    node->disk().DontFail();
    if (node->damaged()) node->EndDoomed();
    if (node->running()) {
      node->PauseUntil(loop_.now());
    } else if (node->may_start()) {
      node->Start();
    }
  }
  if (members_ != nullptr) SettleMembers();
  RunUntil(loop_.now() + kCalmDown);  // Clients go on for a while.
  HandOverInOrder();
  HandOverBeyondDots();
  clients_->End();
  Settle();
}

// What was wished comes to its end, and in half of the seeds lost disks are replaced.
void NodeSim::SettleMembers() {
  members_->Finish(/*lost_too=*/members_luck_.OneIn(2));
  const absl::Duration end = loop_.now() + kMembersToSettle;
  std::string unsettled = members_->Unsettled();
  while (checker_->error().empty() && !unsettled.empty() && loop_.now() < end) {
    RunUntil(loop_.now() + absl::Seconds(1));
    unsettled = members_->Unsettled();
  }
  if (!unsettled.empty()) checker_->Fail("members do not settle: " + unsettled);
}

// An operator moves leaders about in a cluster that is well, and drains a node.
void NodeSim::HandOverInOrder() {
  mail_checker_->OnOrder();
  remotes_->SlowDown(absl::Milliseconds(300));  // So that more of their answers are on the way.
  for (int move = 0; move < 8; ++move) {
    const GroupId group(static_cast<uint32_t>(luck_.Between(1, cluster_->queue_groups)));
    const NodeId target = AnyNode().id();
    for (const auto& node : nodes_) {
      if (!node->running()) continue;
      auto& mail = static_cast<MailNode&>(node->inside());
      if (mail.leads(group) && MayLead(*node, group, target)) mail.HandOver(group, target);
    }
    RunUntil(loop_.now() + UpTo(absl::Seconds(2)));
  }
  HostNode* one = &AnyNode();
  while (!one->running()) one = &AnyNode();
  auto& drained = static_cast<MailNode&>(one->inside());
  drained.Drain();
  RunUntil(loop_.now() + absl::Seconds(2));
  drained.TakePartAgain();
}

// A hand-over waits no longer than a second for the answers to dots. From here on they take longer,
// so that whoever leads next finds open intents of a node that is well, and its outcomes come late.
void NodeSim::HandOverBeyondDots() {
  remotes_->SlowDots(absl::Milliseconds(1700));
  for (int move = 0; move < 4; ++move) {
    RunUntil(loop_.now() + absl::Milliseconds(1500) + UpTo(absl::Seconds(1)));
    for (const auto& node : nodes_) {
      if (!node->running()) continue;
      auto& mail = static_cast<MailNode&>(node->inside());
      NodeId next(node->id().value() % nodes_.size() + 1);
      while (!nodes_[next.value() - 1]->running()) next = NodeId(next.value() % nodes_.size() + 1);
      for (uint32_t number = 1; number <= cluster_->queue_groups; ++number) {
        const GroupId group(number);
        if (mail.leads(group) && MayLead(*node, group, next)) mail.HandOver(group, next);
      }
    }
  }
  RunUntil(loop_.now() + absl::Seconds(2));
  remotes_->SlowDots(absl::ZeroDuration());
}

std::string NodeSim::Unsettled() {
  std::string all = mail_checker_->Unsettled();
  if (const uint64_t count = clients_->Unanswered(); count > 0) {
    all += format("\n  {} clients have no answer", count);
  }
  if (members_ != nullptr) all += members_->Unsettled();
  if (levels_ != nullptr) all += levels_->Unsettled();
  for (const auto& node : nodes_) {
    if (node->lost() || node->retired()) continue;
    if (!node->running()) {
      all += format("\n  node {} is down", node->id().value());
      continue;
    }
    all += static_cast<const MailNode&>(node->inside()).Leftovers();
    for (const GroupId group : node->groups()) {
      const raft::GroupStatus status = *node->host().Status(group);
      const raft::LogIndex committed = checker_->committed(group);
      if (status.applied == committed && !status.receiving_snapshot) continue;
      all += format("\n  group {} node {}: role {} term {} leader {} applied {}, committed {}",
                    group.value(), node->id().value(), static_cast<int>(status.role), status.term,
                    status.leader.value(), status.applied, committed);
    }
  }
  return all;
}

void NodeSim::Settle() {
  // At worst each recipient is a delivery of its own and fails, its notice is another, one node
  // leads all groups, all go to one destination, and attempts follow one another on so many
  // connections. Where these are fewer than nodes, the nodes take turns: much of the time is lost
  // between one's last connection and the next one's first.
  const double deliveries = 2.0 * static_cast<double>(mail_checker_->Open());
  uint64_t connections = cluster_->attempts.connections_max;
  uint64_t limit = std::numeric_limits<uint64_t>::max();
  uint64_t running = 0;
  for (const auto& node : nodes_) {
    if (!node->running()) continue;
    ++running;
    const auto& mail = static_cast<const MailNode&>(node->inside());
    limit = std::min<uint64_t>(limit, mail.connections_per_destination());
  }
  connections = std::min(connections, limit);
  const double in_turns = limit < running ? 3 : 1;
  const absl::Duration end =
      loop_.now() + kSettleMax +
      kDeliveryMax * (in_turns * deliveries / static_cast<double>(connections));
  std::string unsettled = Unsettled();
  while (checker_->error().empty() && !unsettled.empty() && loop_.now() < end) {
    RunUntil(loop_.now() + absl::Seconds(1));
    unsettled = Unsettled();
  }
  if (!unsettled.empty()) checker_->Fail("a healed cluster does not settle: " + unsettled);
  if (!checker_->error().empty()) return;
  mail_checker_->OnSettled();
  for (const auto& node : nodes_) {
    if (node->lost() || node->retired()) continue;
    for (uint32_t group = 1; group <= cluster_->queue_groups; ++group) {
      mail_checker_->OnSettled(GroupId(group), node->id(),
                               node->disk().now().groups.at(GroupId(group)).current_rows());
    }
  }
}

NodeSimResult NodeSim::Run() {
  for (const auto& node : nodes_) node->Start();
  clients_->Begin();
  loop_.After(absl::Seconds(3), [this] { BeginFaults(); });
  RunUntil(absl::Seconds(options_.seconds));
  if (checker_->error().empty()) Heal();
  NodeSimResult result = spoiled_;
  result.error = checker_->error();
  result.hash = trace_.hash();
  result.events = loop_.events();
  result.elected = checker_->elected();
  for (const auto& node : nodes_) result.crashes += node->crashes();
  result.sent = clients_->sent();
  result.acknowledged = mail_checker_->acknowledged();
  result.delivered = mail_checker_->delivered();
  result.failed = mail_checker_->failed();
  result.taken = remotes_->taken();
  result.repeats = mail_checker_->repeats();
  result.doubts = mail_checker_->doubts();
  result.offered_again = clients_->offered_again();
  result.empty = clients_->empty();
  result.largest = clients_->largest();
  result.changes = checker_->changes();
  for (const auto& node : nodes_) result.lost_disks += node->damaged();
  if (members_ != nullptr) result.put_back = members_->put_back();
  if (levels_ != nullptr) {
    result.installs = levels_->installs();
    result.raises = levels_->raises();
    result.raises_refused = levels_->refusals();
  }
  result.simulated_seconds = absl::ToDoubleSeconds(loop_.now());
  return result;
}

NodeSimResult RunNodeSim(const NodeSimOptions& options) { return NodeSim(options).Run(); }

NodeSimResult RunNodeSimApart(const NodeSimOptions& options) {
  NodeSimResult result;
  result.error = RunApart([&options] { return RunNodeSim(options).error; });
  return result;
}

}  // namespace holdfast::raft_test
