#include <rocksdb/iterator.h>

#include <memory>
#include <utility>

#include "base/check.h"
#include "raft/storage/rocksdb_engine.h"
#include "raft/storage/rocksdb_status.h"
#include "raft/storage/store_keys.h"
#include "raft/storage/store_records.h"

namespace holdfast::raft {
namespace {

// Visits the rows of `prefix` from `from` on, through `rows`, which may run into other groups.
absl::StatusOr<ScanEnd> ScanRows(rocksdb::Iterator& rows, std::string_view prefix,
                                 std::string_view from, std::string_view to, size_t rows_max,
                                 const StateReader::Visitor& visitor) {
  ScanEnd end;
  std::string start(prefix);
  start += from;
  for (rows.Seek(ToSlice(start)); rows.Valid(); rows.Next()) {
    std::string_view key = FromSlice(rows.key());
    if (key.substr(0, prefix.size()) != prefix) break;
    key.remove_prefix(prefix.size());
    if (!to.empty() && key >= to) break;
    if (end.rows >= rows_max) return end;
    HOLDFAST_ASSIGN_OR_RETURN(std::string_view value, DecodeStateRow(FromSlice(rows.value())));
    ++end.rows;
    if (!visitor(key, value)) return end;
  }
  HOLDFAST_RETURN_IF_ERROR(FromRocksDb(rows.status(), "scanning rows"));
  end.complete = true;
  return end;
}

absl::StatusOr<std::optional<std::string>> RowValue(std::string_view record) {
  HOLDFAST_ASSIGN_OR_RETURN(std::string_view value, DecodeStateRow(record));
  return std::optional<std::string>(value);
}

class RocksDbReader final : public StateReader {
 public:
  RocksDbReader(std::shared_ptr<Engine> engine, GroupId group,
                std::shared_ptr<const std::atomic<uint64_t>> generation)
      : engine_(std::move(engine)), group_(group), generation_(std::move(generation)) {}

  absl::StatusOr<std::optional<std::string>> Get(std::string_view key) const override {
    std::string row = Prefix();
    row += key;
    HOLDFAST_ASSIGN_OR_RETURN(std::optional<std::string> record, engine_->Get(engine_->state, row));
    if (!record) return std::optional<std::string>();
    return RowValue(*record);
  }

  absl::StatusOr<ScanEnd> Scan(std::string_view from, std::string_view to, size_t rows_max,
                               const Visitor& visitor) const override {
    const std::string prefix = Prefix();
    const std::string end = PrefixEnd(prefix);
    rocksdb::ReadOptions options;
    const rocksdb::Slice bound = ToSlice(end);
    if (!end.empty()) options.iterate_upper_bound = &bound;
    std::unique_ptr<rocksdb::Iterator> rows(engine_->db->NewIterator(options, engine_->state));
    return ScanRows(*rows, prefix, from, to, rows_max, visitor);
  }

 private:
  std::string Prefix() const { return StatePrefix(group_, generation_->load()); }

  const std::shared_ptr<Engine> engine_;
  const GroupId group_;
  const std::shared_ptr<const std::atomic<uint64_t>> generation_;
};

}  // namespace

std::unique_ptr<StateReader> NewRocksDbReader(
    std::shared_ptr<Engine> engine, GroupId group,
    std::shared_ptr<const std::atomic<uint64_t>> generation) {
  return std::make_unique<RocksDbReader>(std::move(engine), group, std::move(generation));
}

RocksDbBatch::RocksDbBatch(std::shared_ptr<Engine> engine, GroupId group, uint64_t incarnation,
                           uint64_t generation)
    : engine_(std::move(engine)),
      group_(group),
      incarnation_(incarnation),
      generation_(generation),
      prefix_(StatePrefix(group, generation)),
      changes_(rocksdb::BytewiseComparator(), 0, /*overwrite_key=*/true) {}

std::string RocksDbBatch::RowKey(std::string_view key) const {
  HOLDFAST_CHECK(key.size() <= kStateKeyBytesMax) << "state key of " << key.size() << " bytes";
  std::string row = prefix_;
  row += key;
  return row;
}

absl::StatusOr<std::optional<std::string>> RocksDbBatch::Get(std::string_view key) const {
  const std::string row = RowKey(key);
  std::string record;
  rocksdb::Status status = changes_.GetFromBatchAndDB(engine_->db, rocksdb::ReadOptions(),
                                                      engine_->state, ToSlice(row), &record);
  if (status.IsNotFound()) return std::optional<std::string>();
  absl::StatusOr<std::optional<std::string>> value;
  if (status.ok()) {
    value = RowValue(record);
  } else {
    value = FromRocksDb(status, "reading a row");
  }
  if (!value.ok() && read_status_.ok()) read_status_ = value.status();
  return value;
}

absl::StatusOr<ScanEnd> RocksDbBatch::Scan(std::string_view from, std::string_view to,
                                           size_t rows_max, const Visitor& visitor) const {
  rocksdb::ReadOptions options;
  std::unique_ptr<rocksdb::Iterator> rows(changes_.NewIteratorWithBase(
      engine_->state, engine_->db->NewIterator(options, engine_->state)));
  absl::StatusOr<ScanEnd> end = ScanRows(*rows, prefix_, from, to, rows_max, visitor);
  if (!end.ok() && read_status_.ok()) read_status_ = end.status();
  return end;
}

void RocksDbBatch::Put(std::string_view key, std::string_view value) {
  rocksdb::Status status =
      changes_.Put(engine_->state, ToSlice(RowKey(key)), ToSlice(EncodeStateRow(value)));
  HOLDFAST_CHECK(status.ok()) << status.ToString();
}

void RocksDbBatch::Delete(std::string_view key) {
  rocksdb::Status status = changes_.Delete(engine_->state, ToSlice(RowKey(key)));
  HOLDFAST_CHECK(status.ok()) << status.ToString();
}

void RocksDbBatch::DeleteBody(const BodyKey& key) {
  HOLDFAST_CHECK(key.group == group_) << "a body of group " << key.group;
  rocksdb::Status status = changes_.Delete(engine_->body, ToSlice(BodyDiskKey(incarnation_, key)));
  HOLDFAST_CHECK(status.ok()) << status.ToString();
}

size_t RocksDbBatch::bytes() const { return changes_.GetWriteBatch()->GetDataSize(); }

}  // namespace holdfast::raft
