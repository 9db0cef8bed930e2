// tests/sim/sim_loop.h
// The time of a simulation and what is going to happen in it: events run in order of their time,
// equal times in the order in which they were asked for. Nothing else moves the clock.
// SimTrace notes what happened: a hash that is equal for equal runs, and lines for a reader.
// Threads: thread-compatible. Limits: whoever asks for events bounds them.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <cstdio>
#include <functional>
#include <initializer_list>
#include <queue>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace holdfast::raft_test {

class SimLoop {
 public:
  using Event = std::function<void()>;

  absl::Duration now() const { return now_; }
  uint64_t events() const { return events_; }

  void At(absl::Duration time, Event event) {
    waiting_.push({time < now_ ? now_ : time, ++asked_, std::move(event)});
  }
  void After(absl::Duration delay, Event event) { At(now_ + delay, std::move(event)); }

  // False: nothing happens at or before `end`, and the clock stands there.
  bool RunOne(absl::Duration end) {
    if (waiting_.empty() || waiting_.top().time > end) {
      now_ = end;
      return false;
    }
    Waiting next = std::move(const_cast<Waiting&>(waiting_.top()));  // It is popped at once.
    waiting_.pop();
    now_ = next.time;
    ++events_;
    next.event();
    return true;
  }

 private:
  struct Waiting {
    absl::Duration time;
    uint64_t number = 0;
    Event event;
    bool operator<(const Waiting& other) const {  // The queue gives the greatest first.
      return time != other.time ? time > other.time : number > other.number;
    }
  };

  absl::Duration now_ = absl::ZeroDuration();
  uint64_t asked_ = 0;
  uint64_t events_ = 0;
  std::priority_queue<Waiting> waiting_;
};

// A node's clock: the loop's time since the node's own beginning, and what it takes for the wall's.
// Both may go fast or slow.
class SimClock final : public Clock {
 public:
  SimClock(const SimLoop& loop, absl::Duration offset)
      : SimClock(loop, offset, absl::UnixEpoch() + offset) {}
  // `began`: wall time at the loop's beginning.
  SimClock(const SimLoop& loop, absl::Duration offset, absl::Time began)
      : loop_(loop), offset_(offset), began_(began) {}
  absl::Time Now() const override { return began_ + Elapsed(); }
  absl::Duration SinceBoot() const override { return Elapsed() + offset_; }
  absl::Duration offset() const { return offset_; }
  // Somebody sets the wall's clock.
  void Jump(absl::Duration by) { began_ += by; }
  // So many of its seconds go by in one of the loop's, from now on.
  void SetRate(double rate) {
    elapsed_ = Elapsed();
    since_ = loop_.now();
    rate_ = rate;
  }
  // How long the loop takes for so much of its time.
  absl::Duration LoopTime(absl::Duration own) const { return rate_ == 1 ? own : own / rate_; }

 private:
  // Exact while it is neither fast nor slow.
  absl::Duration Elapsed() const {
    const absl::Duration passed = loop_.now() - since_;
    return elapsed_ + (rate_ == 1 ? passed : passed * rate_);
  }

  const SimLoop& loop_;
  const absl::Duration offset_;
  absl::Time began_;
  // As it stood when the rate was set, and when that was.
  absl::Duration elapsed_ = absl::ZeroDuration();
  absl::Duration since_ = absl::ZeroDuration();
  double rate_ = 1;
};

class SimTrace {
 public:
  SimTrace(const SimLoop& loop, bool print) : loop_(loop), print_(print) {}

  void Note(std::string_view what, std::initializer_list<uint64_t> numbers) {
    for (const char c : what) Mix(static_cast<unsigned char>(c));
    for (const uint64_t number : numbers) Mix(number);
    Mix(static_cast<uint64_t>(absl::ToInt64Nanoseconds(loop_.now())));
    if (!print_) return;
    std::printf("%12.6f %.*s", absl::ToDoubleSeconds(loop_.now()), static_cast<int>(what.size()),
                what.data());
    for (const uint64_t number : numbers) {
      std::printf(" %llu", static_cast<unsigned long long>(number));
    }
    std::printf("\n");
  }
  uint64_t hash() const { return hash_; }

 private:
  void Mix(uint64_t value) { hash_ = (hash_ ^ value) * 0x100000001B3ull + (hash_ >> 29); }

  const SimLoop& loop_;
  const bool print_;
  uint64_t hash_ = 0xCBF29CE484222325ull;
};

}  // namespace holdfast::raft_test
