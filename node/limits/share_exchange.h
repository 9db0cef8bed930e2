// node/limits/share_exchange.h
// ShareExchange makes the limits of destinations hold over the cluster: it owns the permits of this
// node's schedulers, asks coordinators for shares once a second (sooner when more is wanted than
// before), and is the coordinator of the queue groups led here. Each coordinating node gets one
// call at a time with all that is asked of it.
//
// Threads:  permits(), Tick() and its callbacks in the apply context; OnAsks() and counts(): any.
// Lifetime: everything in Parts outlives it; the apply context is stopped before it is destroyed.
// Limits:   kSharesPerCallMax asks a call: what is over comes in turn. ShareOptions.
// Errors:   a lost call is no error: grants run out, and the node falls back to its floor.
#pragma once

#include <absl/time/time.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"
#include "base/strong_id.h"
#include "node/control/policy.h"
#include "node/limits/share_coordinator.h"
#include "node/limits/share_holder.h"
#include "proto/peer_call.pb.h"
#include "queue/schedule/attempt_permits.h"
#include "raft/host/group_host.h"

namespace holdfast::node {

class ShareExchange {
 public:
  using Reply = std::function<void(absl::StatusOr<peer_call::Answer>)>;
  struct Parts {
    // Of all groups, as GroupHost says.
    std::function<std::vector<raft::GroupStatus>()> statuses;
    std::function<std::optional<raft::GroupStatus>(GroupId)> status;
    // PeerRoom::Call().
    std::function<void(NodeId to, std::string request, absl::Duration timeout,
                       std::function<void(absl::StatusOr<std::string>)> done)>
        call;
    // When a peer's last beat came, by Clock::SinceBoot(); nullopt: never.
    std::function<std::optional<absl::Duration>(NodeId)> heard;
    const PolicyHolder& policy;
    Context& apply;
    const Clock& clock;
    queue::AttemptPermits::Wake wake;
  };
  struct Options {
    NodeId self;
    uint64_t boot_id = 0;
    bool alone = true;
    uint32_t queue_groups = 0;
    ShareOptions shares = {};
    queue::PermitOptions permits = {};
  };
  // Of this node.
  struct Counts {
    std::atomic<uint64_t> destinations{0};  // With attempts now or lately.
    std::atomic<uint64_t> grants{0};        // In force.
    std::atomic<uint64_t> coordinated{0};   // Destinations of which this node grants shares.
    std::atomic<uint64_t> asks{0};          // Sent, ever.
  };
  // One destination on this node, for people.
  struct View {
    std::string destination;
    queue::DestinationLimits limits;
    queue::Allowance allowed;
    queue::PermitDemand demand;
    uint32_t running = 0;
  };

  ShareExchange(Parts parts, const Options& options);

  uint64_t boot_id() const { return options_.boot_id; }
  queue::AttemptPermits& permits() { return permits_; }
  void Tick();
  // Another node's asks.
  void OnAsks(NodeId peer, peer_call::Shares asks, Reply reply);

  const Counts& counts() const { return counts_; }
  // Up to `max`, those first that want most; in the apply context.
  std::vector<View> Views(size_t max);

 private:
  void Round(absl::Duration now);
  // Begins and ends coordinatorships, and tells them who is there.
  void FollowGroups(const std::vector<raft::GroupStatus>& groups, absl::Duration now);
  Presence PresenceOf(NodeId node, const std::vector<raft::GroupStatus>& groups,
                      absl::Duration now) const;
  void Send(NodeId coordinator, std::vector<ShareAsk> asks, absl::Duration now);
  void OnGrants(const peer_call::Shares& grants, absl::Duration asked);
  peer_call::Answer Answer(NodeId peer, const peer_call::Shares& asks);
  // nullptr: this node doesn't lead the group now.
  ShareCoordinator* CoordinatorOf(GroupId group);

  const Parts parts_;
  const Options options_;
  Counts counts_;
  ShareHolder holder_;
  queue::AttemptPermits permits_;
  std::map<GroupId, ShareCoordinator> coordinators_;
  std::map<NodeId, absl::Duration> heard_;  // When a node last asked.
  std::set<NodeId> calling_;
  uint64_t sequence_ = 0;
  uint64_t rounds_ = 0;
  absl::Duration last_round_ = -absl::InfiniteDuration();
};

}  // namespace holdfast::node
