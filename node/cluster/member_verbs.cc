// The verbs of ClusterVerbs that change who belongs to the cluster.
#include <algorithm>
#include <chrono>
#include <future>
#include <optional>
#include <thread>

#include "base/log.h"
#include "node/cluster/cluster_verbs.h"
#include "node/peers/peer_calls.h"
#include "queue/state/command_codec.h"
#include "raft/transport/peer_address.h"

namespace holdfast::node {
namespace {

constexpr std::chrono::milliseconds kLookInterval(50);
constexpr absl::Duration kAnswerTime = absl::Milliseconds(500);
constexpr absl::Duration kHearingTime = absl::Seconds(5);

}  // namespace

bool ClusterVerbs::IsAlive(NodeId node) const {
  if (node == parts_.self) return true;
  const std::optional<HeardBeat> heard = parts_.room.beats().Of(node);
  return heard && parts_.clock.SinceBoot() - heard->heard < kSilentAfter;
}

absl::Status ClusterVerbs::Decide(command::Command command, absl::Time deadline) {
  HOLDFAST_RETURN_IF_ERROR(parts_.health.MayStamp());
  absl::StatusOr<std::string> bytes = queue::EncodeCommand(std::move(command));
  HOLDFAST_RETURN_IF_ERROR(bytes.status());
  auto answered = std::make_shared<std::promise<absl::Status>>();
  std::future<absl::Status> answer = answered->get_future();
  parts_.propose(
      kControlGroup, {*std::move(bytes), {}},
      [answered](const raft::ProposeResult& result) { answered->set_value(result.status); });
  if (answer.wait_until(absl::ToChronoTime(deadline)) != std::future_status::ready) {
    return absl::DeadlineExceededError(
        "the control group did not answer in time; see `holdfast cluster status`");
  }
  return answer.get();
}

void ClusterVerbs::Admit(NodeId node, const std::string& token,
                         std::function<void(absl::StatusOr<peer_call::Answer>)> done) {
  if (absl::Status may = parts_.health.MayStamp(); !may.ok()) return done(may);
  command::Command command;
  command::AdmitNode& admit = *command.mutable_admit_node();
  admit.set_node_id(node.value());
  admit.set_token(token);
  admit.set_stamped_us(absl::ToUnixMicros(parts_.clock.Now()));
  absl::StatusOr<std::string> bytes = queue::EncodeCommand(std::move(command));
  if (!bytes.ok()) return done(bytes.status());
  parts_.propose(kControlGroup, {*std::move(bytes), {}},
                 [this, done = std::move(done)](const raft::ProposeResult& result) {
                   if (!result.status.ok()) return done(result.status);
                   peer_call::Answer answer;
                   peer_call::Join& join = *answer.mutable_join();
                   join.set_incarnation(parts_.room.incarnation());
                   for (const NodeRow& row : parts_.cluster.nodes()) {
                     if (row.removed || row.address.empty()) continue;
                     peer_call::KnownNode& known = *join.add_nodes();
                     known.set_node_id(row.node.value());
                     known.set_address(row.address);
                   }
                   done(std::move(answer));
                 });
}

absl::Status ClusterVerbs::Join(const admin::ClusterJoinRequest& request, const std::string& actor,
                                absl::Time deadline, admin::ClusterMembersResponse* response) {
  if (parts_.room.alone()) {
    return absl::FailedPreconditionError(
        "this node is alone: a cluster begins with `cluster` in the node files of all its first "
        "nodes");
  }
  const NodeId node{request.node_id()};
  const NodeId replaces{request.replaces_node_id()};
  if (node == NodeId{} || node.value() > UINT32_MAX) {
    return absl::InvalidArgumentError("a node id is a number from 1 to 4294967295");
  }
  const std::optional<raft::HostAndPort> address = raft::ReadHostAndPort(request.address());
  if (!address || address->port == 0) {
    return MakeStatus(absl::StatusCode::kInvalidArgument,
                      "`{}` is no address of a transport; write it as node4.example.com:7026",
                      request.address());
  }
  HOLDFAST_RETURN_IF_ERROR(parts_.room.CheckAddress(request.address()));
  const std::vector<NodeId> members = parts_.room.nodes();
  if (std::find(members.begin(), members.end(), node) != members.end()) {
    return MakeStatus(absl::StatusCode::kAlreadyExists, "node {} is a member already",
                      node.value());
  }
  // Whoever takes another's place makes one too many only for a while.
  if (replaces == NodeId{} && members.size() >= static_cast<size_t>(raft::kClusterNodesMax)) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition, "a cluster has at most {} nodes",
                      raft::kClusterNodesMax);
  }
  if (replaces != NodeId{} &&
      std::find(members.begin(), members.end(), replaces) == members.end()) {
    return MakeStatus(absl::StatusCode::kNotFound, "node {} is no member that could be replaced",
                      replaces.value());
  }
  command::Command command;
  command::AddNode& add = *command.mutable_add_node();
  add.set_node_id(node.value());
  add.set_address(request.address());
  add.set_replaces_node_id(replaces.value());
  add.set_actor(actor);
  add.set_reason(request.reason());
  add.set_stamped_us(absl::ToUnixMicros(parts_.clock.Now()));
  HOLDFAST_RETURN_IF_ERROR(Decide(std::move(command), deadline - kAnswerTime));
  return AwaitMembers(node, replaces, /*leaving=*/false, deadline, response);
}

absl::Status ClusterVerbs::MayRemoveNow(NodeId node, uint64_t* version) const {
  const std::vector<NodeRow> rows = parts_.cluster.nodes(version);
  admin::ClusterStatusResponse status;
  HOLDFAST_RETURN_IF_ERROR(Status(&status));
  const auto row_of = [&rows](NodeId wanted) {
    return std::find_if(rows.begin(), rows.end(),
                        [wanted](const NodeRow& row) { return row.node == wanted; });
  };
  const auto own = row_of(node);
  bool votes = false;
  for (const admin::ClusterGroup& group : status.groups()) {
    if (group.members().empty()) {
      return MakeStatus(absl::StatusCode::kUnavailable,
                        "group {} has no leader that this node hears: nobody can leave it now",
                        group.group());
    }
    std::vector<NodeId> voters;
    for (const admin::ClusterMember& member : group.members()) {
      const NodeId one{member.node_id()};
      const auto row = row_of(one);
      if (row != rows.end() && row->removed && one != node) {
        return MakeStatus(absl::StatusCode::kFailedPrecondition,
                          "node {} is still leaving group {}: one after the other", one.value(),
                          group.group());
      }
      if (!member.learner()) voters.push_back(one);
    }
    if (std::find(voters.begin(), voters.end(), node) == voters.end()) continue;
    votes = true;
    HOLDFAST_RETURN_IF_ERROR(
        MayRemove(node, voters, [this](NodeId other) { return IsAlive(other); }));
  }
  if (IsReplacing(node, rows)) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      "node {} is just taking the place of node {}: let that finish first, or let "
                      "another node join in the place of node {}",
                      node.value(), own->replaces.value(), node.value());
  }
  const bool known = votes || own != rows.end();
  if (known) return absl::OkStatus();
  return MakeStatus(absl::StatusCode::kNotFound, "node {} is no member of the cluster",
                    node.value());
}

absl::Status ClusterVerbs::Remove(const admin::ClusterRemoveRequest& request,
                                  const std::string& actor, absl::Time deadline,
                                  admin::ClusterMembersResponse* response) {
  const NodeId node{request.node_id()};
  if (parts_.room.alone()) {
    return absl::FailedPreconditionError("this node is alone: there is nobody to remove");
  }
  uint64_t version = 0;
  absl::Status may = MayRemoveNow(node, &version);
  // Leaders tell who their members are once a second.
  const absl::Time until = std::min(deadline - kAnswerTime, parts_.clock.Now() + kHearingTime);
  while (absl::IsUnavailable(may) && parts_.clock.Now() < until && !stopping_.load()) {
    std::this_thread::sleep_for(kLookInterval);
    may = MayRemoveNow(node, &version);
  }
  if (absl::IsUnavailable(may)) return absl::FailedPreconditionError(std::string(Message(may)));
  HOLDFAST_RETURN_IF_ERROR(may);
  command::Command command;
  command::RemoveNode& remove = *command.mutable_remove_node();
  remove.set_node_id(node.value());
  remove.set_actor(actor);
  remove.set_reason(request.reason());
  remove.set_expected_list_version(1 + version);
  remove.set_stamped_us(absl::ToUnixMicros(parts_.clock.Now()));
  HOLDFAST_RETURN_IF_ERROR(Decide(std::move(command), deadline - kAnswerTime));
  return AwaitMembers(node, NodeId{}, /*leaving=*/true, deadline, response);
}

absl::Status ClusterVerbs::AwaitMembers(NodeId node, NodeId replaced, bool leaving,
                                        absl::Time deadline,
                                        admin::ClusterMembersResponse* response) const {
  while (true) {
    admin::ClusterStatusResponse status;
    HOLDFAST_RETURN_IF_ERROR(Status(&status));
    response->Clear();
    uint32_t unknown = 0;
    for (const admin::ClusterGroup& group : status.groups()) {
      response->set_groups(response->groups() + 1);
      unknown += group.members().empty();
      for (const admin::ClusterMember& member : group.members()) {
        if (NodeId{member.node_id()} == replaced) {
          response->set_groups_replaced_left(response->groups_replaced_left() + 1);
        }
        if (NodeId{member.node_id()} != node) continue;
        if (member.learner()) {
          response->set_groups_learning(response->groups_learning() + 1);
        } else {
          response->set_groups_voting(response->groups_voting() + 1);
        }
      }
    }
    const bool gone = response->groups_voting() == 0 && response->groups_learning() == 0;
    const bool here =
        response->groups_voting() == response->groups() && response->groups_replaced_left() == 0;
    response->set_done(unknown == 0 && (leaving ? gone : here));
    if (response->done() || parts_.clock.Now() >= deadline - kAnswerTime || stopping_.load()) {
      return absl::OkStatus();
    }
    std::this_thread::sleep_for(kLookInterval);
  }
}

}  // namespace holdfast::node
