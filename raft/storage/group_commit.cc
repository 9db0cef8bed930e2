#include "raft/storage/group_commit.h"

#include <utility>

namespace holdfast::raft {

GroupCommit::GroupCommit(Store& store, Context& storage, uint64_t batch_bytes_max, Stored stored)
    : store_(store),
      storage_(storage),
      batch_bytes_max_(batch_bytes_max),
      stored_(std::move(stored)) {}

void GroupCommit::Enqueue(StorageTask task) {
  {
    MutexLock lock(mutex_);
    if (failed_) return;
    queue_.push_back(std::move(task));
    if (awake_) return;
    awake_ = true;
  }
  Wake();
}

void GroupCommit::AskForWitness() {
  {
    MutexLock lock(mutex_);
    if (failed_) return;
    witness_ = true;
    if (awake_) return;
    awake_ = true;
  }
  Wake();
}

void GroupCommit::Abandon() {
  MutexLock lock(mutex_);
  failed_ = true;
  witness_ = false;
  queue_.clear();
}

void GroupCommit::Wake() {
  storage_.Post([self = shared_from_this()] { self->Drain(); });
}

std::vector<StorageTask> GroupCommit::TakeBatch() {
  MutexLock lock(mutex_);
  std::vector<StorageTask> batch;
  uint64_t bytes = 0;
  while (!queue_.empty()) {
    bytes += PayloadBytes(queue_.front().write.entries);
    if (!batch.empty() && bytes > batch_bytes_max_) break;
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return batch;
}

// One batch a turn, so that other work posted to the storage context gets its own.
void GroupCommit::Drain() {
  std::vector<StorageTask> batch = TakeBatch();
  absl::Status status;
  if (!batch.empty()) {
    std::vector<LogWrite> writes;
    writes.reserve(batch.size());
    for (StorageTask& task : batch) writes.push_back(std::move(task.write));
    status = store_.Write(writes);
    for (size_t i = 0; i < batch.size(); ++i) batch[i].write = std::move(writes[i]);
  }
  bool witness = false;
  {
    MutexLock lock(mutex_);
    std::swap(witness, witness_);
  }
  if (status.ok() && witness) status = store_.Witness();
  if (status.ok() && !batch.empty()) stored_(std::move(batch));
  {
    MutexLock lock(mutex_);
    failed_ = failed_ || !status.ok();
    if (failed_) queue_.clear();
    awake_ = !queue_.empty();
    if (!awake_) return;
  }
  Wake();
}

}  // namespace holdfast::raft
