#include "node/cluster/cluster_duties.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "node/version.h"
#include "proto/command.pb.h"
#include "queue/state/command_codec.h"

namespace holdfast::node {
namespace {

constexpr absl::Duration kBalanceInterval = absl::Seconds(1);
// A node that was silent for so long takes no groups.
constexpr absl::Duration kBeatLifetime = absl::Seconds(3);
// Neither does one with more load than this.
constexpr uint32_t kLoadToTakePermille = 800;
// Followers that are closer to each other than this are equally fit to lead.
constexpr raft::LogIndex kEntriesBehindMax = 100;

}  // namespace

ClusterDuties::ClusterDuties(const Parts& parts, Options options)
    : parts_(parts),
      options_(std::move(options)),
      started_(parts.clock.Now()),
      balance_(options_.self, {}) {}

void ClusterDuties::Tick() {
  const std::vector<raft::GroupStatus> groups = parts_.host.Statuses();
  for (const raft::GroupStatus& group : groups) {
    const bool elsewhere = group.leader != options_.self;
    parts_.leaders.SetElsewhere(group.group, elsewhere ? group.leader : NodeId{});
  }
  parts_.room.Tick();
  const bool pending =
      !options_.seed_policy_text.empty() && parts_.policy.Current()->version() == 0;
  parts_.health.SetPolicyPending(pending);
  if (pending) SeedPolicy();
  const absl::Duration now = parts_.clock.SinceBoot();
  if (parts_.room.alone() || now < next_balance_) return;
  next_balance_ = now + kBalanceInterval;
  if (draining()) {
    // Again: the first try may have failed, and others may hand a group to this node before they
    // hear that it leaves.
    HandOverLed(groups);
    return;
  }
  const auto may_take = [this](NodeId node) { return MayTake(node); };
  for (const LeaderMove& move : balance_.Next(groups, may_take, now)) {
    HandOver(move.group, move.target, "its home is back");
  }
}

bool ClusterDuties::MayTake(NodeId node) const {
  const std::optional<HeardBeat> heard = parts_.room.beats().Of(node);
  return heard && parts_.clock.SinceBoot() - heard->heard < kBeatLifetime &&
         !heard->beat.draining() && heard->beat.load_permille() < kLoadToTakePermille;
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
  HandOver(group, target, reason);
  return absl::OkStatus();
}

NodeId ClusterDuties::BestFollower(const raft::GroupStatus& group) const {
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
    fit.push_back(voter);
    if (MayTake(voter)) willing.push_back(voter);
  }
  // Rather one that leaves too, or is loaded, than none.
  const std::vector<NodeId>& choice = willing.empty() ? fit : willing;
  if (choice.empty()) return NodeId{};
  // At home it need not move again.
  const NodeId home = HomeOf(group.group, group.voters);
  if (std::find(choice.begin(), choice.end(), home) != choice.end()) return home;
  return choice[group.group.value() % choice.size()];
}

void ClusterDuties::HandOverLed(const std::vector<raft::GroupStatus>& groups) {
  for (const raft::GroupStatus& group : groups) {
    if (group.role != raft::Role::kLeader || group.handing_over) continue;
    const NodeId target = BestFollower(group);
    if (target != NodeId{}) HandOver(group.group, target, "this node leaves");
  }
}

void ClusterDuties::HandOverAll() {
  draining_.store(true);
  parts_.host.SetMayCampaign(false);
  HandOverLed(parts_.host.Statuses());
}

void ClusterDuties::TakePartAgain() {
  parts_.host.SetMayCampaign(true);
  draining_.store(false);
}

bool ClusterDuties::LeadsAnything() const {
  for (const raft::GroupStatus& group : parts_.host.Statuses()) {
    if (group.role == raft::Role::kLeader) return true;
  }
  return false;
}

void ClusterDuties::SeedPolicy() {
  if (!parts_.control.leads() || seeding_.exchange(true)) return;
  command::Command command;
  command::SetPolicy& set = *command.mutable_set_policy();
  // Version 0 is expected: of two nodes that seed, one does.
  set.set_policy_text(options_.seed_policy_text);
  set.set_actor("policy_file");
  set.set_comment(format("seeded from {}", options_.seed_policy_file));
  set.set_stamped_us(absl::ToUnixMicros(parts_.clock.Now()));
  absl::StatusOr<std::string> bytes = queue::EncodeCommand(std::move(command));
  HOLDFAST_CHECK(bytes.ok()) << bytes.status();
  parts_.host.Propose(
      kControlGroup, {*std::move(bytes), {}}, [this](const raft::ProposeResult& result) {
        if (!result.status.ok()) {
          Log(LogLevel::kWarn, "policy_not_seeded", {{"reason", Message(result.status)}});
        }
        seeding_.store(false);
      });
}

peer_call::Beat ClusterDuties::MakeBeat() const {
  peer_call::Beat beat;
  beat.set_node_id(options_.self.value());
  beat.set_hostname(options_.hostname);
  beat.set_version(kVersion);
  beat.set_feature_level_max(kFeatureLevelMax);
  beat.set_started_us(absl::ToUnixMicros(started_));
  beat.set_wall_time_us(absl::ToUnixMicros(parts_.clock.Now()));
  const absl::Status ready = parts_.health.MayAccept();
  beat.set_ready(ready.ok());
  if (!ready.ok()) {
    beat.set_not_ready_reason(std::string(Message(ready).substr(0, kBeatTextBytesMax)));
  }
  beat.set_draining(draining());
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
