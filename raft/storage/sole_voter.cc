#include "raft/storage/sole_voter.h"

#include <rocksdb/write_batch.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/check.h"
#include "raft/storage/rocksdb_engine.h"
#include "raft/storage/rocksdb_log.h"
#include "raft/storage/rocksdb_replica.h"
#include "raft/storage/rocksdb_status.h"
#include "raft/storage/store_keys.h"
#include "raft/storage/store_records.h"
#include "raft/storage/witness.h"

namespace holdfast::raft {
namespace {

void Put(rocksdb::ColumnFamilyHandle* family, const std::string& key, const std::string& value,
         rocksdb::WriteBatch& batch) {
  rocksdb::Status put = batch.Put(family, ToSlice(key), ToSlice(value));
  HOLDFAST_CHECK(put.ok()) << put.ToString();
}

// Answers how many there were.
absl::StatusOr<size_t> EmptyConfChanges(const Engine& engine, const GroupRecord& record,
                                        rocksdb::WriteBatch& batch) {
  size_t dropped = 0;
  for (LogIndex index = record.applied + 1; index <= record.last; ++index) {
    HOLDFAST_ASSIGN_OR_RETURN(LogHeader header, ReadHeader(engine, record.group, index));
    if (header.type == EntryType::kNormal) continue;
    header.type = EntryType::kNormal;
    header.command.clear();
    Put(engine.log, LogKey(record.group, index), EncodeLogHeader(header), batch);
    ++dropped;
  }
  return dropped;
}

// `record` becomes what it will be.
absl::StatusOr<size_t> ChangeReplica(const Engine& engine, NodeId self, GroupRecord& record,
                                     const std::vector<std::string>& commands,
                                     rocksdb::WriteBatch& batch) {
  HOLDFAST_ASSIGN_OR_RETURN(const size_t dropped, EmptyConfChanges(engine, record, batch));
  record.conf_state = ConfState{};
  record.conf_state.voters = {self};
  Put(engine.meta, MetaKey(MetaKind::kConfState, record.group), EncodeConfState(record.conf_state),
      batch);
  // A term of its own, in which nobody has voted.
  ++record.hard_state.term;
  record.hard_state.vote = NodeId{};
  Put(engine.meta, MetaKey(MetaKind::kHardState, record.group), EncodeHardState(record.hard_state),
      batch);
  for (const std::string& command : commands) {
    Entry entry;
    entry.index = ++record.last;
    entry.term = record.hard_state.term;
    entry.command = command;
    PutEntry(engine, record, entry, batch);
  }
  // Nobody is left who could know of later ends.
  if (record.elided_through > record.last) {
    Put(engine.meta, MetaKey(MetaKind::kElided, record.group), EncodeNumber(record.last), batch);
  }
  return dropped;
}

}  // namespace

absl::StatusOr<SoleVoterChange> MakeSoleVoter(
    const StoreOptions& options, const std::map<GroupId, std::vector<std::string>>& commands) {
  StoreIdentity identity;
  std::vector<GroupRecord> records;
  {
    // Verifies it all: headers, witness.
    HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStore(options));
    identity = store->identity();
    for (const GroupId group : store->groups()) {
      HOLDFAST_ASSIGN_OR_RETURN(GroupRecord record, store->LoadGroup(group));
      records.push_back(std::move(record));
    }
    HOLDFAST_RETURN_IF_ERROR(store->Close());
  }
  HOLDFAST_ASSIGN_OR_RETURN(const std::shared_ptr<Engine> engine,
                            OpenEngine(options, /*create=*/false));
  SoleVoterChange change;
  rocksdb::WriteBatch batch;
  for (GroupRecord& record : records) {
    const auto found = commands.find(record.group);
    HOLDFAST_ASSIGN_OR_RETURN(
        const size_t dropped,
        ChangeReplica(*engine, identity.node, record,
                      found == commands.end() ? std::vector<std::string>() : found->second, batch));
    change.conf_changes_dropped += dropped;
    ++change.groups;
  }
  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<std::string> number,
                            engine->Get(engine->meta, MetaKey(MetaKind::kDurableWrite)));
  HOLDFAST_CHECK(number.has_value()) << "the store was verified";
  HOLDFAST_ASSIGN_OR_RETURN(const uint64_t write, DecodeNumber(*number));
  Put(engine->meta, MetaKey(MetaKind::kDurableWrite), EncodeNumber(write + 1), batch);
  HOLDFAST_RETURN_IF_ERROR(engine->Write(batch, "making this node the only voter"));
  HOLDFAST_RETURN_IF_ERROR(engine->Sync("making this node the only voter"));
  HOLDFAST_RETURN_IF_ERROR(WriteWitness(*engine->env, options.directory, write + 1, nullptr));
  return change;
}

}  // namespace holdfast::raft
