#include "tests/storage/fault_file_system.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace holdfast::raft {
namespace {

using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

bool IsTextLog(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  return name.compare(0, 3, "LOG") == 0;
}

bool EndsWith(const std::string& path, const std::string& suffix) {
  return path.size() >= suffix.size() &&
         path.compare(path.size() - suffix.size(), std::string::npos, suffix) == 0;
}

}  // namespace

class FaultFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FaultFile(FaultFileSystem& system, std::string path, std::unique_ptr<FSWritableFile> file)
      : FSWritableFileOwnerWrapper(std::move(file)), system_(system), path_(std::move(path)) {}

  IOStatus Append(const Slice& bytes, const IOOptions& options, IODebugContext* context) override {
    IOStatus fault = system_.Begin(path_, FaultKind::kAppend);
    const Slice written = fault.ok() ? bytes : Slice(bytes.data(), bytes.size() / 2);
    IOStatus status = FSWritableFileOwnerWrapper::Append(written, options, context);
    if (status.ok()) system_.Appended(path_, written.size());
    return fault.ok() ? status : fault;
  }
  IOStatus Append(const Slice& bytes, const IOOptions& options,
                  const rocksdb::DataVerificationInfo&, IODebugContext* context) override {
    return Append(bytes, options, context);
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* context) override {
    const uint64_t size = system_.SizeOf(path_);
    IOStatus fault = system_.Begin(path_, FaultKind::kSync);
    if (!fault.ok()) return fault;
    if (system_.on_sync_ && !IsTextLog(path_)) system_.on_sync_();
    IOStatus status = FSWritableFileOwnerWrapper::Sync(options, context);
    if (status.ok()) system_.Synced(path_, size);
    return status;
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* context) override {
    return Sync(options, context);
  }
  // Hints to write back early promise nothing.
  IOStatus RangeSync(uint64_t, uint64_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::OK();
  }

 private:
  FaultFileSystem& system_;
  const std::string path_;
};

uint64_t FaultFileSystem::operations() const {
  MutexLock lock(mutex_);
  return operations_;
}

void FaultFileSystem::CrashAt(uint64_t operation) {
  MutexLock lock(mutex_);
  crash_at_ = operation;
}

void FaultFileSystem::FailOnce(FaultKind kind, const std::string& suffix) {
  MutexLock lock(mutex_);
  fail_once_ = true;
  fail_kind_ = kind;
  fail_suffix_ = suffix;
}

bool FaultFileSystem::failed() const {
  MutexLock lock(mutex_);
  return failed_;
}

void FaultFileSystem::Heal() {
  MutexLock lock(mutex_);
  crash_at_ = ~uint64_t{0};
  fail_once_ = false;
  failed_ = false;
}

IOStatus FaultFileSystem::Begin(const std::string& path) {
  if (IsTextLog(path)) return IOStatus::OK();
  MutexLock lock(mutex_);
  if (operations_++ < crash_at_) return IOStatus::OK();
  failed_ = true;
  return IOStatus::IOError("the power is off");
}

IOStatus FaultFileSystem::Begin(const std::string& path, FaultKind kind) {
  {
    MutexLock lock(mutex_);
    const bool ends = EndsWith(path, fail_suffix_);
    if (fail_once_ && fail_kind_ == kind && ends && !IsTextLog(path)) {
      fail_once_ = false;
      failed_ = true;
      return IOStatus::IOError("a fault was ordered");
    }
  }
  return Begin(path);
}

void FaultFileSystem::Appended(const std::string& path, uint64_t bytes) {
  MutexLock lock(mutex_);
  files_[path].size += bytes;
}

uint64_t FaultFileSystem::SizeOf(const std::string& path) {
  MutexLock lock(mutex_);
  return files_[path].size;
}

void FaultFileSystem::Synced(const std::string& path, uint64_t size) {
  MutexLock lock(mutex_);
  files_[path].synced = std::max(files_[path].synced, size);
}

void FaultFileSystem::LoseUnsynced(UnsyncedTail tail) {
  MutexLock lock(mutex_);
  for (auto& [path, extent] : files_) {
    if (extent.synced == extent.size || IsTextLog(path)) continue;
    uint64_t kept = extent.synced;
    if (tail != UnsyncedTail::kGone) kept += (extent.size - extent.synced + 1) / 2;
    HOLDFAST_CHECK(truncate(path.c_str(), static_cast<off_t>(kept)) == 0) << path;
    if (tail == UnsyncedTail::kZeroed && EndsWith(path, ".log")) {
      // Some blocks reached the disk, and the file's size, but the last of them did not.
      HOLDFAST_CHECK(truncate(path.c_str(), static_cast<off_t>(extent.size)) == 0) << path;
      kept = extent.size;
    }
    extent.size = kept;
    extent.synced = kept;
  }
}

IOStatus FaultFileSystem::NewWritableFile(const std::string& path,
                                          const rocksdb::FileOptions& options,
                                          std::unique_ptr<FSWritableFile>* file,
                                          IODebugContext* context) {
  IOStatus status = Begin(path);
  if (!status.ok()) return status;
  std::unique_ptr<FSWritableFile> real;
  status = target_->NewWritableFile(path, options, &real, context);
  if (!status.ok()) return status;
  {
    MutexLock lock(mutex_);
    files_[path] = Extent{};
  }
  *file = std::make_unique<FaultFile>(*this, path, std::move(real));
  return status;
}

IOStatus FaultFileSystem::RenameFile(const std::string& from, const std::string& to,
                                     const IOOptions& options, IODebugContext* context) {
  IOStatus status = Begin(from);
  if (status.ok()) status = target_->RenameFile(from, to, options, context);
  if (!status.ok()) return status;
  MutexLock lock(mutex_);
  auto it = files_.find(from);
  if (it == files_.end()) return status;
  files_[to] = it->second;
  files_.erase(it);
  return status;
}

IOStatus FaultFileSystem::DeleteFile(const std::string& path, const IOOptions& options,
                                     IODebugContext* context) {
  IOStatus status = Begin(path);
  if (status.ok()) status = target_->DeleteFile(path, options, context);
  if (!status.ok()) return status;
  MutexLock lock(mutex_);
  files_.erase(path);
  return status;
}

}  // namespace holdfast::raft
