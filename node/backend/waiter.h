// node/backend/waiter.h
// Waiter lets a thread that may wait (an admin call, the start of the node) wait for callbacks.
// Threads: thread-safe. Lifetime: shared with the callbacks, which may come after the wait gave up.
#pragma once

#include <absl/time/time.h>

#include <chrono>
#include <vector>

#include "base/mutex.h"
#include "raft/host/group_host.h"

namespace holdfast::node {

class Waiter {
 public:
  explicit Waiter(size_t expected) : results_(expected), missing_(expected) {
    for (raft::ProposeResult& result : results_) {
      result.status = absl::DeadlineExceededError("no answer before the call's deadline");
    }
  }

  void Set(size_t place, const raft::ProposeResult& result) {
    MutexLock lock(mutex_);
    results_[place] = result;
    if (--missing_ == 0) changed_.NotifyAll();
  }

  // What is there by then; what is missing reads kDeadlineExceeded, outcome unknown.
  std::vector<raft::ProposeResult> Wait(absl::Duration timeout) {
    const auto until = std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(timeout);
    MutexLock lock(mutex_);
    while (missing_ > 0) {
      const auto left = until - std::chrono::steady_clock::now();
      if (left <= std::chrono::nanoseconds(0)) break;
      changed_.WaitFor(mutex_, left);
    }
    return results_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<raft::ProposeResult> results_ ABSL_GUARDED_BY(mutex_);
  size_t missing_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::node
