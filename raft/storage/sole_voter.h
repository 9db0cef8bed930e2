// raft/storage/sole_voter.h
// The one unsafe change of a store: a majority of its cluster is lost for good, and what this
// replica has is all that there is to go on with. Afterwards this node is the only voter of every
// group. What only the lost ones had is gone; what was in the log here and never committed will be
// committed. So no other replica of that time may ever be heard again: that is for the caller to
// see to (a new incarnation of the cluster).
//
// Entries that would change a configuration and are not applied yet become empty ones: they were
// meant for members that no longer exist.
//
// Threads: one; nobody else has the store open (kFailedPrecondition).
// Errors:  as OpenStore(). One synced batch: after a crash all of it or nothing is there.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/strong_id.h"
#include "raft/storage/rocksdb_store.h"

namespace holdfast::raft {

struct SoleVoterChange {
  size_t groups = 0;
  // Changes of configuration that were in the logs and will not happen.
  size_t conf_changes_dropped = 0;
};

// `commands` are appended to the groups' logs, and applied when the node starts.
absl::StatusOr<SoleVoterChange> MakeSoleVoter(
    const StoreOptions& options, const std::map<GroupId, std::vector<std::string>>& commands);

}  // namespace holdfast::raft
