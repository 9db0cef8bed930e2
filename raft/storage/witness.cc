#include "raft/storage/witness.h"

#include <rocksdb/env.h>

#include <memory>

#include "raft/storage/rocksdb_status.h"
#include "raft/storage/store_records.h"

namespace holdfast::raft {
namespace {

std::string WitnessPath(const std::string& directory) { return directory + "/witness"; }

}  // namespace

absl::Status WriteWitness(rocksdb::Env& env, const std::string& directory, uint64_t durable_write,
                          SyncMeter& syncs) {
  const std::string path = WitnessPath(directory);
  const std::string fresh = path + ".new";
  std::unique_ptr<rocksdb::WritableFile> file;
  rocksdb::Status status = env.NewWritableFile(fresh, &file, rocksdb::EnvOptions());
  if (status.ok()) status = file->Append(EncodeNumber(durable_write));
  if (status.ok()) status = file->Flush();
  if (status.ok()) status = syncs.Time([&file] { return file->Sync(); });
  if (status.ok()) status = file->Close();
  if (status.ok()) status = env.RenameFile(fresh, path);
  std::unique_ptr<rocksdb::Directory> folder;
  if (status.ok()) status = env.NewDirectory(directory, &folder);
  if (status.ok()) status = syncs.Time([&folder] { return folder->Fsync(); });
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
