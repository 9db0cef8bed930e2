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
#include "node/delivery/group_duties.h"
#include "node/peers/peer_room.h"
#include "node/submit/node_health.h"
#include "proto/admin.pb.h"
#include "raft/host/group_host.h"
#include "raft/storage/store.h"

namespace holdfast::node {

class ClusterVerbs {
 public:
  struct Parts {
    ClusterDuties& cluster;
    PeerRoom& room;
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

  // Until somebody else leads or `deadline` (Clock::Now()) has passed.
  absl::Status Transfer(const admin::ClusterTransferRequest& request, absl::Time deadline,
                        admin::ClusterTransferResponse* response);

  // Once the node leads nothing and nothing is under way, or the time is up; the node stays
  // drained.
  absl::Status Drain(const admin::NodeDrainRequest& request, absl::Time deadline,
                     admin::NodeDrainResponse* response);
  absl::Status Undrain();

  // The node stops: nobody waits here any more, and nothing that it does for that is undone.
  void SetStopping() { stopping_.store(true); }

 private:
  absl::Status BeginTransfer(GroupId group, NodeId leader, NodeId target);
  bool AttemptsIdle() const;

  const Parts parts_;
  std::atomic<bool> stopping_{false};
};

}  // namespace holdfast::node
