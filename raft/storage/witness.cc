#include "raft/storage/witness.h"

#include <rocksdb/env.h>

#include <memory>

#include "raft/storage/rocksdb_status.h"
#include "raft/storage/store_records.h"

namespace holdfast::raft {
namespace {

std::string WitnessPath(const std::string& directory) { return directory + "/witness"; }

rocksdb::Status WriteFile(rocksdb::Env& env, const std::string& path, const std::string& bytes) {
  std::unique_ptr<rocksdb::WritableFile> file;
  rocksdb::Status status = env.NewWritableFile(path, &file, rocksdb::EnvOptions());
  if (status.ok()) status = file->Append(bytes);
  if (status.ok()) status = file->Flush();
  if (status.ok()) status = file->Sync();
  if (status.ok()) status = file->Close();
  return status;
}

rocksdb::Status MoveFile(rocksdb::Env& env, const std::string& from, const std::string& to,
                         const std::string& directory) {
  rocksdb::Status status = env.RenameFile(from, to);
  std::unique_ptr<rocksdb::Directory> folder;
  if (status.ok()) status = env.NewDirectory(directory, &folder);
  if (status.ok()) status = folder->Fsync();
  return status;
}

}  // namespace

absl::Status WriteWitness(rocksdb::Env& env, const std::string& directory, uint64_t durable_write,
                          SyncMeter* syncs) {
  const std::string path = WitnessPath(directory);
  const std::string fresh = path + ".new";
  const auto timed = [syncs](const auto& wait) {
    return syncs == nullptr ? wait() : syncs->Time(SyncMeter::Wait::kWitness, wait);
  };
  // Making and renaming a file may wait for the file system's journal as a sync does.
  rocksdb::Status status =
      timed([&] { return WriteFile(env, fresh, EncodeNumber(durable_write)); });
  if (status.ok()) status = timed([&] { return MoveFile(env, fresh, path, directory); });
  return FromRocksDb(status, "writing the witness");
}

absl::StatusOr<uint64_t> ReadWitness(rocksdb::Env& env, const std::string& directory) {
  const std::string path = WitnessPath(directory);
  rocksdb::Status exists = env.FileExists(path);
  if (exists.IsNotFound()) {
    return MakeStatus(absl::StatusCode::kNotFound, "there is no witness file {}", path);
  }
  std::string record;
  rocksdb::Status status = rocksdb::ReadFileToString(&env, path, &record);
  HOLDFAST_RETURN_IF_ERROR(FromRocksDb(status, "reading the witness"));
  absl::StatusOr<uint64_t> number = DecodeNumber(record);
  if (!number.ok()) return Annotate(number.status(), path);
  return *number;
}

}  // namespace holdfast::raft
