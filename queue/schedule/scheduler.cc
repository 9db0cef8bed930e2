#include "queue/schedule/scheduler.h"

#include <algorithm>
#include <list>
#include <map>
#include <optional>
#include <utility>

#include "proto/queue_rows.pb.h"
#include "queue/schedule/destination.h"
#include "queue/state/keys.h"
#include "queue/state/rows.h"

namespace holdfast::queue {
namespace {

// Entries of the ring looked at to find one that can yield its place.
constexpr int kYieldersLookedAt = 16;
// Rows looked at for units past their expiry at a destination that rests.
constexpr size_t kExpiredRowsPerLook = 50;
constexpr absl::Duration kExpiredLookAgain = absl::Minutes(1);
// A window kept full by events alone would hide retries that came due in the tables.
constexpr absl::Duration kRefillAtLeast = absl::Seconds(5);
// Rows are put into the index of due destinations no longer than this after their time, as a rule;
// the exceptions are found by a sweep of all of it.
constexpr absl::Duration kRowsLate = absl::Seconds(1);
constexpr absl::Duration kSweepAllAtLeast = absl::Seconds(5);

// Small and good enough for jitter (xorshift64*); equal seeds give equal sequences.
uint64_t NextLuck(uint64_t* state) {
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return *state * 0x2545F4914F6CDD1Dull;
}

}  // namespace

class Scheduler::Core {
 public:
  Core(const SchedulerOptions& options, LimitsFor limits_for, AttemptPermits& permits,
       uint32_t asker)
      : options_(options),
        limits_for_(std::move(limits_for)),
        permits_(permits),
        asker_(asker),
        next_attempt_id_(options.first_attempt_id),
        luck_(options.seed | 1) {}

  void OnLeader();
  void OnFollower();
  void OnEvent(const Event& event, absl::Time now);
  void OnAttemptEnded(const AttemptEnded& ended, absl::Time now);
  void OnConnectionFree(const UnitKey& key, uint64_t attempt_id);
  std::vector<Grant> Tick(absl::Time now, const TablesReader& reader, bool sweep);
  void SetSuspended(std::set<std::string, std::less<>> destinations);
  void WakeDestination(std::string_view name);
  void OnPolicy();
  SchedulerCounts counts() const;
  std::vector<DestinationState> Destinations(size_t max, std::string_view from) const;

  void SetPaused(bool paused);

  bool leading_ = false;
  bool paused_ = false;

 private:
  struct InFlight {
    uint64_t attempt_id = 0;
    std::string destination;
    bool needs_no_connection = false;
    std::optional<uint32_t> slot;  // Not given back yet.
  };

  Destination* Find(std::string_view name);
  Destination& FindOrAdd(const std::string& name);
  // Gives the destination a place, taking one from another if `may_take` and that is due.
  bool Activate(const std::string& name, bool may_take, absl::Time now);
  bool TakeAPlace(absl::Time now);
  void Deactivate(Destination& destination);
  // A destination that is neither active nor has attempts: remembered within bounds, or forgotten.
  void Settle(Destination& destination);
  // Others are not to wait for a turn that this one can't take now.
  void WithdrawWish(Destination& destination);
  void StopRemembering(Destination& destination);

  void SweepWakes(absl::Time now, const TablesReader& reader, std::vector<Grant>* grants);
  std::string BeginSweep(absl::Time now);
  void EndSweep();
  void GrantExpired(Destination& destination, absl::Time now, const TablesReader& reader,
                    std::vector<Grant>* grants);
  void Refill(Destination& destination, absl::Time now, const TablesReader& reader);
  void MakeRoom(const Destination& asking);
  void GrantInTurn(absl::Time now, const TablesReader& reader, std::vector<Grant>* grants);
  bool HasRoomFor(const std::vector<Grant>& grants) const {
    return grants.size() < options_.grants_per_tick_max &&
           in_flight_.size() < options_.attempts_max;
  }
  // Without a slot it needs no connection.
  Grant MakeGrant(Destination& destination, const UnitKey& key, std::optional<uint32_t> slot);
  void GiveBackSlot(InFlight& attempt);
  KeyRange DueRange(const std::string& name, absl::Time now, const TablesReader& reader) const;
  void OnDue(const UnitDue& event, absl::Time now);

  const SchedulerOptions options_;
  const LimitsFor limits_for_;
  AttemptPermits& permits_;
  const uint32_t asker_;
  uint64_t next_attempt_id_;
  uint64_t luck_;
  uint64_t grants_ = 0;
  uint64_t pass_ = 0;  // Of GrantInTurn().
  std::map<std::string, Destination, std::less<>> destinations_;
  std::list<Destination*> ring_;        // Active ones, the next to be served in front.
  std::list<Destination*> remembered_;  // The longest remembered in front.
  std::map<UnitKey, InFlight> in_flight_;
  std::set<std::string, std::less<>> suspended_;
  size_t window_units_ = 0;

  // The sweep of the index of due destinations. What was deleted from it costs time to pass over,
  // and with each message something is; so a sweep begins where the one before found its first row.
  std::string wake_cursor_;  // Empty: the sweep begins anew.
  std::string sweep_from_;   // Before it the last sweep found nothing but what rests.
  std::optional<std::string> sweep_first_;  // The first row of this one that may be of use again.
  absl::Time sweep_began_ = absl::InfinitePast();
  absl::Time sweep_all_ = absl::InfinitePast();  // Then from the beginning.
};

Destination* Scheduler::Core::Find(std::string_view name) {
  auto found = destinations_.find(name);
  return found == destinations_.end() ? nullptr : &found->second;
}

Destination& Scheduler::Core::FindOrAdd(const std::string& name) {
  return destinations_.try_emplace(name, name, options_).first->second;
}

void Scheduler::Core::OnLeader() {
  leading_ = true;
  ring_.clear();
  remembered_.clear();
  destinations_.clear();
  window_units_ = 0;
  wake_cursor_.clear();
  sweep_all_ = absl::InfinitePast();
  for (const auto& [key, attempt] : in_flight_) FindOrAdd(attempt.destination).CountInFlight();
}

void Scheduler::Core::OnFollower() {
  leading_ = false;
  permits_.Forget(asker_);
}

void Scheduler::Core::GiveBackSlot(InFlight& attempt) {
  if (!attempt.slot) return;
  permits_.GiveBack(attempt.destination, *std::exchange(attempt.slot, std::nullopt));
}

void Scheduler::Core::OnConnectionFree(const UnitKey& key, uint64_t attempt_id) {
  auto found = in_flight_.find(key);
  if (found == in_flight_.end() || found->second.attempt_id != attempt_id) return;
  GiveBackSlot(found->second);
}

bool Scheduler::Core::TakeAPlace(absl::Time now) {
  int looked_at = 0;
  for (Destination* other : ring_) {
    if (++looked_at > kYieldersLookedAt) return false;
    const bool can_go_on = other->CanGrant(now) && !other->waits_for_permit;
    if (other->granted_in_turn < options_.grants_per_turn_max && can_go_on) continue;
    other->refilled = absl::InfinitePast();
    Deactivate(*other);
    return true;
  }
  return false;
}

bool Scheduler::Core::Activate(const std::string& name, bool may_take, absl::Time now) {
  if (ring_.size() >= options_.destinations_active_max && !(may_take && TakeAPlace(now))) {
    return false;
  }
  Destination& destination = FindOrAdd(name);
  StopRemembering(destination);
  destination.SetLimits(limits_for_(name));
  destination.active = true;
  destination.more = true;
  destination.granted_in_turn = 0;
  destination.place = ring_.insert(ring_.end(), &destination);
  return true;
}

void Scheduler::Core::WithdrawWish(Destination& destination) {
  if (!std::exchange(destination.waits_for_permit, false)) return;
  permits_.Withdraw(asker_, destination.name());
}

void Scheduler::Core::SetPaused(bool paused) {
  if (paused && !paused_) {
    for (Destination* one : ring_) WithdrawWish(*one);
  }
  paused_ = paused;
}

void Scheduler::Core::Deactivate(Destination& destination) {
  WithdrawWish(destination);
  window_units_ -= destination.Trim(0);
  destination.active = false;
  destination.more = false;
  ring_.erase(destination.place);
  Settle(destination);
}

void Scheduler::Core::Settle(Destination& destination) {
  if (destination.active || destination.in_flight() > 0 || destination.remembered) return;
  if (destination.IsForgettable()) {
    destinations_.erase(destinations_.find(destination.name()));
    return;
  }
  destination.remembered = true;
  destination.place = remembered_.insert(remembered_.end(), &destination);
  while (remembered_.size() > options_.destinations_remembered_max) {
    Destination* oldest = remembered_.front();
    remembered_.pop_front();
    destinations_.erase(destinations_.find(oldest->name()));
  }
}

void Scheduler::Core::StopRemembering(Destination& destination) {
  if (!destination.remembered) return;
  destination.remembered = false;
  remembered_.erase(destination.place);
}

void Scheduler::Core::OnDue(const UnitDue& event, absl::Time now) {
  Destination* destination = Find(event.destination);
  // It may have been due at another time.
  if (destination != nullptr && destination->Remove(event.key)) --window_units_;
  if (event.due > now) return;  // Its wake row will bring it.
  if (destination == nullptr || !destination->active) {
    const bool rests = destination != nullptr && destination->Rests(now);
    if (rests || suspended_.contains(event.destination)) return;
    if (!Activate(event.destination, false, now)) {
      if (event.due < now - kRowsLate) sweep_all_ = absl::InfinitePast();
      return;
    }
    destination = Find(event.destination);
  }
  const ReadyUnit unit{absl::ToUnixMicros(event.due), event.key};
  const bool fits = destination->window_units() < options_.window_units_per_destination_max &&
                    window_units_ < options_.window_units_max;
  // Behind the end of the window only when nothing in the tables stands in between.
  const bool in_order = !destination->more || unit.due_us < destination->last_due_us();
  if (in_flight_.contains(event.key) || !fits || !in_order) {
    destination->more = true;
    return;
  }
  if (destination->Insert(unit)) ++window_units_;
}

void Scheduler::Core::OnEvent(const Event& event, absl::Time now) {
  if (const auto* due = std::get_if<UnitDue>(&event)) return OnDue(*due, now);
  if (const auto* asked = std::get_if<AttemptsAsked>(&event)) {
    WakeDestination(asked->destination);
    return;
  }
  if (const auto* gone = std::get_if<UnitGone>(&event)) {
    Destination* destination = Find(gone->destination);
    if (destination != nullptr && destination->Remove(gone->key)) --window_units_;
  }
}

void Scheduler::Core::OnAttemptEnded(const AttemptEnded& ended, absl::Time now) {
  auto found = in_flight_.find(ended.key);
  if (found == in_flight_.end() || found->second.attempt_id != ended.attempt_id) return;
  InFlight attempt = std::move(found->second);
  in_flight_.erase(found);
  GiveBackSlot(attempt);
  Destination* destination = Find(attempt.destination);
  if (destination == nullptr) return;
  destination->OnEnd();
  destination->refilled = absl::InfinitePast();
  destination->more = destination->active;  // What the outcome made due again is in the tables.
  // Due since before it began: no sweep but a whole one would come by.
  if (ended.kind == AttemptEnded::Kind::kNotSent) sweep_all_ = absl::InfinitePast();
  if (!attempt.needs_no_connection) {
    if (ended.kind == AttemptEnded::Kind::kAnswered) {
      if (destination->Rests(now)) sweep_all_ = absl::InfinitePast();
      destination->OnAnswered();
    }
    if (ended.kind == AttemptEnded::Kind::kUnreachable &&
        destination->OnUnreachable(ended.text, now, NextLuck(&luck_)) && destination->active) {
      return Deactivate(*destination);
    }
  }
  Settle(*destination);
}

std::vector<Grant> Scheduler::Core::Tick(absl::Time now, const TablesReader& reader, bool sweep) {
  std::vector<Grant> grants;
  if (!leading_ || paused_) return grants;
  if (sweep) SweepWakes(now, reader, &grants);
  GrantInTurn(now, reader, &grants);
  return grants;
}

std::string Scheduler::Core::BeginSweep(absl::Time now) {
  const KeyRange all = PrefixRange(FamilyPrefix(KeyFamily::kWake));
  // A clock that was set back makes what stood behind it due anew.
  const bool whole = now >= sweep_all_ || now < sweep_began_ || sweep_from_.empty();
  if (whole) sweep_all_ = now + kSweepAllAtLeast;
  sweep_began_ = now;
  sweep_first_.reset();
  return whole ? all.from : sweep_from_;
}

void Scheduler::Core::EndSweep() {
  sweep_from_ = WakeKey(absl::ToUnixMicros(sweep_began_ - kRowsLate), "", 0);
  if (sweep_first_) sweep_from_ = std::min(sweep_from_, *sweep_first_);
}

void Scheduler::Core::SweepWakes(absl::Time now, const TablesReader& reader,
                                 std::vector<Grant>* grants) {
  const std::string from = wake_cursor_.empty() ? BeginSweep(now) : wake_cursor_;
  // Wake rows of this very microsecond too: the end of the range is the next one.
  const std::string to = WakeKey(absl::ToUnixMicros(now) + 1, "", 0);
  std::vector<std::pair<std::string, std::string>> due;  // Key, destination.
  const ScanEnd end = reader.Scan(from, to, options_.wake_rows_per_tick,
                                  [&due](std::string_view key, std::string_view) {
                                    if (std::optional<WakeParts> wake = DecodeWakeKey(key)) {
                                      due.emplace_back(key, std::move(wake->destination));
                                    }
                                    return true;
                                  });
  wake_cursor_ = end.complete || due.empty() ? std::string() : due.back().first + '\0';
  for (const auto& [key, name] : due) {
    if (suspended_.contains(name)) continue;  // SetSuspended() has all looked at again.
    Destination* destination = Find(name);
    if (destination != nullptr && !destination->active && destination->Rests(now)) {
      GrantExpired(*destination, now, reader, grants);
      // A second: where thousands rest, one rest is always over.
      sweep_all_ = std::min(sweep_all_, std::max(destination->rests_until(), now + kRowsLate));
      if (destination->look_for_expired <= now && HasRoomFor(*grants)) sweep_all_ = now;  // More.
      continue;
    }
    if (!sweep_first_) sweep_first_ = key;
    if (destination != nullptr && destination->active) continue;
    // All that is due there was in flight when it was last looked at.
    if (destination != nullptr && destination->in_flight() > 0 &&
        now - destination->refilled < kRefillAtLeast) {
      continue;
    }
    if (!Activate(name, true, now)) {
      wake_cursor_ = key;  // Its turn comes first at the next tick.
      return;
    }
  }
  if (wake_cursor_.empty()) EndSweep();
}

KeyRange Scheduler::Core::DueRange(const std::string& name, absl::Time now,
                                   const TablesReader& reader) const {
  // From the wake time on: nothing ready is earlier, and what was deleted there is not passed over.
  absl::StatusOr<rows::DestinationRow> row = ReadDestination(reader, name);
  const int64_t from_us = row.ok() ? row->wake_us() : 0;
  return ListRange(UnitList::kReady, name, from_us, absl::ToUnixMicros(now) + 1);
}

void Scheduler::Core::GrantExpired(Destination& destination, absl::Time now,
                                   const TablesReader& reader, std::vector<Grant>* grants) {
  if (now < destination.look_for_expired || !HasRoomFor(*grants)) return;
  std::vector<UnitKey> expired;
  const KeyRange range = DueRange(destination.name(), now, reader);
  reader.Scan(range.from, range.to, kExpiredRowsPerLook,
              [&](std::string_view key, std::string_view value) {
                std::optional<ListKey> place = DecodeListKey(key);
                std::optional<int64_t> expires = DecodeListValue(value);
                if (place && expires && *expires <= absl::ToUnixMicros(now) &&
                    !in_flight_.contains(place->unit)) {
                  expired.push_back(place->unit);
                }
                return true;
              });
  destination.look_for_expired = expired.empty() ? now + kExpiredLookAgain : now;
  for (const UnitKey& key : expired) {
    if (!HasRoomFor(*grants)) return;
    StopRemembering(destination);
    Grant grant = MakeGrant(destination, key, std::nullopt);
    destination.CountInFlight();
    grant.failed_already = destination.rests_why().empty() ? "the destination does not answer"
                                                           : destination.rests_why();
    grants->push_back(std::move(grant));
  }
}

// Takes the windows of others down to equal shares, when together they have used up the bound.
void Scheduler::Core::MakeRoom(const Destination& asking) {
  if (window_units_ < options_.window_units_max || asking.window_units() > 0) return;
  const size_t share = std::max<size_t>(options_.window_units_max / (ring_.size() + 1), 1);
  for (Destination* other : ring_) window_units_ -= other->Trim(share);
}

void Scheduler::Core::Refill(Destination& destination, absl::Time now, const TablesReader& reader) {
  MakeRoom(destination);
  const size_t room =
      options_.window_units_max - std::min(options_.window_units_max, window_units_);
  const size_t units_max =
      std::min(options_.window_units_per_destination_max, destination.window_units() + room);
  const size_t rows_max = units_max + destination.in_flight();
  const KeyRange range = DueRange(destination.name(), now, reader);
  const ScanEnd end =
      reader.Scan(range.from, range.to, rows_max, [&](std::string_view key, std::string_view) {
        std::optional<ListKey> place = DecodeListKey(key);
        if (!place || in_flight_.contains(place->unit) || destination.Contains(place->unit)) {
          return true;
        }
        if (destination.window_units() >= units_max) return false;
        if (destination.Insert({place->due_us, place->unit})) ++window_units_;
        return true;
      });
  destination.more = !end.complete;
  destination.refilled = now;
}

Grant Scheduler::Core::MakeGrant(Destination& destination, const UnitKey& key,
                                 std::optional<uint32_t> slot) {
  Grant grant;
  grant.key = key;
  grant.destination = destination.name();
  grant.attempt_id = next_attempt_id_++;
  grant.limits = destination.limits();
  grant.slot = slot.value_or(0);
  in_flight_[key] = {grant.attempt_id, destination.name(), !slot.has_value(), slot};
  ++grants_;
  return grant;
}

void Scheduler::Core::GrantInTurn(absl::Time now, const TablesReader& reader,
                                  std::vector<Grant>* grants) {
  // Ends when nobody in a whole round could be granted anything.
  ++pass_;
  size_t idle = 0;
  while (!ring_.empty() && idle < ring_.size() && HasRoomFor(*grants)) {
    Destination* destination = ring_.front();
    ring_.splice(ring_.end(), ring_, ring_.begin());
    if (now - destination->refilled >= kRefillAtLeast) destination->more = true;
    const size_t half = options_.window_units_per_destination_max / 2;
    const bool may_grant = destination->CanGrant(now);
    if (may_grant && destination->more && destination->window_units() <= half) {
      Refill(*destination, now, reader);
    }
    if (destination->window_units() == 0 && !destination->more) {
      Deactivate(*destination);
      continue;
    }
    if (!may_grant || destination->window_units() == 0) {
      ++idle;
      continue;
    }
    const std::optional<uint32_t> slot =
        permits_.Take(asker_, destination->name(), destination->limits(), destination->WantsMore());
    if (!slot) {
      destination->waits_for_permit = true;
      destination->asked_in_pass = pass_;
      ++idle;
      continue;
    }
    idle = 0;
    const ReadyUnit unit = destination->TakeFirst();
    --window_units_;
    grants->push_back(MakeGrant(*destination, unit.key, slot));
    destination->OnGrant();
  }
  for (Destination* one : ring_) {
    if (one->asked_in_pass != pass_) WithdrawWish(*one);
  }
}

void Scheduler::Core::SetSuspended(std::set<std::string, std::less<>> destinations) {
  suspended_ = std::move(destinations);
  sweep_all_ = absl::InfinitePast();
  for (const std::string& name : suspended_) {
    Destination* destination = Find(name);
    if (destination != nullptr && destination->active) {
      Deactivate(*destination);
    }
  }
}

void Scheduler::Core::WakeDestination(std::string_view name) {
  Destination* destination = Find(name);
  if (destination != nullptr) destination->Wake();
  sweep_all_ = absl::InfinitePast();  // Sweeps have passed over what rested.
}

void Scheduler::Core::OnPolicy() {
  for (Destination* destination : ring_) destination->SetLimits(limits_for_(destination->name()));
  // What did not answer by the old route may well by the new one.
  for (auto& [name, destination] : destinations_) destination.Wake();
  sweep_all_ = absl::InfinitePast();
}

SchedulerCounts Scheduler::Core::counts() const {
  SchedulerCounts counts;
  counts.active_destinations = ring_.size();
  counts.remembered_destinations = destinations_.size() - ring_.size();
  counts.window_units = window_units_;
  counts.in_flight = in_flight_.size();
  counts.grants = grants_;
  for (const auto& [name, destination] : destinations_) {
    if (!destination.rests_why().empty()) ++counts.resting_destinations;
  }
  return counts;
}

std::vector<DestinationState> Scheduler::Core::Destinations(size_t max,
                                                            std::string_view from) const {
  std::vector<DestinationState> states;
  for (auto at = destinations_.lower_bound(from); at != destinations_.end(); ++at) {
    if (states.size() == max) break;
    const Destination& destination = at->second;
    states.push_back({destination.name(), destination.window_units(), destination.in_flight(),
                      destination.concurrency(), destination.rests_until(), destination.rests_why(),
                      suspended_.contains(destination.name()), destination.active});
  }
  return states;
}

Scheduler::Scheduler(const SchedulerOptions& options, LimitsFor limits_for, AttemptPermits& permits,
                     uint32_t asker)
    : core_(std::make_unique<Core>(options, std::move(limits_for), permits, asker)) {}

Scheduler::~Scheduler() = default;

void Scheduler::OnLeader(absl::Time) { core_->OnLeader(); }

void Scheduler::OnFollower() { core_->OnFollower(); }

void Scheduler::OnEvents(std::span<const Event> events, absl::Time now) {
  if (!core_->leading_) return;
  for (const Event& event : events) core_->OnEvent(event, now);
}

void Scheduler::OnAttemptEnded(const AttemptEnded& ended, absl::Time now) {
  core_->OnAttemptEnded(ended, now);
}

std::vector<Grant> Scheduler::Tick(absl::Time now, const TablesReader& reader) {
  return core_->Tick(now, reader, true);
}

std::vector<Grant> Scheduler::GoOn(absl::Time now, const TablesReader& reader) {
  return core_->Tick(now, reader, false);
}

void Scheduler::OnConnectionFree(const UnitKey& key, uint64_t attempt_id) {
  core_->OnConnectionFree(key, attempt_id);
}

void Scheduler::SetSuspended(std::set<std::string, std::less<>> destinations) {
  core_->SetSuspended(std::move(destinations));
}

void Scheduler::SetPaused(bool paused) { core_->SetPaused(paused); }

void Scheduler::OnPolicy() { core_->OnPolicy(); }

bool Scheduler::leading() const { return core_->leading_; }

SchedulerCounts Scheduler::counts() const { return core_->counts(); }

std::vector<DestinationState> Scheduler::Destinations(size_t max, std::string_view from) const {
  return core_->Destinations(max, from);
}

}  // namespace holdfast::queue
