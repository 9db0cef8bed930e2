// raft/storage/sync_meter.h
// SyncMeter times how long the storage context waits for the disk: for a sync of the log, or for
// the witness that must be written with it. What a disk that is slow is judged by (LoadWatch).
// Threads:  Time() one caller at a time; Read() any.
// Lifetime: the clock outlives it.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "base/mutex.h"

namespace holdfast::raft {

class SyncMeter {
 public:
  enum class Wait { kLog, kWitness };
  struct Counts {
    uint64_t log = 0;
    absl::Duration log_time;  // Of those that ended, together.
    uint64_t witness = 0;
    absl::Duration running;  // Of the one under way, so far; zero: none is.
  };

  explicit SyncMeter(const Clock& clock) : clock_(clock) {}

  // Calls `sync` and gives what it returned. One that failed counts too.
  template <typename Sync>
  auto Time(Wait wait, Sync&& sync) {
    Begin();
    auto result = sync();
    End(wait);
    return result;
  }

  // All of one moment: what is under way is not counted yet, and what is counted is over.
  Counts Read() const {
    MutexLock lock(mutex_);
    Counts counts = counts_;
    if (began_) counts.running = clock_.SinceBoot() - *began_;
    return counts;
  }

 private:
  void Begin() {
    MutexLock lock(mutex_);
    began_ = clock_.SinceBoot();
  }
  void End(Wait wait) {
    MutexLock lock(mutex_);
    if (wait == Wait::kLog) {
      ++counts_.log;
      counts_.log_time += clock_.SinceBoot() - *began_;
    } else {
      ++counts_.witness;
    }
    began_.reset();
  }

  const Clock& clock_;
  mutable Mutex mutex_;
  Counts counts_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Duration> began_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::raft
