#include "node/node_store.h"

#include <vector>

#include "base/log.h"
#include "raft/storage/rocksdb_store.h"

namespace holdfast::node {
namespace {

raft::StoreOptions OptionsOf(const NodeSettings& settings, const Clock& clock) {
  raft::StoreOptions options;
  options.directory = settings.data_dir + "/store";
  // The family holds up to four memtables, of which a flush merges two.
  options.body_memtable_bytes = settings.storage.body_memtable_bytes;
  options.state_memtable_bytes = settings.storage.state_memtable_bytes;
  options.log_memtable_bytes = settings.storage.state_memtable_bytes;
  options.wal_bytes_max =
      4 * settings.storage.body_memtable_bytes + 4 * settings.storage.state_memtable_bytes;
  options.block_cache_bytes = settings.storage.cache_bytes;
  options.open_files_max = static_cast<int>(settings.storage.open_files_max);
  options.background_jobs_max = static_cast<int>(settings.storage.background_threads);
  options.clock = &clock;
  return options;
}

}  // namespace

absl::StatusOr<OpenedStore> OpenNodeStore(const NodeSettings& settings, const Clock& clock,
                                          const std::function<absl::Status()>& seed_policy) {
  const raft::StoreOptions options = OptionsOf(settings, clock);
  HOLDFAST_ASSIGN_OR_RETURN(const bool exists, raft::StoreExists(options));
  OpenedStore opened;
  if (exists) {
    absl::StatusOr<std::unique_ptr<raft::Store>> store = raft::OpenStore(options);
    if (!store.ok()) return Annotate(store.status(), settings.data_dir);
    opened.store = *std::move(store);
  } else {
    HOLDFAST_RETURN_IF_ERROR(seed_policy());
    const raft::StoreIdentity identity{raft::NewClusterId(), settings.node_id};
    std::vector<raft::GroupSeed> groups;
    for (uint32_t group = 0; group <= kQueueGroupsDefault; ++group) {
      raft::GroupSeed seed;
      seed.group = GroupId{group};
      seed.conf_state.voters = {settings.node_id};
      groups.push_back(std::move(seed));
    }
    absl::StatusOr<std::unique_ptr<raft::Store>> store =
        raft::CreateStore(options, identity, groups);
    if (!store.ok()) return Annotate(store.status(), settings.data_dir);
    opened.store = *std::move(store);
    opened.created = true;
    Log(LogLevel::kInfo, "cluster_created",
        {{"cluster_id", identity.cluster_id}, {"data_dir", settings.data_dir}});
  }
  const raft::StoreIdentity& identity = opened.store->identity();
  if (identity.node != settings.node_id) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      "{}: this data directory belongs to node {}, but node_id is {}: correct "
                      "node_id or data_dir in the node file",
                      settings.data_dir, identity.node.value(), settings.node_id.value());
  }
  return opened;
}

}  // namespace holdfast::node
