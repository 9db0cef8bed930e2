#include "node/limits/share_holder.h"

#include <algorithm>
#include <utility>

namespace holdfast::node {

queue::Allowance ShareHolder::Allowed(std::string_view destination,
                                      const queue::DestinationLimits& limits) const {
  if (voters_ <= 1) return LimitOf(limits);
  const auto found = held_.find(destination);
  // What nobody asked about waits for no answer.
  if (found == held_.end() || IsForgotten(found->second)) return FreeOf(limits, voters_);
  const Held& held = found->second;
  if (now_ < held.until) return Least(held.share, LimitOf(limits));
  const queue::Allowance floor = FloorOf(limits, voters_);
  if (now_ >= held.waits_since + options_.floor_after()) return floor;
  return held.granted ? Least(held.share, floor) : FreeOf(limits, voters_);
}

std::optional<ShareAsk> ShareHolder::Ask(const std::string& destination,
                                         const queue::DestinationLimits& limits,
                                         const queue::PermitDemand& demand) {
  if (voters_ <= 1) return std::nullopt;
  const queue::Allowance free = FreeOf(limits, voters_);
  const auto fits = [&free](const queue::Allowance& one) {
    return one.connections <= free.connections && one.messages <= free.messages;
  };
  auto found = held_.find(destination);
  if (fits(demand.wanted) && demand.open <= free.connections) {
    if (found == held_.end()) return std::nullopt;
    if (now_ >= found->second.until || fits(found->second.share)) {
      held_.erase(found);
      return std::nullopt;
    }
  }
  if (found != held_.end() && IsForgotten(found->second)) {
    held_.erase(found);
    found = held_.end();
  }
  if (found == held_.end()) {
    found = held_.try_emplace(destination).first;
    found->second.waits_since = now_;
  }
  found->second.asked_at = now_;
  ShareAsk ask;
  ask.destination = destination;
  ask.term = found->second.term;
  ask.grant = found->second.grant;
  ask.enforced = Allowed(destination, limits);
  ask.wanted = Least(demand.wanted, LimitOf(limits));
  ask.open = demand.open;
  return ask;
}

void ShareHolder::OnGrant(absl::Duration asked, const ShareGrant& grant) {
  const auto found = held_.find(grant.destination);
  if (found == held_.end()) return;
  Held& held = found->second;
  if (std::pair(grant.term, grant.grant) <= std::pair(held.term, held.grant)) return;
  held.term = grant.term;
  held.grant = grant.grant;
  held.share = grant.share;
  held.granted = true;
  held.until = asked + options_.use();
  held.waits_since = asked;
}

void ShareHolder::Sweep() {
  std::erase_if(held_, [this](const auto& one) { return IsForgotten(one.second); });
}

size_t ShareHolder::grants() const {
  return static_cast<size_t>(std::count_if(
      held_.begin(), held_.end(), [this](const auto& one) { return now_ < one.second.until; }));
}

}  // namespace holdfast::node
