#include "raft/storage/rocksdb_replica.h"

#include <rocksdb/write_batch.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/check.h"
#include "raft/storage/rocksdb_status.h"
#include "raft/storage/store_keys.h"

namespace holdfast::raft {
namespace {

absl::StatusOr<std::string> ReadMeta(const Engine& engine, MetaKind kind, GroupId group) {
  HOLDFAST_ASSIGN_OR_RETURN(std::optional<std::string> record,
                            engine.Get(engine.meta, MetaKey(kind, group)));
  if (!record) {
    return MakeStatus(absl::StatusCode::kDataLoss, "group {}: meta record '{}' is missing",
                      group.value(), static_cast<char>(kind));
  }
  return *std::move(record);
}

absl::StatusOr<LogIndex> LastIndex(const Engine& engine, const GroupRecord& record) {
  std::unique_ptr<rocksdb::Iterator> headers(
      engine.db->NewIterator(rocksdb::ReadOptions(), engine.log));
  headers->SeekForPrev(ToSlice(LogKey(record.group, ~LogIndex{0})));
  HOLDFAST_RETURN_IF_ERROR(FromRocksDb(headers->status(), "reading the log"));
  GroupId group;
  LogIndex index{};
  if (!headers->Valid() || !ParseLogKey(FromSlice(headers->key()), group, index) ||
      group != record.group) {
    return record.truncated;
  }
  return index;
}

}  // namespace

void SeedReplica(const Engine& engine, const GroupSeed& seed, rocksdb::WriteBatch& batch) {
  const auto put = [&](MetaKind kind, const std::string& record) {
    rocksdb::Status status =
        batch.Put(engine.meta, ToSlice(MetaKey(kind, seed.group)), ToSlice(record));
    HOLDFAST_CHECK(status.ok()) << status.ToString();
  };
  put(MetaKind::kReplica, EncodeNumber(seed.incarnation));
  put(MetaKind::kHardState, EncodeHardState(HardState{}));
  put(MetaKind::kConfState, EncodeConfState(seed.conf_state));
  put(MetaKind::kTruncated, EncodeLogMark(LogMark{}));
  put(MetaKind::kApplied, EncodeLogMark(LogMark{}));
  put(MetaKind::kGeneration, EncodeNumber(kFirstGeneration));
}

absl::StatusOr<GroupRecord> ReadReplica(const Engine& engine, GroupId group) {
  GroupRecord record;
  record.group = group;
  HOLDFAST_ASSIGN_OR_RETURN(std::string replica, ReadMeta(engine, MetaKind::kReplica, group));
  HOLDFAST_ASSIGN_OR_RETURN(record.incarnation, DecodeNumber(replica));
  HOLDFAST_ASSIGN_OR_RETURN(std::string hard_state, ReadMeta(engine, MetaKind::kHardState, group));
  HOLDFAST_ASSIGN_OR_RETURN(record.hard_state, DecodeHardState(hard_state));
  HOLDFAST_ASSIGN_OR_RETURN(std::string conf_state, ReadMeta(engine, MetaKind::kConfState, group));
  HOLDFAST_ASSIGN_OR_RETURN(record.conf_state, DecodeConfState(conf_state));
  HOLDFAST_ASSIGN_OR_RETURN(std::string truncated, ReadMeta(engine, MetaKind::kTruncated, group));
  HOLDFAST_ASSIGN_OR_RETURN(const LogMark mark, DecodeLogMark(truncated));
  record.truncated = mark.index;
  record.truncated_term = mark.term;
  HOLDFAST_ASSIGN_OR_RETURN(std::string applied, ReadMeta(engine, MetaKind::kApplied, group));
  HOLDFAST_ASSIGN_OR_RETURN(const LogMark applied_mark, DecodeLogMark(applied));
  record.applied = applied_mark.index;
  record.applied_term = applied_mark.term;
  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<std::string> elided,
                            engine.Get(engine.meta, MetaKey(MetaKind::kElided, group)));
  if (elided) {
    HOLDFAST_ASSIGN_OR_RETURN(record.elided_through, DecodeNumber(*elided));
  }
  HOLDFAST_ASSIGN_OR_RETURN(record.last, LastIndex(engine, record));
  // The commit index needs no sync of its own and may be older than the rows; what was applied was
  // committed.
  record.hard_state.commit = std::max(record.hard_state.commit, record.applied);
  return record;
}

absl::StatusOr<LogHeader> HeaderAt(const rocksdb::Iterator& headers, GroupId group,
                                   LogIndex index) {
  if (!headers.Valid() || FromSlice(headers.key()) != LogKey(group, index)) {
    HOLDFAST_RETURN_IF_ERROR(FromRocksDb(headers.status(), "reading the log"));
    return MakeStatus(absl::StatusCode::kDataLoss, "the header of entry {} is missing", index);
  }
  HOLDFAST_ASSIGN_OR_RETURN(LogHeader header, DecodeLogHeader(FromSlice(headers.value())));
  if (header.index != index) {
    return MakeStatus(absl::StatusCode::kDataLoss, "entry {} stands in the place of entry {}",
                      header.index, index);
  }
  return header;
}

absl::StatusOr<LogHeader> ReadHeader(const Engine& engine, GroupId group, LogIndex index) {
  std::unique_ptr<rocksdb::Iterator> headers(
      engine.db->NewIterator(rocksdb::ReadOptions(), engine.log));
  headers->Seek(ToSlice(LogKey(group, index)));
  return HeaderAt(*headers, group, index);
}

absl::Status VerifyHeaders(const Engine& engine, const GroupRecord& record) {
  if (record.applied < record.truncated || record.last < record.applied ||
      record.last < record.hard_state.commit) {
    return MakeStatus(absl::StatusCode::kDataLoss,
                      "the log holds ({}, {}], yet {} is applied and {} committed",
                      record.truncated, record.last, record.applied, record.hard_state.commit);
  }
  std::unique_ptr<rocksdb::Iterator> headers(
      engine.db->NewIterator(rocksdb::ReadOptions(), engine.log));
  const LogIndex first = std::max(record.applied, record.truncated + 1);
  Term term = record.truncated_term;
  headers->Seek(ToSlice(LogKey(record.group, first)));
  for (LogIndex index = first; index <= record.last; ++index, headers->Next()) {
    HOLDFAST_ASSIGN_OR_RETURN(LogHeader header, HeaderAt(*headers, record.group, index));
    if (header.term < term || header.term > record.hard_state.term) {
      return MakeStatus(absl::StatusCode::kDataLoss, "entry {} has term {} behind term {} of {}",
                        index, header.term, term, record.hard_state.term);
    }
    term = header.term;
  }
  return absl::OkStatus();
}

absl::StatusOr<ReplicaRows> ReadReplicaRows(const Engine& engine, GroupId group) {
  ReplicaRows rows;
  HOLDFAST_ASSIGN_OR_RETURN(const std::string generation,
                            ReadMeta(engine, MetaKind::kGeneration, group));
  HOLDFAST_ASSIGN_OR_RETURN(rows.generation, DecodeNumber(generation));
  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<std::string> garbage,
                            engine.Get(engine.meta, MetaKey(MetaKind::kGarbage, group)));
  if (garbage) {
    HOLDFAST_ASSIGN_OR_RETURN(rows.garbage_to, DecodeNumber(*garbage));
  }
  return rows;
}

}  // namespace holdfast::raft
