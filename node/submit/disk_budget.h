// node/submit/disk_budget.h
// DiskBudget says how much mail the disk still has room for, between two looks at it as well: what
// was promised since the last look is subtracted, so that input passes the reserve at no speed.
//
// A byte accepted costs two: one in the WAL at once, one more when its memtable is flushed, which
// can be before the WAL is deleted. A look sees the first (the disk's free bytes) and the second
// (the store's unflushed bytes). The reserve is for the rest: compaction, outcomes, the log.
// Threads:  thread-safe. Pure: whoever looks at the disk passes in what it saw.
// Lifetime: outlives its reservations.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "base/mutex.h"

namespace holdfast::node {

// WAL and flush.
inline constexpr uint64_t kDiskBytesPerByte = 2;

class DiskBudget {
 public:
  // A promise to store bytes; settled when it is destroyed, stored or not.
  class Reservation {
   public:
    Reservation(Reservation&& other) noexcept
        : budget_(std::exchange(other.budget_, nullptr)), bytes_(other.bytes_) {}
    Reservation& operator=(Reservation&&) = delete;
    ~Reservation() {
      if (budget_ != nullptr) budget_->Settle(bytes_);
    }

   private:
    friend class DiskBudget;
    Reservation(DiskBudget& budget, uint64_t bytes) : budget_(&budget), bytes_(bytes) {}

    DiskBudget* budget_;
    uint64_t bytes_;
  };

  explicit DiskBudget(uint64_t reserve_bytes) : reserve_bytes_(reserve_bytes) {}

  // Around each look at the disk: what settles in between may or may not have been seen, and counts
  // until the next look. A look that failed has no EndLook(). One thread.
  void BeginLook();
  void EndLook(uint64_t free_bytes, uint64_t unflushed_bytes);

  // nullopt: no room. Before the first look there is room for everything.
  std::optional<Reservation> TryReserve(uint64_t bytes);
  // Message bytes that could be reserved now.
  uint64_t Room() const;

  // As last seen.
  uint64_t free_bytes() const;
  uint64_t reserve_bytes() const { return reserve_bytes_; }

 private:
  void Settle(uint64_t bytes);
  uint64_t RoomLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const uint64_t reserve_bytes_;
  mutable Mutex mutex_;
  // In bytes of messages, but for the first two.
  uint64_t free_bytes_ ABSL_GUARDED_BY(mutex_) = ~uint64_t{0};
  uint64_t unflushed_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t promised_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t settled_ ABSL_GUARDED_BY(mutex_) = 0;         // Since the last look ended, or longer.
  uint64_t settled_before_ ABSL_GUARDED_BY(mutex_) = 0;  // Of those, before BeginLook().
};

}  // namespace holdfast::node
