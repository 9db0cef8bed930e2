#include "base/check.h"
#include "tests/storage/sim_store.h"

namespace holdfast::raft {
namespace {

const SimRows& RowsOf(const SimDisk& disk, GroupId group, std::optional<uint64_t> generation) {
  static const SimRows none;
  const auto it = disk.now().groups.find(group);
  if (it == disk.now().groups.end()) return none;
  if (!generation) return it->second.current_rows();
  const auto rows = it->second.rows.find(*generation);
  return rows == it->second.rows.end() ? none : rows->second;
}

// Rows of a disk with the changes of a batch above them, in order; nothing is copied, for a scan
// often looks at few of many.
class Rows {
 public:
  using Changes = std::map<std::string, std::optional<std::string>, std::less<>>;

  Rows(const SimRows& disk, const Changes& changes, std::string_view from)
      : disk_(disk.lower_bound(from)),
        disk_end_(disk.end()),
        change_(changes.lower_bound(from)),
        changes_end_(changes.end()) {}

  // False: there are no more. The views live as long as what they were made from stays.
  bool Next(std::string_view* key, std::string_view* value) {
    while (disk_ != disk_end_ || change_ != changes_end_) {
      const bool changed =
          change_ != changes_end_ && (disk_ == disk_end_ || change_->first <= disk_->first);
      if (!changed) {
        *key = disk_->first;
        *value = disk_->second;
        ++disk_;
        return true;
      }
      if (disk_ != disk_end_ && disk_->first == change_->first) ++disk_;
      const auto change = change_++;
      if (!change->second) continue;
      *key = change->first;
      *value = *change->second;
      return true;
    }
    return false;
  }

 private:
  SimRows::const_iterator disk_;
  const SimRows::const_iterator disk_end_;
  Changes::const_iterator change_;
  const Changes::const_iterator changes_end_;
};

// The visitor must not change what it scans: a scan sees one moment.
absl::StatusOr<ScanEnd> ScanRows(const SimDisk& disk, Rows rows, std::string_view to,
                                 size_t rows_max, const StateReader::Visitor& visitor) {
  const uint64_t steps = disk.steps();
  ScanEnd end;
  std::string_view key;
  std::string_view value;
  while (rows.Next(&key, &value)) {
    if (!to.empty() && key >= to) break;
    if (end.rows >= rows_max) return end;
    ++end.rows;
    if (!visitor(key, value)) return end;
    HOLDFAST_CHECK(disk.steps() == steps) << "a scan's visitor writes to the disk";
  }
  end.complete = true;
  return end;
}

class SimReader final : public StateReader {
 public:
  SimReader(const SimDisk& disk, GroupId group, std::optional<uint64_t> generation)
      : disk_(disk), group_(group), generation_(generation) {}

  absl::StatusOr<std::optional<std::string>> Get(std::string_view key) const override {
    const SimRows& rows = RowsOf(disk_, group_, generation_);
    const auto it = rows.find(key);
    if (it == rows.end()) return std::optional<std::string>();
    return std::optional<std::string>(it->second);
  }

  absl::StatusOr<ScanEnd> Scan(std::string_view from, std::string_view to, size_t rows_max,
                               const Visitor& visitor) const override {
    static const Rows::Changes none;
    return ScanRows(disk_, Rows(RowsOf(disk_, group_, generation_), none, from), to, rows_max,
                    visitor);
  }

 private:
  const SimDisk& disk_;
  const GroupId group_;
  const std::optional<uint64_t> generation_;
};

}  // namespace

std::unique_ptr<StateReader> NewSimReader(const SimDisk& disk, GroupId group) {
  return std::make_unique<SimReader>(disk, group, std::nullopt);
}

std::unique_ptr<StateReader> NewSimReader(const SimDisk& disk, GroupId group, uint64_t generation) {
  return std::make_unique<SimReader>(disk, group, generation);
}

absl::StatusOr<std::optional<std::string>> SimBatch::Get(std::string_view key) const {
  if (const auto it = rows_.find(key); it != rows_.end()) return it->second;
  const SimRows& rows = RowsOf(disk_, group_, generation_);
  const auto it = rows.find(key);
  if (it == rows.end()) return std::optional<std::string>();
  return std::optional<std::string>(it->second);
}

absl::StatusOr<ScanEnd> SimBatch::Scan(std::string_view from, std::string_view to, size_t rows_max,
                                       const Visitor& visitor) const {
  return ScanRows(disk_, Rows(RowsOf(disk_, group_, generation_), rows_, from), to, rows_max,
                  visitor);
}

void SimBatch::Put(std::string_view key, std::string_view value) {
  HOLDFAST_CHECK(key.size() <= kStateKeyBytesMax) << "state key of " << key.size() << " bytes";
  rows_.insert_or_assign(std::string(key), std::string(value));
  bytes_ += key.size() + value.size();
}

void SimBatch::Delete(std::string_view key) {
  HOLDFAST_CHECK(key.size() <= kStateKeyBytesMax) << "state key of " << key.size() << " bytes";
  rows_.insert_or_assign(std::string(key), std::nullopt);
  bytes_ += key.size();
}

void SimBatch::DeleteBody(const BodyKey& key) {
  HOLDFAST_CHECK(key.group == group_) << "a body of group " << key.group;
  dead_bodies_.push_back(key);
  bytes_ += sizeof key;
}

std::vector<SimChange> SimBatch::TakeChanges() {
  std::vector<SimChange> changes;
  for (auto& [key, value] : rows_) {
    if (value) {
      changes.emplace_back(SimPutRow{group_, generation_, key, *value});
    } else {
      changes.emplace_back(SimDropRow{group_, generation_, key});
    }
  }
  for (const BodyKey& key : dead_bodies_) changes.emplace_back(SimDropBody{incarnation_, key});
  rows_.clear();
  dead_bodies_.clear();
  return changes;
}

}  // namespace holdfast::raft
