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

void Destination::FillTokens(absl::Time now) {
  const double full = limits_.rate_messages;
  if (tokens_at_ == absl::InfinitePast()) {
    tokens_ = full;
  } else if (now > tokens_at_ && limits_.rate_period > absl::ZeroDuration()) {
    tokens_ += full * absl::FDivDuration(now - tokens_at_, limits_.rate_period);
  }
  tokens_ = std::min(tokens_, full);
  tokens_at_ = now;
}

bool Destination::CanGrant(absl::Time now) {
  if (Rests(now) || in_flight_ >= ConcurrencyNow()) return false;
  if (limits_.rate_messages == 0) return true;
  FillTokens(now);
  return tokens_ >= 1;
}

void Destination::OnGrant() {
  ++in_flight_;
  ++granted_in_turn;
  if (limits_.rate_messages > 0) tokens_ -= 1;
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

bool Destination::IsForgettable(absl::Time now) const {
  const bool rate_is_full = limits_.rate_messages == 0 || tokens_at_ == absl::InfinitePast() ||
                            now - tokens_at_ >= limits_.rate_period;
  return failures_ == 0 && rest_ == absl::ZeroDuration() && rate_is_full &&
         concurrency_ >= std::min(options_.concurrency_initial, limits_.concurrency_max);
}

}  // namespace holdfast::queue
