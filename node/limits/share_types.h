// node/limits/share_types.h
// What nodes tell each other about the limits of destinations, which hold over the whole cluster: a
// node *asks* the destination's *coordinator* (the leader of the queue group that the name hashes
// to), which *grants* it a share for a lifetime.
//
// Three amounts follow from a limit and the number of voters, without anybody being asked:
//   floor   what every node may count on: limit / voters, at least one connection. A node that
//           hears nothing of a coordinator for long uses that much.
//   free    what a node uses without asking: a quarter of the floor, at least one connection; no
//           connection where the limit is smaller than the number of voters.
//   share   what it was granted; never less than `free`.
//
// Threads: values and pure functions.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/strong_id.h"
#include "queue/schedule/attempt_permits.h"
#include "queue/schedule/scheduler_types.h"

namespace holdfast::node {

// Each node goes by its own clock, and no two of them go equally fast: so holders wait longer, and
// use a grant for less long, than coordinators reckon with. One clock may be a quarter faster than
// another.
struct ShareOptions {
  // A coordinator counts a grant for so long after it was asked for. Several times as long as an
  // election takes.
  absl::Duration lifetime = absl::Seconds(6);
  // A coordinator takes notice of a node's silence, or of a smaller share having arrived, within
  // so long; less than `lifetime`.
  absl::Duration notice = absl::Seconds(3);
  // Destinations of a coordinator; what is over gets no grants.
  size_t destinations_max = 20'000;

  // Its holder uses the grant for so long, from the question on.
  absl::Duration use() const { return lifetime * 4 / 5; }
  // After so long without an answer a holder uses its floor: a coordinator has taken notice, and
  // what it had granted before is not used any more.
  absl::Duration floor_after() const { return (lifetime + notice) * 5 / 4; }
};

struct ShareAsk {
  std::string destination;
  // The grant in force: the coordinator's term and its number there; 0: none.
  uint64_t term = 0;
  uint64_t grant = 0;
  // What the asker keeps to now.
  queue::Allowance enforced;
  queue::Allowance wanted;
  // Connections that may be open now; more than is enforced when that has just become less.
  uint32_t open = 0;
};

struct ShareGrant {
  std::string destination;
  uint64_t term = 0;
  uint64_t grant = 0;
  queue::Allowance share;
};

// Whole connections; messages in any part.
queue::Allowance FloorOf(const queue::DestinationLimits& limits, size_t voters);
queue::Allowance FreeOf(const queue::DestinationLimits& limits, size_t voters);
queue::Allowance LimitOf(const queue::DestinationLimits& limits);
queue::Allowance Least(const queue::Allowance& one, const queue::Allowance& other);
queue::Allowance Most(const queue::Allowance& one, const queue::Allowance& other);

// The queue group, from 1, whose leader coordinates the destination. The same in every build.
GroupId CoordinatorGroup(std::string_view destination, uint32_t queue_groups);

}  // namespace holdfast::node
