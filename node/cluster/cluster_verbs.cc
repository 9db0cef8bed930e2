#include "node/cluster/cluster_verbs.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <thread>

#include "base/log.h"
#include "base/text.h"
#include "node/cluster/state_checksum.h"
#include "node/groups/group_tables.h"
#include "queue/queue_view.h"
#include "queue/state/rows.h"

namespace holdfast::node {
namespace {

constexpr std::chrono::milliseconds kLookInterval(10);
constexpr std::chrono::seconds kOpenWait(5);
constexpr absl::Duration kTransferWait = absl::Seconds(10);
constexpr absl::Duration kAskLeaderTimeout = absl::Seconds(2);
// An answer needs time to travel before the caller's own deadline.
constexpr absl::Duration kAnswerTime = absl::Milliseconds(200);

}  // namespace

absl::Status ClusterVerbs::Status(admin::ClusterStatusResponse* response) const {
  ClusterFacts facts;
  facts.cluster_id = parts_.store.identity().cluster_id;
  facts.self = parts_.self;
  facts.nodes = parts_.room.nodes();
  facts.address_of = [this](NodeId node) { return parts_.room.AddressOf(node); };
  facts.own = parts_.cluster.MakeBeat();
  facts.heard = parts_.room.beats().All();
  facts.groups = parts_.host.Statuses();
  absl::Status read;
  facts.messages_in = [this, &read](GroupId group) -> uint64_t {
    const std::unique_ptr<raft::StateReader> rows = parts_.store.Reader(group);
    const absl::StatusOr<queue::Totals> totals = queue::QueueTotals(GroupReader(*rows));
    if (!totals.ok()) {
      read = totals.status();
      return 0;
    }
    return totals->messages;
  };
  facts.state_version_in = [this, &read](GroupId group) -> uint32_t {
    const std::unique_ptr<raft::StateReader> rows = parts_.store.Reader(group);
    const absl::StatusOr<uint32_t> version = queue::ReadStateVersion(GroupReader(*rows));
    if (!version.ok()) read = version.status();
    return version.value_or(0);
  };
  facts.level = parts_.level.agreed();
  facts.now = parts_.clock.SinceBoot();
  facts.level_possible = HighestSpoken(facts.level, SpokenByMembers());
  FillClusterStatus(facts, response);
  return read;
}

absl::StatusOr<std::unique_ptr<raft::StateView>> ClusterVerbs::OpenView(GroupId group) const {
  using Opened = absl::StatusOr<std::unique_ptr<raft::StateView>>;
  auto opened = std::make_shared<std::promise<Opened>>();
  std::future<Opened> answer = opened->get_future();
  parts_.apply.Post(
      [this, group, opened] { opened->set_value(parts_.store.OpenStateView(group)); });
  // The context drops tasks once the node has stopped.
  if (answer.wait_for(kOpenWait) != std::future_status::ready) {
    return absl::DeadlineExceededError("the node is busy or stops");
  }
  return answer.get();
}

absl::Status ClusterVerbs::Checksums(absl::Time deadline,
                                     admin::ClusterChecksumsResponse* response) const {
  const auto give_up = [this, until = deadline - kAnswerTime] {
    return parts_.clock.Now() >= until || stopping_.load();
  };
  response->set_node_id(parts_.self.value());
  for (const GroupId group : parts_.store.groups()) {
    const absl::StatusOr<std::unique_ptr<raft::StateView>> view = OpenView(group);
    HOLDFAST_RETURN_IF_ERROR(view.status());
    const absl::StatusOr<StateChecksum> sum = ChecksumOf(**view, give_up);
    HOLDFAST_RETURN_IF_ERROR(Annotate(sum.status(), format("group {}", group.value())));
    admin::GroupChecksum& row = *response->add_groups();
    row.set_group(group.value());
    row.set_applied_index(sum->applied);
    row.set_applied_term(sum->applied_term);
    row.set_rows(sum->rows);
    row.set_checksum(format("{:08x}", sum->crc32c));
  }
  return absl::OkStatus();
}

// The leader ends its attempts first, so it has to be told, not only its Raft group.
absl::Status ClusterVerbs::BeginTransfer(GroupId group, NodeId leader, NodeId target) {
  if (leader == target) return absl::OkStatus();
  if (leader == parts_.self) {
    return parts_.cluster.HandOverOnRequest(group, target, "an operator asked for it");
  }
  peer_call::Request request;
  request.mutable_hand_over()->set_group(group.value());
  request.mutable_hand_over()->set_to_node_id(target.value());
  auto answered = std::make_shared<std::promise<absl::Status>>();
  parts_.room.Call(leader, EncodeRequest(std::move(request)), kAskLeaderTimeout,
                   [answered](const absl::StatusOr<std::string>& answer) {
                     answered->set_value(answer.status());
                   });
  return Annotate(answered->get_future().get(), format("node {}", leader.value()));
}

absl::Status ClusterVerbs::Transfer(const admin::ClusterTransferRequest& request,
                                    absl::Time deadline, admin::ClusterTransferResponse* response) {
  const GroupId group{request.group()};
  const NodeId target{request.to_node_id()};
  const std::optional<raft::GroupStatus> status = parts_.host.Status(group);
  if (!status) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition, "there is no group {}", group.value());
  }
  if (std::find(status->voters.begin(), status->voters.end(), target) == status->voters.end()) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition, "node {} is no voter of group {}",
                      target.value(), group.value());
  }
  if (status->leader == NodeId{}) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      "group {} has no leader: no majority is connected", group.value());
  }
  HOLDFAST_RETURN_IF_ERROR(BeginTransfer(group, status->leader, target));
  const absl::Time until = std::min(deadline - kAnswerTime, parts_.clock.Now() + kTransferWait);
  while (true) {
    const std::optional<raft::GroupStatus> now = parts_.host.Status(group);
    if (now && now->leader == target) {
      response->set_leader_node_id(target.value());
      return absl::OkStatus();
    }
    if (parts_.clock.Now() >= until || stopping_.load()) break;
    std::this_thread::sleep_for(kLookInterval);
  }
  return MakeStatus(absl::StatusCode::kFailedPrecondition,
                    "node {} did not take over group {}: it may be down, draining or far behind; "
                    "see `holdfast cluster status`",
                    target.value(), group.value());
}

bool ClusterVerbs::AttemptsIdle() const {
  auto idle = std::make_shared<std::promise<bool>>();
  std::future<bool> answer = idle->get_future();
  parts_.apply.Post([this, idle] {
    idle->set_value(std::all_of(parts_.duties.begin(), parts_.duties.end(),
                                [](const auto& duties) { return duties->idle(); }));
  });
  // The context drops tasks once the node has stopped.
  return answer.wait_for(std::chrono::seconds(1)) == std::future_status::ready && answer.get();
}

absl::Status ClusterVerbs::Drain(const admin::NodeDrainRequest& request, absl::Time deadline,
                                 admin::NodeDrainResponse* response) {
  if (parts_.room.alone()) {
    return absl::FailedPreconditionError(
        "this node is alone: nobody could take its groups; stop it, its mail waits on its disk");
  }
  const absl::Duration wait = request.deadline_seconds() == 0
                                  ? parts_.drain_deadline
                                  : absl::Seconds(request.deadline_seconds());
  const absl::Time until = std::min(deadline - kAnswerTime, parts_.clock.Now() + wait);
  Log(LogLevel::kInfo, "draining");
  parts_.health.SetDraining(true);
  parts_.pause_listener(true);
  parts_.cluster.HandOverAll();
  bool done = false;
  while (!done && parts_.clock.Now() < until && !stopping_.load()) {
    done = !parts_.cluster.LeadsAnything() && parts_.sessions() == 0 && AttemptsIdle();
    if (!done) std::this_thread::sleep_for(kLookInterval);
  }
  response->set_done(done);
  response->set_sessions(static_cast<uint32_t>(parts_.sessions()));
  response->set_attempts_running(parts_.attempts_running());
  for (const raft::GroupStatus& group : parts_.host.Statuses()) {
    if (group.role == raft::Role::kLeader) response->set_groups_led(response->groups_led() + 1);
  }
  Log(LogLevel::kInfo, "drained", {{"done", done}});
  return absl::OkStatus();
}

absl::Status ClusterVerbs::Undrain() {
  if (stopping_.load()) return absl::FailedPreconditionError("the node is stopping");
  parts_.cluster.TakePartAgain();
  parts_.pause_listener(false);
  parts_.health.SetDraining(false);
  Log(LogLevel::kInfo, "undrained");
  return absl::OkStatus();
}

}  // namespace holdfast::node
