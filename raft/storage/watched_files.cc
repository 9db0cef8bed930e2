#include "raft/storage/watched_files.h"

#include <rocksdb/file_system.h>

#include <utility>

#include "base/status.h"

namespace holdfast::raft {
namespace {

using Failed = std::function<void(const std::string&)>;

class WatchedFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  WatchedFile(std::unique_ptr<rocksdb::FSWritableFile> file, std::string name,
              std::shared_ptr<const Failed> failed)
      : FSWritableFileOwnerWrapper(std::move(file)),
        name_(std::move(name)),
        failed_(std::move(failed)) {}

  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    return Seen("writing", target()->Append(data, options, debug));
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo& verification,
                           rocksdb::IODebugContext* debug) override {
    return Seen("writing", target()->Append(data, options, verification, debug));
  }
  rocksdb::IOStatus PositionedAppend(const rocksdb::Slice& data, uint64_t offset,
                                     const rocksdb::IOOptions& options,
                                     rocksdb::IODebugContext* debug) override {
    return Seen("writing", target()->PositionedAppend(data, offset, options, debug));
  }
  rocksdb::IOStatus PositionedAppend(const rocksdb::Slice& data, uint64_t offset,
                                     const rocksdb::IOOptions& options,
                                     const rocksdb::DataVerificationInfo& verification,
                                     rocksdb::IODebugContext* debug) override {
    return Seen("writing", target()->PositionedAppend(data, offset, options, verification, debug));
  }
  rocksdb::IOStatus Flush(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override {
    return Seen("writing", target()->Flush(options, debug));
  }
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options,
                         rocksdb::IODebugContext* debug) override {
    return Seen("syncing", target()->Sync(options, debug));
  }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override {
    return Seen("syncing", target()->Fsync(options, debug));
  }
  rocksdb::IOStatus RangeSync(uint64_t offset, uint64_t bytes, const rocksdb::IOOptions& options,
                              rocksdb::IODebugContext* debug) override {
    return Seen("syncing", target()->RangeSync(offset, bytes, options, debug));
  }
  rocksdb::IOStatus Close(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override {
    return Seen("closing", target()->Close(options, debug));
  }

 private:
  rocksdb::IOStatus Seen(const char* what, rocksdb::IOStatus status) {
    if (status.ok() || status.IsNotSupported()) return status;
    (*failed_)(format("{} {}: {}", what, name_, status.ToString()));
    return status;
  }

  const std::string name_;
  const std::shared_ptr<const Failed> failed_;
};

class WatchedFiles final : public rocksdb::FileSystemWrapper {
 public:
  WatchedFiles(const std::shared_ptr<rocksdb::FileSystem>& base, Failed failed)
      : FileSystemWrapper(base), failed_(std::make_shared<const Failed>(std::move(failed))) {}

  const char* Name() const override { return "WatchedFiles"; }

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* out,
                                    rocksdb::IODebugContext* debug) override {
    return Watch(target()->NewWritableFile(name, options, out, debug), name, out);
  }
  rocksdb::IOStatus ReopenWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* out,
                                       rocksdb::IODebugContext* debug) override {
    return Watch(target()->ReopenWritableFile(name, options, out, debug), name, out);
  }
  rocksdb::IOStatus ReuseWritableFile(const std::string& name, const std::string& old_name,
                                      const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* out,
                                      rocksdb::IODebugContext* debug) override {
    return Watch(target()->ReuseWritableFile(name, old_name, options, out, debug), name, out);
  }

 private:
  rocksdb::IOStatus Watch(rocksdb::IOStatus status, const std::string& name,
                          std::unique_ptr<rocksdb::FSWritableFile>* out) {
    if (status.ok()) *out = std::make_unique<WatchedFile>(std::move(*out), name, failed_);
    return status;
  }

  const std::shared_ptr<const Failed> failed_;
};

}  // namespace

std::unique_ptr<rocksdb::Env> WatchFiles(rocksdb::Env* base,
                                         std::function<void(const std::string&)> failed) {
  return rocksdb::NewCompositeEnv(
      std::make_shared<WatchedFiles>(base->GetFileSystem(), std::move(failed)));
}

}  // namespace holdfast::raft
