// node/delivery/unreadable_units.h
// UnreadableUnits keeps units whose content could not be read here, until it is fetched from
// another node, or they are put off, or nobody has it. Meanwhile the unit's grant stays open, so
// that it isn't attempted. A message whose content is lost is held, for people to decide: it is
// neither sent with other bytes nor bounced for a fault of ours.
//
// Threads:  owned by the apply context.
// Lifetime: its group's duties own it; what `mend` answers later than that reaches nobody.
// Limits:   one for each attempt under way; each is asked for at most once in kAskInterval.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"
#include "queue/state/queue_types.h"
#include "raft/storage/body_key.h"

namespace holdfast::node {

class UnreadableUnits {
 public:
  enum class State {
    kWaits,  // To be attempted.
    kHeld,
    kGone,
  };
  struct Parts {
    Context& apply;
    const Clock& clock;
    // raft::GroupHost::MendBody().
    std::function<void(const raft::BodyRef& ref, std::function<bool()> wanted,
                       std::function<void(const absl::Status&)> done)>
        mend;
    std::function<State(const queue::UnitKey& unit)> state_of;
    // Proposes to hold the unit's message.
    std::function<void(const queue::UnitKey& unit, const std::string& reason)> hold;
    // The attempt failed for now: it counts, and the unit waits for the next.
    std::function<void(const queue::UnitKey& unit, uint64_t attempt_id)> put_off;
    // The grant ends: attempted again if it waits.
    std::function<void(const queue::UnitKey& unit, uint64_t attempt_id)> end;
  };

  explicit UnreadableUnits(Parts parts);
  ~UnreadableUnits();

  // The attempt is over, and nothing was sent because `ref` could not be read.
  void Add(const queue::UnitKey& unit, uint64_t attempt_id, const raft::BodyRef& ref);
  // Asks again, and looks whether holds have been applied.
  void Tick();
  // Leadership ended: all grants end.
  void Clear();

 private:
  struct One {
    queue::UnitKey unit;
    raft::BodyRef ref;
    absl::Duration since;  // Clock::SinceBoot().
    absl::Duration next;   // When to act again.
    bool asking = false;
    std::string lost;  // Why nobody has it; empty: that isn't known.
  };

  void Act(uint64_t attempt_id, One& one);
  void OnAnswer(uint64_t attempt_id, const absl::Status& answer);

  const Parts parts_;
  std::map<uint64_t, One> units_;  // By attempt id.
  // Empty when this is gone.
  const std::shared_ptr<UnreadableUnits*> self_;
};

}  // namespace holdfast::node
