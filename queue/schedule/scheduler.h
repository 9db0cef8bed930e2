// queue/schedule/scheduler.h
// Scheduler decides, on a group's leader, which units are attempted now. It knows destinations, not
// hosts: who has work, how many attempts at once each gets, who rests because nothing there
// answers. It holds a bounded window of ready units of a bounded number of active destinations and
// reads the rest from the tables when there is room, so its memory does not depend on the queue.
//
//   scheduler.OnLeader(now);                             // the leader's own first entry is applied
//   scheduler.OnEvents(result.events, now);              // after each committed batch
//   for (Grant& grant : scheduler.Tick(now, reader)) ... // every 50 ms or so
//   ... scheduler.GoOn(now, reader) ...                  // after events, when permits come back
//   scheduler.OnAttemptEnded(ended, now);                // once per grant, when its outcome
//                                                        // command was applied, refused or gone
//
// How many attempts at once a destination gets is the least of what its feedback here allows and
// what AttemptPermits leaves to this group.
//
// What it promises: a unit granted is not granted again before its OnAttemptEnded; destinations
// take turns, one grant each, so a destination with a million messages delays nobody; a due
// destination is found within one sweep of the wake index (options.wake_rows_per_tick rows a tick),
// or, where its row was written more than a second after its time, within five seconds more;
// a resting destination is probed by one attempt when its rest is over. It does not promise that a
// granted unit still exists: read its row, and end the attempt with kGone when it does not.
//
// Threads: owned by the apply context; pure.
// Limits:  every one in SchedulerOptions.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "queue/schedule/attempt_permits.h"
#include "queue/schedule/scheduler_types.h"
#include "queue/state/events.h"
#include "queue/state/queue_types.h"
#include "queue/state/tables.h"

namespace holdfast::queue {

class Scheduler {
 public:
  using LimitsFor = std::function<DestinationLimits(std::string_view destination)>;

  // `limits_for` is asked inside Tick() and OnEvents(); it and `permits` outlive the scheduler.
  // `asker` is its name there.
  Scheduler(const SchedulerOptions& options, LimitsFor limits_for, AttemptPermits& permits,
            uint32_t asker);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Begins to grant. Forgets everything of an earlier leadership but attempt ids and the grants
  // that have not ended: their units stay untouched until OnAttemptEnded.
  void OnLeader(absl::Time now);
  // Grants nothing from now on; attempts that run may still be reported.
  void OnFollower();

  // Of a committed batch, in order; other kinds of events are passed over.
  void OnEvents(std::span<const Event> events, absl::Time now);
  void OnAttemptEnded(const AttemptEnded& ended, absl::Time now);
  // The attempt needs its connection no longer, though its outcome is not recorded yet. Optional.
  void OnConnectionFree(const UnitKey& key, uint64_t attempt_id);

  // Starts what can start now. `reader` sees at least the batches passed to OnEvents().
  std::vector<Grant> Tick(absl::Time now, const TablesReader& reader);
  // The same without looking for destinations that came due by time alone.
  std::vector<Grant> GoOn(absl::Time now, const TablesReader& reader);

  // Attempts run on; no new ones at these destinations. Replaces the former set.
  void SetSuspended(std::set<std::string, std::less<>> destinations);
  // Nothing at all is granted while paused (drain, outcomes can't be recorded).
  void SetPaused(bool paused);
  // Policy changed: active destinations ask for their limits again, and all rests are over, for
  // routes may have changed.
  void OnPolicy();

  bool leading() const;
  SchedulerCounts counts() const;
  // Active and remembered destinations, at most `max`, in the order of their names.
  std::vector<DestinationState> Destinations(size_t max, std::string_view from = {}) const;

 private:
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace holdfast::queue
