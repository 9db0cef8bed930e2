// node/cluster/cluster_verbs.h
// ClusterVerbs carries out what an operator asks of a node as a member of its cluster: look, hand a
// group over, drain and come back.
// Threads:  thread-safe; called on gRPC's threads, which wait here.
// Lifetime: everything in Parts outlives it.
#pragma once

#include <absl/time/time.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"
#include "node/cluster/cluster_duties.h"
#include "node/cluster/cluster_view.h"
#include "node/cluster/level_choice.h"
#include "node/cluster/members.h"
#include "node/control/feature_level.h"
#include "node/delivery/group_duties.h"
#include "node/peers/peer_room.h"
#include "node/submit/node_health.h"
#include "proto/admin.pb.h"
#include "proto/command.pb.h"
#include "raft/host/group_host.h"
#include "raft/storage/store.h"

namespace holdfast::node {

class ClusterVerbs {
 public:
  struct Parts {
    ClusterDuties& cluster;
    // Proposes to whoever leads the group.
    std::function<void(GroupId, raft::Proposal, raft::ProposeCallback)> propose;
    PeerRoom& room;
    const FeatureLevel& level;
    raft::GroupHost& host;
    const raft::Store& store;
    NodeHealth& health;
    Context& apply;
    std::vector<std::unique_ptr<GroupDuties>>& duties;
    const Clock& clock;
    NodeId self;
    absl::Duration drain_deadline;
    // Stops and starts the taking of mail at command boundaries; see smtp::Listener::SetPaused().
    std::function<void(bool)> pause_listener;
    std::function<size_t()> sessions;
    // Transactions that are in the middle count as sessions; attempts past their dot as these.
    std::function<uint32_t()> attempts_running;
  };

  explicit ClusterVerbs(const Parts& parts) : parts_(parts) {}

  absl::Status Status(admin::ClusterStatusResponse* response) const;

  // Of this node's replicas, each at a moment of its own. kDeadlineExceeded: not all were read.
  absl::Status Checksums(absl::Time deadline, admin::ClusterChecksumsResponse* response) const;

  // Until somebody else leads or `deadline` (Clock::Now()) has passed.
  absl::Status Transfer(const admin::ClusterTransferRequest& request, absl::Time deadline,
                        admin::ClusterTransferResponse* response);

  // Adds a node, and waits until it votes in every group. It goes on without the caller.
  absl::Status Join(const admin::ClusterJoinRequest& request, const std::string& actor,
                    absl::Time deadline, admin::ClusterMembersResponse* response);
  // Removes one, and waits until no group has it.
  absl::Status Remove(const admin::ClusterRemoveRequest& request, const std::string& actor,
                      absl::Time deadline, admin::ClusterMembersResponse* response);

  // Raises the cluster's feature level as far as all members speak, or to what was asked for, and
  // waits until the queue groups have followed. They do so without the caller, too.
  absl::Status RaiseLevel(const admin::ClusterRaiseLevelRequest& request, const std::string& actor,
                          absl::Time deadline, admin::ClusterRaiseLevelResponse* response);

  // For a node that asks to begin: has the control group agree; `done` gets the nodes that joined.
  void Admit(NodeId node, const std::string& token,
             std::function<void(absl::StatusOr<peer_call::Answer>)> done);

  // Once the node leads nothing and nothing is under way, or the time is up; the node stays
  // drained.
  absl::Status Drain(const admin::NodeDrainRequest& request, absl::Time deadline,
                     admin::NodeDrainResponse* response);
  absl::Status Undrain();

  // The node stops: nobody waits here any more, and nothing that it does for that is undone.
  void SetStopping() { stopping_.store(true); }

 private:
  // Has the control group decide; kDeadlineExceeded: not known in time.
  absl::Status Decide(command::Command command, absl::Time deadline);
  bool IsAlive(NodeId node) const;
  // Whether every group can spare it, by the list of that version.
  absl::Status MayRemoveNow(NodeId node, uint64_t* version) const;
  // Counts how far the groups are, until `done` says that it is enough.
  absl::Status AwaitMembers(NodeId node, NodeId replaced, bool leaving, absl::Time deadline,
                            admin::ClusterMembersResponse* response) const;
  std::vector<SpokenLevels> SpokenByMembers(uint64_t* list_version = nullptr) const;
  // Queue groups whose state version is that or more, by this node's replicas.
  size_t GroupsAt(uint32_t level) const;
  absl::Status AwaitLevel(uint32_t level, absl::Time deadline,
                          admin::ClusterRaiseLevelResponse* response) const;
  absl::Status BeginTransfer(GroupId group, NodeId leader, NodeId target);
  bool AttemptsIdle() const;
  // Asks the apply context for it, so that rows and mark are of one moment.
  absl::StatusOr<std::unique_ptr<raft::StateView>> OpenView(GroupId group) const;

  const Parts parts_;
  std::atomic<bool> stopping_{false};
};

}  // namespace holdfast::node
