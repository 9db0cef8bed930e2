// node/delivery/intent_claims.h
// IntentClaims remembers what other nodes said about attempts whose intents a new leader found
// open: whether each is still under way there. While its node answers for an attempt the unit is
// left alone; only when it doesn't any more does the wait for what is in doubt begin. No attempt is
// settled before its node was asked at least once and answered, or could not be reached.
//
// Pure: time comes as an argument (Clock::SinceBoot()).
// Threads: thread-compatible; owned by GroupDuties.
// Limits:  holds what Keep() names, one sweep's worth.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "base/strong_id.h"
#include "queue/queue_view.h"

namespace holdfast::node {

// A node and its life.
struct AttemptMaker {
  uint64_t node_id = 0;
  uint64_t boot_id = 0;

  auto operator<=>(const AttemptMaker&) const = default;
};

class IntentClaims {
 public:
  // An answer counts so long: the next question may be lost.
  explicit IntentClaims(NodeId self, absl::Duration lifetime)
      : self_(self.value()), lifetime_(lifetime) {}

  // A new leadership: nothing is known.
  void Clear() { known_.clear(); }

  // Attempts of other nodes among `units`, by who made them: what to ask.
  std::map<AttemptMaker, std::vector<uint64_t>> Questions(
      const std::vector<queue::InDoubtUnit>& units) const;

  // `maker` was asked about `asked` and said that `under_way` still are. Not reached: none.
  void OnAnswer(const AttemptMaker& maker, const std::vector<uint64_t>& asked,
                const std::vector<uint64_t>& under_way, absl::Duration now);

  // From when the wait for this attempt counts: `known_since`, or when its node last answered for
  // it. Infinite: it is claimed, or its node was not asked yet.
  absl::Duration WaitFrom(const queue::AttemptKey& attempt, absl::Duration known_since,
                          absl::Duration now) const;

  // Forgets all attempts but those of `units`.
  void Keep(const std::vector<queue::InDoubtUnit>& units);

  size_t size() const { return known_.size(); }

 private:
  const uint64_t self_;
  const absl::Duration lifetime_;
  // Last said to be under way; -infinity: never.
  std::map<queue::AttemptKey, absl::Duration> known_;
};

}  // namespace holdfast::node
