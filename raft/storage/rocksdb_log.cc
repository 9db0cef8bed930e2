#include "raft/storage/rocksdb_log.h"

#include <rocksdb/iterator.h>

#include <algorithm>
#include <memory>
#include <string>

#include "base/check.h"
#include "raft/storage/rocksdb_replica.h"
#include "raft/storage/rocksdb_status.h"
#include "raft/storage/store_keys.h"
#include "raft/storage/store_records.h"

namespace holdfast::raft {
namespace {

void PutMeta(const Engine& engine, MetaKind kind, GroupId group, const std::string& value,
             rocksdb::WriteBatch& batch) {
  rocksdb::Status put = batch.Put(engine.meta, ToSlice(MetaKey(kind, group)), ToSlice(value));
  HOLDFAST_CHECK(put.ok()) << put.ToString();
}

// Headers go one by one: range deletions are dear to later reads and flushes.
void DeleteHeaders(const Engine& engine, GroupId group, LogIndex first, LogIndex last,
                   rocksdb::WriteBatch& batch) {
  for (LogIndex index = first; index <= last; ++index) {
    rocksdb::Status gone = batch.Delete(engine.log, ToSlice(LogKey(group, index)));
    HOLDFAST_CHECK(gone.ok()) << gone.ToString();
  }
}

}  // namespace

void PutBody(const Engine& engine, uint64_t incarnation, const BodyKey& key,
             const std::string& bytes, uint32_t crc32c, rocksdb::WriteBatch& batch) {
  const std::string disk_key = BodyDiskKey(incarnation, key);
  const std::string frame = EncodeBodyFrame(disk_key, crc32c);
  const rocksdb::Slice key_slice = ToSlice(disk_key);
  const rocksdb::Slice value[2] = {ToSlice(frame), ToSlice(bytes)};
  rocksdb::Status put =
      batch.Put(engine.body, rocksdb::SliceParts(&key_slice, 1), rocksdb::SliceParts(value, 2));
  HOLDFAST_CHECK(put.ok()) << put.ToString();
}

uint64_t PutEntry(const Engine& engine, const GroupRecord& record, const Entry& entry,
                  rocksdb::WriteBatch& batch) {
  LogHeader header;
  header.index = entry.index;
  header.term = entry.term;
  header.type = entry.type;
  header.command = entry.command;
  uint64_t body_bytes = 0;
  uint32_t ordinal = 0;
  for (const Payload& body : entry.bodies) {
    header.bodies.push_back(BodySum{body.size, body.crc32c});
    const BodyKey place{record.group, entry.index, entry.term, ordinal++};
    if (body.elided_by != 0) continue;
    HOLDFAST_CHECK(body.bytes != nullptr && body.bytes->size() == body.size)
        << "entry " << entry.index << " without the bytes of body " << place.ordinal;
    PutBody(engine, record.incarnation, place, *body.bytes, body.crc32c, batch);
    body_bytes += body.size;
  }
  rocksdb::Status put = batch.Put(engine.log, ToSlice(LogKey(record.group, entry.index)),
                                  ToSlice(EncodeLogHeader(header)));
  HOLDFAST_CHECK(put.ok()) << put.ToString();
  return body_bytes;
}

absl::Status DropTail(Engine& engine, const GroupRecord& record, LogIndex from,
                      rocksdb::WriteBatch& batch) {
  // The tail may stand in this very batch: write that first. Nothing was promised for it yet.
  if (batch.Count() > 0) {
    HOLDFAST_RETURN_IF_ERROR(engine.Write(batch, "appending to the log"));
    batch.Clear();
  }
  std::unique_ptr<rocksdb::Iterator> headers(
      engine.db->NewIterator(rocksdb::ReadOptions(), engine.log));
  headers->Seek(ToSlice(LogKey(record.group, from)));
  for (LogIndex index = from; index <= record.last; ++index, headers->Next()) {
    HOLDFAST_ASSIGN_OR_RETURN(LogHeader header, HeaderAt(*headers, record.group, index));
    rocksdb::Status gone = batch.Delete(engine.log, headers->key());
    HOLDFAST_CHECK(gone.ok()) << gone.ToString();
    for (uint32_t ordinal = 0; ordinal < header.bodies.size(); ++ordinal) {
      const BodyKey key{record.group, index, header.term, ordinal};
      gone = batch.Delete(engine.body, ToSlice(BodyDiskKey(record.incarnation, key)));
      HOLDFAST_CHECK(gone.ok()) << gone.ToString();
    }
  }
  return absl::OkStatus();
}

absl::Status DropFront(const Engine& engine, GroupRecord& record, LogIndex before,
                       rocksdb::WriteBatch& batch) {
  if (before <= record.truncated + 1) return absl::OkStatus();
  HOLDFAST_CHECK(before <= record.applied + 1)
      << "truncation before " << before << ", applied is " << record.applied;
  HOLDFAST_ASSIGN_OR_RETURN(const LogHeader newest, ReadHeader(engine, record.group, before - 1));
  DeleteHeaders(engine, record.group, record.truncated + 1, before - 1, batch);
  record.truncated = before - 1;
  record.truncated_term = newest.term;
  PutMeta(engine, MetaKind::kTruncated, record.group,
          EncodeLogMark(LogMark{record.truncated, newest.term}), batch);
  return absl::OkStatus();
}

void RaiseElided(const Engine& engine, GroupRecord& record, LogIndex to,
                 rocksdb::WriteBatch& batch) {
  if (to <= record.elided_through) return;
  record.elided_through = to;
  PutMeta(engine, MetaKind::kElided, record.group, EncodeNumber(to), batch);
}

absl::Status PutInstall(Engine& engine, GroupRecord& record, const LogWrite::Install& install,
                        LogIndex garbage_to, rocksdb::WriteBatch& batch) {
  HOLDFAST_CHECK(install.index >= record.applied)
      << "a snapshot at " << install.index << " behind applied " << record.applied;
  // Entries behind the snapshot have lost, and their bodies with them. Of the others the bodies may
  // be on the snapshot's list: what is not is garbage.
  if (install.index < record.last) {
    HOLDFAST_RETURN_IF_ERROR(DropTail(engine, record, install.index + 1, batch));
  }
  DeleteHeaders(engine, record.group, record.truncated + 1, std::min(install.index, record.last),
                batch);
  const std::string mark = EncodeLogMark(LogMark{install.index, install.term});
  PutMeta(engine, MetaKind::kTruncated, record.group, mark, batch);
  PutMeta(engine, MetaKind::kApplied, record.group, mark, batch);
  PutMeta(engine, MetaKind::kConfState, record.group, EncodeConfState(install.conf_state), batch);
  PutMeta(engine, MetaKind::kGeneration, record.group, EncodeNumber(install.generation), batch);
  PutMeta(engine, MetaKind::kGarbage, record.group, EncodeNumber(garbage_to), batch);
  RaiseElided(engine, record, install.elided_through, batch);
  record.truncated = record.applied = record.last = install.index;
  record.truncated_term = record.applied_term = install.term;
  record.conf_state = install.conf_state;
  return absl::OkStatus();
}

}  // namespace holdfast::raft
