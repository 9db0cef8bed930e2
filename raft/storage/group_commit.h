// raft/storage/group_commit.h
// GroupCommit is the queue in front of Store::Write(). Whatever all groups queued while the disk
// was busy with the last sync becomes one batch and one sync, so that throughput grows with load
// and the latency of a lone write stays that of one sync.
//
// Promises: writes reach the store in the order of Enqueue(); `stored` is told of a write only when
//   it and all before it are durable as asked, in the same order.
// Threads:  Enqueue() and AskForWitness() from anywhere; `stored` is called on the storage context.
// Lifetime: shared, because tasks in the storage context refer to it; the store outlives those.
// Errors:   a failed write ends the process (see Store). Where a test keeps it alive, nothing is
//           written or reported any more.
// Limits:   one batch holds at most `batch_bytes_max`, or a single larger write. The queue itself
//           is bounded by what its users may have undecided (GroupHostOptions).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "base/context.h"
#include "base/mutex.h"
#include "raft/core/raft_types.h"
#include "raft/storage/store.h"

namespace holdfast::raft {

// A write with the messages that may leave once it is durable (AppendTask::responses).
struct StorageTask {
  LogWrite write;
  std::vector<Message> responses;
};

class GroupCommit : public std::enable_shared_from_this<GroupCommit> {
 public:
  using Stored = std::function<void(std::vector<StorageTask>)>;

  GroupCommit(Store& store, Context& storage, uint64_t batch_bytes_max, Stored stored);

  void Enqueue(StorageTask task);
  // Store::Witness(), behind what is queued now.
  void AskForWitness();
  // Drops what is queued; nothing is written any more. For a host that goes away like in a crash.
  void Abandon();

 private:
  void Wake();
  void Drain();
  std::vector<StorageTask> TakeBatch();

  Store& store_;
  Context& storage_;
  const uint64_t batch_bytes_max_;
  const Stored stored_;

  mutable Mutex mutex_;
  std::deque<StorageTask> queue_ ABSL_GUARDED_BY(mutex_);
  bool awake_ ABSL_GUARDED_BY(mutex_) = false;    // A Drain() is posted or running.
  bool witness_ ABSL_GUARDED_BY(mutex_) = false;  // Asked for.
  bool failed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace holdfast::raft
