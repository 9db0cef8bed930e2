// base/clock.h
// The only door to time. Shells hold a Clock&; pure cores get times as arguments. Tests and the
// simulation have a ManualClock.
// Threads: Clock implementations are thread-safe.
#pragma once

#include <absl/time/time.h>

#include <atomic>
#include <cstdint>

namespace holdfast {

class Clock {
 public:
  virtual ~Clock() = default;

  // Wall time, for stamps that people and mail headers see. May jump.
  virtual absl::Time Now() const = 0;

  // Time since boot, suspend included (CLOCK_BOOTTIME): never goes back. For deadlines and fences.
  virtual absl::Duration SinceBoot() const = 0;
};

class SystemClock final : public Clock {
 public:
  absl::Time Now() const override;
  absl::Duration SinceBoot() const override;
};

// Stands still until it is told to move.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(absl::Time start) : nanoseconds_(absl::ToUnixNanos(start)) {}
  absl::Time Now() const override { return absl::FromUnixNanos(nanoseconds_.load()); }
  absl::Duration SinceBoot() const override { return absl::Nanoseconds(boot_.load()); }

  void Advance(absl::Duration by) {
    nanoseconds_ += absl::ToInt64Nanoseconds(by);
    boot_ += absl::ToInt64Nanoseconds(by);
  }
  // Moves wall time alone, as an administrator or NTP would.
  void JumpWall(absl::Duration by) { nanoseconds_ += absl::ToInt64Nanoseconds(by); }

 private:
  std::atomic<int64_t> nanoseconds_;
  std::atomic<int64_t> boot_{0};
};

}  // namespace holdfast
