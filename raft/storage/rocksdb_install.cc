#include "raft/storage/rocksdb_install.h"

#include <rocksdb/iterator.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/crc32c.h"
#include "raft/storage/rocksdb_log.h"
#include "raft/storage/rocksdb_status.h"
#include "raft/storage/store_keys.h"
#include "raft/storage/store_records.h"

namespace holdfast::raft {
namespace {

class RocksDbView final : public StateView {
 public:
  RocksDbView(std::shared_ptr<Engine> engine, std::string prefix, Mark mark)
      : engine_(std::move(engine)),
        prefix_(std::move(prefix)),
        end_(PrefixEnd(prefix_)),
        end_slice_(ToSlice(end_)),
        mark_(std::move(mark)) {
    rocksdb::ReadOptions options;
    if (!end_.empty()) options.iterate_upper_bound = &end_slice_;
    // Many rows that nobody will read again soon.
    options.fill_cache = false;
    rows_.reset(engine_->db->NewIterator(options, engine_->state));
    rows_->Seek(ToSlice(prefix_));
  }

  const Mark& mark() const override { return mark_; }

  absl::StatusOr<std::vector<Row>> Next(uint64_t bytes_max) override {
    std::vector<Row> out;
    uint64_t bytes = 0;
    for (; rows_->Valid(); rows_->Next()) {
      const std::string_view key = FromSlice(rows_->key()).substr(prefix_.size());
      HOLDFAST_ASSIGN_OR_RETURN(std::string_view value, DecodeStateRow(FromSlice(rows_->value())));
      bytes += key.size() + value.size();
      if (!out.empty() && bytes > bytes_max) break;
      out.push_back(Row{std::string(key), std::string(value)});
    }
    HOLDFAST_RETURN_IF_ERROR(FromRocksDb(rows_->status(), "reading rows for a snapshot"));
    return out;
  }

 private:
  const std::shared_ptr<Engine> engine_;
  const std::string prefix_;
  const std::string end_;
  const rocksdb::Slice end_slice_;
  const Mark mark_;
  std::unique_ptr<rocksdb::Iterator> rows_;
};

class RocksDbInstall final : public StateInstall {
 public:
  RocksDbInstall(std::shared_ptr<Engine> engine, GroupId group, uint64_t incarnation,
                 uint64_t generation, std::shared_ptr<GarbageMarks> marks)
      : engine_(std::move(engine)),
        marks_(std::move(marks)),
        group_(group),
        incarnation_(incarnation),
        generation_(generation),
        prefix_(StatePrefix(group, generation)) {}
  // If it was installed, its rows are in use, and nothing is abandoned.
  ~RocksDbInstall() override {
    if (marks_->abandoned_to < generation_) marks_->abandoned_to = generation_;
  }

  uint64_t generation() const override { return generation_; }

  absl::Status PutRows(const std::vector<StateView::Row>& rows) override {
    rocksdb::WriteBatch batch;
    for (const StateView::Row& row : rows) {
      HOLDFAST_CHECK(row.key.size() <= kStateKeyBytesMax)
          << "state key of " << row.key.size() << " bytes";
      rocksdb::Status put =
          batch.Put(engine_->state, ToSlice(prefix_ + row.key), ToSlice(EncodeStateRow(row.value)));
      HOLDFAST_CHECK(put.ok()) << put.ToString();
    }
    return engine_->Write(batch, "filling in a snapshot");
  }

  absl::Status PutBody(const BodyKey& key, const Body& body) override {
    HOLDFAST_CHECK(key.group == group_) << "a body of group " << key.group;
    rocksdb::WriteBatch batch;
    raft::PutBody(*engine_, incarnation_, key, *body, Crc32c(*body), batch);
    const bool further = key.index > marks_->bodies_to;
    if (further) {
      const rocksdb::Status put =
          batch.Put(engine_->meta, ToSlice(MetaKey(MetaKind::kGarbage, group_)),
                    ToSlice(EncodeNumber(key.index)));
      HOLDFAST_CHECK(put.ok()) << put.ToString();
    }
    HOLDFAST_RETURN_IF_ERROR(engine_->Write(batch, "filling in a snapshot"));
    if (further) marks_->bodies_to = key.index;
    return absl::OkStatus();
  }

  std::unique_ptr<StateReader> Reader() const override {
    return NewRocksDbReader(engine_, group_, std::make_shared<std::atomic<uint64_t>>(generation_));
  }

 private:
  const std::shared_ptr<Engine> engine_;
  const std::shared_ptr<GarbageMarks> marks_;
  const GroupId group_;
  const uint64_t incarnation_;
  const uint64_t generation_;
  const std::string prefix_;
};

// Bytes of bodies that one round of garbage collection reads, or a single larger body: other groups
// wait for their syncs meanwhile.
constexpr uint64_t kRoundBytesMax = uint64_t{16} << 20;

// Removes the rows of generations with from <= generation < before. One tombstone for all of them,
// because they are many, and none where there are no rows, because readers pay for it.
absl::Status DropGenerations(const Engine& engine, GroupId group, uint64_t from, uint64_t before,
                             rocksdb::WriteBatch& batch) {
  if (from >= before) return absl::OkStatus();
  const std::string begin = StatePrefix(group, from);
  const std::string end = StatePrefix(group, before);
  const rocksdb::Slice end_slice = ToSlice(end);
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &end_slice;
  std::unique_ptr<rocksdb::Iterator> rows(engine.db->NewIterator(options, engine.state));
  rows->Seek(ToSlice(begin));
  HOLDFAST_RETURN_IF_ERROR(FromRocksDb(rows->status(), "looking for garbage among rows"));
  if (!rows->Valid()) return absl::OkStatus();
  rocksdb::Status gone = batch.DeleteRange(engine.state, ToSlice(begin), end_slice);
  HOLDFAST_CHECK(gone.ok()) << gone.ToString();
  return absl::OkStatus();
}

// Removes bodies from round.cursor on; true: none is left to look at.
absl::StatusOr<bool> DropBodies(const Engine& engine, const std::vector<BodyKey>& live,
                                size_t steps_max, GarbageRound& round, rocksdb::WriteBatch& batch) {
  const std::string end =
      BodyDiskKey(round.incarnation, BodyKey{round.group, round.bodies_to + 1, Term{}, 0});
  rocksdb::ReadOptions options;
  const rocksdb::Slice end_slice = ToSlice(end);
  options.iterate_upper_bound = &end_slice;
  options.fill_cache = false;
  std::unique_ptr<rocksdb::Iterator> bodies(engine.db->NewIterator(options, engine.body));
  size_t steps = 0;
  uint64_t bytes = 0;
  for (bodies->Seek(ToSlice(round.cursor));
       bodies->Valid() && steps < steps_max && bytes < kRoundBytesMax; bodies->Next(), ++steps) {
    bytes += bodies->value().size();
    BodyKey key;
    if (!ParseBodyDiskKey(FromSlice(bodies->key()), round.incarnation, key)) {
      return absl::DataLossError("an unreadable key among the bodies");
    }
    if (std::binary_search(live.begin(), live.end(), key)) continue;
    rocksdb::Status gone = batch.Delete(engine.body, bodies->key());
    HOLDFAST_CHECK(gone.ok()) << gone.ToString();
  }
  HOLDFAST_RETURN_IF_ERROR(FromRocksDb(bodies->status(), "looking for garbage among bodies"));
  if (!bodies->Valid()) return true;
  round.cursor = FromSlice(bodies->key());
  return false;
}

}  // namespace

std::unique_ptr<StateView> NewRocksDbView(std::shared_ptr<Engine> engine, std::string prefix,
                                          StateView::Mark mark) {
  return std::make_unique<RocksDbView>(std::move(engine), std::move(prefix), std::move(mark));
}

absl::StatusOr<std::unique_ptr<StateInstall>> NewRocksDbInstall(
    std::shared_ptr<Engine> engine, GroupId group, uint64_t incarnation, uint64_t in_use,
    uint64_t generation, std::shared_ptr<GarbageMarks> marks) {
  rocksdb::WriteBatch batch;
  HOLDFAST_RETURN_IF_ERROR(DropGenerations(*engine, group, in_use + 1, generation, batch));
  if (batch.Count() > 0) {
    HOLDFAST_RETURN_IF_ERROR(engine->Write(batch, "beginning a snapshot"));
  }
  return std::make_unique<RocksDbInstall>(std::move(engine), group, incarnation, generation,
                                          std::move(marks));
}

absl::StatusOr<bool> CollectRocksDbGarbage(Engine& engine, const std::vector<BodyKey>& live,
                                           size_t steps_max, GarbageRound& round) {
  rocksdb::WriteBatch batch;
  if (round.cursor.empty()) {
    HOLDFAST_CHECK(std::is_sorted(live.begin(), live.end())) << "live bodies in disorder";
    HOLDFAST_RETURN_IF_ERROR(DropGenerations(engine, round.group, 0, round.generation, batch));
    round.cursor = BodyDiskKey(round.incarnation, BodyKey{round.group, LogIndex{}, Term{}, 0});
  }
  HOLDFAST_RETURN_IF_ERROR(
      DropGenerations(engine, round.group, round.generation + 1, round.abandoned_to + 1, batch));
  bool done = true;
  if (round.bodies_to != LogIndex{}) {
    HOLDFAST_ASSIGN_OR_RETURN(done, DropBodies(engine, live, steps_max, round, batch));
  }
  if (done && round.bodies_to != LogIndex{}) {
    rocksdb::Status gone =
        batch.Delete(engine.meta, ToSlice(MetaKey(MetaKind::kGarbage, round.group)));
    HOLDFAST_CHECK(gone.ok()) << gone.ToString();
  }
  HOLDFAST_RETURN_IF_ERROR(engine.Write(batch, "collecting garbage"));
  return done;
}

}  // namespace holdfast::raft
