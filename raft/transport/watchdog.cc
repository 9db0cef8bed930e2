#include "raft/transport/watchdog.h"

namespace holdfast::raft {

bool Watchdog::Guard::Disarm() {
  if (!armed_) return ran_;
  armed_ = false;
  MutexLock lock(watchdog_.mutex_);
  ran_ = watchdog_.armed_.erase(key_) == 0;
  return ran_;
}

Watchdog::Watchdog() : thread_([this] { Run(); }) {}

Watchdog::~Watchdog() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  thread_.join();
}

Watchdog::Guard Watchdog::Arm(absl::Duration timeout, std::function<void()> cancel) {
  MutexLock lock(mutex_);
  const std::pair<absl::Duration, uint64_t> key(clock_.SinceBoot() + timeout, next_++);
  const auto place = armed_.emplace(key, std::move(cancel)).first;
  // The thread needs to know only of a nearer deadline than the one it waits for.
  if (place == armed_.begin()) changed_.NotifyAll();
  return Guard(*this, key);
}

void Watchdog::Run() {
  MutexLock lock(mutex_);
  while (!stopping_) {
    if (armed_.empty()) {
      changed_.Wait(mutex_);
      continue;
    }
    const auto first = armed_.begin();
    const absl::Duration left = first->first.first - clock_.SinceBoot();
    if (left > absl::ZeroDuration()) {
      changed_.WaitFor(mutex_, absl::ToChronoNanoseconds(left));
      continue;
    }
    // Under the lock, so that Disarm() waits for it.
    first->second();
    armed_.erase(first);
  }
}

}  // namespace holdfast::raft
