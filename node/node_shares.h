// node/node_shares.h
// Joins the shares of destinations' limits (node/limits) with the node: its groups, its peers, its
// schedulers, its metrics.
// Threads: at the start of the node. Lifetime: the parts outlive what is made.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "node/admin/metrics.h"
#include "node/config/settings.h"
#include "node/control/policy.h"
#include "node/delivery/group_duties.h"
#include "node/limits/share_exchange.h"
#include "node/peers/peer_room.h"
#include "raft/host/group_host.h"

namespace holdfast::node {

struct NodeShareParts {
  const NodeSettings& settings;
  raft::GroupHost& host;
  PeerRoom& room;
  const PolicyHolder& policy;
  Context& apply;
  const Clock& clock;
  MetricRegistry& registry;
  // Of queue group i + 1; filled later.
  std::vector<std::unique_ptr<GroupDuties>>& duties;
  uint32_t queue_groups;
};

// Before the duties, which share its permits. Draws the number of the node's life.
std::unique_ptr<ShareExchange> MakeShares(const NodeShareParts& parts);

}  // namespace holdfast::node
