// raft/transport/watchdog.h
// Watchdog gives deadlines to calls that have none: arm it before a blocking step, and it runs
// `cancel` if the step isn't over in time.
//
//   Watchdog::Guard guard = watchdog.Arm(timeout, [&] { context.TryCancel(); });
//   stream->Write(packet);
//   if (guard.Disarm()) ...   // it ran
//
// Threads:  thread-safe; `cancel` runs on the watchdog's thread, must be quick, and never runs
// after
//   Disarm() (or the guard's end) returned. It must not use the watchdog.
// Lifetime: outlives its guards.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <map>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/mutex.h"

namespace holdfast::raft {

class Watchdog {
 public:
  class Guard {
   public:
    Guard(Watchdog& watchdog, std::pair<absl::Duration, uint64_t> key)
        : watchdog_(watchdog), key_(key) {}
    ~Guard() { Disarm(); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    // True when the time was over, and `cancel` ran.
    bool Disarm();

   private:
    Watchdog& watchdog_;
    const std::pair<absl::Duration, uint64_t> key_;
    bool armed_ = true;
    bool ran_ = false;
  };

  Watchdog();
  ~Watchdog();

  [[nodiscard]] Guard Arm(absl::Duration timeout, std::function<void()> cancel);

 private:
  void Run();

  const SystemClock clock_;
  Mutex mutex_;
  CondVar changed_;
  // By deadline since boot, and a number that keeps equal ones apart.
  std::map<std::pair<absl::Duration, uint64_t>, std::function<void()>> armed_
      ABSL_GUARDED_BY(mutex_);
  uint64_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace holdfast::raft
