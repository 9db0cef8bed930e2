// smtp/stream/timer.h
// Timer is the one kind of Asio timer that conversations use: deadlines, pauses, idle connections.
// Its clock is the steady one, unless a simulation, in whose process nothing else runs, sets
// another.
//
// A simulated clock moves between two polls of the io context, not while one waits: so a timer is
// then always worth a look (to_wait_duration() is zero), and the context must be polled, never run.
// Threads: now() from anywhere; Simulate() while no timer exists.
#pragma once

#include <absl/time/time.h>

#include <boost/asio/basic_waitable_timer.hpp>
#include <chrono>

#include "base/clock.h"
#include "smtp/stream/asio.h"

namespace holdfast::smtp {

struct TimerClock {
  using duration = std::chrono::steady_clock::duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<TimerClock>;
  static constexpr bool is_steady = true;

  static time_point now() noexcept {
    if (simulated_ == nullptr) {
      return time_point(std::chrono::steady_clock::now().time_since_epoch());
    }
    return time_point(absl::ToChronoNanoseconds(simulated_->SinceBoot()));
  }

  // For tests: `clock`, which outlives all timers, or null for the real one.
  static void Simulate(const Clock* clock) { simulated_ = clock; }
  static bool IsSimulated() { return simulated_ != nullptr; }

 private:
  static inline const Clock* simulated_ = nullptr;
};

struct TimerWait {
  static TimerClock::duration to_wait_duration(const TimerClock::duration& left) {
    return TimerClock::IsSimulated() ? TimerClock::duration::zero() : left;
  }
  static TimerClock::duration to_wait_duration(const TimerClock::time_point& until) {
    return to_wait_duration(until - TimerClock::now());
  }
};

using Timer = asio::basic_waitable_timer<TimerClock, TimerWait, asio::any_io_executor>;

}  // namespace holdfast::smtp
