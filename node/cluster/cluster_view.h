// node/cluster/cluster_view.h
// What one node knows of its cluster, as the admin service shows it: its own facts, what the others
// told last, and what group leaders say of their followers.
// Threads: pure.
#pragma once

#include <absl/time/time.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/strong_id.h"
#include "node/peers/beat_table.h"
#include "proto/admin.pb.h"
#include "proto/peer_call.pb.h"
#include "raft/host/group_host.h"

namespace holdfast::node {

struct ClusterFacts {
  std::string cluster_id;
  NodeId self;
  std::vector<NodeId> nodes;  // With this one.
  std::function<std::string(NodeId)> address_of;
  peer_call::Beat own;
  std::map<NodeId, HeardBeat> heard;
  std::vector<raft::GroupStatus> groups;
  std::function<uint64_t(GroupId)> messages_in;
  std::function<uint32_t(GroupId)> state_version_in;
  // The cluster's feature level, and the highest that all members speak.
  uint32_t level = 0;
  uint32_t level_possible = 0;
  absl::Duration now;  // Clock::SinceBoot().
};

// A node is silent after this.
inline constexpr absl::Duration kSilentAfter = absl::Seconds(4);

void FillClusterStatus(const ClusterFacts& facts, admin::ClusterStatusResponse* response);

}  // namespace holdfast::node
