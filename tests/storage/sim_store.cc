#include "tests/storage/sim_store.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/crc32c.h"

namespace holdfast::raft {
namespace {

constexpr uint64_t kFreeBytes = uint64_t{1} << 40;

class SimStore final : public Store {
 public:
  SimStore(SimDisk& disk, const SimStoreOptions& options) : disk_(disk), options_(options) {
    HOLDFAST_CHECK(options.clock != nullptr) << "a simulated store needs a clock";
  }

  absl::Status Load();
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
    return NewSimReader(disk_, group);
  }
  std::unique_ptr<StateBatch> NewStateBatch(GroupId group) override;
  absl::Status CommitState(std::unique_ptr<StateBatch> batch, const AppliedMark& mark) override;
  absl::StatusOr<std::unique_ptr<StateView>> OpenStateView(GroupId group) const override;
  absl::StatusOr<std::unique_ptr<StateInstall>> BeginInstall(GroupId group) override;
  bool GarbagePending(GroupId group) const override;
  bool DeadBodiesPending(GroupId group) const override {
    return records_.contains(group) && BodiesDue(group).has_value();
  }
  absl::StatusOr<bool> CollectGarbage(GroupId group,
                                      const std::optional<std::vector<BodyKey>>& live,
                                      size_t steps_max) override;
  absl::Status Witness() override;
  absl::StatusOr<uint64_t> FreeBytes() const override { return kFreeBytes; }
  StoreCounters Counters() const override { return counters_; }
  absl::Status Close() override;

 private:
  // Notes a failed step; gives it back.
  absl::Status Failed(absl::Status status);
  bool failed() const { return told_ || disk_.failed(); }
  absl::Status PutLogWrite(const LogWrite& write, std::vector<SimChange>& batch);
  absl::Status PutInstall(GroupRecord& record, const LogWrite::Install& install,
                          std::vector<SimChange>& batch);
  absl::Status DropTail(const GroupRecord& record, LogIndex from, std::vector<SimChange>& batch);
  void DropFront(GroupRecord& record, LogIndex before, std::vector<SimChange>& batch) const;
  void PutEntry(const GroupRecord& record, const Entry& entry, std::vector<SimChange>& batch);
  // Up to where bodies may be looked through now; nullopt: nothing to do yet.
  std::optional<LogIndex> BodiesDue(GroupId group) const;
  const SimGroup& OnDisk(GroupId group) const { return disk_.now().groups.at(group); }
  static absl::Status Verify(const SimGroup& group);
  absl::Status WriteWitness();

  SimDisk& disk_;
  const SimStoreOptions options_;
  StoreIdentity identity_;
  std::map<GroupId, GroupRecord> records_;
  // Where the next slice of a collection begins.
  std::map<GroupId, BodyKey> garbage_from_;
  std::map<GroupId, uint64_t> newest_generations_;  // That was ever begun.
  // Rows of generations behind the one in use, up to this one, belong to nobody.
  std::map<GroupId, std::shared_ptr<uint64_t>> abandoned_to_;
  uint64_t write_number_ = 0;
  uint64_t durable_write_ = 0;
  uint64_t witnessed_write_ = 0;
  absl::Duration witnessed_at_;
  StoreCounters counters_;
  bool told_ = false;
};

GroupRecord Newborn(const GroupSeed& seed) {
  GroupRecord record;
  record.group = seed.group;
  record.incarnation = seed.incarnation;
  record.conf_state = seed.conf_state;
  return record;
}

absl::Status SimStore::Failed(absl::Status status) {
  if (!told_ && options_.fatal) options_.fatal(std::string(holdfast::Message(status)));
  told_ = true;
  return status;
}

absl::Status SimStore::Found(const StoreIdentity& identity, const std::vector<GroupSeed>& groups) {
  HOLDFAST_RETURN_IF_ERROR(disk_.PutWitness(0));
  std::vector<SimChange> batch;
  batch.emplace_back(SimPutIdentity{identity});
  batch.emplace_back(SimPutNumber{0});
  for (const GroupSeed& seed : groups) batch.emplace_back(SimPutRecord{Newborn(seed)});
  HOLDFAST_RETURN_IF_ERROR(disk_.Write(std::move(batch)));
  return disk_.Sync();
}

absl::Status SimStore::Verify(const SimGroup& group) {
  const GroupRecord& record = group.record;
  if (group.damaged) {
    return MakeStatus(absl::StatusCode::kDataLoss, "group {}: a record without its checksum",
                      record.group.value());
  }
  if (record.applied < record.truncated || record.last < record.applied ||
      record.last < record.hard_state.commit) {
    return MakeStatus(absl::StatusCode::kDataLoss,
                      "group {}: the log holds ({}, {}], yet {} is applied and {} committed",
                      record.group.value(), record.truncated, record.last, record.applied,
                      record.hard_state.commit);
  }
  Term term = record.truncated_term;
  for (LogIndex index = record.truncated + 1; index <= record.last; ++index) {
    const auto entry = group.log.find(index);
    if (entry == group.log.end() || entry->second.term < term ||
        entry->second.term > record.hard_state.term) {
      return MakeStatus(absl::StatusCode::kDataLoss, "group {}: entry {} is missing or out of term",
                        record.group.value(), index);
    }
    term = entry->second.term;
  }
  if (group.log.size() != record.last - record.truncated) {
    return MakeStatus(absl::StatusCode::kDataLoss, "group {}: headers outside the log",
                      record.group.value());
  }
  return absl::OkStatus();
}

absl::Status SimStore::Load() {
  const SimImage& image = disk_.now();
  if (!image.identity) {
    return MakeStatus(absl::StatusCode::kNotFound, "the store was never finished");
  }
  identity_ = *image.identity;
  write_number_ = durable_write_ = image.write_number;
  if (!disk_.witness()) return MakeStatus(absl::StatusCode::kDataLoss, "the witness is missing");
  witnessed_write_ = *disk_.witness();
  witnessed_at_ = options_.clock->SinceBoot();
  if (write_number_ < witnessed_write_) {
    return MakeStatus(absl::StatusCode::kDataLoss,
                      "the store ends at write {}, but write {} was synced: it has lost "
                      "acknowledged data and must not vote",
                      write_number_, witnessed_write_);
  }
  for (const auto& [id, group] : image.groups) {
    HOLDFAST_RETURN_IF_ERROR(Verify(group));
    abandoned_to_[id] =
        std::make_shared<uint64_t>(group.rows.empty() ? 0 : group.rows.rbegin()->first);
    GroupRecord record = group.record;
    record.hard_state.commit = std::max(record.hard_state.commit, record.applied);
    records_.emplace(id, std::move(record));
  }
  return absl::OkStatus();
}

std::vector<GroupId> SimStore::groups() const {
  std::vector<GroupId> out;
  for (const auto& [group, record] : records_) out.push_back(group);
  return out;
}

absl::StatusOr<GroupRecord> SimStore::LoadGroup(GroupId group) const {
  const auto it = records_.find(group);
  if (it == records_.end()) {
    return MakeStatus(absl::StatusCode::kNotFound, "no replica of group {}", group.value());
  }
  return it->second;
}

absl::Status SimStore::AddGroup(const GroupSeed& seed) {
  if (records_.contains(seed.group)) {
    return MakeStatus(absl::StatusCode::kAlreadyExists, "group {} is here", seed.group.value());
  }
  if (failed()) return Failed(MakeStatus(absl::StatusCode::kUnavailable, "the store failed"));
  if (absl::Status put = disk_.Write({SimPutRecord{Newborn(seed)}}); !put.ok()) return Failed(put);
  if (absl::Status synced = disk_.Sync(); !synced.ok()) return Failed(synced);
  records_.emplace(seed.group, Newborn(seed));
  abandoned_to_[seed.group] = std::make_shared<uint64_t>(0);
  return absl::OkStatus();
}

absl::Status SimStore::Write(const std::vector<LogWrite>& writes) {
  if (failed()) return Failed(MakeStatus(absl::StatusCode::kUnavailable, "the store failed"));
  std::vector<SimChange> batch;
  bool must_sync = false;
  bool vote_changed = false;
  for (const LogWrite& write : writes) {
    const auto before = records_.find(write.group);
    HOLDFAST_CHECK(before != records_.end()) << "write for group " << write.group;
    const HardState& known = before->second.hard_state;
    vote_changed |= write.hard_state &&
                    (write.hard_state->term != known.term || write.hard_state->vote != known.vote);
    must_sync |= write.must_sync || write.install.has_value();
    if (absl::Status put = PutLogWrite(write, batch); !put.ok()) return Failed(put);
  }
  batch.emplace_back(SimPutNumber{++write_number_});
  if (absl::Status put = disk_.Write(std::move(batch)); !put.ok()) return Failed(put);
  ++counters_.writes;
  if (options_.written) options_.written(writes);
  if (!must_sync) return absl::OkStatus();
  if (absl::Status synced = disk_.Sync(); !synced.ok()) return Failed(synced);
  ++counters_.syncs;
  durable_write_ = write_number_;
  const bool is_due = options_.clock->SinceBoot() - witnessed_at_ >= options_.witness_interval;
  return vote_changed || is_due ? WriteWitness() : absl::OkStatus();
}

absl::Status SimStore::PutLogWrite(const LogWrite& write, std::vector<SimChange>& batch) {
  GroupRecord record = records_.at(write.group);
  if (write.install) HOLDFAST_RETURN_IF_ERROR(PutInstall(record, *write.install, batch));
  if (!write.entries.empty()) {
    const LogIndex first = write.entries.front().index;
    HOLDFAST_CHECK(first <= record.last + 1 && first > record.truncated)
        << "gap: entry " << first << " behind (" << record.truncated << ", " << record.last << "]";
    HOLDFAST_CHECK(first > record.applied) << "entry " << first << " is applied";
    if (first <= record.last) HOLDFAST_RETURN_IF_ERROR(DropTail(record, first, batch));
    LogIndex next = first;
    for (const Entry& entry : write.entries) {
      HOLDFAST_CHECK(entry.index == next++) << "gap before entry " << entry.index;
      PutEntry(record, entry, batch);
      for (const Payload& body : entry.bodies) {
        record.elided_through = std::max(record.elided_through, body.elided_by);
      }
    }
    record.last = next - 1;
  }
  if (write.hard_state) record.hard_state = *write.hard_state;
  if (write.install) {
    record.hard_state.commit = std::max(record.hard_state.commit, write.install->index);
  }
  if (write.truncate_before) DropFront(record, *write.truncate_before, batch);
  records_.at(write.group) = record;
  batch.emplace_back(SimPutRecord{std::move(record)});
  return absl::OkStatus();
}

absl::Status SimStore::PutInstall(GroupRecord& record, const LogWrite::Install& install,
                                  std::vector<SimChange>& batch) {
  HOLDFAST_CHECK(install.index >= record.applied)
      << "a snapshot at " << install.index << " behind applied " << record.applied;
  const uint64_t newest = newest_generations_[record.group];
  HOLDFAST_CHECK(install.generation == newest &&
                 install.generation > OnDisk(record.group).generation)
      << "an install of generation " << install.generation << ", the newest begun is " << newest;
  HOLDFAST_CHECK(*abandoned_to_.at(record.group) < install.generation)
      << "an install of generation " << install.generation << ", which was given up";
  const LogIndex behind = install.index + 1;
  if (behind <= record.last) HOLDFAST_RETURN_IF_ERROR(DropTail(record, behind, batch));
  for (LogIndex index = record.truncated + 1; index < std::min(behind, record.last + 1); ++index) {
    batch.emplace_back(SimDropHeader{record.group, index});
  }
  batch.emplace_back(SimUseGeneration{record.group, install.generation});
  batch.emplace_back(SimPutGarbage{
      record.group,
      std::max(install.index, OnDisk(record.group).garbage_through.value_or(install.index))});
  garbage_from_.erase(record.group);
  record.truncated = record.applied = record.last = install.index;
  record.truncated_term = record.applied_term = install.term;
  record.conf_state = install.conf_state;
  record.elided_through = std::max(record.elided_through, install.elided_through);
  return absl::OkStatus();
}

void SimStore::PutEntry(const GroupRecord& record, const Entry& entry,
                        std::vector<SimChange>& batch) {
  Entry header = entry;
  for (uint32_t ordinal = 0; ordinal < entry.bodies.size(); ++ordinal) {
    const Payload& body = entry.bodies[ordinal];
    header.bodies[ordinal].bytes = nullptr;
    header.bodies[ordinal].elided_by = 0;
    if (body.elided_by != 0) continue;
    HOLDFAST_CHECK(body.bytes != nullptr && body.bytes->size() == body.size)
        << "entry " << entry.index << " without the bytes of body " << ordinal;
    batch.emplace_back(SimPutBody{record.incarnation,
                                  BodyKey{record.group, entry.index, entry.term, ordinal},
                                  SimBody{body.bytes, body.crc32c}});
    counters_.body_bytes_written += body.size;
  }
  batch.emplace_back(SimPutHeader{record.group, std::move(header)});
}

// Like the real one: what stands in the batch is written first, for the tail may be there.
absl::Status SimStore::DropTail(const GroupRecord& record, LogIndex from,
                                std::vector<SimChange>& batch) {
  if (!batch.empty()) {
    HOLDFAST_RETURN_IF_ERROR(disk_.Write(std::move(batch)));
    batch.clear();
  }
  const std::map<LogIndex, Entry>& log = OnDisk(record.group).log;
  for (LogIndex index = from; index <= record.last; ++index) {
    const auto entry = log.find(index);
    if (entry == log.end()) {
      return MakeStatus(absl::StatusCode::kDataLoss, "the header of entry {} is missing", index);
    }
    batch.emplace_back(SimDropHeader{record.group, index});
    for (uint32_t ordinal = 0; ordinal < entry->second.bodies.size(); ++ordinal) {
      batch.emplace_back(SimDropBody{record.incarnation,
                                     BodyKey{record.group, index, entry->second.term, ordinal}});
    }
  }
  return absl::OkStatus();
}

void SimStore::DropFront(GroupRecord& record, LogIndex before,
                         std::vector<SimChange>& batch) const {
  if (before <= record.truncated + 1) return;
  HOLDFAST_CHECK(before <= record.applied + 1)
      << "truncation before " << before << ", applied is " << record.applied;
  const std::map<LogIndex, Entry>& log = OnDisk(record.group).log;
  const auto newest = log.find(before - 1);
  HOLDFAST_CHECK(newest != log.end()) << "the header of entry " << before - 1 << " is missing";
  for (LogIndex index = record.truncated + 1; index < before; ++index) {
    batch.emplace_back(SimDropHeader{record.group, index});
  }
  record.truncated = before - 1;
  record.truncated_term = newest->second.term;
}

absl::StatusOr<std::vector<Entry>> SimStore::ReadEntries(GroupId group, LogIndex low, LogIndex high,
                                                         uint64_t bytes_max) const {
  HOLDFAST_ASSIGN_OR_RETURN(const GroupRecord record, LoadGroup(group));
  if (low <= record.truncated || high > record.last + 1 || low > high) {
    return MakeStatus(absl::StatusCode::kOutOfRange, "group {}: [{}, {}) is not within ({}, {}]",
                      group.value(), low, high, record.truncated, record.last);
  }
  std::vector<Entry> entries;
  uint64_t bytes = 0;
  const std::map<LogIndex, Entry>& log = OnDisk(group).log;
  for (LogIndex index = low; index < high; ++index) {
    const auto entry = log.find(index);
    if (entry == log.end()) {
      return MakeStatus(absl::StatusCode::kDataLoss, "the header of entry {} is missing", index);
    }
    bytes += EncodedBytes(entry->second);
    if (!entries.empty() && bytes > bytes_max) break;
    entries.push_back(entry->second);
  }
  return entries;
}

absl::StatusOr<Body> SimStore::ReadBody(const BodyKey& key) const {
  HOLDFAST_ASSIGN_OR_RETURN(const GroupRecord record, LoadGroup(key.group));
  const auto& bodies = OnDisk(key.group).bodies;
  const auto body = bodies.find({record.incarnation, key});
  if (body == bodies.end()) {
    return MakeStatus(absl::StatusCode::kNotFound, "body {}/{}/{}/{}", key.group.value(), key.index,
                      key.term, key.ordinal);
  }
  if (Crc32c(*body->second.bytes) != body->second.crc32c) {
    return MakeStatus(absl::StatusCode::kDataLoss, "body {}/{}/{}/{}: checksum", key.group.value(),
                      key.index, key.term, key.ordinal);
  }
  return body->second.bytes;
}

absl::Status SimStore::MendBody(const BodyKey& key, const Body& body) {
  if (failed()) return Failed(MakeStatus(absl::StatusCode::kUnavailable, "the store failed"));
  HOLDFAST_ASSIGN_OR_RETURN(const GroupRecord record, LoadGroup(key.group));
  absl::Status put =
      disk_.Write({SimPutBody{record.incarnation, key, SimBody{body, Crc32c(*body)}}});
  if (put.ok()) put = disk_.Sync();
  return put.ok() ? put : Failed(put);
}

std::unique_ptr<StateBatch> SimStore::NewStateBatch(GroupId group) {
  const auto record = records_.find(group);
  HOLDFAST_CHECK(record != records_.end()) << "no replica of group " << group;
  return std::make_unique<SimBatch>(disk_, group, record->second.incarnation,
                                    OnDisk(group).generation);
}

absl::Status SimStore::CommitState(std::unique_ptr<StateBatch> batch, const AppliedMark& mark) {
  auto& ours = static_cast<SimBatch&>(*batch);
  if (failed()) return Failed(MakeStatus(absl::StatusCode::kUnavailable, "the store failed"));
  GroupRecord& record = records_.at(ours.group());
  HOLDFAST_CHECK(ours.generation() == OnDisk(ours.group()).generation)
      << "rows of generation " << ours.generation() << " behind an install";
  HOLDFAST_CHECK(mark.index >= record.applied && mark.index <= record.last)
      << "applied " << mark.index << " behind " << record.applied << " of " << record.last;
  record.applied = mark.index;
  record.applied_term = mark.term;
  if (mark.conf_state) record.conf_state = *mark.conf_state;
  std::vector<SimChange> changes = ours.TakeChanges();
  changes.emplace_back(SimPutRecord{record});
  absl::Status written = disk_.Write(std::move(changes));
  return written.ok() ? written : Failed(written);
}

absl::StatusOr<std::unique_ptr<StateView>> SimStore::OpenStateView(GroupId group) const {
  HOLDFAST_ASSIGN_OR_RETURN(GroupRecord record, LoadGroup(group));
  return NewSimView(OnDisk(group).KeepRows(OnDisk(group).generation),
                    {record.applied, record.applied_term, std::move(record.conf_state)});
}

absl::StatusOr<std::unique_ptr<StateInstall>> SimStore::BeginInstall(GroupId group) {
  HOLDFAST_ASSIGN_OR_RETURN(const GroupRecord record, LoadGroup(group));
  if (failed()) return Failed(MakeStatus(absl::StatusCode::kUnavailable, "the store failed"));
  const SimGroup& on_disk = OnDisk(group);
  uint64_t& newest = newest_generations_[group];
  newest = std::max(newest, on_disk.generation);
  std::vector<SimChange> forgotten;
  for (const auto& [generation, rows] : on_disk.rows) {
    newest = std::max(newest, generation);
    if (generation > on_disk.generation) forgotten.emplace_back(SimDropRows{group, generation});
  }
  const uint64_t generation = ++newest;  // Given once.
  forgotten.emplace_back(SimDropRows{group, generation});
  if (absl::Status dropped = disk_.Write(std::move(forgotten)); !dropped.ok()) {
    return Failed(dropped);
  }
  const std::shared_ptr<uint64_t> abandoned = abandoned_to_.at(group);
  *abandoned = 0;
  garbage_from_.erase(group);  // Bodies may come in front of it.
  return NewSimInstall(
      disk_, group, record.incarnation, generation,
      [this](const absl::Status& status) { (void)Failed(status); },
      [abandoned, generation] { *abandoned = std::max(*abandoned, generation); });
}

std::optional<LogIndex> SimStore::BodiesDue(GroupId group) const {
  const std::optional<LogIndex> through = OnDisk(group).garbage_through;
  return through && *through <= records_.at(group).applied ? through : std::nullopt;
}

bool SimStore::GarbagePending(GroupId group) const {
  if (!records_.contains(group)) return false;
  return BodiesDue(group) || *abandoned_to_.at(group) > OnDisk(group).generation;
}

absl::StatusOr<bool> SimStore::CollectGarbage(GroupId group,
                                              const std::optional<std::vector<BodyKey>>& live,
                                              size_t steps_max) {
  if (failed()) return Failed(MakeStatus(absl::StatusCode::kUnavailable, "the store failed"));
  if (!GarbagePending(group)) return true;
  HOLDFAST_CHECK(!live || std::is_sorted(live->begin(), live->end())) << "live bodies in disorder";
  const SimGroup& on_disk = OnDisk(group);
  const uint64_t incarnation = on_disk.record.incarnation;
  std::vector<SimChange> batch;
  uint64_t& abandoned_to = *abandoned_to_.at(group);
  for (const auto& [generation, rows] : on_disk.rows) {
    if (generation == on_disk.generation) continue;
    if (generation < on_disk.generation || generation <= abandoned_to) {
      batch.emplace_back(SimDropRows{group, generation});
    }
  }
  abandoned_to = 0;
  const std::optional<LogIndex> due = live ? BodiesDue(group) : std::nullopt;
  if (!due) {
    absl::Status put = disk_.Write(std::move(batch));
    if (!put.ok()) return Failed(put);
    return true;
  }
  const BodyKey from = garbage_from_.try_emplace(group, BodyKey{group, 0, 0, 0}).first->second;
  const auto end = on_disk.bodies.lower_bound({incarnation, BodyKey{group, *due + 1, 0, 0}});
  auto body = on_disk.bodies.lower_bound({incarnation, from});
  for (size_t steps = 0; body != end && steps < steps_max; ++body, ++steps) {
    if (std::binary_search(live->begin(), live->end(), body->first.second)) continue;
    batch.emplace_back(SimDropBody{incarnation, body->first.second});
  }
  const bool done = body == end;
  if (done) {
    garbage_from_.erase(group);
    batch.emplace_back(SimPutGarbage{group, std::nullopt});
  } else {
    garbage_from_[group] = body->first.second;
  }
  if (absl::Status put = disk_.Write(std::move(batch)); !put.ok()) return Failed(put);
  return done;
}

absl::Status SimStore::WriteWitness() {
  if (absl::Status put = disk_.PutWitness(durable_write_); !put.ok()) return Failed(put);
  witnessed_write_ = durable_write_;
  witnessed_at_ = options_.clock->SinceBoot();
  counters_.witness_syncs += 2;
  return absl::OkStatus();
}

absl::Status SimStore::Witness() {
  if (failed()) return Failed(MakeStatus(absl::StatusCode::kUnavailable, "the store failed"));
  return witnessed_write_ == durable_write_ ? absl::OkStatus() : WriteWitness();
}

absl::Status SimStore::Close() {
  if (failed()) return Failed(MakeStatus(absl::StatusCode::kUnavailable, "the store failed"));
  if (absl::Status synced = disk_.Sync(); !synced.ok()) return Failed(synced);
  durable_write_ = write_number_;
  return Witness();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> CreateSimStore(SimDisk& disk, const SimStoreOptions& options,
                                                      const StoreIdentity& identity,
                                                      const std::vector<GroupSeed>& groups) {
  if (identity.cluster_id.empty() || identity.cluster_id.size() > 64 || identity.node == NodeId()) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "a store needs a cluster and a node id");
  }
  if (disk.now().identity) {
    return MakeStatus(absl::StatusCode::kAlreadyExists, "the disk holds a store already");
  }
  auto store = std::make_unique<SimStore>(disk, options);
  HOLDFAST_RETURN_IF_ERROR(store->Found(identity, groups));
  HOLDFAST_RETURN_IF_ERROR(store->Load());
  return std::unique_ptr<Store>(std::move(store));
}

absl::StatusOr<std::unique_ptr<Store>> OpenSimStore(SimDisk& disk, const SimStoreOptions& options) {
  auto store = std::make_unique<SimStore>(disk, options);
  HOLDFAST_RETURN_IF_ERROR(store->Load());
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace holdfast::raft
