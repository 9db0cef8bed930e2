#include "tests/sim/host_members.h"

#include <algorithm>
#include <optional>

namespace holdfast::raft_test {
namespace {

constexpr GroupId kControl{0};
// As the product's.
constexpr absl::Duration kDutyInterval = absl::Seconds(1);
constexpr absl::Duration kBeatLifetime = absl::Seconds(3);
constexpr absl::Duration kRetireWithin = absl::Seconds(4);

node::NodeRow* Find(std::vector<node::NodeRow>& rows, NodeId node) {
  for (node::NodeRow& row : rows) {
    if (row.node == node) return &row;
  }
  return nullptr;
}

void MarkRemoved(std::vector<node::NodeRow>& rows, NodeId node) {
  node::NodeRow* row = Find(rows, node);
  if (row == nullptr) {
    rows.push_back({});
    row = &rows.back();
    row->node = node;
  }
  row->removed = true;
}

}  // namespace

HostMembers::HostMembers(const SimShared& shared, uint64_t seed, Cluster cluster)
    : shared_(shared),
      luck_(seed),
      cluster_(std::move(cluster)),
      look_{shared.loop, cluster_.nodes, cluster_.leader, cluster_.queue_groups},
      first_(MembersLook::IdsOf(cluster_.nodes)) {
  versions_.push_back({});
}

void HostMembers::Begin() {
  shared_.loop.After(kDutyInterval, [this] {
    DoDuties();
    Begin();
  });
}

std::set<NodeId> HostMembers::Members() const { return MembersLook::Members(first_, Newest()); }

const HostMembers::Rows& HostMembers::RowsOf(NodeId node) const {
  HostNode& at = Node(node);
  const auto told = told_.find(node);
  size_t version = told == told_.end() ? 0 : told->second;
  if (at.running()) {
    const std::optional<raft::GroupStatus> control = at.host().Status(kControl);
    while (control && version + 1 < versions_.size() &&
           versions_[version + 1].known_at <= control->applied) {
      ++version;
    }
  }
  return versions_[version].rows;
}

// As the product: once none of its groups has it.
bool HostMembers::CutsOff(NodeId at, NodeId other) const {
  HostNode& node = Node(at);
  if (!node.running()) return false;
  const Rows& rows = RowsOf(at);
  const bool removed = std::any_of(rows.begin(), rows.end(), [other](const node::NodeRow& row) {
    return row.node == other && row.removed;
  });
  if (!removed) return false;
  const std::vector<raft::GroupStatus> groups = node.host().Statuses();
  return std::none_of(groups.begin(), groups.end(), [other](const raft::GroupStatus& group) {
    return node::IsMember(other, group);
  });
}

void HostMembers::Decide(Rows rows) {
  versions_.push_back({shared_.checker.committed(kControl) + 1, std::move(rows)});
  cluster_.propose();
}

// The control group decides, so somebody must lead it.
void HostMembers::Act() {
  if (!look_.Led(kControl)) return;
  const uint64_t wish = luck_.Below(3);
  if (wish == 0) return Join();
  if (wish == 1) return Replace();
  Remove();
}

void HostMembers::Join() {
  if (Members().size() >= kMembersMax || cluster_.nodes.size() >= kNodesMax) return;
  HostNode& node = cluster_.add_node();
  Rows rows = Newest();
  rows.push_back({});
  rows.back().node = node.id();
  rows.back().token = "simulated";
  Decide(std::move(rows));
  told_[node.id()] = versions_.size() - 1;
  shared_.trace.Note("joins", {node.id().value()});
}

// Rather one whose disk is lost.
void HostMembers::Replace() {
  if (cluster_.nodes.size() >= kNodesMax) return;
  std::vector<NodeId> candidates;
  const std::set<NodeId> members = Members();
  for (const NodeId node : members) {
    if (Node(node).damaged()) candidates.push_back(node);
  }
  if (candidates.empty()) candidates.assign(members.begin(), members.end());
  const NodeId replaces = candidates[luck_.Below(candidates.size())];
  HostNode& node = cluster_.add_node();
  Rows rows = Newest();
  rows.push_back({});
  rows.back().node = node.id();
  rows.back().replaces = replaces;
  rows.back().token = "simulated";
  Decide(std::move(rows));
  told_[node.id()] = versions_.size() - 1;
  shared_.trace.Note("replaces", {node.id().value(), replaces.value()});
}

void HostMembers::Remove() {
  const std::set<NodeId> members = Members();
  const NodeId node =
      *std::next(members.begin(), static_cast<std::ptrdiff_t>(luck_.Below(members.size())));
  if (!look_.MayRemove(node, Newest())) return;
  Rows rows = Newest();
  MarkRemoved(rows, node);
  Decide(std::move(rows));
  shared_.trace.Note("removes", {node.value()});
}

void HostMembers::DoDuties() {
  for (size_t i = 0; i < cluster_.nodes.size(); ++i) {
    HostNode& node = *cluster_.nodes[i];
    if (node.running() && node.paused_until() <= shared_.loop.now()) DutyOf(node);
  }
  RetireThoseWhoLeft();
}

void HostMembers::DutyOf(HostNode& node) {
  const std::vector<raft::GroupStatus> groups = node.host().Statuses();
  Beat& beat = beats_[node.id()];
  beat.time = shared_.loop.now();
  beat.members.clear();
  for (const raft::GroupStatus& group : groups) {
    if (!group.leading) continue;
    for (const auto& [one, member] : group.members) beat.members[group.group].insert(one);
  }
  const Rows rows = RowsOf(node.id());
  for (const raft::GroupStatus& group : groups) {
    if (!group.leading) continue;
    if (group.group == kControl) {
      const std::optional<NodeId> replaced =
          node::Replaced(rows, [&group](NodeId one) { return group.members.contains(one); });
      if (replaced && !node::IsReplacing(*replaced, Newest())) {
        Rows next = Newest();
        MarkRemoved(next, *replaced);
        Decide(std::move(next));
      }
    }
    const bool is_control = group.group == kControl;
    const node::MemberRules may{[&](NodeId one) { return !is_control || LeftQueueGroups(one); },
                                [&](NodeId one) {
                                  return is_control ||
                                         node::IsMember(one, *node.host().Status(kControl));
                                }};
    const std::optional<node::MemberStep> step = node::NextMemberStep(group, node.id(), rows, may);
    if (!step) continue;
    if (step->leave_first) {
      HandOver(node, group);
    } else {
      Change(node, group.group, step->change);
    }
  }
}

bool HostMembers::LeftQueueGroups(NodeId node) const {
  std::set<GroupId> without;
  for (const auto& [teller, beat] : beats_) {
    if (shared_.loop.now() - beat.time >= kBeatLifetime) continue;
    for (const auto& [group, members] : beat.members) {
      if (!members.contains(node)) without.insert(group);
    }
  }
  without.erase(kControl);
  return without.size() >= cluster_.queue_groups;
}

void HostMembers::HandOver(HostNode& node, const raft::GroupStatus& group) {
  std::vector<NodeId> fit;
  for (const auto& [other, member] : group.members) {
    if (other != node.id() && member.active && !member.learner) fit.push_back(other);
  }
  if (!fit.empty()) {
    node.host().TransferLeadership(group.group, fit[luck_.Below(fit.size())]);
  }
}

void HostMembers::Change(HostNode& node, GroupId group, const raft::ConfChange& change) {
  const std::pair<NodeId, GroupId> place{node.id(), group};
  uint64_t& asked_in = changing_life_[place];
  if (asked_in == node.life()) return;  // It has no answer yet.
  asked_in = node.life();
  shared_.trace.Note("changes", {node.id().value(), group.value(), change.steps.size()});
  node.host().ProposeConfChange(
      group, change, [this, place, &node, life = node.life()](const raft::ProposeResult& result) {
        if (node.dying() || node.life() != life) return;
        shared_.trace.Note("changed", {place.first.value(), place.second.value(),
                                       static_cast<uint64_t>(result.status.code())});
        changing_life_[place] = 0;
      });
}

// Who was removed is switched off when everybody who leads says that it has gone.
void HostMembers::RetireThoseWhoLeft() {
  for (const node::NodeRow& row : Newest()) {
    if (!row.removed || retiring_.contains(row.node) || !look_.HasGone(row.node)) continue;
    retiring_.insert(row.node);
    const double share = static_cast<double>(luck_.Below(1000)) / 1000.0;
    shared_.loop.After(kRetireWithin * share, [this, node = row.node] { Node(node).Retire(); });
  }
}

std::string HostMembers::Unsettled() const { return look_.Unsettled(Members(), Newest()); }

}  // namespace holdfast::raft_test
