#include "node/cluster/cluster_view.h"

#include <algorithm>

#include "node/cluster/leader_balance.h"

namespace holdfast::node {
namespace {

void SetMicros(int64_t micros, google::protobuf::Timestamp* out) {
  out->set_seconds(micros / 1'000'000);
  out->set_nanos(static_cast<int32_t>(micros % 1'000'000) * 1000);
}

void FillFromBeat(const peer_call::Beat& beat, admin::ClusterNode* node) {
  node->set_hostname(beat.hostname());
  node->set_version(beat.version());
  node->set_feature_level(beat.feature_level_max());
  node->set_feature_level_min(beat.feature_level_min());
  node->set_not_ready_reason(beat.not_ready_reason());
  for (const peer_call::LedGroup& group : beat.groups()) {
    if (group.group() == 0) {
      node->set_leads_control(true);
    } else {
      node->set_groups_led(node->groups_led() + 1);
    }
  }
  node->set_load_permille(beat.load_permille());
  node->set_load_part(beat.load_part());
  node->set_overloaded(beat.fitness().overloaded());
  node->set_recovering(beat.fitness().recovering());
  node->set_load_reason(beat.fitness().load_reason());
  node->set_clock_off(beat.fitness().clock_off());
  node->set_disk_free_bytes(beat.disk_free_bytes());
  node->set_disk_reserve_bytes(beat.disk_reserve_bytes());
  node->set_messages_accepted(beat.messages_accepted());
  node->set_recipients_delivered(beat.recipients_delivered());
  node->set_policy_version(beat.policy_version());
  SetMicros(beat.started_us(), node->mutable_started());
  if (beat.handed_over_us() == 0) return;
  SetMicros(beat.handed_over_us(), node->mutable_handed_over());
  node->set_handed_over_group(beat.handed_over_group());
  node->set_handed_over_reason(beat.handed_over_reason());
}

admin::NodeState StateOf(const peer_call::Beat& beat) {
  if (beat.draining()) return admin::DRAINING;
  return beat.ready() ? admin::UP : admin::NOT_READY;
}

void FillNode(const ClusterFacts& facts, NodeId id, admin::ClusterNode* node) {
  node->set_node_id(id.value());
  node->set_address(facts.address_of(id));
  if (id == facts.self) {
    FillFromBeat(facts.own, node);
    node->set_state(StateOf(facts.own));
    node->set_heard_ms_ago(0);
    return;
  }
  const auto heard = facts.heard.find(id);
  if (heard == facts.heard.end()) {
    node->set_state(admin::SILENT);
    return;
  }
  const absl::Duration ago = facts.now - heard->second.heard;
  FillFromBeat(heard->second.beat, node);
  node->set_heard_ms_ago(
      static_cast<uint64_t>(std::max<int64_t>(absl::ToInt64Milliseconds(ago), 0)));
  // Its clock as it stood when it spoke, against ours of that moment.
  const int64_t then_us = facts.own.wall_time_us() - absl::ToInt64Microseconds(ago);
  node->set_clock_ahead_ms((heard->second.beat.wall_time_us() - then_us) / 1000);
  const bool silent = ago >= kSilentAfter;
  node->set_state(silent ? admin::SILENT : StateOf(heard->second.beat));
  if (!silent) return;
  // What it led when it was last heard from says nothing.
  node->clear_groups_led();
  node->clear_leads_control();
}

// What the group's leader said last; null: not heard from lately.
const peer_call::LedGroup* LedBy(const ClusterFacts& facts, NodeId leader, GroupId group) {
  const peer_call::Beat* beat = nullptr;
  if (leader == facts.self) beat = &facts.own;
  const auto heard = facts.heard.find(leader);
  if (beat == nullptr && heard != facts.heard.end() &&
      facts.now - heard->second.heard < kSilentAfter) {
    beat = &heard->second.beat;
  }
  if (beat == nullptr) return nullptr;
  for (const peer_call::LedGroup& one : beat->groups()) {
    if (one.group() == group.value()) return &one;
  }
  return nullptr;
}

}  // namespace

void FillClusterStatus(const ClusterFacts& facts, admin::ClusterStatusResponse* response) {
  response->set_cluster_id(facts.cluster_id);
  response->set_node_id(facts.self.value());
  response->set_feature_level(facts.level);
  response->set_feature_level_possible(facts.level_possible);
  for (const NodeId node : facts.nodes) FillNode(facts, node, response->add_nodes());
  for (const raft::GroupStatus& status : facts.groups) {
    admin::ClusterGroup& group = *response->add_groups();
    group.set_group(status.group.value());
    group.set_leader_node_id(status.leader.value());
    group.set_home_node_id(HomeOf(status.group, status.voters).value());
    group.set_term(status.term);
    group.set_commit_index(status.commit);
    if (status.group != kControlGroup) {
      group.set_messages(facts.messages_in(status.group));
      group.set_state_version(facts.state_version_in(status.group));
    }
    const peer_call::LedGroup* const led = LedBy(facts, status.leader, status.group);
    if (led == nullptr) continue;
    for (const peer_call::Member& member : led->members()) {
      admin::ClusterMember& one = *group.add_members();
      one.set_node_id(member.node_id());
      const uint64_t match =
          member.node_id() == status.leader.value() ? led->last() : member.match();
      one.set_entries_behind(led->last() > match ? led->last() - match : 0);
      one.set_active(member.active() || member.node_id() == status.leader.value());
      one.set_learner(member.learner());
    }
  }
}

}  // namespace holdfast::node
