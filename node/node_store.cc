#include "node/node_store.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "node/amnesia.h"
#include "node/config/process.h"
#include "raft/host/group_host.h"

namespace holdfast::node {
namespace {

// A full disk is no reason to be away: started anew, the node says 452 and waits for room.
[[noreturn]] void EndWithStore(const std::string& why, bool restart) {
  if (restart) {
    Log(LogLevel::kError, "no_space",
        {{"reason", why}, {"next", "starting anew, to wait for room"}});
    const absl::Status failed = RestartProcess();
    Log(LogLevel::kError, "restart_failed", {{"reason", Message(failed)}});
  }
  DieOfEnvironment(why.c_str());
}

bool MayBindAgain(const NodeSettings& settings) {
  return MayBindLowPorts() ||
         std::none_of(settings.listeners.begin(), settings.listeners.end(),
                      [](const ListenerSettings& one) { return one.address.port < 1024; });
}

}  // namespace

raft::StoreOptions NodeStoreOptions(const NodeSettings& settings, const Clock& clock) {
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
  options.fatal = [may_restart = MayBindAgain(settings)](const std::string& why, bool no_space) {
    EndWithStore(why, no_space && may_restart);
  };
  return options;
}

absl::StatusOr<bool> NodeStoreExists(const NodeSettings& settings, const Clock& clock) {
  return raft::StoreExists(NodeStoreOptions(settings, clock));
}

absl::StatusOr<OpenedStore> OpenNodeStore(
    const NodeSettings& settings, const Clock& clock, const std::string& cluster_id,
    const std::function<absl::StatusOr<FirstNodes>()>& first_nodes) {
  const raft::StoreOptions options = NodeStoreOptions(settings, clock);
  HOLDFAST_ASSIGN_OR_RETURN(const bool exists, raft::StoreExists(options));
  OpenedStore opened;
  HOLDFAST_RETURN_IF_ERROR(CheckNoAmnesia(settings.data_dir));
  if (exists) {
    absl::StatusOr<std::unique_ptr<raft::Store>> store = raft::OpenStore(options);
    if (store.status().code() == absl::StatusCode::kDataLoss) {
      return WithAdvice(store.status(), settings.data_dir);
    }
    if (!store.ok()) return Annotate(store.status(), settings.data_dir);
    opened.store = *std::move(store);
  } else {
    HOLDFAST_ASSIGN_OR_RETURN(const FirstNodes first, first_nodes());
    const raft::StoreIdentity identity{
        first.cluster_id.empty() ? raft::NewClusterId() : first.cluster_id, settings.node_id};
    absl::StatusOr<std::unique_ptr<raft::Store>> store = raft::CreateStore(
        options, identity, raft::SeedsOfCluster(first.voters, kQueueGroupsDefault));
    if (!store.ok()) return Annotate(store.status(), settings.data_dir);
    opened.store = *std::move(store);
    opened.created = true;
    Log(LogLevel::kInfo, "cluster_created",
        {{"cluster_id", identity.cluster_id},
         {"nodes", first.voters.size()},
         {"data_dir", settings.data_dir}});
  }
  const raft::StoreIdentity& identity = opened.store->identity();
  if (identity.node != settings.node_id) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      "{}: this data directory belongs to node {}, but node_id is {}: correct "
                      "node_id or data_dir in the node file",
                      settings.data_dir, identity.node.value(), settings.node_id.value());
  }
  if (!cluster_id.empty() && identity.cluster_id != cluster_id) {
    return MakeStatus(
        absl::StatusCode::kFailedPrecondition,
        "{}: this data directory belongs to cluster {}, but certificate or node file "
        "say {}: correct data_dir, cluster.cluster_id or cluster.tls in the node file",
        settings.data_dir, identity.cluster_id, cluster_id);
  }
  return opened;
}

}  // namespace holdfast::node
