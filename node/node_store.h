// node/node_store.h
// Opens this node's store, or makes it for a cluster of one.
// Threads: call before the contexts exist.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "node/config/settings.h"
#include "raft/storage/store.h"

namespace holdfast::node {

// Groups of a new cluster: the control group and so many queue groups.
inline constexpr uint32_t kQueueGroupsDefault = 12;

struct OpenedStore {
  std::unique_ptr<raft::Store> store;
  // The store was made by this call, or by one that was cut short: its cluster is empty.
  bool created = false;
};

// kFailedPrecondition: in use, or another node's; kUnimplemented: of a newer format; kDataLoss.
// `seed_policy` is asked before anything is created; its error is returned and nothing is made.
absl::StatusOr<OpenedStore> OpenNodeStore(const NodeSettings& settings, const Clock& clock,
                                          const std::function<absl::Status()>& seed_policy);

}  // namespace holdfast::node
