#include "tests/sim/mail_members.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/text.h"

namespace holdfast::raft_test {
namespace {

constexpr absl::Duration kLookInterval = absl::Milliseconds(500);
constexpr absl::Duration kSwitchOffWithin = absl::Seconds(4);
constexpr absl::Duration kPutBackWithin = absl::Seconds(4);

std::string AddressOf(NodeId node) { return format("node{}.test:7026", node.value()); }

}  // namespace

MailMembers::MailMembers(const SimShared& shared, uint64_t seed, Cluster cluster)
    : shared_(shared),
      luck_(seed),
      wipe_luck_(seed ^ 0x7769706573),
      cluster_(std::move(cluster)),
      look_{shared.loop, cluster_.nodes, [this](GroupId group) { return Leader(group); },
            cluster_.queue_groups},
      first_(MembersLook::IdsOf(cluster_.nodes)) {}

void MailMembers::Begin() {
  shared_.loop.After(kLookInterval, [this] {
    Look();
    Begin();
  });
}

HostNode* MailMembers::Leader(GroupId group) const {
  HostNode* leader = nullptr;
  raft::Term newest = 0;
  for (const auto& node : cluster_.nodes) {
    if (!node->running()) continue;
    const std::optional<raft::GroupStatus> status = node->host().Status(group);
    if (!status || !status->leading || status->term <= newest) continue;
    leader = node.get();
    newest = status->term;
  }
  return leader;
}

bool MailMembers::Apart(NodeId from, NodeId to) const {
  HostNode& one = look_.Node(from);
  HostNode& other = look_.Node(to);
  return (one.running() && !Mail(one).Knows(to)) || (other.running() && Mail(other).Refuses(from));
}

HostNode* MailMembers::AnyMember() {
  const std::set<NodeId> members = Members();
  HostNode& node = look_.Node(
      *std::next(members.begin(), static_cast<std::ptrdiff_t>(luck_.Below(members.size()))));
  const bool answers = node.running() && !node.dying() && node.paused_until() <= shared_.loop.now();
  return answers ? &node : nullptr;
}

void MailMembers::Act() {
  const uint64_t wish = luck_.Below(3);
  if (wish == 0 && Members().size() < cluster_.members_max) Join(NodeId{});
  if (wish == 1) Replace();
  if (wish == 2) Remove();
}

bool MailMembers::IsBeingReplaced(NodeId node) const {
  if (joining_ && joining_->replaces == node) return true;
  return std::any_of(rows_.begin(), rows_.end(), [this, node](const node::NodeRow& row) {
    return !row.removed && row.replaces == node && !look_.Node(row.node).damaged();
  });
}

bool MailMembers::IsToBeReplaced(NodeId node) const {
  if (!finish_ || !look_.Node(node).damaged()) return false;
  return replace_lost_ || look_.LacksVote(node);
}

// Once everything heals as many as are lost may come.
void MailMembers::Join(NodeId replaces, bool same_address) {
  if (joining_ || (!finish_ && cluster_.nodes.size() >= kNodesMax)) return;
  joining_ = Joining{NodeId(cluster_.nodes.size() + 1), replaces, same_address};
  shared_.trace.Note("joins", {joining_->node.value(), replaces.value(), same_address});
}

void MailMembers::OnWiped(NodeId node) {
  if (wipe_luck_.OneIn(2)) AskToBeginAgain(node);
  if (!wipe_luck_.OneIn(3)) PutBackSoon(node);
}

// Unless that was wished meanwhile, or it is no member any more.
void MailMembers::PutBackSoon(NodeId node) {
  const double share = static_cast<double>(wipe_luck_.Below(1000)) / 1000.0;
  shared_.loop.After(kPutBackWithin * share, [this, node] {
    if (!Members().contains(node) || IsBeingReplaced(node)) return;
    if (cluster_.nodes.size() >= kNodesMax) return;
    if (joining_) return PutBackSoon(node);
    Join(node, /*same_address=*/true);
  });
}

// With an empty directory, which has another token: an id is used once (docs/decisions/013).
void MailMembers::AskToBeginAgain(NodeId node) {
  HostNode* const member = AnyMember();
  if (member == nullptr) return;
  shared_.trace.Note("asks again", {node.value(), member->id().value()});
  command::Command command;
  command.mutable_admit_node()->set_node_id(node.value());
  command.mutable_admit_node()->set_token(format("{:032x}", node.value() + kNodesMax));
  Mail(*member).Decide(std::move(command), [this, node](const absl::Status& status) {
    if (!status.ok()) return;
    shared_.checker.Fail(format("node {} begins a second time, with an empty disk", node.value()));
  });
}

// Rather one whose disk is lost.
void MailMembers::Replace() {
  std::vector<NodeId> candidates;
  const std::set<NodeId> members = Members();
  for (const NodeId node : members) {
    if (look_.Node(node).damaged() && !IsBeingReplaced(node)) candidates.push_back(node);
  }
  if (candidates.empty()) candidates.assign(members.begin(), members.end());
  Join(candidates[luck_.Below(candidates.size())]);
}

void MailMembers::Remove() {
  const std::set<NodeId> members = Members();
  const NodeId node =
      *std::next(members.begin(), static_cast<std::ptrdiff_t>(luck_.Below(members.size())));
  HostNode* const member = AnyMember();
  if (member == nullptr || !look_.MayRemove(node, rows_)) return;
  uint64_t version = 0;
  (void)Mail(*member).members(&version);
  command::Command command;
  command::RemoveNode& remove = *command.mutable_remove_node();
  remove.set_node_id(node.value());
  remove.set_actor("operator");
  remove.set_expected_list_version(1 + version);
  shared_.trace.Note("removes", {node.value(), member->id().value()});
  // Whatever comes of it shows in the list.
  const bool first = removing_.insert(node).second;
  Mail(*member).Decide(std::move(command), [this, node, first](const absl::Status& status) {
    const bool refused = !status.ok() && !absl::IsDeadlineExceeded(status);
    if (first && refused) removing_.erase(node);
  });
}

void MailMembers::Look() {
  FollowRows();
  if (joining_) AskToBegin();
  SwitchOffThoseWhoLeft();
  if (joining_) return;
  for (const NodeId node : Members()) {
    if (IsToBeReplaced(node) && !IsBeingReplaced(node)) return Join(node);
  }
}

void MailMembers::FollowRows() {
  for (const auto& node : cluster_.nodes) {
    if (!node->running()) continue;
    uint64_t version = 0;
    MembersLook::Rows rows = Mail(*node).members(&version);
    if (version <= version_) continue;
    version_ = version;
    all_rows_ = std::move(rows);
  }
  rows_ = all_rows_;
  // Who has not begun yet is no node here.
  std::erase_if(
      rows_, [this](const node::NodeRow& row) { return row.node.value() > cluster_.nodes.size(); });
}

void MailMembers::AskToBegin() {
  HostNode* const member = AnyMember();
  if (member == nullptr) return;
  const NodeId node = joining_->node;
  const bool admission = joining_->added;
  command::Command command;
  if (admission) {
    command.mutable_admit_node()->set_node_id(node.value());
    command.mutable_admit_node()->set_token(format("{:032x}", node.value()));
  } else {
    command::AddNode& add = *command.mutable_add_node();
    add.set_node_id(node.value());
    add.set_address(AddressOf(joining_->same_address ? joining_->replaces : node));
    add.set_replaces_node_id(joining_->replaces.value());
    add.set_actor("operator");
  }
  Mail(*member).Decide(std::move(command), [this, node, admission, member,
                                            life = member->life()](const absl::Status& status) {
    if (member->dying() || member->life() != life) return;
    OnAnswer(node, admission, *member, status);
  });
}

void MailMembers::OnAnswer(NodeId node, bool admission, HostNode& member,
                           const absl::Status& status) {
  if (!joining_ || joining_->node != node) return;  // Of an older question.
  if (!admission) {
    // "Known already": an earlier wish of ours had been heard.
    joining_->added |= status.ok() || absl::IsAlreadyExists(status);
    return;
  }
  if (!status.ok()) return;
  put_back_ += joining_->same_address;
  joining_.reset();
  shared_.trace.Note("begins", {node.value(), member.id().value()});
  cluster_.begin_node(Mail(member).nodes());
  FollowRows();
}

// The product can't: it tells the operator that the node may be stopped.
void MailMembers::SwitchOffThoseWhoLeft() {
  for (const node::NodeRow& row : rows_) {
    if (!row.removed || switching_off_.contains(row.node) || !look_.HasGone(row.node)) continue;
    switching_off_.insert(row.node);
    const double share = static_cast<double>(luck_.Below(1000)) / 1000.0;
    shared_.loop.After(kSwitchOffWithin * share, [this, id = row.node] {
      HostNode& node = look_.Node(id);
      if (node.running()) node.Crash();
      node.Retire();
    });
  }
}

bool MailMembers::MayLose(NodeId node) const {
  const std::set<NodeId> members = Members();
  if (!members.contains(node)) return false;
  std::set<NodeId> leaving = removing_;
  if (joining_) leaving.insert(joining_->replaces);
  for (const node::NodeRow& row : rows_) {
    if (row.removed) continue;
    const std::vector<NodeId> places = node::PlacesTakenBy(row.node, rows_);
    leaving.insert(places.begin(), places.end());
  }
  return look_.MayLoseAmidChanges(node, members, leaving);
}

std::string MailMembers::Unsettled() const {
  std::string all = look_.Unsettled(Members(), rows_);
  if (joining_) all += format("\n  node {} has not begun", joining_->node.value());
  for (const NodeId node : Members()) {
    if (IsToBeReplaced(node)) all += format("\n  node {} is lost", node.value());
  }
  return all;
}

}  // namespace holdfast::raft_test
