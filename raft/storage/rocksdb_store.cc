#include "raft/storage/rocksdb_store.h"

#include <rocksdb/env.h>
#include <rocksdb/iterator.h>
#include <rocksdb/write_batch.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <utility>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/mutex.h"
#include "base/random.h"
#include "raft/storage/rocksdb_engine.h"
#include "raft/storage/rocksdb_install.h"
#include "raft/storage/rocksdb_log.h"
#include "raft/storage/rocksdb_replica.h"
#include "raft/storage/rocksdb_status.h"
#include "raft/storage/store_keys.h"
#include "raft/storage/store_records.h"
#include "raft/storage/sync_meter.h"
#include "raft/storage/witness.h"

namespace holdfast::raft {
namespace {

const Clock& ClockOf(const StoreOptions& options) {
  static const SystemClock system;
  return options.clock != nullptr ? *options.clock : system;
}

class RocksDbStore final : public Store {
 public:
  RocksDbStore(const StoreOptions& options, std::shared_ptr<Engine> engine)
      : options_(options), clock_(ClockOf(options)), engine_(std::move(engine)) {}

  // Reads identity and replicas, and compares with the witness.
  absl::Status Load();
  // Writes identity and replicas into an engine without them.
  absl::Status Found(const StoreIdentity& identity, const std::vector<GroupSeed>& groups);

  const StoreIdentity& identity() const override { return identity_; }
  std::vector<GroupId> groups() const override;
  absl::StatusOr<GroupRecord> LoadGroup(GroupId group) const override;
  absl::Status AddGroup(const GroupSeed& seed) override;
  absl::Status Write(const std::vector<LogWrite>& writes) override;
  absl::StatusOr<std::vector<Entry>> ReadEntries(GroupId group, LogIndex low, LogIndex high,
                                                 uint64_t bytes_max) const override;
  absl::StatusOr<Body> ReadBody(const BodyKey& key) const override;
  absl::Status MendBody(const BodyKey& key, const Body& body) override;
  std::unique_ptr<StateReader> Reader(GroupId group) const override {
    return NewRocksDbReader(engine_, group, GenerationOf(group));
  }
  std::unique_ptr<StateBatch> NewStateBatch(GroupId group) override;
  absl::Status CommitState(std::unique_ptr<StateBatch> batch, const AppliedMark& mark) override;
  absl::StatusOr<std::unique_ptr<StateView>> OpenStateView(GroupId group) const override;
  absl::StatusOr<std::unique_ptr<StateInstall>> BeginInstall(GroupId group) override;
  bool GarbagePending(GroupId group) const override;
  bool DeadBodiesPending(GroupId group) const override;
  absl::StatusOr<bool> CollectGarbage(GroupId group,
                                      const std::optional<std::vector<BodyKey>>& live,
                                      size_t steps_max) override;
  absl::Status Witness() override;
  absl::StatusOr<uint64_t> FreeBytes() const override;
  StoreCounters Counters() const override;
  absl::Status Close() override;

 private:
  // Absent: kNotFound.
  absl::StatusOr<GroupRecord> RecordOf(GroupId group) const;
  absl::Status PutLogWrite(const LogWrite& write, rocksdb::WriteBatch& batch);
  // How far garbage reaches once it is written.
  LogIndex CheckInstall(GroupId group, const LogWrite::Install& install);
  // Once its rows are written: readers may see them.
  void ShowInstall(GroupId group, const LogWrite::Install& install);
  absl::Status WriteWitnessNow();

  const StoreOptions options_;
  const Clock& clock_;
  const std::shared_ptr<Engine> engine_;
  StoreIdentity identity_;

  struct Replica {
    GroupRecord record;
    // Of the rows in use. Readers follow it; written under mutex_, with what of `record` belongs
    // to the rows.
    std::shared_ptr<std::atomic<uint64_t>> generation;
    // The newest generation that was ever begun. None is given twice: what a forgotten install
    // still writes can't get among the rows of the next.
    uint64_t newest_generation = 0;
    bool installing = false;  // A Write() is about to bring the newest generation into use.
    std::shared_ptr<GarbageMarks> garbage;
    std::string garbage_cursor;  // Disk key of the next body to look at; empty: the first.
  };
  // Up to where bodies may be looked through now: only rows that know of all those entries tell
  // which of their bodies live. 0: nothing to do yet.
  static LogIndex BodiesDue(const Replica& replica) {
    const LogIndex to = replica.garbage->bodies_to;
    return to <= replica.record.applied ? to : LogIndex{};
  }
  static Replica MakeReplica(GroupRecord record, const ReplicaRows& rows);
  std::shared_ptr<std::atomic<uint64_t>> GenerationOf(GroupId group) const;

  mutable Mutex mutex_;
  std::map<GroupId, Replica> replicas_ ABSL_GUARDED_BY(mutex_);

  // Owned by the storage context.
  uint64_t write_number_ = 0;   // Of the newest batch.
  uint64_t durable_write_ = 0;  // Of the newest synced batch.
  uint64_t witnessed_write_ = 0;
  absl::Duration witnessed_at_;  // Of clock_.SinceBoot().

  std::atomic<uint64_t> writes_{0};
  SyncMeter syncs_{clock_};
  std::atomic<uint64_t> body_bytes_{0};
};

absl::Status MetaDamage(GroupId group, const absl::Status& status) {
  return Annotate(status, holdfast::format("group {}", group.value()));
}

absl::Status RocksDbStore::Load() {
  absl::StatusOr<std::optional<std::string>> identity =
      engine_->Get(engine_->meta, MetaKey(MetaKind::kIdentity));
  HOLDFAST_RETURN_IF_ERROR(identity.status());
  if (!*identity) {
    return MakeStatus(absl::StatusCode::kNotFound, "the store {} was never finished",
                      options_.directory);
  }
  HOLDFAST_ASSIGN_OR_RETURN(identity_, DecodeIdentity(**identity));

  HOLDFAST_ASSIGN_OR_RETURN(std::optional<std::string> number,
                            engine_->Get(engine_->meta, MetaKey(MetaKind::kDurableWrite)));
  if (!number) return MakeStatus(absl::StatusCode::kDataLoss, "the write number is missing");
  HOLDFAST_ASSIGN_OR_RETURN(write_number_, DecodeNumber(*number));
  durable_write_ = write_number_;
  absl::StatusOr<uint64_t> witness = ReadWitness(*engine_->env, options_.directory);
  if (absl::IsNotFound(witness.status())) {
    return MakeStatus(absl::StatusCode::kDataLoss, "{}", holdfast::Message(witness.status()));
  }
  HOLDFAST_RETURN_IF_ERROR(witness.status());
  if (write_number_ < *witness) {
    return MakeStatus(absl::StatusCode::kDataLoss,
                      "the store {} ends at write {}, but write {} was synced: it has lost "
                      "acknowledged data and must not vote",
                      options_.directory, write_number_, *witness);
  }
  witnessed_write_ = *witness;
  witnessed_at_ = clock_.SinceBoot();

  std::unique_ptr<rocksdb::Iterator> rows(
      engine_->db->NewIterator(rocksdb::ReadOptions(), engine_->meta));
  GroupId group;
  for (rows->Seek(ToSlice(MetaKey(MetaKind::kReplica))); rows->Valid(); rows->Next()) {
    if (!ParseMetaKey(FromSlice(rows->key()), MetaKind::kReplica, group)) break;
    absl::StatusOr<GroupRecord> record = ReadReplica(*engine_, group);
    if (!record.ok()) return MetaDamage(group, record.status());
    absl::Status verified = VerifyHeaders(*engine_, *record);
    if (!verified.ok()) return MetaDamage(group, verified);
    absl::StatusOr<ReplicaRows> of_rows = ReadReplicaRows(*engine_, group);
    if (!of_rows.ok()) return MetaDamage(group, of_rows.status());
    MutexLock lock(mutex_);
    replicas_.emplace(group, MakeReplica(*std::move(record), *of_rows));
  }
  return FromRocksDb(rows->status(), "reading the replicas");
}

absl::Status RocksDbStore::Found(const StoreIdentity& identity,
                                 const std::vector<GroupSeed>& groups) {
  // The witness first: a store that has an identity always has a witness.
  HOLDFAST_RETURN_IF_ERROR(WriteWitness(*engine_->env, options_.directory, 0, nullptr));
  rocksdb::WriteBatch batch;
  rocksdb::Status put = batch.Put(engine_->meta, ToSlice(MetaKey(MetaKind::kIdentity)),
                                  ToSlice(EncodeIdentity(identity)));
  HOLDFAST_CHECK(put.ok()) << put.ToString();
  put =
      batch.Put(engine_->meta, ToSlice(MetaKey(MetaKind::kDurableWrite)), ToSlice(EncodeNumber(0)));
  HOLDFAST_CHECK(put.ok()) << put.ToString();
  for (const GroupSeed& seed : groups) SeedReplica(*engine_, seed, batch);
  HOLDFAST_RETURN_IF_ERROR(engine_->Write(batch, "creating the store"));
  return engine_->Sync("creating the store");
}

std::vector<GroupId> RocksDbStore::groups() const {
  MutexLock lock(mutex_);
  std::vector<GroupId> out;
  for (const auto& [group, replica] : replicas_) out.push_back(group);
  return out;
}

absl::StatusOr<GroupRecord> RocksDbStore::RecordOf(GroupId group) const {
  MutexLock lock(mutex_);
  auto it = replicas_.find(group);
  if (it == replicas_.end()) {
    return MakeStatus(absl::StatusCode::kNotFound, "no replica of group {}", group.value());
  }
  return it->second.record;
}

RocksDbStore::Replica RocksDbStore::MakeReplica(GroupRecord record, const ReplicaRows& rows) {
  Replica replica;
  replica.record = std::move(record);
  replica.generation = std::make_shared<std::atomic<uint64_t>>(rows.generation);
  replica.newest_generation = rows.newest_generation;
  replica.garbage = std::make_shared<GarbageMarks>();
  replica.garbage->abandoned_to = rows.newest_generation;
  replica.garbage->bodies_to = rows.garbage_to;
  return replica;
}

std::shared_ptr<std::atomic<uint64_t>> RocksDbStore::GenerationOf(GroupId group) const {
  MutexLock lock(mutex_);
  auto it = replicas_.find(group);
  HOLDFAST_CHECK(it != replicas_.end()) << "no replica of group " << group;
  return it->second.generation;
}

absl::StatusOr<GroupRecord> RocksDbStore::LoadGroup(GroupId group) const { return RecordOf(group); }

absl::Status RocksDbStore::AddGroup(const GroupSeed& seed) {
  if (RecordOf(seed.group).ok()) {
    return MakeStatus(absl::StatusCode::kAlreadyExists, "group {} is here", seed.group.value());
  }
  rocksdb::WriteBatch batch;
  SeedReplica(*engine_, seed, batch);
  HOLDFAST_RETURN_IF_ERROR(engine_->Write(batch, "adding a group"));
  HOLDFAST_RETURN_IF_ERROR(
      syncs_.Time(SyncMeter::Wait::kLog, [this] { return engine_->Sync("adding a group"); }));
  GroupRecord record;
  record.group = seed.group;
  record.incarnation = seed.incarnation;
  record.conf_state = seed.conf_state;
  MutexLock lock(mutex_);
  replicas_.emplace(seed.group, MakeReplica(std::move(record), ReplicaRows{}));
  return absl::OkStatus();
}

absl::Status RocksDbStore::Write(const std::vector<LogWrite>& writes) {
  if (engine_->latch->failed()) return engine_->Failed();
  rocksdb::WriteBatch batch;
  bool must_sync = false;
  bool vote_changed = false;
  for (const LogWrite& write : writes) {
    const absl::StatusOr<GroupRecord> before = RecordOf(write.group);
    HOLDFAST_CHECK(before.ok()) << "write for group " << write.group;
    if (write.hard_state && (write.hard_state->term != before->hard_state.term ||
                             write.hard_state->vote != before->hard_state.vote)) {
      vote_changed = true;
    }
    must_sync = must_sync || write.must_sync || write.install.has_value();
    absl::Status put = PutLogWrite(write, batch);
    if (!put.ok()) {  // Only reading what is to be removed can fail: damage, or a broken disk.
      engine_->latch->Fail(holdfast::format("the store failed: {}", holdfast::Message(put)));
      return put;
    }
  }
  ++write_number_;
  rocksdb::Status put = batch.Put(engine_->meta, ToSlice(MetaKey(MetaKind::kDurableWrite)),
                                  ToSlice(EncodeNumber(write_number_)));
  HOLDFAST_CHECK(put.ok()) << put.ToString();
  HOLDFAST_RETURN_IF_ERROR(engine_->Write(batch, "appending to the log"));
  for (const LogWrite& write : writes) {
    if (write.install) ShowInstall(write.group, *write.install);
  }
  ++writes_;
  if (!must_sync) return absl::OkStatus();
  // Write, then sync, instead of a synced write: RocksDB lets other writers pass in between, so
  // that apply does not wait for the disk.
  HOLDFAST_RETURN_IF_ERROR(
      syncs_.Time(SyncMeter::Wait::kLog, [this] { return engine_->Sync("syncing the log"); }));
  durable_write_ = write_number_;
  const bool is_due = clock_.SinceBoot() - witnessed_at_ >= options_.witness_interval;
  return vote_changed || is_due ? WriteWitnessNow() : absl::OkStatus();
}

absl::Status RocksDbStore::PutLogWrite(const LogWrite& write, rocksdb::WriteBatch& batch) {
  absl::StatusOr<GroupRecord> record = RecordOf(write.group);
  HOLDFAST_RETURN_IF_ERROR(record.status());
  if (write.install) {
    const LogIndex garbage_to = CheckInstall(write.group, *write.install);
    HOLDFAST_RETURN_IF_ERROR(PutInstall(*engine_, *record, *write.install, garbage_to, batch));
  }
  if (!write.entries.empty()) {
    const LogIndex first = write.entries.front().index;
    HOLDFAST_CHECK(first <= record->last + 1 && first > record->truncated)
        << "gap: entry " << first << " behind (" << record->truncated << ", " << record->last
        << "]";
    HOLDFAST_CHECK(first > record->applied) << "entry " << first << " is applied";
    if (first <= record->last) HOLDFAST_RETURN_IF_ERROR(DropTail(*engine_, *record, first, batch));
    LogIndex next = first;
    LogIndex elided_through = record->elided_through;
    for (const Entry& entry : write.entries) {
      HOLDFAST_CHECK(entry.index == next++) << "gap before entry " << entry.index;
      body_bytes_ += PutEntry(*engine_, *record, entry, batch);
      for (const Payload& body : entry.bodies) {
        elided_through = std::max(elided_through, body.elided_by);
      }
    }
    record->last = next - 1;
    RaiseElided(*engine_, *record, elided_through, batch);
  }
  if (write.hard_state) record->hard_state = *write.hard_state;
  if (write.install) {
    record->hard_state.commit = std::max(record->hard_state.commit, write.install->index);
  }
  if (write.hard_state || write.install) {
    rocksdb::Status put =
        batch.Put(engine_->meta, ToSlice(MetaKey(MetaKind::kHardState, write.group)),
                  ToSlice(EncodeHardState(record->hard_state)));
    HOLDFAST_CHECK(put.ok()) << put.ToString();
  }
  if (write.truncate_before) {
    HOLDFAST_RETURN_IF_ERROR(DropFront(*engine_, *record, *write.truncate_before, batch));
  }
  // What belongs to the rows follows with them: see ShowInstall().
  MutexLock lock(mutex_);
  GroupRecord& kept = replicas_.at(write.group).record;
  kept.hard_state = record->hard_state;
  kept.last = record->last;
  kept.elided_through = record->elided_through;
  kept.truncated = record->truncated;
  kept.truncated_term = record->truncated_term;
  return absl::OkStatus();
}

LogIndex RocksDbStore::CheckInstall(GroupId group, const LogWrite::Install& install) {
  MutexLock lock(mutex_);
  Replica& replica = replicas_.at(group);
  // Another one begun since has removed its rows.
  HOLDFAST_CHECK(install.generation == replica.newest_generation &&
                 install.generation > replica.generation->load())
      << "an install of generation " << install.generation << ", the newest begun is "
      << replica.newest_generation;
  HOLDFAST_CHECK(replica.garbage->abandoned_to < install.generation)
      << "an install of generation " << install.generation << ", which was given up";
  replica.installing = true;
  return std::max<LogIndex>(install.index, replica.garbage->bodies_to);
}

void RocksDbStore::ShowInstall(GroupId group, const LogWrite::Install& install) {
  MutexLock lock(mutex_);
  Replica& replica = replicas_.at(group);
  replica.record.applied = install.index;
  replica.record.applied_term = install.term;
  replica.record.conf_state = install.conf_state;
  replica.generation->store(install.generation);
  replica.installing = false;
  replica.garbage->bodies_to = std::max<LogIndex>(install.index, replica.garbage->bodies_to);
  replica.garbage_cursor.clear();
}

absl::StatusOr<std::vector<Entry>> RocksDbStore::ReadEntries(GroupId group, LogIndex low,
                                                             LogIndex high,
                                                             uint64_t bytes_max) const {
  HOLDFAST_ASSIGN_OR_RETURN(const GroupRecord record, RecordOf(group));
  if (low <= record.truncated || high > record.last + 1 || low > high) {
    return MakeStatus(absl::StatusCode::kOutOfRange, "group {}: [{}, {}) is not within ({}, {}]",
                      group.value(), low, high, record.truncated, record.last);
  }
  std::vector<Entry> entries;
  uint64_t bytes = 0;
  std::unique_ptr<rocksdb::Iterator> headers(
      engine_->db->NewIterator(rocksdb::ReadOptions(), engine_->log));
  headers->Seek(ToSlice(LogKey(group, low)));
  for (LogIndex index = low; index < high; ++index, headers->Next()) {
    HOLDFAST_ASSIGN_OR_RETURN(LogHeader header, HeaderAt(*headers, group, index));
    Entry entry;
    entry.index = index;
    entry.term = header.term;
    entry.type = header.type;
    entry.command = std::move(header.command);
    for (const BodySum& sum : header.bodies) {
      Payload body;
      body.size = sum.bytes;
      body.crc32c = sum.crc32c;
      entry.bodies.push_back(std::move(body));
    }
    bytes += EncodedBytes(entry);
    if (!entries.empty() && bytes > bytes_max) break;
    entries.push_back(std::move(entry));
  }
  return entries;
}

absl::StatusOr<Body> RocksDbStore::ReadBody(const BodyKey& key) const {
  HOLDFAST_ASSIGN_OR_RETURN(const GroupRecord record, RecordOf(key.group));
  const std::string disk_key = BodyDiskKey(record.incarnation, key);
  rocksdb::PinnableSlice value;
  rocksdb::Status status =
      engine_->db->Get(rocksdb::ReadOptions(), engine_->body, ToSlice(disk_key), &value);
  absl::Status failure = FromRocksDb(status, "reading a body");
  absl::StatusOr<std::string_view> body;
  if (failure.ok()) {
    body = DecodeBody(disk_key, FromSlice(value));
    failure = body.status();
  }
  if (!failure.ok()) {
    return Annotate(failure, holdfast::format("body {}/{}/{}/{}", key.group.value(), key.index,
                                              key.term, key.ordinal));
  }
  return std::make_shared<const std::string>(*body);
}

absl::Status RocksDbStore::MendBody(const BodyKey& key, const Body& body) {
  HOLDFAST_ASSIGN_OR_RETURN(const GroupRecord record, RecordOf(key.group));
  rocksdb::WriteBatch batch;
  PutBody(*engine_, record.incarnation, key, *body, Crc32c(*body), batch);
  HOLDFAST_RETURN_IF_ERROR(engine_->Write(batch, "mending a body"));
  return engine_->Sync("mending a body");
}

std::unique_ptr<StateBatch> RocksDbStore::NewStateBatch(GroupId group) {
  absl::StatusOr<GroupRecord> record = RecordOf(group);
  HOLDFAST_CHECK(record.ok()) << "no replica of group " << group;
  return std::make_unique<RocksDbBatch>(engine_, group, record->incarnation,
                                        GenerationOf(group)->load());
}

absl::Status RocksDbStore::CommitState(std::unique_ptr<StateBatch> batch, const AppliedMark& mark) {
  auto& ours = static_cast<RocksDbBatch&>(*batch);
  if (!ours.read_status().ok()) {
    engine_->latch->Fail(
        holdfast::format("the store failed: {}", holdfast::Message(ours.read_status())));
    return ours.read_status();
  }
  const GroupId group = ours.group();
  absl::StatusOr<GroupRecord> record = RecordOf(group);
  HOLDFAST_RETURN_IF_ERROR(record.status());
  HOLDFAST_CHECK(ours.generation() == GenerationOf(group)->load())
      << "rows of generation " << ours.generation() << " behind an install";
  HOLDFAST_CHECK(mark.index >= record->applied && mark.index <= record->last)
      << "applied " << mark.index << " behind " << record->applied << " of " << record->last;
  rocksdb::Status put =
      ours.changes().Put(engine_->meta, ToSlice(MetaKey(MetaKind::kApplied, group)),
                         ToSlice(EncodeLogMark(LogMark{mark.index, mark.term})));
  HOLDFAST_CHECK(put.ok()) << put.ToString();
  if (mark.conf_state) {
    put = ours.changes().Put(engine_->meta, ToSlice(MetaKey(MetaKind::kConfState, group)),
                             ToSlice(EncodeConfState(*mark.conf_state)));
    HOLDFAST_CHECK(put.ok()) << put.ToString();
  }
  {
    // Before the write: whoever misses a body that this batch deletes, and then asks how far the
    // group is applied, must not be told an older index (LoadGroup). A write that fails ends it
    // all.
    MutexLock lock(mutex_);
    GroupRecord& kept = replicas_.at(group).record;
    kept.applied = mark.index;
    kept.applied_term = mark.term;
    if (mark.conf_state) kept.conf_state = *mark.conf_state;
  }
  return engine_->Write(*ours.changes().GetWriteBatch(), "writing rows");
}

absl::StatusOr<std::unique_ptr<StateView>> RocksDbStore::OpenStateView(GroupId group) const {
  // An install may come in between, and the garbage of what it replaced be collected. That begins
  // only once the new generation is shown: if it isn't yet, the iterator holds all rows of the old.
  while (true) {
    StateView::Mark mark;
    uint64_t generation = 0;
    {
      MutexLock lock(mutex_);
      auto it = replicas_.find(group);
      if (it == replicas_.end()) {
        return MakeStatus(absl::StatusCode::kNotFound, "no replica of group {}", group.value());
      }
      const GroupRecord& record = it->second.record;
      mark = StateView::Mark{record.applied, record.applied_term, record.conf_state};
      generation = it->second.generation->load();
    }
    std::unique_ptr<StateView> view =
        NewRocksDbView(engine_, StatePrefix(group, generation), std::move(mark));
    if (GenerationOf(group)->load() == generation) return view;
  }
}

absl::StatusOr<std::unique_ptr<StateInstall>> RocksDbStore::BeginInstall(GroupId group) {
  HOLDFAST_ASSIGN_OR_RETURN(const GroupRecord record, RecordOf(group));
  uint64_t in_use = 0;
  uint64_t begun = 0;
  std::shared_ptr<GarbageMarks> garbage;
  {
    MutexLock lock(mutex_);
    Replica& replica = replicas_.at(group);
    HOLDFAST_CHECK(!replica.installing) << "group " << group << " is just being installed";
    in_use = replica.generation->load();
    begun = ++replica.newest_generation;
    garbage = replica.garbage;
    garbage->abandoned_to = 0;
    replica.garbage_cursor.clear();  // Bodies may come in front of it.
  }
  return NewRocksDbInstall(engine_, group, record.incarnation, in_use, begun, std::move(garbage));
}

bool RocksDbStore::GarbagePending(GroupId group) const {
  MutexLock lock(mutex_);
  auto it = replicas_.find(group);
  if (it == replicas_.end()) return false;
  const Replica& replica = it->second;
  return BodiesDue(replica) != LogIndex{} ||
         replica.garbage->abandoned_to > replica.generation->load();
}

bool RocksDbStore::DeadBodiesPending(GroupId group) const {
  MutexLock lock(mutex_);
  auto it = replicas_.find(group);
  return it != replicas_.end() && BodiesDue(it->second) != LogIndex{};
}

absl::StatusOr<bool> RocksDbStore::CollectGarbage(GroupId group,
                                                  const std::optional<std::vector<BodyKey>>& live,
                                                  size_t steps_max) {
  static const std::vector<BodyKey> kNone;
  if (engine_->latch->failed()) return engine_->Failed();
  if (!GarbagePending(group)) return true;
  GarbageRound round;
  round.group = group;
  {
    MutexLock lock(mutex_);
    const Replica& replica = replicas_.at(group);
    round.incarnation = replica.record.incarnation;
    round.generation = replica.generation->load();
    round.abandoned_to = replica.garbage->abandoned_to;
    if (live) round.bodies_to = BodiesDue(replica);
    round.cursor = replica.garbage_cursor;
  }
  HOLDFAST_ASSIGN_OR_RETURN(
      const bool done, CollectRocksDbGarbage(*engine_, live ? *live : kNone, steps_max, round));
  MutexLock lock(mutex_);
  Replica& replica = replicas_.at(group);
  replica.garbage_cursor = done ? "" : round.cursor;
  // Another one may have been given up meanwhile.
  replica.garbage->abandoned_to.compare_exchange_strong(round.abandoned_to, 0);
  if (done && round.bodies_to != LogIndex{}) replica.garbage->bodies_to = LogIndex{};
  return done;
}

absl::Status RocksDbStore::WriteWitnessNow() {
  absl::Status status = WriteWitness(*engine_->env, options_.directory, durable_write_, &syncs_);
  if (!status.ok()) {
    engine_->latch->Fail(
        holdfast::format("the store {} failed: {}", options_.directory, holdfast::Message(status)));
    return status;
  }
  witnessed_write_ = durable_write_;
  witnessed_at_ = clock_.SinceBoot();
  return absl::OkStatus();
}

absl::Status RocksDbStore::Witness() {
  if (engine_->latch->failed()) return engine_->Failed();
  return witnessed_write_ == durable_write_ ? absl::OkStatus() : WriteWitnessNow();
}

absl::StatusOr<uint64_t> RocksDbStore::FreeBytes() const {
  struct statvfs space {};
  if (statvfs(options_.directory.c_str(), &space) != 0) {
    return MakeStatus(absl::StatusCode::kUnavailable, "free space of {}: {}", options_.directory,
                      std::strerror(errno));
  }
  return uint64_t{space.f_bavail} * space.f_frsize;
}

StoreCounters RocksDbStore::Counters() const {
  StoreCounters out;
  out.writes = writes_;
  const SyncMeter::Counts syncs = syncs_.Read();
  out.syncs = syncs.log;
  out.sync_time = syncs.log_time;
  out.witness_syncs = syncs.witness;
  out.sync_running = syncs.running;
  out.body_bytes_written = body_bytes_;
  const rocksdb::Statistics& statistics = *engine_->statistics;
  out.wal_bytes = statistics.getTickerCount(rocksdb::WAL_FILE_BYTES);
  out.flush_bytes = statistics.getTickerCount(rocksdb::FLUSH_WRITE_BYTES);
  out.compaction_bytes_written = statistics.getTickerCount(rocksdb::COMPACT_WRITE_BYTES);
  // False only for a property that doesn't exist.
  (void)engine_->db->GetAggregatedIntProperty(rocksdb::DB::Properties::kCurSizeAllMemTables,
                                              &out.unflushed_bytes);
  return out;
}

absl::Status RocksDbStore::Close() {
  HOLDFAST_RETURN_IF_ERROR(engine_->Sync("closing the store"));
  durable_write_ = write_number_;
  return Witness();
}

}  // namespace

StoreOptions StoreOptions::ForTests(std::string directory) {
  StoreOptions options;
  options.directory = std::move(directory);
  options.body_memtable_bytes = uint64_t{4} << 20;
  options.log_memtable_bytes = uint64_t{1} << 20;
  options.state_memtable_bytes = uint64_t{1} << 20;
  options.meta_memtable_bytes = uint64_t{1} << 20;
  options.wal_bytes_max = uint64_t{32} << 20;
  options.blob_file_bytes = uint64_t{2} << 20;
  options.block_cache_bytes = uint64_t{4} << 20;
  return options;
}

std::string NewClusterId() {
  Random random = Random::FromKernel();
  return holdfast::format("{:016x}{:016x}", random.Next(), random.Next());
}

absl::StatusOr<bool> StoreExists(const StoreOptions& options) {
  HOLDFAST_ASSIGN_OR_RETURN(const bool exists, EngineExists(options));
  if (!exists) return false;
  rocksdb::Env* env = options.env != nullptr ? options.env : rocksdb::Env::Default();
  const absl::StatusOr<uint64_t> witness = ReadWitness(*env, options.directory);
  if (!witness.ok() && !absl::IsNotFound(witness.status())) return true;
  if (witness.ok() && *witness > 0) return true;
  // A young store, or one whose creation was cut short: its identity is written last. In use,
  // damaged, without room: OpenStore() says so.
  absl::StatusOr<std::shared_ptr<Engine>> engine = OpenEngine(options, /*create=*/true);
  if (!engine.ok()) return true;
  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<std::string> identity,
                            (*engine)->Get((*engine)->meta, MetaKey(MetaKind::kIdentity)));
  return identity.has_value();
}

absl::StatusOr<std::unique_ptr<Store>> CreateStore(const StoreOptions& options,
                                                   const StoreIdentity& identity,
                                                   const std::vector<GroupSeed>& groups) {
  if (identity.cluster_id.empty() || identity.cluster_id.size() > 64 || identity.node == NodeId()) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "a store needs a cluster and a node id");
  }
  HOLDFAST_ASSIGN_OR_RETURN(std::shared_ptr<Engine> engine, OpenEngine(options, /*create=*/true));
  HOLDFAST_ASSIGN_OR_RETURN(std::optional<std::string> known,
                            engine->Get(engine->meta, MetaKey(MetaKind::kIdentity)));
  if (known) {
    return MakeStatus(absl::StatusCode::kAlreadyExists, "{} holds a store already",
                      options.directory);
  }
  auto store = std::make_unique<RocksDbStore>(options, std::move(engine));
  HOLDFAST_RETURN_IF_ERROR(store->Found(identity, groups));
  HOLDFAST_RETURN_IF_ERROR(store->Load());
  return std::unique_ptr<Store>(std::move(store));
}

absl::StatusOr<std::unique_ptr<Store>> OpenStore(const StoreOptions& options) {
  HOLDFAST_ASSIGN_OR_RETURN(const bool exists, EngineExists(options));
  if (!exists) {
    return MakeStatus(absl::StatusCode::kNotFound, "no store in {}", options.directory);
  }
  HOLDFAST_ASSIGN_OR_RETURN(std::shared_ptr<Engine> engine, OpenEngine(options, /*create=*/false));
  auto store = std::make_unique<RocksDbStore>(options, std::move(engine));
  HOLDFAST_RETURN_IF_ERROR(store->Load());
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace holdfast::raft
