#include "node/cluster/cluster_duties.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "node/peers/peer_calls.h"
#include "node/version.h"
#include "proto/command.pb.h"
#include "queue/state/command_codec.h"

namespace holdfast::node {
namespace {

constexpr absl::Duration kBalanceInterval = absl::Seconds(1);
constexpr absl::Duration kSeedInterval = absl::Milliseconds(100);
// A node that was silent for so long takes no groups.
constexpr absl::Duration kBeatLifetime = absl::Seconds(3);
// Followers that are closer to each other than this are equally fit to lead.
constexpr raft::LogIndex kEntriesBehindMax = 100;

}  // namespace

ClusterDuties::ClusterDuties(const Parts& parts, Options options)
    : parts_(parts),
      options_(std::move(options)),
      started_(parts.clock.Now()),
      placement_(options_.self, options_.shedding) {}

void ClusterDuties::Tick() {
  const std::vector<raft::GroupStatus> groups = parts_.host.Statuses();
  for (const raft::GroupStatus& group : groups) {
    const bool elsewhere = group.leader != options_.self;
    parts_.leaders.SetElsewhere(group.group, elsewhere ? group.leader : NodeId{});
  }
  parts_.room.Tick();
  FollowPolicy(groups);
  const absl::Duration now = parts_.clock.SinceBoot();
  if (now < next_balance_) return;
  next_balance_ = now + kBalanceInterval;
  LookAround(groups, now);
  if (parts_.room.alone()) return;
  FollowNodes(groups);
  if (draining() || clock_off_ || !parts_.policy.known()) {
    // Again: the first try may have failed, and others may hand a group to this node before they
    // hear that it leaves.
    HandOverLed(groups);
    return;
  }
  ChangeMembers(groups);
  Place(groups, now);
}

void ClusterDuties::FollowPolicy(const std::vector<raft::GroupStatus>& groups) {
  const bool none = parts_.policy.Current()->version() == 0;
  const bool to_seed = none && !options_.seed_policy_text.empty();
  const bool known = !none || (!to_seed && HasNoPolicy(groups));
  parts_.policy.SetKnown(known);
  parts_.health.SetPolicyPending(!known);
  if (to_seed && !clock_off_) SeedPolicy();
}

// Once it is known, an election in the control group stops nobody.
// The control group's leader knows, and says so in its beats; this node may not have heard of it
// yet.
bool ClusterDuties::HasNoPolicy(const std::vector<raft::GroupStatus>& groups) const {
  for (const NodeId node : parts_.room.nodes()) {
    const std::optional<HeardBeat> beat = parts_.room.beats().Of(node);
    if (beat && beat->beat.policy_version() > 0) return false;
  }
  if (parts_.policy.known()) return true;
  for (const raft::GroupStatus& group : groups) {
    if (group.group != kControlGroup) continue;
    return group.leading ||
           (group.leader != NodeId{} && parts_.room.beats().Of(group.leader).has_value());
  }
  return false;
}

std::optional<HeardBeat> ClusterDuties::HeardLately(NodeId node) const {
  std::optional<HeardBeat> heard = parts_.room.beats().Of(node);
  if (heard && parts_.clock.SinceBoot() - heard->heard >= kBeatLifetime) heard.reset();
  return heard;
}

void ClusterDuties::LookAround(const std::vector<raft::GroupStatus>& groups, absl::Duration now) {
  std::vector<NodeId> voters{options_.self};
  for (const raft::GroupStatus& group : groups) {
    if (group.group == kControlGroup && !group.voters.empty()) voters = group.voters;
  }
  const absl::Time wall = parts_.clock.Now();
  std::vector<VoterReport> reports;
  std::vector<absl::Duration> others_ahead;
  for (const NodeId voter : voters) {
    if (voter == options_.self) {
      const bool has_room = parts_.health.disk().Room() >= kUndeclaredBytes;
      reports.push_back({voter, true, has_room, true, parts_.load.state().overloaded});
      continue;
    }
    const std::optional<HeardBeat> heard = HeardLately(voter);
    if (!heard) {
      reports.push_back({.node = voter});
      continue;
    }
    const peer_call::Beat& beat = heard->beat;
    reports.push_back({voter, true, beat.fitness().has_room(), beat.ready() && !beat.draining(),
                       beat.fitness().overloaded()});
    // Its clock as it stood when it spoke, against ours of that moment.
    others_ahead.push_back(absl::FromUnixMicros(beat.wall_time_us()) -
                           (wall - (now - heard->heard)));
  }
  parts_.load.Judge(reports, std::move(others_ahead));
  FollowClock(parts_.load.clock_state().off);
}

void ClusterDuties::FollowClock(bool off) {
  if (std::exchange(clock_off_, off) == off) return;
  parts_.host.SetMayCampaign(!off && !draining());
  parts_.apply.Post([this, off] {
    for (auto& duties : parts_.duties) duties->SetClockOff(off);
  });
}

void ClusterDuties::Place(const std::vector<raft::GroupStatus>& groups, absl::Duration now) {
  std::map<NodeId, PeerLoad> peers;
  std::vector<ToldMove> told;
  for (const NodeId node : parts_.room.nodes()) {
    if (node == options_.self) continue;
    const std::optional<HeardBeat> heard = HeardLately(node);
    if (!heard) continue;
    peers[node] = {heard->beat.load_permille(), MayTake(node)};
    for (const peer_call::MovedGroup& moved : heard->beat.fitness().moved()) {
      told.push_back({GroupId{moved.group()}, heard->heard - absl::Milliseconds(moved.ms_ago())});
    }
  }
  const LoadState own = parts_.load.state();
  std::vector<PlacedMove> moves;
  {
    MutexLock lock(mutex_);
    for (const ToldMove& move : told) placement_.OnTold(move);
    moves = placement_.Next(groups, own, peers, now);
    for (const PlacedMove& move : moves) {
      if (move.for_load) handed_over_ = {parts_.clock.Now(), move.group, move.reason};
    }
  }
  for (const PlacedMove& move : moves) {
    if (move.for_load) parts_.metrics.load_hand_overs.Increment();
    HandOver(move.group, move.target,
             move.for_load ? format("overloaded: {}", move.reason) : move.reason);
  }
}

void ClusterDuties::SetNodes(std::vector<NodeRow> nodes, uint64_t version) {
  for (const NodeRow& row : nodes) {
    if (row.node != options_.self || !row.removed) continue;
    parts_.health.SetRemoved();
    Log(LogLevel::kWarn, "removed_from_cluster", {{"advice", "stop this node"}});
  }
  MutexLock lock(mutex_);
  nodes_ = std::move(nodes);
  nodes_version_ = version;
}

std::vector<NodeRow> ClusterDuties::nodes(uint64_t* version) const {
  MutexLock lock(mutex_);
  if (version != nullptr) *version = nodes_version_;
  return nodes_;
}

void ClusterDuties::FollowNodes(const std::vector<raft::GroupStatus>& groups) {
  // A node that has just joined knows no list yet, only what it was told.
  const std::optional<raft::GroupStatus> control = parts_.host.Status(kControlGroup);
  if (!control || control->applied == raft::LogIndex{}) return;
  const auto is_member = [&groups](NodeId node) {
    return std::any_of(groups.begin(), groups.end(), [node](const raft::GroupStatus& group) {
      for (const auto* list : {&group.voters, &group.learners, &group.voters_outgoing}) {
        if (std::find(list->begin(), list->end(), node) != list->end()) return true;
      }
      return false;
    });
  };
  std::vector<PeerChange> changes;
  for (const NodeRow& row : nodes()) {
    const bool out = row.removed && !is_member(row.node);
    // A first node has no address but the node file's.
    if (out || !row.address.empty()) changes.push_back({row.node, out, row.address});
  }
  parts_.room.SetNodes(changes);
}

bool ClusterDuties::LeftQueueGroups(NodeId node,
                                    const std::vector<raft::GroupStatus>& groups) const {
  // By what leaders say: here, and in the beats of others.
  std::set<uint32_t> without;
  for (const raft::GroupStatus& group : groups) {
    if (group.leading && !group.members.contains(node)) without.insert(group.group.value());
  }
  for (const auto& [teller, heard] : parts_.room.beats().All()) {
    if (parts_.clock.SinceBoot() - heard.heard >= kBeatLifetime) continue;
    for (const peer_call::LedGroup& group : heard.beat.groups()) {
      const auto& members = group.members();
      const bool has = std::any_of(members.begin(), members.end(), [node](const auto& member) {
        return member.node_id() == node.value();
      });
      if (!has) without.insert(group.group());
    }
  }
  without.erase(kControlGroup.value());
  return without.size() >= parts_.queue_groups;
}

void ClusterDuties::RecordReplaced(const raft::GroupStatus& control,
                                   const std::vector<NodeRow>& wanted) {
  const std::optional<NodeId> replaced =
      Replaced(wanted, [&control](NodeId node) { return control.members.contains(node); });
  if (!replaced || recording_.exchange(true)) return;
  command::Command command;
  command::RemoveNode& remove = *command.mutable_remove_node();
  remove.set_node_id(replaced->value());
  remove.set_actor("cluster join");
  remove.set_reason("replaced");
  remove.set_stamped_us(absl::ToUnixMicros(parts_.clock.Now()));
  absl::StatusOr<std::string> bytes = queue::EncodeCommand(std::move(command));
  HOLDFAST_CHECK(bytes.ok()) << bytes.status();
  parts_.host.Propose(kControlGroup, {*std::move(bytes), {}},
                      [this](const raft::ProposeResult&) { recording_.store(false); });
}

void ClusterDuties::ChangeMembers(const std::vector<raft::GroupStatus>& groups) {
  const std::vector<NodeRow> wanted = nodes();
  if (wanted.empty()) return;
  for (const raft::GroupStatus& group : groups) {
    if (!group.leading) continue;
    const bool is_control = group.group == kControlGroup;
    const MemberRules rules{
        [&](NodeId node) { return !is_control || LeftQueueGroups(node, groups); },
        [&](NodeId node) {
          return is_control || std::any_of(groups.begin(), groups.end(), [&](const auto& one) {
                   return one.group == kControlGroup && IsMember(node, one);
                 });
        }};
    if (is_control) RecordReplaced(group, wanted);
    const std::optional<MemberStep> step = NextMemberStep(group, options_.self, wanted, rules);
    if (!step) continue;
    if (step->leave_first) {
      const NodeId target = BestFollower(group, /*willing_only=*/false);
      if (target != NodeId{}) HandOver(group.group, target, step->what);
      continue;
    }
    {
      MutexLock lock(mutex_);
      if (!changing_.insert(group.group).second) continue;
    }
    Log(LogLevel::kInfo, "members_change", {{"group", group.group.value()}, {"what", step->what}});
    parts_.host.ProposeConfChange(
        group.group, step->change,
        [this, id = group.group, what = step->what](const raft::ProposeResult& result) {
          if (!result.status.ok()) {
            Log(LogLevel::kWarn, "members_not_changed",
                {{"group", id.value()}, {"what", what}, {"reason", Message(result.status)}});
          }
          MutexLock lock(mutex_);
          changing_.erase(id);
        });
  }
}

bool ClusterDuties::Refuses(NodeId node) const {
  const std::optional<HeardBeat> heard = HeardLately(node);
  return heard && (heard->beat.draining() || heard->beat.fitness().clock_off());
}

bool ClusterDuties::MayTake(NodeId node) const {
  for (const NodeRow& row : nodes()) {
    if (row.removed ? row.node == node : row.replaces == node) return false;
  }
  const std::optional<HeardBeat> heard = HeardLately(node);
  if (!heard || heard->beat.draining()) return false;
  // It has not heard of the policy, so it attempts nothing.
  const bool expects_one = parts_.policy.Current()->version() > 0 || !parts_.policy.known();
  if (heard->beat.policy_version() == 0 && expects_one) return false;
  const peer_call::Fitness& fitness = heard->beat.fitness();
  return !fitness.overloaded() && !fitness.recovering() && !fitness.clock_off();
}

void ClusterDuties::HandOver(GroupId group, NodeId target, std::string_view reason) {
  Log(LogLevel::kInfo, "hand_over",
      {{"group", group.value()}, {"to", target.value()}, {"reason", reason}});
  if (group == kControlGroup) {
    parts_.host.TransferLeadership(group, target);
    return;
  }
  GroupDuties* const duties = parts_.duties.at(group.value() - 1).get();
  parts_.apply.Post([duties, target] { duties->HandOver(target); });
}

absl::Status ClusterDuties::HandOverOnRequest(GroupId group, NodeId target,
                                              std::string_view reason) {
  const std::optional<raft::GroupStatus> status = parts_.host.Status(group);
  const bool fit =
      status && status->role == raft::Role::kLeader && target != options_.self &&
      std::find(status->voters.begin(), status->voters.end(), target) != status->voters.end();
  if (!fit) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      "node {} does not lead group {}, or node {} is no other voter of it",
                      options_.self.value(), group.value(), target.value());
  }
  {
    MutexLock lock(mutex_);
    placement_.OnMoved(group, parts_.clock.SinceBoot());
  }
  HandOver(group, target, reason);
  return absl::OkStatus();
}

NodeId ClusterDuties::BestFollower(const raft::GroupStatus& group, bool willing_only) const {
  raft::LogIndex best{};
  for (const auto& [node, member] : group.members) {
    if (node != options_.self && member.active && !member.learner) {
      best = std::max(best, member.match);
    }
  }
  std::vector<NodeId> fit;
  std::vector<NodeId> willing;
  for (const NodeId voter : group.voters) {
    const auto member = group.members.find(voter);
    if (voter == options_.self || member == group.members.end()) continue;
    if (!member->second.active || member->second.match + kEntriesBehindMax < best) continue;
    if (Refuses(voter)) continue;
    fit.push_back(voter);
    if (MayTake(voter)) willing.push_back(voter);
  }
  // Rather one that is loaded, or is to be replaced, than none.
  const std::vector<NodeId>& choice = willing.empty() && !willing_only ? fit : willing;
  if (choice.empty()) return NodeId{};
  // At home it need not move again.
  const NodeId home = HomeOf(group.group, group.voters);
  if (std::find(choice.begin(), choice.end(), home) != choice.end()) return home;
  return choice[group.group.value() % choice.size()];
}

void ClusterDuties::HandOverLed(const std::vector<raft::GroupStatus>& groups) {
  for (const raft::GroupStatus& group : groups) {
    if (group.role != raft::Role::kLeader || group.handing_over) continue;
    const bool leaves = draining() || clock_off_;
    const NodeId target = BestFollower(group, /*willing_only=*/!leaves);
    if (target == NodeId{}) continue;
    HandOver(group.group, target,
             draining()   ? "this node leaves"
             : clock_off_ ? "this node's clock is off"
                          : "this node has not got the cluster's policy");
  }
}

void ClusterDuties::HandOverAll() {
  draining_.store(true);
  parts_.host.SetMayCampaign(false);
  HandOverLed(parts_.host.Statuses());
}

void ClusterDuties::TakePartAgain() {
  draining_.store(false);
  parts_.host.SetMayCampaign(!parts_.load.clock_state().off);
}

bool ClusterDuties::LeadsAnything() const {
  for (const raft::GroupStatus& group : parts_.host.Statuses()) {
    if (group.role == raft::Role::kLeader || group.handing_over) return true;
  }
  return false;
}

void ClusterDuties::SeedPolicy() {
  const absl::Duration now = parts_.clock.SinceBoot();
  if (now < next_seed_ || seeding_.exchange(true)) return;
  next_seed_ = now + kSeedInterval;
  command::Command command;
  command::SetPolicy& set = *command.mutable_set_policy();
  // Version 0 is expected: of two nodes that seed, one does.
  set.set_policy_text(options_.seed_policy_text);
  set.set_actor("policy_file");
  set.set_comment(format("seeded from {}", options_.seed_policy_file));
  set.set_stamped_us(absl::ToUnixMicros(parts_.clock.Now()));
  absl::StatusOr<std::string> bytes = queue::EncodeCommand(std::move(command));
  HOLDFAST_CHECK(bytes.ok()) << bytes.status();
  // To whoever leads: it may be a node without a policy file.
  parts_.propose(kControlGroup, {*std::move(bytes), {}}, [this](const raft::ProposeResult& result) {
    // Another node was first, or nobody leads yet.
    const bool usual =
        result.status.ok() || absl::IsAborted(result.status) || absl::IsUnavailable(result.status);
    if (!usual) Log(LogLevel::kWarn, "policy_not_seeded", {{"reason", Message(result.status)}});
    seeding_.store(false);
  });
}

void ClusterDuties::FillMoves(peer_call::Beat* beat) const {
  const absl::Duration now = parts_.clock.SinceBoot();
  MutexLock lock(mutex_);
  for (const ToldMove& move : placement_.Recent(now)) {
    peer_call::MovedGroup& moved = *beat->mutable_fitness()->add_moved();
    moved.set_group(move.group.value());
    moved.set_ms_ago(static_cast<uint32_t>(absl::ToInt64Milliseconds(now - move.at)));
  }
  if (!handed_over_) return;
  beat->set_handed_over_us(absl::ToUnixMicros(handed_over_->at));
  beat->set_handed_over_group(handed_over_->group.value());
  beat->set_handed_over_reason(handed_over_->reason.substr(0, kBeatTextBytesMax));
}

peer_call::Beat ClusterDuties::MakeBeat() const {
  peer_call::Beat beat;
  beat.set_node_id(options_.self.value());
  beat.set_hostname(options_.hostname);
  for (const NodeRow& row : nodes()) {
    if (row.node == options_.self && !row.removed) beat.set_address(row.address);
  }
  beat.set_version(kVersion);
  beat.set_feature_level_min(parts_.level.build().min);
  beat.set_feature_level_max(parts_.level.build().max);
  beat.set_started_us(absl::ToUnixMicros(started_));
  beat.set_wall_time_us(absl::ToUnixMicros(parts_.clock.Now()));
  const absl::Status ready = parts_.health.MayAccept();
  beat.set_ready(ready.ok());
  if (!ready.ok()) {
    beat.set_not_ready_reason(std::string(Message(ready).substr(0, kBeatTextBytesMax)));
  }
  beat.set_draining(draining());
  parts_.load.FillBeat(&beat);
  FillMoves(&beat);
  beat.set_disk_free_bytes(parts_.health.disk().free_bytes());
  beat.set_disk_reserve_bytes(parts_.health.disk().reserve_bytes());
  beat.set_messages_accepted(parts_.metrics.accepted.value());
  beat.set_recipients_delivered(parts_.metrics.delivered.value());
  beat.set_attempts_running(
      static_cast<uint32_t>(std::max<int64_t>(parts_.metrics.attempts_running.value(), 0)));
  beat.set_policy_version(parts_.policy.Current()->version());
  for (const raft::GroupStatus& status : parts_.host.Statuses()) {
    if (!status.leading) continue;
    peer_call::LedGroup& group = *beat.add_groups();
    group.set_group(status.group.value());
    group.set_term(status.term);
    group.set_commit(status.commit);
    group.set_last(status.last);
    for (const auto& [node, member] : status.members) {
      peer_call::Member& one = *group.add_members();
      one.set_node_id(node.value());
      one.set_match(member.match);
      one.set_active(member.active);
      one.set_learner(member.learner);
    }
  }
  return beat;
}

}  // namespace holdfast::node
