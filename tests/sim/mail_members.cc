#include "tests/sim/mail_members.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/text.h"

namespace holdfast::raft_test {
namespace {

constexpr absl::Duration kLookInterval = absl::Milliseconds(500);
constexpr absl::Duration kSwitchOffWithin = absl::Seconds(4);

}  // namespace

MailMembers::MailMembers(const SimShared& shared, uint64_t seed, Cluster cluster)
    : shared_(shared),
      luck_(seed),
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

void MailMembers::Join(NodeId replaces) {
  if (!MayJoin()) return;
  joining_ = Joining{NodeId(cluster_.nodes.size() + 1), replaces};
  shared_.trace.Note("joins", {joining_->node.value(), replaces.value()});
}

// Rather one whose disk is lost.
void MailMembers::Replace() {
  std::vector<NodeId> candidates;
  const std::set<NodeId> members = Members();
  for (const NodeId node : members) {
    if (look_.Node(node).damaged()) candidates.push_back(node);
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
  Mail(*member).Decide(std::move(command), [](const absl::Status&) {});
}

void MailMembers::Look() {
  FollowRows();
  if (joining_) AskToBegin();
  SwitchOffThoseWhoLeft();
  if (!replace_lost_ || joining_ || !look_.Unsettled(Members(), rows_).empty()) return;
  for (const NodeId node : Members()) {
    if (look_.Node(node).damaged()) return Join(node);
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
    add.set_address(format("node{}.test:7026", node.value()));
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
  return Unsettled().empty() && look_.MayLose(node, Members());
}

std::string MailMembers::Unsettled() const {
  std::string all = look_.Unsettled(Members(), rows_);
  if (joining_) all += format("\n  node {} has not begun", joining_->node.value());
  if (!replace_lost_) return all;
  for (const NodeId node : Members()) {
    if (look_.Node(node).damaged()) all += format("\n  node {} is lost", node.value());
  }
  return all;
}

}  // namespace holdfast::raft_test
