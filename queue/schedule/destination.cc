#include "queue/schedule/destination.h"

#include <algorithm>

namespace holdfast::queue {

bool Destination::Insert(const ReadyUnit& unit) {
  if (!due_of_.emplace(unit.key, unit.due_us).second) return false;
  window_.insert(unit);
  return true;
}

bool Destination::Remove(const UnitKey& key) {
  auto found = due_of_.find(key);
  if (found == due_of_.end()) return false;
  window_.erase({found->second, key});
  due_of_.erase(found);
  return true;
}

ReadyUnit Destination::TakeFirst() {
  ReadyUnit first = *window_.begin();
  window_.erase(window_.begin());
  due_of_.erase(first.key);
  return first;
}

size_t Destination::Trim(size_t units_max) {
  size_t dropped = 0;
  while (window_.size() > units_max) {
    due_of_.erase(window_.rbegin()->key);
    window_.erase(std::prev(window_.end()));
    ++dropped;
  }
  if (dropped > 0) more = true;
  return dropped;
}

void Destination::SetLimits(const DestinationLimits& limits) {
  limits_ = limits;
  limits_.concurrency_max = std::max<uint32_t>(limits_.concurrency_max, 1);
  concurrency_ = std::min<double>(concurrency_, limits_.concurrency_max);
}

uint32_t Destination::ConcurrencyNow() const {
  return IsProbe() ? 1 : static_cast<uint32_t>(std::max(concurrency_, 1.0));
}

bool Destination::CanGrant(absl::Time now) const {
  return !Rests(now) && in_flight_ < ConcurrencyNow();
}

uint32_t Destination::WantsMore() const {
  const uint32_t concurrency = ConcurrencyNow();
  if (in_flight_ >= concurrency) return 0;
  return static_cast<uint32_t>(std::min<size_t>(concurrency - in_flight_, window_.size()));
}

void Destination::OnGrant() {
  ++in_flight_;
  ++granted_in_turn;
  waits_for_permit = false;
}

void Destination::OnAnswered() {
  failures_ = 0;
  rest_ = absl::ZeroDuration();
  rests_until_ = absl::InfinitePast();
  rests_why_.clear();
  concurrency_ =
      std::min<double>(concurrency_ + 1 / std::max(concurrency_, 1.0), limits_.concurrency_max);
}

bool Destination::OnUnreachable(const std::string& why, absl::Time now, uint64_t luck) {
  // Attempts that began before the rest say nothing new.
  if (Rests(now)) return false;
  ++failures_;
  concurrency_ = std::max(concurrency_ - 1, 1.0);
  if (failures_ < options_.failures_to_rest) return false;
  rest_ =
      rest_ == absl::ZeroDuration() ? options_.rest_first : std::min(rest_ * 2, options_.rest_max);
  // Within a tenth, so that destinations on one dead host do not all come back at once.
  rests_until_ = now + rest_ + rest_ / 1000 * (static_cast<int64_t>(luck % 201) - 100);
  rests_why_ = why;
  look_for_expired = now;
  return true;
}

void Destination::Wake() {
  failures_ = 0;
  rest_ = absl::ZeroDuration();
  rests_until_ = absl::InfinitePast();
  rests_why_.clear();
}

bool Destination::IsForgettable() const {
  return failures_ == 0 && rest_ == absl::ZeroDuration() &&
         concurrency_ >= std::min(options_.concurrency_initial, limits_.concurrency_max);
}

}  // namespace holdfast::queue
