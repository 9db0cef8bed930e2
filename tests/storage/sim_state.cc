#include "base/check.h"
#include "tests/storage/sim_store.h"

namespace holdfast::raft {
namespace {

using Changes = std::map<std::string, std::optional<std::string>, std::less<>>;

std::shared_ptr<const SimRows> RowsOf(const SimDisk& disk, GroupId group,
                                      std::optional<uint64_t> generation) {
  static const auto none = std::make_shared<const SimRows>();
  const auto it = disk.now().groups.find(group);
  if (it == disk.now().groups.end()) return none;
  return it->second.KeepRows(generation.value_or(it->second.generation));
}

absl::StatusOr<ScanEnd> ScanRows(const SimRows& rows, const Changes& changes, std::string_view from,
                                 std::string_view to, size_t rows_max,
                                 const StateReader::Visitor& visitor) {
  ScanEnd end;
  auto row = rows.lower_bound(from);
  auto change = changes.lower_bound(from);
  const auto within = [to](const auto& it, const auto& map) {
    return it != map.end() && (to.empty() || it->first < to);
  };
  while (within(row, rows) || within(change, changes)) {
    const bool changed =
        within(change, changes) && (!within(row, rows) || change->first <= row->first);
    const std::string& key = changed ? change->first : row->first;
    const std::string* value = nullptr;  // Or deleted.
    if (!changed) value = &row->second;
    if (changed && change->second) value = &*change->second;
    if (value != nullptr) {
      if (end.rows >= rows_max) return end;
      ++end.rows;
      if (!visitor(key, *value)) return end;
    }
    if (within(row, rows) && row->first == key) ++row;
    if (changed) ++change;
  }
  end.complete = true;
  return end;
}

class SimReader final : public StateReader {
 public:
  SimReader(const SimDisk& disk, GroupId group, std::optional<uint64_t> generation)
      : disk_(disk), group_(group), generation_(generation) {}

  absl::StatusOr<std::optional<std::string>> Get(std::string_view key) const override {
    const std::shared_ptr<const SimRows> rows = RowsOf(disk_, group_, generation_);
    const auto it = rows->find(key);
    if (it == rows->end()) return std::optional<std::string>();
    return std::optional<std::string>(it->second);
  }

  absl::StatusOr<ScanEnd> Scan(std::string_view from, std::string_view to, size_t rows_max,
                               const Visitor& visitor) const override {
    const std::shared_ptr<const SimRows> rows =
        RowsOf(disk_, group_, generation_);  // One moment, whatever the visitor does.
    return ScanRows(*rows, Changes(), from, to, rows_max, visitor);
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
  const std::shared_ptr<const SimRows> rows = RowsOf(disk_, group_, generation_);
  const auto it = rows->find(key);
  if (it == rows->end()) return std::optional<std::string>();
  return std::optional<std::string>(it->second);
}

absl::StatusOr<ScanEnd> SimBatch::Scan(std::string_view from, std::string_view to, size_t rows_max,
                                       const Visitor& visitor) const {
  const std::shared_ptr<const SimRows> rows = RowsOf(disk_, group_, generation_);
  // As they are now, whatever the visitor puts.
  const bool empty = !to.empty() && to <= from;
  const Changes changes(rows_.lower_bound(from),
                        to.empty() ? rows_.end() : rows_.lower_bound(empty ? from : to));
  return ScanRows(*rows, changes, from, to, rows_max, visitor);
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
