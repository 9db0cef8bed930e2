#include "node/limits/share_coordinator.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace holdfast::node {
namespace {

// Turns are so many lifetimes long: what one had must come back before the next gets it.
constexpr int kTurnLifetimes = 3;

// So long after its last share has run out, a node that wanted more may be asking in vain.
constexpr int kInVainLifetimes = 3;

// What remains of an amount; never negative.
double Rest(double all, double used) { return std::max(all - used, 0.0); }

// The greatest amount that all can have of `capacity`, if nobody takes more than demanded.
// Infinite when there is enough for all.
double FairLevel(double capacity, std::vector<double> demands) {
  std::sort(demands.begin(), demands.end());
  for (size_t i = 0; i < demands.size(); ++i) {
    const auto left = static_cast<double>(demands.size() - i);
    if (demands[i] * left > capacity) return capacity / left;
    capacity -= demands[i];
  }
  return INFINITY;
}

// The same in whole numbers: what is over after equal parts goes by one to those that want it, in
// turn from `first`.
double WholePart(double capacity, const std::vector<double>& demands, size_t mine, size_t first) {
  const double level = FairLevel(capacity, demands);
  if (std::isinf(level)) return demands[mine];
  const double part = std::floor(level);
  double rest = std::floor(capacity);
  for (const double demand : demands) rest -= std::min(demand, part);
  for (size_t i = 0; i < demands.size(); ++i) {
    const size_t next = (first + i) % demands.size();
    if (demands[next] <= part) continue;
    const bool gets = rest >= 1;
    rest -= 1;
    if (next == mine) return part + (gets ? 1 : 0);
  }
  return std::min(demands[mine], part);
}

}  // namespace

void ShareCoordinator::SetVoters(std::vector<ShareVoter> voters, absl::Duration now) {
  voters_ = std::move(voters);
  for (const ShareVoter& voter : voters_) {
    if (voter.presence == Presence::kSilent) silent_at_[voter.node] = now;
  }
}

bool ShareCoordinator::Begin(NodeId node, uint64_t boot, uint64_t sequence) {
  Asker& asker = askers_[node];
  if (asker.boot != boot) {
    // What an earlier life of the node had died with it.
    for (auto& [destination, shares] : destinations_) shares.erase(node);
    asker = {boot, 0};
  }
  if (sequence <= asker.sequence) return false;
  asker.sequence = sequence;
  return true;
}

bool ShareCoordinator::Partakes(NodeId node, const Share& share, absl::Duration now) const {
  if (now >= share.until) return false;
  return std::any_of(voters_.begin(), voters_.end(), [node](const ShareVoter& voter) {
    return voter.node == node && voter.presence == Presence::kHere;
  });
}

// Beats of a node may come through long before its questions do. One that is gone leads nothing.
bool ShareCoordinator::WasSilent(const ShareVoter& voter, absl::Duration now) const {
  const auto silent = silent_at_.find(voter.node);
  if (silent == silent_at_.end()) return false;
  const bool is_here = voter.presence == Presence::kHere;
  return now < silent->second + (is_here ? options_.lifetime * kInVainLifetimes : options_.notice);
}

// Who is content asks once more, for little. Who is heard, and wanted more when it asked for the
// last time, does not get through: it may have gone to its floor.
bool ShareCoordinator::AsksInVain(const Share& share, const queue::DestinationLimits& limits,
                                  absl::Duration now) const {
  if (now >= share.until + options_.lifetime * kInVainLifetimes) return false;
  const queue::Allowance free = FreeOf(limits, voters_.size());
  return share.wanted.connections > free.connections || share.wanted.messages > free.messages;
}

std::vector<NodeId> ShareCoordinator::Everybody(const Shares& shares) const {
  std::vector<NodeId> nodes;
  for (const ShareVoter& voter : voters_) nodes.push_back(voter.node);
  for (const auto& [node, share] : shares) nodes.push_back(node);
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  return nodes;
}

queue::Allowance ShareCoordinator::Charge(NodeId node, const Shares& shares,
                                          const queue::DestinationLimits& limits,
                                          absl::Duration now) const {
  const auto voter = std::find_if(voters_.begin(), voters_.end(),
                                  [node](const ShareVoter& one) { return one.node == node; });
  const bool votes = voter != voters_.end();
  const bool silent = votes && voter->presence == Presence::kSilent;
  const bool may_use_floor = silent || (votes && WasSilent(*voter, now));
  const auto found = shares.find(node);
  if (found == shares.end() || now >= found->second.until) {
    if (!votes) return {};
    const bool in_vain = voter->presence == Presence::kHere && found != shares.end() &&
                         AsksInVain(found->second, limits, now);
    return may_use_floor || in_vain ? FloorOf(limits, voters_.size())
                                    : FreeOf(limits, voters_.size());
  }
  const Share& share = found->second;
  const queue::Allowance used = Most(share.pending, {static_cast<double>(share.open), 0});
  if (silent) return Most(used, FloorOf(limits, voters_.size()));
  return votes ? Most(used, FreeOf(limits, voters_.size())) : used;
}

queue::Allowance ShareCoordinator::FairShare(NodeId node, const Shares& shares,
                                             const queue::DestinationLimits& limits,
                                             absl::Duration now) const {
  queue::Allowance capacity = LimitOf(limits);
  const queue::Allowance free = FreeOf(limits, voters_.size());
  std::vector<double> connections;
  std::vector<double> messages;
  size_t mine = 0;
  for (const NodeId other : Everybody(shares)) {
    const auto share = shares.find(other);
    if (other != node && (share == shares.end() || !Partakes(other, share->second, now))) {
      const queue::Allowance charge = Charge(other, shares, limits, now);
      capacity.connections = Rest(capacity.connections, charge.connections);
      capacity.messages = Rest(capacity.messages, charge.messages);
      continue;
    }
    if (other == node) mine = connections.size();
    const queue::Allowance wanted = Most(share->second.wanted, free);
    connections.push_back(std::floor(wanted.connections));
    messages.push_back(wanted.messages);
  }
  const bool enough = capacity.connections >= static_cast<double>(connections.size());
  const absl::Duration turn = options_.lifetime * kTurnLifetimes;
  const auto turns = static_cast<size_t>(std::max(absl::FDivDuration(now, turn), 0.0));
  queue::Allowance fair;
  fair.connections = WholePart(capacity.connections, connections, mine,
                               enough ? 0 : turns % std::max<size_t>(connections.size(), 1));
  fair.messages = std::min(messages[mine], FairLevel(capacity.messages, messages));
  return fair;
}

std::optional<ShareGrant> ShareCoordinator::OnAsk(NodeId node, const ShareAsk& ask,
                                                  const queue::DestinationLimits& limits,
                                                  absl::Duration now) {
  if (destinations_.size() >= options_.destinations_max && !destinations_.contains(ask.destination))
    return std::nullopt;
  Shares& shares = destinations_[ask.destination];
  Share& mine = shares[node];
  const bool heard = ask.term == term_ && ask.grant == mine.grant && mine.grant != 0;
  if (heard) {
    mine.pending = Most(mine.share, ask.enforced);
    mine.heard_at = now;
  } else {
    mine.pending = now < mine.until ? Most(mine.pending, ask.enforced) : ask.enforced;
    // Without an answer for long, it goes to its floor between two questions.
    const bool in_vain = mine.grant != 0 && now >= mine.heard_at + options_.notice;
    if (in_vain) mine.pending = Most(mine.pending, FloorOf(limits, voters_.size()));
  }
  mine.open = ask.open;
  mine.wanted = Least(ask.wanted, LimitOf(limits));
  mine.until = now + options_.lifetime;

  queue::Allowance left = LimitOf(limits);
  for (const NodeId other : Everybody(shares)) {
    if (other == node) continue;
    const queue::Allowance charge = Charge(other, shares, limits, now);
    left.connections = Rest(left.connections, charge.connections);
    left.messages = Rest(left.messages, charge.messages);
  }
  const queue::Allowance target =
      Waits(now) ? Least(mine.wanted, ask.enforced) : FairShare(node, shares, limits, now);
  mine.share = Most(Least(target, left), FreeOf(limits, voters_.size()));
  mine.pending = Most(mine.pending, mine.share);
  mine.grant = ++last_grant_;
  return ShareGrant{ask.destination, term_, mine.grant, mine.share};
}

void ShareCoordinator::Sweep(absl::Duration now) {
  std::erase_if(destinations_, [&](const auto& destination) {
    const Shares& shares = destination.second;
    return std::all_of(shares.begin(), shares.end(), [&](const auto& share) {
      return now >= share.second.until + options_.lifetime * kInVainLifetimes;
    });
  });
}

}  // namespace holdfast::node
