// tests/testing/admin/fake_admin_backend.h
// An AdminBackend over a list in memory, for tests of the admin service and of the command line. It
// behaves as a node does: filters, pages, cursors, refusals, versions and conflicts.
// Threads: thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "node/admin/admin_backend.h"
#include "proto/admin.pb.h"

namespace holdfast::testing {

class FakeAdminBackend final : public node::AdminBackend {
 public:
  // What one action call touches at most; more needs the cursor.
  static constexpr size_t kTouchedPerCallMax = 3;

  struct SeenCall {
    std::string verb;
    std::string actor;
    std::string reason;
    absl::Duration time_left;
  };

  // Of the cluster, of all its nodes' builds, and of group 1.
  struct Levels {
    uint32_t agreed = 1;
    uint32_t possible = 1;
    uint32_t of_group = 1;
  };

  void AddMessage(const std::string& queue_id, const std::string& sender,
                  const std::string& recipient, admin::MessageState state);
  // Every call fails with it from now on; OK ends that.
  void FailWith(absl::Status status);
  void SetLevels(const Levels& levels);
  // The node may not know all of this group's messages.
  void SetLateGroup(uint32_t group, std::string reason);
  std::vector<SeenCall> calls() const;
  std::vector<std::string> queue_ids() const;

  absl::Status GetStatus(const node::AdminCall& call, admin::StatusResponse* response) override;
  absl::Status ClusterStatus(const node::AdminCall& call,
                             admin::ClusterStatusResponse* response) override;
  absl::Status ClusterChecksums(const node::AdminCall& call,
                                admin::ClusterChecksumsResponse* response) override;
  absl::Status ClusterTransfer(const node::AdminCall& call,
                               const admin::ClusterTransferRequest& request,
                               admin::ClusterTransferResponse* response) override;
  absl::Status ClusterJoin(const node::AdminCall& call, const admin::ClusterJoinRequest& request,
                           admin::ClusterMembersResponse* response) override;
  absl::Status ClusterRemove(const node::AdminCall& call,
                             const admin::ClusterRemoveRequest& request,
                             admin::ClusterMembersResponse* response) override;
  absl::Status ClusterRaiseLevel(const node::AdminCall& call,
                                 const admin::ClusterRaiseLevelRequest& request,
                                 admin::ClusterRaiseLevelResponse* response) override;
  absl::Status NodeDrain(const node::AdminCall& call, const admin::NodeDrainRequest& request,
                         admin::NodeDrainResponse* response) override;
  absl::Status NodeUndrain(const node::AdminCall& call) override;
  absl::Status DestinationList(const node::AdminCall& call,
                               const admin::DestinationListRequest& request,
                               admin::DestinationListResponse* response) override;
  absl::Status QueueSummary(const node::AdminCall& call, const admin::QueueSummaryRequest& request,
                            admin::QueueSummaryResponse* response) override;
  absl::Status QueueList(const node::AdminCall& call, const admin::QueueListRequest& request,
                         admin::QueueListResponse* response) override;
  absl::Status QueueShow(const node::AdminCall& call, const admin::QueueShowRequest& request,
                         admin::QueueShowResponse* response) override;
  absl::Status QueueAct(const node::AdminCall& call, node::QueueAction action,
                        const admin::QueueActionRequest& request,
                        admin::QueueActionResponse* response) override;
  absl::Status PolicyCheck(const node::AdminCall& call, const admin::PolicyCheckRequest& request,
                           admin::PolicyCheckResponse* response) override;
  absl::Status PolicyDiff(const node::AdminCall& call, const admin::PolicyDiffRequest& request,
                          admin::PolicyDiffResponse* response) override;
  absl::Status PolicyApply(const node::AdminCall& call, const admin::PolicyApplyRequest& request,
                           admin::PolicyApplyResponse* response) override;
  absl::Status PolicyShow(const node::AdminCall& call, const admin::PolicyShowRequest& request,
                          admin::PolicyShowResponse* response) override;
  absl::Status PolicyHistory(const node::AdminCall& call,
                             const admin::PolicyHistoryRequest& request,
                             admin::PolicyHistoryResponse* response) override;

 private:
  absl::Status Note(const node::AdminCall& call, const std::string& verb,
                    const std::string& reason = "") ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  const admin::PolicyShowResponse* FindVersion(uint64_t version) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  Levels levels_ ABSL_GUARDED_BY(mutex_);
  google::protobuf::RepeatedPtrField<admin::LateGroup> late_groups_ ABSL_GUARDED_BY(mutex_);
  std::vector<SeenCall> calls_ ABSL_GUARDED_BY(mutex_);
  std::vector<admin::QueueShowResponse> messages_ ABSL_GUARDED_BY(mutex_);
  // Version 1 first.
  std::vector<admin::PolicyShowResponse> versions_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::testing
