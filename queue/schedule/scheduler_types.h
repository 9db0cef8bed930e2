// queue/schedule/scheduler_types.h
// What the scheduler is told and what it answers. See scheduler.h.
// Threads: values.
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "queue/state/queue_types.h"

namespace holdfast::queue {

// What policy allows one destination; asked for each time it becomes active.
struct DestinationLimits {
  uint32_t concurrency_max = 20;                 // Attempts at once, in the whole cluster.
  uint32_t recipients_per_transaction_max = 50;  // Handed on with the grant.
  uint32_t messages_per_connection_max = 100;    // Handed on with the grant.
  // Messages per `rate_period`, in the whole cluster; 0: no limit.
  uint32_t rate_messages = 0;
  absl::Duration rate_period = absl::Minutes(1);
};

struct SchedulerOptions {
  size_t attempts_max = 500;              // Granted and not ended, of this group.
  size_t destinations_active_max = 1000;  // With a window.
  size_t window_units_max = 20'000;       // Of all windows together; > destinations_active_max.
  size_t window_units_per_destination_max = 200;
  // Destinations that are not active but whose rest or concurrency is remembered.
  size_t destinations_remembered_max = 20'000;
  size_t wake_rows_per_tick = 500;  // Of the index of due destinations.
  size_t grants_per_tick_max = 200;
  // After so many grants an active destination yields its place if others wait for one.
  uint32_t grants_per_turn_max = 50;
  uint32_t concurrency_initial = 5;
  // So many attempts in a row that reached no host make a destination rest.
  uint32_t failures_to_rest = 3;
  absl::Duration rest_first = absl::Minutes(1);  // Doubles with each failed probe.
  absl::Duration rest_max = absl::Minutes(30);
  uint64_t first_attempt_id = 1;  // Unlike those of other groups on this node, for readable logs.
  // Never changes what is granted within the limits, only whom chance favours in jitter of rests.
  uint64_t seed = 1;
};

struct Grant {
  UnitKey key;
  std::string destination;
  uint64_t attempt_id = 0;
  DestinationLimits limits;
  uint32_t slot = 0;  // See AttemptPermits; of no account without a connection.
  // Not empty: the destination rests, and the unit is past its expiry. Do not connect: record the
  // attempt as failed with this text, which is why the destination rests; then report kNotSent.
  std::string failed_already;
};

// What became of a grant, as far as the destination is concerned.
struct AttemptEnded {
  enum class Kind {
    kAnswered,     // A host took or refused the mail: the destination is alive.
    kUnreachable,  // DNS, connection, TLS or greeting failed at every host, or all said 421.
    kNotSent,      // Ended for our own reasons.
    kGone,         // The unit was gone, held or in doubt: nothing was tried.
  };
  UnitKey key;
  uint64_t attempt_id = 0;
  Kind kind = Kind::kAnswered;
  std::string text;  // With kUnreachable: why, for people.
};

// For metrics, the CLI and `destination show`.
struct DestinationState {
  std::string destination;
  size_t window_units = 0;
  uint32_t in_flight = 0;
  double concurrency = 0;  // What feedback allows now.
  absl::Time rests_until = absl::InfinitePast();
  std::string rests_why;
  bool suspended = false;
  bool active = false;
};

struct SchedulerCounts {
  size_t active_destinations = 0;
  size_t remembered_destinations = 0;
  size_t resting_destinations = 0;
  size_t window_units = 0;
  size_t in_flight = 0;
  uint64_t grants = 0;  // Since the start.
};

}  // namespace holdfast::queue
