// node/admin/admin_backend.h
// AdminBackend answers what the admin service is asked: the node implements it over its groups,
// queue and policy. The messages are those of proto/admin.proto, filled in by the implementation.
//
// Threads: called on gRPC's threads, several at once. An implementation posts to the contexts that
//          own what is asked and waits, at most until call.deadline; it owns nothing itself.
// Errors:  a Status becomes a gRPC status by one table (admin_service.cc). kNotFound: no such
//          message or version; kInvalidArgument: the request is wrong; kUnavailable: nothing
//          happened, try again; kAborted: refused by what is replicated (a version conflict);
//          kDeadlineExceeded: the outcome is unknown.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <string>

namespace holdfast::admin {
class StatusResponse;
class ClusterStatusResponse;
class ClusterChecksumsResponse;
class ClusterTransferRequest;
class ClusterTransferResponse;
class ClusterJoinRequest;
class ClusterRemoveRequest;
class ClusterRaiseLevelRequest;
class ClusterRaiseLevelResponse;
class ClusterMembersResponse;
class NodeDrainRequest;
class NodeDrainResponse;
class DestinationListRequest;
class DestinationListResponse;
class QueueSummaryRequest;
class QueueSummaryResponse;
class QueueListRequest;
class QueueListResponse;
class QueueShowRequest;
class QueueShowResponse;
class QueueActionRequest;
class QueueActionResponse;
class PolicyCheckRequest;
class PolicyCheckResponse;
class PolicyDiffRequest;
class PolicyDiffResponse;
class PolicyApplyRequest;
class PolicyApplyResponse;
class PolicyShowRequest;
class PolicyShowResponse;
class PolicyHistoryRequest;
class PolicyHistoryResponse;
}  // namespace holdfast::admin

namespace holdfast::node {

struct AdminCall {
  // Who asks, for the audit trail: "local:alice" over the Unix socket, the certificate's common
  // name as "tls:ops.example.com" over TCP. Bounded, printable.
  std::string actor;
  absl::Time deadline;
};

// What may be done to messages; one method for all, since they choose messages alike.
enum class QueueAction { kRetry, kHold, kRelease, kRemove, kBounce, kReroute };

class AdminBackend {
 public:
  virtual ~AdminBackend() = default;

  virtual absl::Status GetStatus(const AdminCall& call, admin::StatusResponse* response) = 0;

  virtual absl::Status ClusterStatus(const AdminCall& call,
                                     admin::ClusterStatusResponse* response) = 0;
  virtual absl::Status ClusterChecksums(const AdminCall& call,
                                        admin::ClusterChecksumsResponse* response) = 0;
  // kFailedPrecondition: no such group or node, nobody leads, or it can't lead.
  virtual absl::Status ClusterTransfer(const AdminCall& call,
                                       const admin::ClusterTransferRequest& request,
                                       admin::ClusterTransferResponse* response) = 0;
  // kAlreadyExists: the id was used before. kFailedPrecondition, kNotFound: it can't be, and why.
  virtual absl::Status ClusterJoin(const AdminCall& call, const admin::ClusterJoinRequest& request,
                                   admin::ClusterMembersResponse* response) = 0;
  virtual absl::Status ClusterRemove(const AdminCall& call,
                                     const admin::ClusterRemoveRequest& request,
                                     admin::ClusterMembersResponse* response) = 0;
  virtual absl::Status ClusterRaiseLevel(const AdminCall& call,
                                         const admin::ClusterRaiseLevelRequest& request,
                                         admin::ClusterRaiseLevelResponse* response) = 0;
  virtual absl::Status NodeDrain(const AdminCall& call, const admin::NodeDrainRequest& request,
                                 admin::NodeDrainResponse* response) = 0;
  virtual absl::Status NodeUndrain(const AdminCall& call) = 0;

  // request.rows_max is 1..1000 here.
  virtual absl::Status DestinationList(const AdminCall& call,
                                       const admin::DestinationListRequest& request,
                                       admin::DestinationListResponse* response) = 0;

  virtual absl::Status QueueSummary(const AdminCall& call,
                                    const admin::QueueSummaryRequest& request,
                                    admin::QueueSummaryResponse* response) = 0;
  // request.page_size is 1..1000 here.
  virtual absl::Status QueueList(const AdminCall& call, const admin::QueueListRequest& request,
                                 admin::QueueListResponse* response) = 0;
  virtual absl::Status QueueShow(const AdminCall& call, const admin::QueueShowRequest& request,
                                 admin::QueueShowResponse* response) = 0;
  // Checked before: there are ids or a filter with a condition, never both; well-formed ids; a
  // reason where one is needed, a destination's key to reroute to. Touches a bounded number of
  // messages and leaves a cursor.
  virtual absl::Status QueueAct(const AdminCall& call, QueueAction action,
                                const admin::QueueActionRequest& request,
                                admin::QueueActionResponse* response) = 0;

  // Problems in the text are part of the answer, not a Status.
  virtual absl::Status PolicyCheck(const AdminCall& call, const admin::PolicyCheckRequest& request,
                                   admin::PolicyCheckResponse* response) = 0;
  virtual absl::Status PolicyDiff(const AdminCall& call, const admin::PolicyDiffRequest& request,
                                  admin::PolicyDiffResponse* response) = 0;
  virtual absl::Status PolicyApply(const AdminCall& call, const admin::PolicyApplyRequest& request,
                                   admin::PolicyApplyResponse* response) = 0;
  virtual absl::Status PolicyShow(const AdminCall& call, const admin::PolicyShowRequest& request,
                                  admin::PolicyShowResponse* response) = 0;
  virtual absl::Status PolicyHistory(const AdminCall& call,
                                     const admin::PolicyHistoryRequest& request,
                                     admin::PolicyHistoryResponse* response) = 0;
};

}  // namespace holdfast::node
