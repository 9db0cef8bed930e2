// raft/storage/sync_meter.h
// SyncMeter counts a store's waits for the disk and how long they take, so that a disk that is slow
// is seen whatever waits for it: the log, or the witness that must be written with it.
// Threads:  Time() one caller at a time; the rest any.
// Lifetime: the clock outlives it.
#pragma once

#include <absl/time/time.h>

#include <atomic>
#include <cstdint>

#include "base/clock.h"

namespace holdfast::raft {

class SyncMeter {
 public:
  explicit SyncMeter(const Clock& clock) : clock_(clock) {}

  // Calls `sync` and gives what it returned. One that failed counts too.
  template <typename Sync>
  auto Time(Sync&& sync) {
    const int64_t began = absl::ToInt64Nanoseconds(clock_.SinceBoot());
    began_ = began;
    auto result = sync();
    nanoseconds_ += absl::ToInt64Nanoseconds(clock_.SinceBoot()) - began;
    ++count_;
    // Last: who reads in between must not find that nothing is, or was, synced.
    began_ = 0;
    return result;
  }

  uint64_t count() const { return count_; }
  // Of those that ended, together.
  absl::Duration time() const { return absl::Nanoseconds(nanoseconds_.load()); }
  // Of the one under way, so far; zero: none is.
  absl::Duration running() const {
    const int64_t began = began_;
    if (began == 0) return absl::ZeroDuration();
    return clock_.SinceBoot() - absl::Nanoseconds(began);
  }

 private:
  const Clock& clock_;
  std::atomic<uint64_t> count_{0};
  std::atomic<int64_t> nanoseconds_{0};
  // Clock::SinceBoot() in nanoseconds; 0: none is under way.
  std::atomic<int64_t> began_{0};
};

}  // namespace holdfast::raft
