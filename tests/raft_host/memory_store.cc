#include "tests/raft_host/memory_store.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace holdfast::raft {
namespace {

using Rows = MemoryDisk::Rows;

ScanEnd ScanRows(const Rows& rows, std::string_view from, std::string_view to, size_t rows_max,
                 const StateReader::Visitor& visitor) {
  ScanEnd end;
  for (auto it = rows.lower_bound(from); it != rows.end(); ++it) {
    if (!to.empty() && it->first >= to) break;
    if (end.rows == rows_max) return end;
    ++end.rows;
    if (!visitor(it->first, it->second)) return end;
  }
  end.complete = true;
  return end;
}

std::optional<std::string> GetRow(const Rows& rows, std::string_view key) {
  const auto found = rows.find(key);
  return found == rows.end() ? std::nullopt : std::optional<std::string>(found->second);
}

// `generation` 0: the one in use at each call.
class MemoryReader final : public StateReader {
 public:
  MemoryReader(std::shared_ptr<MemoryDisk> disk, GroupId group, uint64_t generation = 0)
      : disk_(std::move(disk)), group_(group), generation_(generation) {}
  absl::StatusOr<std::optional<std::string>> Get(std::string_view key) const override {
    return GetRow(Copy(), key);
  }
  absl::StatusOr<ScanEnd> Scan(std::string_view from, std::string_view to, size_t rows_max,
                               const Visitor& visitor) const override {
    return ScanRows(Copy(), from, to, rows_max, visitor);
  }

 private:
  Rows Copy() const {
    MutexLock lock(disk_->mutex);
    MemoryDisk::Group& group = disk_->groups.at(group_);
    return generation_ == 0 ? group.rows() : group.generations[generation_];
  }
  const std::shared_ptr<MemoryDisk> disk_;
  const GroupId group_;
  const uint64_t generation_;
};

class MemoryBatch final : public StateBatch {
 public:
  MemoryBatch(GroupId group, Rows rows) : rows_(std::move(rows)), group_(group) {}
  absl::StatusOr<std::optional<std::string>> Get(std::string_view key) const override {
    return GetRow(rows_, key);
  }
  absl::StatusOr<ScanEnd> Scan(std::string_view from, std::string_view to, size_t rows_max,
                               const Visitor& visitor) const override {
    return ScanRows(rows_, from, to, rows_max, visitor);
  }
  void Put(std::string_view key, std::string_view value) override {
    rows_[std::string(key)] = std::string(value);
  }
  void Delete(std::string_view key) override { rows_.erase(std::string(key)); }
  void DeleteBody(const BodyKey& key) override { ended_.push_back(key); }
  GroupId group() const override { return group_; }
  size_t bytes() const override { return 0; }

  Rows& rows() { return rows_; }
  const std::vector<BodyKey>& ended() const { return ended_; }

 private:
  Rows rows_;
  std::vector<BodyKey> ended_;
  const GroupId group_;
};

class MemoryView final : public StateView {
 public:
  MemoryView(Mark mark, Rows rows) : mark_(std::move(mark)), rows_(std::move(rows)) {}
  const Mark& mark() const override { return mark_; }
  absl::StatusOr<std::vector<Row>> Next(uint64_t bytes_max) override {
    std::vector<Row> out;
    for (uint64_t bytes = 0; !rows_.empty() && bytes < bytes_max;) {
      auto node = rows_.extract(rows_.begin());
      bytes += node.key().size() + node.mapped().size();
      out.push_back({std::move(node.key()), std::move(node.mapped())});
    }
    return out;
  }

 private:
  const Mark mark_;
  Rows rows_;
};

class MemoryInstall final : public StateInstall {
 public:
  MemoryInstall(std::shared_ptr<MemoryDisk> disk, GroupId group, uint64_t generation)
      : disk_(std::move(disk)), group_(group), generation_(generation) {}
  ~MemoryInstall() override {
    MutexLock lock(disk_->mutex);
    MemoryDisk::Group& group = disk_->groups.at(group_);
    group.installing = false;
    if (group.generation != generation_) group.generations.erase(generation_);
  }
  uint64_t generation() const override { return generation_; }
  absl::Status PutRows(const std::vector<StateView::Row>& rows) override {
    MutexLock lock(disk_->mutex);
    for (const StateView::Row& row : rows) {
      disk_->groups.at(group_).generations[generation_][row.key] = row.value;
    }
    return absl::OkStatus();
  }
  absl::Status PutBody(const BodyKey& key, const Body& body) override {
    MutexLock lock(disk_->mutex);
    disk_->groups.at(group_).bodies[key] = body;
    return absl::OkStatus();
  }
  std::unique_ptr<StateReader> Reader() const override {
    return std::make_unique<MemoryReader>(disk_, group_, generation_);
  }

 private:
  const std::shared_ptr<MemoryDisk> disk_;
  const GroupId group_;
  const uint64_t generation_;
};

class MemoryStore final : public Store {
 public:
  explicit MemoryStore(std::shared_ptr<MemoryDisk> disk) : disk_(std::move(disk)) {
    for (auto& [id, group] : disk_->groups) group.installing = false;
  }

  const StoreIdentity& identity() const override { return disk_->identity; }
  std::vector<GroupId> groups() const override;
  absl::StatusOr<GroupRecord> LoadGroup(GroupId group) const override;
  absl::Status AddGroup(const GroupSeed& seed) override;
  absl::Status Write(const std::vector<LogWrite>& writes) override;
  absl::StatusOr<std::vector<Entry>> ReadEntries(GroupId group, LogIndex low, LogIndex high,
                                                 uint64_t bytes_max) const override;
  absl::StatusOr<Body> ReadBody(const BodyKey& key) const override;
  std::unique_ptr<StateReader> Reader(GroupId group) const override {
    return std::make_unique<MemoryReader>(disk_, group);
  }
  std::unique_ptr<StateBatch> NewStateBatch(GroupId group) override {
    MutexLock lock(disk_->mutex);
    return std::make_unique<MemoryBatch>(group, disk_->groups.at(group).rows());
  }
  absl::Status CommitState(std::unique_ptr<StateBatch> batch, const AppliedMark& mark) override;
  absl::StatusOr<std::unique_ptr<StateView>> OpenStateView(GroupId group) const override;
  absl::StatusOr<std::unique_ptr<StateInstall>> BeginInstall(GroupId group) override;
  bool GarbagePending(GroupId group) const override {
    MutexLock lock(disk_->mutex);
    return disk_->groups.at(group).garbage_through != 0;
  }
  absl::StatusOr<bool> CollectGarbage(GroupId group, const std::vector<BodyKey>& live,
                                      size_t steps_max) override;
  absl::Status Witness() override { return absl::OkStatus(); }
  absl::StatusOr<uint64_t> FreeBytes() const override { return uint64_t{1} << 40; }
  StoreCounters Counters() const override { return {}; }
  absl::Status Close() override { return absl::OkStatus(); }

 private:
  static void Install(MemoryDisk::Group& group, const LogWrite::Install& install);
  static void Append(MemoryDisk::Group& group, const std::vector<Entry>& entries);

  const std::shared_ptr<MemoryDisk> disk_;
};

std::vector<GroupId> MemoryStore::groups() const {
  MutexLock lock(disk_->mutex);
  std::vector<GroupId> all;
  for (const auto& [id, group] : disk_->groups) all.push_back(id);
  return all;
}

absl::StatusOr<GroupRecord> MemoryStore::LoadGroup(GroupId group) const {
  MutexLock lock(disk_->mutex);
  const auto found = disk_->groups.find(group);
  if (found == disk_->groups.end()) return absl::NotFoundError("no replica of that group");
  return found->second.record;
}

absl::Status MemoryStore::AddGroup(const GroupSeed& seed) {
  MutexLock lock(disk_->mutex);
  const auto [place, fresh] = disk_->groups.try_emplace(seed.group);
  if (!fresh) return absl::AlreadyExistsError("the group is here");
  place->second.record.group = seed.group;
  place->second.record.incarnation = seed.incarnation;
  place->second.record.conf_state = seed.conf_state;
  return absl::OkStatus();
}

void MemoryStore::Install(MemoryDisk::Group& group, const LogWrite::Install& install) {
  HOLDFAST_CHECK(install.index > group.record.applied);
  group.log.clear();
  group.generations.erase(group.generation);
  group.generation = install.generation;
  GroupRecord& record = group.record;
  record.applied = record.truncated = record.last = install.index;
  record.truncated_term = group.applied_term = install.term;
  record.conf_state = install.conf_state;
  record.elided_through = std::max(record.elided_through, install.elided_through);
  group.garbage_through = install.index;
}

void MemoryStore::Append(MemoryDisk::Group& group, const std::vector<Entry>& entries) {
  if (entries.empty()) return;
  GroupRecord& record = group.record;
  const LogIndex first = entries.front().index;
  HOLDFAST_CHECK(first <= record.last + 1 && first > record.applied) << first;
  for (auto it = group.log.lower_bound(first); it != group.log.end(); it = group.log.erase(it)) {
    for (uint32_t ordinal = 0; ordinal < it->second.bodies.size(); ++ordinal) {
      group.bodies.erase({record.group, it->first, it->second.term, ordinal});
    }
  }
  for (Entry entry : entries) {
    uint32_t ordinal = 0;
    for (Payload& body : entry.bodies) {
      const BodyKey key{record.group, entry.index, entry.term, ordinal++};
      record.elided_through = std::max(record.elided_through, body.elided_by);
      HOLDFAST_CHECK(body.bytes != nullptr || body.elided_by != 0);
      if (body.bytes != nullptr) group.bodies[key] = std::exchange(body.bytes, nullptr);
      body.elided_by = 0;
    }
    record.last = entry.index;
    group.log[entry.index] = std::move(entry);
  }
}

absl::Status MemoryStore::Write(const std::vector<LogWrite>& writes) {
  MutexLock lock(disk_->mutex);
  for (const LogWrite& write : writes) {
    MemoryDisk::Group& group = disk_->groups.at(write.group);
    if (write.install) Install(group, *write.install);
    Append(group, write.entries);
    if (write.hard_state) group.record.hard_state = *write.hard_state;
    if (!write.truncate_before) continue;
    HOLDFAST_CHECK(*write.truncate_before <= group.record.applied + 1);
    while (!group.log.empty() && group.log.begin()->first < *write.truncate_before) {
      group.record.truncated = group.log.begin()->first;
      group.record.truncated_term = group.log.begin()->second.term;
      group.log.erase(group.log.begin());
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Entry>> MemoryStore::ReadEntries(GroupId group, LogIndex low,
                                                            LogIndex high,
                                                            uint64_t bytes_max) const {
  MutexLock lock(disk_->mutex);
  const std::map<LogIndex, Entry>& log = disk_->groups.at(group).log;
  std::vector<Entry> entries;
  uint64_t bytes = 0;
  for (LogIndex index = low; index < high; ++index) {
    const auto found = log.find(index);
    if (found == log.end()) return absl::OutOfRangeError("not in the log");
    bytes += EncodedBytes(found->second);
    if (!entries.empty() && bytes > bytes_max) break;
    entries.push_back(found->second);
  }
  return entries;
}

absl::StatusOr<Body> MemoryStore::ReadBody(const BodyKey& key) const {
  MutexLock lock(disk_->mutex);
  const std::map<BodyKey, Body>& bodies = disk_->groups.at(key.group).bodies;
  const auto found = bodies.find(key);
  if (found == bodies.end()) return absl::NotFoundError("no such body");
  return found->second;
}

absl::Status MemoryStore::CommitState(std::unique_ptr<StateBatch> batch, const AppliedMark& mark) {
  auto& ours = static_cast<MemoryBatch&>(*batch);
  MutexLock lock(disk_->mutex);
  MemoryDisk::Group& group = disk_->groups.at(ours.group());
  HOLDFAST_CHECK(mark.index > group.record.applied && mark.index <= group.record.last);
  HOLDFAST_CHECK(group.log.at(mark.index).term == mark.term);
  group.rows() = std::move(ours.rows());
  for (const BodyKey& key : ours.ended()) group.bodies.erase(key);
  group.record.applied = mark.index;
  group.applied_term = mark.term;
  if (mark.conf_state) group.record.conf_state = *mark.conf_state;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<StateView>> MemoryStore::OpenStateView(GroupId id) const {
  MutexLock lock(disk_->mutex);
  MemoryDisk::Group& group = disk_->groups.at(id);
  return std::make_unique<MemoryView>(
      StateView::Mark{group.record.applied, group.applied_term, group.record.conf_state},
      group.rows());
}

absl::StatusOr<std::unique_ptr<StateInstall>> MemoryStore::BeginInstall(GroupId id) {
  MutexLock lock(disk_->mutex);
  MemoryDisk::Group& group = disk_->groups.at(id);
  HOLDFAST_CHECK(!group.installing) << "two installs of group " << id;
  group.installing = true;
  return std::make_unique<MemoryInstall>(disk_, id, ++group.newest_generation);
}

absl::StatusOr<bool> MemoryStore::CollectGarbage(GroupId id, const std::vector<BodyKey>& live,
                                                 size_t steps_max) {
  MutexLock lock(disk_->mutex);
  MemoryDisk::Group& group = disk_->groups.at(id);
  HOLDFAST_CHECK(!group.installing) << "garbage is collected beside an install of group " << id;
  for (auto it = group.bodies.begin(); it != group.bodies.end();) {
    if (it->first.index > group.garbage_through) break;
    const bool lives = std::binary_search(live.begin(), live.end(), it->first);
    it = lives ? std::next(it) : group.bodies.erase(it);
    if (!lives && --steps_max == 0) return false;
  }
  group.garbage_through = 0;
  return true;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> MemoryWorld::Create(const StoreIdentity& identity,
                                                           const std::vector<GroupSeed>& groups) {
  disk_->identity = identity;
  auto store = std::make_unique<MemoryStore>(disk_);
  for (const GroupSeed& seed : groups) HOLDFAST_RETURN_IF_ERROR(store->AddGroup(seed));
  return std::unique_ptr<Store>(std::move(store));
}

absl::StatusOr<std::unique_ptr<Store>> MemoryWorld::Open() {
  return std::make_unique<MemoryStore>(disk_);
}

}  // namespace holdfast::raft
