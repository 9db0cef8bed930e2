// raft/host/ticker.h
// Ticker calls a function at a steady interval from a thread of its own: the clock of a GroupHost
// outside the simulation. Ticks that could not be given in time (the process was stopped, the
// machine slept) are left out, not made up for: to Raft, time that nobody saw did not pass.
// Threads:  `tick` is called on the ticker's thread and must be quick. Stop() from another one.
// Lifetime: what `tick` refers to outlives Stop().
#pragma once

#include <absl/time/time.h>

#include <functional>
#include <thread>

#include "base/mutex.h"

namespace holdfast::raft {

class Ticker {
 public:
  Ticker(absl::Duration interval, std::function<void()> tick);
  ~Ticker();  // Stop().
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

  // No call is running or begins after it returned. Idempotent.
  void Stop();

 private:
  void Run();

  const absl::Duration interval_;
  const std::function<void()> tick_;
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace holdfast::raft
