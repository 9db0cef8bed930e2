#include "raft/host/ticker.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace holdfast::raft {

Ticker::Ticker(absl::Duration interval, std::function<void()> tick)
    : interval_(interval), tick_(std::move(tick)), thread_([this] { Run(); }) {}

Ticker::~Ticker() { Stop(); }

void Ticker::Stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

void Ticker::Run() {
  using Steady = std::chrono::steady_clock;
  const auto interval = absl::ToChronoNanoseconds(interval_);
  Steady::time_point next = Steady::now() + interval;
  while (true) {
    {
      MutexLock lock(mutex_);
      for (Steady::time_point now = Steady::now(); !stopping_ && now < next; now = Steady::now()) {
        changed_.WaitFor(mutex_, next - now);
      }
      if (stopping_) return;
    }
    tick_();
    next = std::max(next + interval, Steady::now());
  }
}

}  // namespace holdfast::raft
