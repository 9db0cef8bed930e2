#include "node/limits/share_exchange.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "node/limits/destination_limits.h"
#include "node/limits/share_codec.h"
#include "node/peers/peer_calls.h"

namespace holdfast::node {
namespace {

constexpr absl::Duration kRoundInterval = absl::Seconds(1);
// A round before its time, because more is wanted.
constexpr absl::Duration kEarlyRoundInterval = absl::Milliseconds(200);
constexpr absl::Duration kCallTimeout = absl::Seconds(1);
constexpr size_t kDestinationBytesMax = 255;

std::vector<NodeId> VotersOf(const raft::GroupStatus& group) {
  std::vector<NodeId> voters = group.voters;
  voters.insert(voters.end(), group.voters_outgoing.begin(), group.voters_outgoing.end());
  std::sort(voters.begin(), voters.end());
  voters.erase(std::unique(voters.begin(), voters.end()), voters.end());
  return voters;
}

}  // namespace

ShareExchange::ShareExchange(Parts parts, const Options& options)
    : parts_(std::move(parts)),
      options_(options),
      holder_(options.shares),
      permits_(
          options.permits,
          [this](std::string_view destination, const queue::DestinationLimits& limits) {
            holder_.Advance(parts_.clock.SinceBoot());
            return holder_.Allowed(destination, limits);
          },
          parts_.wake) {}

void ShareExchange::Tick() {
  const absl::Duration now = parts_.clock.SinceBoot();
  holder_.Advance(now);
  permits_.Advance(now);
  if (now < last_round_ + kEarlyRoundInterval) return;
  if (now < last_round_ + kRoundInterval && !permits_.TakeShortage()) return;
  (void)permits_.TakeShortage();
  last_round_ = now;
  Round(now);
}

void ShareExchange::Round(absl::Duration now) {
  ++rounds_;
  std::map<GroupId, NodeId> leaders;
  if (!options_.alone) {
    const std::vector<raft::GroupStatus> groups = parts_.statuses();
    FollowGroups(groups, now);
    for (const raft::GroupStatus& group : groups) leaders[group.group] = group.leader;
  }
  std::map<NodeId, std::vector<ShareAsk>> asks;
  permits_.VisitDemands([&](const std::string& destination, const queue::DestinationLimits& limits,
                            const queue::PermitDemand& demand) {
    if (destination.size() > kDestinationBytesMax) return;
    std::optional<ShareAsk> ask = holder_.Ask(destination, limits, demand);
    if (!ask) return;
    const NodeId leader = leaders[CoordinatorGroup(destination, options_.queue_groups)];
    if (leader != NodeId{}) asks[leader].push_back(*std::move(ask));
  });
  holder_.Sweep();
  for (auto& [coordinator, of_it] : asks) Send(coordinator, std::move(of_it), now);
  counts_.destinations.store(permits_.destinations());
  counts_.grants.store(holder_.grants());
  uint64_t coordinated = 0;
  for (auto& [group, coordinator] : coordinators_) {
    coordinator.Sweep(now);
    coordinated += coordinator.destinations();
  }
  counts_.coordinated.store(coordinated);
}

Presence ShareExchange::PresenceOf(NodeId node, const std::vector<raft::GroupStatus>& groups,
                                   absl::Duration now) const {
  if (node == options_.self) return Presence::kHere;
  absl::Duration last = -absl::InfiniteDuration();
  if (const auto asked = heard_.find(node); asked != heard_.end()) last = asked->second;
  if (const auto beat = parts_.heard(node)) last = std::max(last, *beat);
  if (now - last < options_.shares.notice) return Presence::kHere;
  const bool may_lead = std::any_of(groups.begin(), groups.end(), [node](const auto& group) {
    return group.leader == NodeId{} || group.leader == node;
  });
  return may_lead ? Presence::kSilent : Presence::kGone;
}

void ShareExchange::FollowGroups(const std::vector<raft::GroupStatus>& groups, absl::Duration now) {
  for (const raft::GroupStatus& group : groups) {
    const std::vector<NodeId> nodes = VotersOf(group);
    // A node that has just joined knows none yet, and is not alone.
    if (group.group == kControlGroup) holder_.SetVoters(std::max<size_t>(nodes.size(), 2));
    if (group.group == kControlGroup) continue;
    auto found = coordinators_.find(group.group);
    const uint64_t term = static_cast<uint64_t>(group.term);
    if (found != coordinators_.end() && (!group.leading || found->second.term() != term)) {
      coordinators_.erase(found);
      found = coordinators_.end();
    }
    if (!group.leading) continue;
    if (found == coordinators_.end()) {
      found = coordinators_.try_emplace(group.group, term, now, options_.shares).first;
    }
    std::vector<ShareVoter> voters;
    for (const NodeId node : nodes) voters.push_back({node, PresenceOf(node, groups, now)});
    found->second.SetVoters(std::move(voters), now);
  }
}

ShareCoordinator* ShareExchange::CoordinatorOf(GroupId group) {
  const auto found = coordinators_.find(group);
  if (found == coordinators_.end()) return nullptr;
  const std::optional<raft::GroupStatus> status = parts_.status(group);
  const bool leads =
      status && status->leading && static_cast<uint64_t>(status->term) == found->second.term();
  return leads ? &found->second : nullptr;
}

void ShareExchange::Send(NodeId coordinator, std::vector<ShareAsk> asks, absl::Duration now) {
  // Too many for a call: another part of them each time.
  constexpr size_t kMax = kSharesPerCallMax;
  if (asks.size() > kMax) {
    const size_t first = rounds_ * kMax % asks.size();
    std::rotate(asks.begin(), asks.begin() + static_cast<ptrdiff_t>(first), asks.end());
    asks.resize(kMax);
  }
  if (calling_.contains(coordinator)) return;
  peer_call::Request request;
  peer_call::Shares& shares = *request.mutable_shares();
  shares.set_boot_id(options_.boot_id);
  shares.set_sequence(++sequence_);
  for (const ShareAsk& ask : asks) PutAsk(ask, shares.add_asks());
  counts_.asks += asks.size();
  if (coordinator == options_.self) {
    OnGrants(Answer(options_.self, shares).shares(), now);
    return;
  }
  calling_.insert(coordinator);
  parts_.call(coordinator, EncodeRequest(std::move(request)), kCallTimeout,
              [this, coordinator, now](const absl::StatusOr<std::string>& bytes) {
                auto answer = bytes.ok() ? DecodeAnswer(*bytes)
                                         : absl::StatusOr<peer_call::Answer>(bytes.status());
                parts_.apply.Post([this, coordinator, now, answer = std::move(answer)] {
                  calling_.erase(coordinator);
                  if (answer.ok()) OnGrants(answer->shares(), now);
                });
              });
}

void ShareExchange::OnGrants(const peer_call::Shares& grants, absl::Duration asked) {
  for (const peer_call::ShareGrant& grant : grants.grants()) {
    holder_.OnGrant(asked, GrantOf(grant));
    permits_.OnMoreAllowed(grant.destination());
  }
}

void ShareExchange::OnAsks(NodeId peer, peer_call::Shares asks, Reply reply) {
  parts_.apply.Post([this, peer, asks = std::move(asks), reply = std::move(reply)] {
    reply(Answer(peer, asks));
  });
}

peer_call::Answer ShareExchange::Answer(NodeId peer, const peer_call::Shares& asks) {
  const absl::Duration now = parts_.clock.SinceBoot();
  heard_[peer] = now;
  peer_call::Answer answer;
  peer_call::Shares& grants = *answer.mutable_shares();
  const std::shared_ptr<const PolicySnapshot> policy = parts_.policy.Current();
  // Looked up once a call, and begun with.
  std::map<GroupId, ShareCoordinator*> coordinators;
  for (const peer_call::ShareAsk& one : asks.asks()) {
    const GroupId group = CoordinatorGroup(one.destination(), options_.queue_groups);
    auto [place, is_new] = coordinators.try_emplace(group, nullptr);
    if (is_new) {
      // Without the cluster's policy it does not know what there is to share.
      place->second = parts_.policy.known() ? CoordinatorOf(group) : nullptr;
      if (place->second != nullptr &&
          !place->second->Begin(peer, asks.boot_id(), asks.sequence())) {
        place->second = nullptr;
      }
    }
    if (place->second == nullptr) continue;
    const std::optional<ShareGrant> grant =
        place->second->OnAsk(peer, AskOf(one), LimitsOf(*policy, one.destination()), now);
    if (grant) PutGrant(*grant, grants.add_grants());
  }
  return answer;
}

std::vector<ShareExchange::View> ShareExchange::Views(size_t max) {
  std::vector<View> views;
  holder_.Advance(parts_.clock.SinceBoot());
  permits_.Advance(parts_.clock.SinceBoot());
  permits_.VisitDemands([&](const std::string& destination, const queue::DestinationLimits& limits,
                            const queue::PermitDemand& demand) {
    views.push_back({destination, limits, holder_.Allowed(destination, limits), demand,
                     permits_.in_use(destination)});
  });
  const auto by_wish = [](const View& one, const View& other) {
    return one.demand.wanted.connections > other.demand.wanted.connections;
  };
  std::stable_sort(views.begin(), views.end(), by_wish);
  if (views.size() > max) views.resize(max);
  return views;
}

}  // namespace holdfast::node
