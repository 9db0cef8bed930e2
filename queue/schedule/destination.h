// queue/schedule/destination.h
// Destination is what the scheduler remembers of one destination: a window of its ready units, and
// how much it bears. Concurrency grows by one for each round of answered attempts and shrinks by
// one with each that reached no host; several of those in a row make it rest, each failed probe
// twice as long as the one before. Threads: owned by the apply context; pure. Lifetime: of the
// scheduler's map.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "queue/schedule/scheduler_types.h"
#include "queue/state/queue_types.h"

namespace holdfast::queue {

struct ReadyUnit {
  int64_t due_us = 0;
  UnitKey key;

  auto operator<=>(const ReadyUnit&) const = default;
};

class Destination {
 public:
  Destination(std::string name, const SchedulerOptions& options)
      : name_(std::move(name)), options_(options), concurrency_(options.concurrency_initial) {}

  const std::string& name() const { return name_; }

  // The window: the earliest ready units known, none of which is in flight.
  bool Insert(const ReadyUnit& unit);  // False when it is in the window already.
  bool Remove(const UnitKey& key);
  ReadyUnit TakeFirst();          // The window must not be empty.
  size_t Trim(size_t units_max);  // Drops the latest; returns how many.
  size_t window_units() const { return window_.size(); }
  bool Contains(const UnitKey& key) const { return due_of_.contains(key); }
  // The latest due time in the window.
  int64_t last_due_us() const { return window_.empty() ? 0 : window_.rbegin()->due_us; }
  // The tables may hold ready units that are not in the window.
  bool more = false;
  absl::Time refilled = absl::InfinitePast();

  void SetLimits(const DestinationLimits& limits);
  const DestinationLimits& limits() const { return limits_; }

  bool CanGrant(absl::Time now) const;
  // How many attempts could begin now, if all that matters is this group.
  uint32_t WantsMore() const;
  void OnGrant();
  void OnEnd() { --in_flight_; }
  void CountInFlight() { ++in_flight_; }  // A grant that needs no connection.
  uint32_t in_flight() const { return in_flight_; }

  void OnAnswered();
  // True when the destination rests from now on. `luck` is any 64 random bits.
  bool OnUnreachable(const std::string& why, absl::Time now, uint64_t luck);
  bool Rests(absl::Time now) const { return now < rests_until_; }
  void Wake();

  absl::Time rests_until() const { return rests_until_; }
  const std::string& rests_why() const { return rests_why_; }
  double concurrency() const { return concurrency_; }
  // Nothing of it differs from a destination never heard of, now.
  bool IsForgettable() const;

  // Bookkeeping of the scheduler.
  bool active = false;
  bool remembered = false;
  std::list<Destination*>::iterator place;  // In the list of active or of remembered ones.
  uint32_t granted_in_turn = 0;
  bool waits_for_permit = false;
  uint64_t asked_in_pass = 0;  // When it last asked for a permit.
  absl::Time look_for_expired = absl::InfinitePast();

 private:
  uint32_t ConcurrencyNow() const;
  bool IsProbe() const { return failures_ >= options_.failures_to_rest; }

  const std::string name_;
  const SchedulerOptions& options_;
  DestinationLimits limits_;
  std::set<ReadyUnit> window_;
  std::map<UnitKey, int64_t> due_of_;  // The same units by key.
  uint32_t in_flight_ = 0;
  double concurrency_;
  uint32_t failures_ = 0;  // In a row.
  absl::Time rests_until_ = absl::InfinitePast();
  absl::Duration rest_;
  std::string rests_why_;
};

}  // namespace holdfast::queue
