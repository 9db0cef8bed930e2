// queue/schedule/attempt_permits.h
// AttemptPermits is what the schedulers of all groups on a node share: how many attempts run at a
// destination, and how many messages went there lately. A scheduler takes a permit for each attempt
// that it grants and gives it back when the attempt needs no connection any more.
//
//   permits.Advance(clock.SinceBoot());
//   if (std::optional<uint32_t> slot = permits.Take(group, "a.test", limits, 3)) ... // Granted.
//   permits.GiveBack("a.test", *slot);
//
// A permit is a numbered slot, the lowest free one, but one that was used lately where another
// could be a connection too many. An attempt uses connections that were left open by attempts in
// the same slot and no others, so a destination never has more connections, idle ones included,
// than it had slots; one that says QUIT may still stand beside its slot's next one.
//
// What it promises: never more slots than the allowance at the time; those who could get none take
// turns, one permit each; the allowance of messages is spread over the period, with a burst of a
// tenth of it. How much this node is allowed, the caller says: all of the policy's limits, or this
// node's share of them.
//
// Threads: owned by the apply context; pure.
// Limits:  options.destinations_max; slots and wishes by the schedulers' own limits.
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "queue/schedule/scheduler_types.h"

namespace holdfast::queue {

// What this node may do at a destination.
struct Allowance {
  double connections = 0;  // At once; the whole part counts.
  double messages = 0;     // Per DestinationLimits::rate_period; of no account without a rate.
  friend bool operator==(const Allowance&, const Allowance&) = default;
};

struct PermitOptions {
  // So long an unused connection may stay open.
  absl::Duration idle_lifetime = absl::Seconds(5);
  // A scheduler that doesn't ask again for so long wants nothing any more.
  absl::Duration wish_lifetime = absl::Milliseconds(500);
  // Idle destinations are forgotten at once above so many; those with attempts never are.
  size_t destinations_max = 50'000;
};

// What a destination takes and wants on this node, in the units of Allowance.
struct PermitDemand {
  uint32_t open = 0;  // Connections that may be open now: slots in use, and those not cold yet.
  Allowance wanted;   // The most of late.
};

class AttemptPermits {
 public:
  using AllowanceFor =
      std::function<Allowance(std::string_view destination, const DestinationLimits& limits)>;
  using Wake = std::function<void(uint32_t asker)>;

  // An empty `allowance_for`: all that the limits allow. `wake` is told who may ask again when a
  // permit came back, and with each permit taken while there are more; it must not call into this
  // object. Both outlive it.
  AttemptPermits(const PermitOptions& options, AllowanceFor allowance_for, Wake wake = nullptr);

  // Time since boot; never back. Before anything that depends on time.
  void Advance(absl::Duration now);

  // The slot of an attempt that may begin now; otherwise the wish is remembered. `more`: how many
  // attempts the asker would begin now if it could, this one included.
  std::optional<uint32_t> Take(uint32_t asker, const std::string& destination,
                               const DestinationLimits& limits, uint32_t more);
  void GiveBack(const std::string& destination, uint32_t slot);
  // The asker does not wait any more for a permit of this destination, or of any: those behind it
  // are not to wait for its turn. What it has it still gives back.
  void Withdraw(uint32_t asker, std::string_view destination);
  void Forget(uint32_t asker);
  // The allowance for this destination may have grown: who waits need not wait for its next look.
  void OnMoreAllowed(std::string_view destination);

  using Visitor = std::function<void(const std::string& destination,
                                     const DestinationLimits& limits, const PermitDemand& demand)>;
  // Of every destination known; forgets those about which there is nothing to know.
  void VisitDemands(const Visitor& visitor);
  PermitDemand DemandOf(std::string_view destination) const;
  // Somewhere more is wanted than before, and not allowed. Reading it resets it.
  bool TakeShortage() { return std::exchange(shortage_, false); }

  size_t destinations() const { return entries_.size(); }
  uint32_t in_use(std::string_view destination) const;

 private:
  struct Slot {
    bool busy = false;
    absl::Duration released = -absl::InfiniteDuration();
  };
  struct Wish {
    uint32_t asker = 0;
    uint32_t more = 0;
    absl::Duration asked;
  };
  struct Entry {
    DestinationLimits limits;
    std::vector<Slot> slots;
    uint32_t busy = 0;
    std::list<Wish> wishes;  // In the order of their turns.
    double tokens = 0;
    absl::Duration tokens_at = -absl::InfiniteDuration();
    // Messages of late, each counting for less the older it is.
    double recent = 0;
    absl::Duration recent_at;
    absl::Duration short_of_tokens = -absl::InfiniteDuration();
    // The most connections wanted, in this interval and the one before.
    uint32_t peak = 0;
    uint32_t last_peak = 0;
  };

  void DropOldWishes(Entry& entry) const;
  // Wakes whose turn it is then, if it was the first.
  void DropWish(uint32_t asker, Entry& entry);
  void Remember(Entry& entry, uint32_t asker, uint32_t more);
  void WakeFirst(const Entry& entry) const;
  bool IsWarm(const Slot& slot) const { return now_ - slot.released < options_.idle_lifetime; }
  uint32_t FreeSlot(Entry& entry, const Allowance& allowance) const;
  void FillTokens(Entry& entry, double messages) const;
  void CountMessage(Entry& entry) const;
  PermitDemand DemandOf(const Entry& entry) const;
  bool IsForgettable(const Entry& entry) const;
  void MakeRoom();

  const PermitOptions options_;
  const AllowanceFor allowance_for_;
  const Wake wake_;
  absl::Duration now_;
  absl::Duration peaks_since_ = -absl::InfiniteDuration();
  bool shortage_ = false;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace holdfast::queue
