// node/node_store.h
// Opens this node's store, or makes it for a new cluster.
// Threads: call before the contexts exist.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "node/config/settings.h"
#include "node/peers/peer_room.h"
#include "raft/storage/rocksdb_store.h"
#include "raft/storage/store.h"

namespace holdfast::node {

// Groups of a new cluster: the control group and so many queue groups.
inline constexpr uint32_t kQueueGroupsDefault = 12;

struct OpenedStore {
  std::unique_ptr<raft::Store> store;
  // The store was made by this call, or by one that was cut short: its cluster is empty.
  bool created = false;
};

// Where and how this node keeps its store.
raft::StoreOptions NodeStoreOptions(const NodeSettings& settings, const Clock& clock);

// There is a store, whatever its state.
absl::StatusOr<bool> NodeStoreExists(const NodeSettings& settings, const Clock& clock);

// kFailedPrecondition: in use, or another node's or cluster's; kUnimplemented: of a newer format;
// kDataLoss; kResourceExhausted: the disk is too full to open it. `first_nodes` is asked before
// anything is created; its error is returned and nothing is made. An empty cluster id asks for a
// new one.
absl::StatusOr<OpenedStore> OpenNodeStore(
    const NodeSettings& settings, const Clock& clock, const std::string& cluster_id,
    const std::function<absl::StatusOr<FirstNodes>()>& first_nodes);

}  // namespace holdfast::node
