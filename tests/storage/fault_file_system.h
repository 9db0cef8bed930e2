// tests/storage/fault_file_system.h
// A RocksDB FileSystem on real files that fails when told, and forgets like a disk without power:
// what was appended to a file but not synced can be cut off, torn in the middle or zeroed.
//
// Every append, sync, rename and deletion is one numbered operation, except those of RocksDB's own
// text log, which no recovery reads. Directory entries count as durable when made, as on
// a journalling file system.
// Threads: thread-safe.
#pragma once

#include <rocksdb/file_system.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/mutex.h"

namespace holdfast::raft {

enum class FaultKind { kAppend, kSync };

// What is left of bytes that were appended and not synced: nothing, their first half, or (in WAL
// files; others keep half) their first half and zeros up to the full size. RocksDB can't open a
// store whose manifest ends in zeros; file systems that write data before sizes don't leave that.
enum class UnsyncedTail { kGone, kHalf, kZeroed };

class FaultFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  FaultFileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "FaultFileSystem"; }

  uint64_t operations() const;

  // The operation with this number and all later ones fail. An append then writes its first half.
  void CrashAt(uint64_t operation);
  // The next operation of this kind on a file whose name ends in `suffix` fails; only that one.
  void FailOnce(FaultKind kind, const std::string& suffix);
  bool failed() const;  // Whether any operation was made to fail since Heal().
  // Everything works again.
  void Heal();
  // Called in each sync of a file, before it is done, on whatever thread: a disk that takes its
  // time. Set before the store is opened. It sees to its own locks where the store flushes.
  void SetOnSync(std::function<void()> on_sync) { on_sync_ = std::move(on_sync); }
  // To be called with all files closed.
  void LoseUnsynced(UnsyncedTail tail);

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* context) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* context) override;
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* context) override;

 private:
  friend class FaultFile;
  struct Extent {
    uint64_t size = 0;
    uint64_t synced = 0;
  };

  // OK, or the error that this operation has to fail with.
  rocksdb::IOStatus Begin(const std::string& path);
  rocksdb::IOStatus Begin(const std::string& path, FaultKind kind);
  void Appended(const std::string& path, uint64_t bytes);
  uint64_t SizeOf(const std::string& path);
  void Synced(const std::string& path, uint64_t size);

  std::function<void()> on_sync_;
  mutable Mutex mutex_;
  std::map<std::string, Extent> files_ ABSL_GUARDED_BY(mutex_);
  uint64_t operations_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t crash_at_ ABSL_GUARDED_BY(mutex_) = ~uint64_t{0};
  bool failed_ ABSL_GUARDED_BY(mutex_) = false;
  bool fail_once_ ABSL_GUARDED_BY(mutex_) = false;
  FaultKind fail_kind_ ABSL_GUARDED_BY(mutex_) = FaultKind::kAppend;
  std::string fail_suffix_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::raft
