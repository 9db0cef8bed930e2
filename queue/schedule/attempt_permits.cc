#include "queue/schedule/attempt_permits.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace holdfast::queue {
namespace {

// Of the messages allowed in a period, so many may go at once.
constexpr double kBurst = 0.1;
// Sums of small parts miss a whole by less.
constexpr double kRounding = 1e-6;
// A message counts for 1/e after so long, when we ask how many go now.
constexpr absl::Duration kRecent = absl::Seconds(10);
// Who was short of messages so lately wants all there are.
constexpr absl::Duration kShortFor = absl::Seconds(2);
// More than goes now, or a share could never grow.
constexpr double kWantedOverRecent = 1.5;
// Peaks are those of this interval and the one before, however often they are asked for.
constexpr absl::Duration kPeakInterval = absl::Seconds(1);

Allowance AllOf(std::string_view, const DestinationLimits& limits) {
  return {static_cast<double>(limits.concurrency_max), static_cast<double>(limits.rate_messages)};
}

double Decay(absl::Duration since) { return std::exp(-absl::FDivDuration(since, kRecent)); }

}  // namespace

AttemptPermits::AttemptPermits(const PermitOptions& options, AllowanceFor allowance_for, Wake wake)
    : options_(options),
      allowance_for_(allowance_for ? std::move(allowance_for) : AllOf),
      wake_(std::move(wake)) {}

void AttemptPermits::Advance(absl::Duration now) { now_ = std::max(now_, now); }

void AttemptPermits::DropOldWishes(Entry& entry) const {
  std::erase_if(entry.wishes,
                [this](const Wish& wish) { return now_ - wish.asked > options_.wish_lifetime; });
}

void AttemptPermits::FillTokens(Entry& entry, double messages) const {
  const double full = std::max(messages * kBurst, 1.0);
  if (entry.tokens_at == -absl::InfiniteDuration()) {
    entry.tokens = full;
  } else if (entry.limits.rate_period > absl::ZeroDuration()) {
    entry.tokens += messages * absl::FDivDuration(now_ - entry.tokens_at, entry.limits.rate_period);
  }
  entry.tokens = std::min(entry.tokens, full);
  entry.tokens_at = now_;
}

void AttemptPermits::CountMessage(Entry& entry) const {
  entry.recent = entry.recent * Decay(now_ - entry.recent_at) + 1;
  entry.recent_at = now_;
}

void AttemptPermits::Remember(Entry& entry, uint32_t asker, uint32_t more) {
  const auto same = std::find_if(entry.wishes.begin(), entry.wishes.end(),
                                 [asker](const Wish& wish) { return wish.asker == asker; });
  if (same == entry.wishes.end()) {
    entry.wishes.push_back({asker, more, now_});
  } else {
    same->more = more;
    same->asked = now_;
  }
  uint32_t wanted = entry.busy;
  for (const Wish& wish : entry.wishes) wanted += wish.more;
  if (wanted > std::max(entry.peak, entry.last_peak)) shortage_ = true;
  entry.peak = std::max(entry.peak, wanted);
}

std::optional<uint32_t> AttemptPermits::Take(uint32_t asker, const std::string& destination,
                                             const DestinationLimits& limits, uint32_t more) {
  if (entries_.size() >= options_.destinations_max && !entries_.contains(destination)) MakeRoom();
  Entry& entry = entries_[destination];
  entry.limits = limits;
  DropOldWishes(entry);
  uint32_t ahead = 0;
  for (const Wish& wish : entry.wishes) {
    if (wish.asker == asker) break;
    ++ahead;
  }
  const Allowance allowance = allowance_for_(destination, limits);
  const bool has_connection = entry.busy + ahead + 1 <= allowance.connections;
  bool has_message = true;
  if (limits.rate_messages > 0) {
    FillTokens(entry, allowance.messages);
    has_message = entry.tokens + kRounding >= 1 + ahead;
    if (entry.tokens < 1) entry.short_of_tokens = now_;
  }
  if (!has_connection || !has_message) {
    Remember(entry, asker, std::max(more, 1u));
    return std::nullopt;
  }
  std::erase_if(entry.wishes, [asker](const Wish& wish) { return wish.asker == asker; });
  if (limits.rate_messages > 0) entry.tokens -= 1;
  CountMessage(entry);
  const uint32_t slot = FreeSlot(entry, allowance);
  entry.slots[slot].busy = true;
  entry.peak = std::max(entry.peak, ++entry.busy);
  // Permits that came back together woke one asker together.
  const bool is_more = entry.busy + 1 <= allowance.connections &&
                       (limits.rate_messages == 0 || entry.tokens + kRounding >= 1);
  if (is_more) WakeFirst(entry);
  return slot;
}

// The lowest, so that few are in use. But where connections that are left open fill the allowance
// already, one of those: another would be one more.
uint32_t AttemptPermits::FreeSlot(Entry& entry, const Allowance& allowance) const {
  const bool full = DemandOf(entry).open + 1 > allowance.connections;
  const auto slot = std::find_if(entry.slots.begin(), entry.slots.end(), [&](const Slot& one) {
    return !one.busy && (!full || IsWarm(one));
  });
  const auto number = static_cast<uint32_t>(slot - entry.slots.begin());
  if (slot == entry.slots.end()) entry.slots.emplace_back();
  return number;
}

void AttemptPermits::WakeFirst(const Entry& entry) const {
  if (wake_ && !entry.wishes.empty()) wake_(entry.wishes.front().asker);
}

void AttemptPermits::OnMoreAllowed(std::string_view destination) {
  const auto found = entries_.find(destination);
  if (found != entries_.end()) WakeFirst(found->second);
}

void AttemptPermits::GiveBack(const std::string& destination, uint32_t slot) {
  const auto found = entries_.find(destination);
  if (found == entries_.end() || slot >= found->second.slots.size()) return;
  Entry& entry = found->second;
  if (!entry.slots[slot].busy) return;
  entry.slots[slot] = {false, now_};
  --entry.busy;
  DropOldWishes(entry);
  WakeFirst(entry);
}

void AttemptPermits::DropWish(uint32_t asker, Entry& entry) {
  const bool was_first = !entry.wishes.empty() && entry.wishes.front().asker == asker;
  std::erase_if(entry.wishes, [asker](const Wish& wish) { return wish.asker == asker; });
  if (was_first) WakeFirst(entry);
}

void AttemptPermits::Withdraw(uint32_t asker, std::string_view destination) {
  const auto found = entries_.find(destination);
  if (found != entries_.end()) DropWish(asker, found->second);
}

void AttemptPermits::Forget(uint32_t asker) {
  for (auto& [name, entry] : entries_) DropWish(asker, entry);
}

PermitDemand AttemptPermits::DemandOf(const Entry& entry) const {
  PermitDemand demand;
  for (const Slot& slot : entry.slots) {
    if (slot.busy || IsWarm(slot)) ++demand.open;
  }
  demand.wanted.connections = std::max({entry.peak, entry.last_peak, entry.busy});
  const double all = entry.limits.rate_messages;
  const double recent = entry.recent * Decay(now_ - entry.recent_at) *
                        absl::FDivDuration(entry.limits.rate_period, kRecent);
  demand.wanted.messages =
      now_ - entry.short_of_tokens < kShortFor ? all : std::min(all, recent * kWantedOverRecent);
  return demand;
}

bool AttemptPermits::IsForgettable(const Entry& entry) const {
  if (entry.busy > 0 || !entry.wishes.empty() || entry.peak > 0 || entry.last_peak > 0) {
    return false;
  }
  if (DemandOf(entry).open > 0) return false;
  // Full again, whatever the share.
  return entry.limits.rate_messages == 0 ||
         now_ - entry.tokens_at >= std::max(entry.limits.rate_period, kRecent);
}

void AttemptPermits::VisitDemands(const Visitor& visitor) {
  const bool next_peak = now_ - peaks_since_ >= kPeakInterval;
  if (next_peak) peaks_since_ = now_;
  for (auto one = entries_.begin(); one != entries_.end();) {
    auto& [destination, entry] = *one;
    DropOldWishes(entry);
    visitor(destination, entry.limits, DemandOf(entry));
    if (next_peak) entry.last_peak = std::exchange(entry.peak, entry.busy);
    one = IsForgettable(entry) ? entries_.erase(one) : std::next(one);
  }
}

void AttemptPermits::MakeRoom() {
  std::erase_if(entries_, [](const auto& one) { return one.second.busy == 0; });
}

PermitDemand AttemptPermits::DemandOf(std::string_view destination) const {
  const auto found = entries_.find(destination);
  return found == entries_.end() ? PermitDemand() : DemandOf(found->second);
}

uint32_t AttemptPermits::in_use(std::string_view destination) const {
  const auto found = entries_.find(destination);
  return found == entries_.end() ? 0 : found->second.busy;
}

}  // namespace holdfast::queue
