// node/backend/node_backend.h
// NodeBackend answers the admin service from the node's groups: questions are read from committed
// rows on the caller's thread, verbs are proposed to the groups' logs and waited for. Rows of
// groups that others lead are waited for until they are as new as the question; where they can't
// be, lists say so, and verbs that choose by a filter leave that group alone. A verb on listed ids
// needs no such wait: whether it still holds is found out where it is applied.
// Threads:  thread-safe; called on gRPC's threads, which wait here.
// Lifetime: everything in Parts outlives it; calls end before GroupHost::Stop() returns.
// Limits:   an action touches at most kMessagesPerActionMax messages a call, and leaves a cursor.
#pragma once

#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "node/admin/admin_backend.h"
#include "node/admin/metrics.h"
#include "node/backend/fresh_rows.h"
#include "node/cluster/cluster_verbs.h"
#include "node/control/policy.h"
#include "node/groups/control_machine.h"
#include "node/leader_table.h"
#include "node/limits/share_exchange.h"
#include "node/node_metrics.h"
#include "node/submit/node_health.h"
#include "raft/host/group_host.h"
#include "raft/storage/store.h"

namespace holdfast::node {

class NodeBackend final : public AdminBackend {
 public:
  struct Parts {
    raft::GroupHost& host;
    // Proposes to whoever leads the group.
    std::function<void(GroupId, raft::Proposal, raft::ProposeCallback)> propose;
    ClusterVerbs& cluster;
    const raft::Store& store;
    const ControlMachine& control;
    const PolicyHolder& policy;
    const NodeHealth& health;
    const NodeMetrics& metrics;
    const Clock& clock;
    uint32_t queue_groups;
    NodeId node;
    std::string hostname;
    bool beyond_loopback;
    std::function<std::string()> next_queue_id;
    std::function<size_t()> sessions;
    ShareExchange& shares;
    Context& apply;
    FreshRows fresh;
  };

  explicit NodeBackend(const Parts& parts);

  absl::Status GetStatus(const AdminCall& call, admin::StatusResponse* response) override;
  absl::Status ClusterStatus(const AdminCall& call,
                             admin::ClusterStatusResponse* response) override;
  absl::Status ClusterChecksums(const AdminCall& call,
                                admin::ClusterChecksumsResponse* response) override;
  absl::Status ClusterTransfer(const AdminCall& call, const admin::ClusterTransferRequest& request,
                               admin::ClusterTransferResponse* response) override;
  absl::Status ClusterJoin(const AdminCall& call, const admin::ClusterJoinRequest& request,
                           admin::ClusterMembersResponse* response) override;
  absl::Status ClusterRemove(const AdminCall& call, const admin::ClusterRemoveRequest& request,
                             admin::ClusterMembersResponse* response) override;
  absl::Status ClusterRaiseLevel(const AdminCall& call,
                                 const admin::ClusterRaiseLevelRequest& request,
                                 admin::ClusterRaiseLevelResponse* response) override;
  absl::Status NodeDrain(const AdminCall& call, const admin::NodeDrainRequest& request,
                         admin::NodeDrainResponse* response) override;
  absl::Status NodeUndrain(const AdminCall& call) override;
  absl::Status DestinationList(const AdminCall& call, const admin::DestinationListRequest& request,
                               admin::DestinationListResponse* response) override;
  absl::Status QueueSummary(const AdminCall& call, const admin::QueueSummaryRequest& request,
                            admin::QueueSummaryResponse* response) override;
  absl::Status QueueList(const AdminCall& call, const admin::QueueListRequest& request,
                         admin::QueueListResponse* response) override;
  absl::Status QueueShow(const AdminCall& call, const admin::QueueShowRequest& request,
                         admin::QueueShowResponse* response) override;
  absl::Status QueueAct(const AdminCall& call, QueueAction action,
                        const admin::QueueActionRequest& request,
                        admin::QueueActionResponse* response) override;
  absl::Status PolicyCheck(const AdminCall& call, const admin::PolicyCheckRequest& request,
                           admin::PolicyCheckResponse* response) override;
  absl::Status PolicyDiff(const AdminCall& call, const admin::PolicyDiffRequest& request,
                          admin::PolicyDiffResponse* response) override;
  absl::Status PolicyApply(const AdminCall& call, const admin::PolicyApplyRequest& request,
                           admin::PolicyApplyResponse* response) override;
  absl::Status PolicyShow(const AdminCall& call, const admin::PolicyShowRequest& request,
                          admin::PolicyShowResponse* response) override;
  absl::Status PolicyHistory(const AdminCall& call, const admin::PolicyHistoryRequest& request,
                             admin::PolicyHistoryResponse* response) override;

  // What waits, as gauges. Not after this object's end.
  void AddGauges(MetricRegistry& registry) const;

 private:
  struct Found;  // A message and the group that holds it.

  // Waits for the rows of queue group `from` and of those behind it.
  std::vector<LateGroup> WaitFresh(const AdminCall& call, uint32_t from,
                                   absl::Duration at_most) const;
  // kNotFound only if the rows are fresh; `late` is found out once for many ids.
  absl::StatusOr<Found> Find(const AdminCall& call, const std::string& queue_id,
                             std::optional<std::vector<LateGroup>>* late) const;
  absl::StatusOr<std::optional<Found>> FindHere(const queue::QueueId& id) const;
  absl::Status ChooseByFilter(const AdminCall& call, const admin::QueueActionRequest& request,
                              std::vector<Found>* chosen,
                              admin::QueueActionResponse* response) const;
  std::string ActionCommand(QueueAction action, const Found& message, const AdminCall& call,
                            const admin::QueueActionRequest& request,
                            std::vector<raft::Body>* bodies) const;
  // Proposes and waits; the verdict.
  raft::ProposeResult Propose(GroupId group, raft::Proposal proposal, absl::Time deadline) const;
  // Another node's leader may be ahead of our rows: whoever asks us next should see what was done.
  void WaitApplied(GroupId group, raft::LogIndex index, absl::Time deadline) const;

  const Parts parts_;
  const absl::Time started_;
};

}  // namespace holdfast::node
