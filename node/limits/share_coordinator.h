// node/limits/share_coordinator.h
// ShareCoordinator is the granting side of the limits of all destinations that hash to one queue
// group, for one term of its leader. It divides each limit among the nodes that ask, by demand:
// nobody gets more than it wants, and those that want more get equal parts (max-min fairness).
//
// What it promises: all that nodes may use at any time, as far as it granted it or they use it
// without asking, is at most the limit. So
//   - a share that was made smaller counts in full until its node says that it keeps to the new
//     one, or the lifetime is over; open connections count as long as there are any;
//   - for a node that doesn't ask the free amount is set aside; for one that is silent its floor,
//     if it may be leading groups, and so for one that is heard but asks no more, though it wanted
//     more, that was silent and has not asked yet, or whose questions show that it gets no answers;
//   - in its first lifetime, in which grants of earlier terms may be in force that nobody has told
//     it of, it grants nobody more than that node keeps to already.
// Where a limit is smaller than the number of nodes that want some of it, they take turns.
//
// Threads: owned by the apply context; pure.
// Limits:  options.destinations_max; nodes by the voters and those that ask.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/strong_id.h"
#include "node/limits/share_types.h"

namespace holdfast::node {

enum class Presence {
  kHere,    // Heard of lately.
  kSilent,  // Not heard of lately, but others may hear it: it may lead groups.
  kGone,    // Not heard of, and others lead all groups.
};

struct ShareVoter {
  NodeId node;
  Presence presence = Presence::kHere;
};

class ShareCoordinator {
 public:
  // It leads since `since`.
  ShareCoordinator(uint64_t term, absl::Duration since, const ShareOptions& options)
      : options_(options), term_(term), since_(since) {}

  uint64_t term() const { return term_; }
  // At least once in `notice`.
  void SetVoters(std::vector<ShareVoter> voters, absl::Duration now);

  // Before the asks that came together. False: they are older than what came before; pass them
  // over. `boot` names the node's life, whose asks are numbered upwards.
  bool Begin(NodeId node, uint64_t boot, uint64_t sequence);
  // nullopt: too many destinations; the node goes on as it may without a coordinator.
  std::optional<ShareGrant> OnAsk(NodeId node, const ShareAsk& ask,
                                  const queue::DestinationLimits& limits, absl::Duration now);
  // Forgets destinations whose grants are long over; every second or so.
  void Sweep(absl::Duration now);

  size_t destinations() const { return destinations_.size(); }

 private:
  struct Share {
    uint64_t grant = 0;  // The newest, which the node may not have heard of yet.
    queue::Allowance share;
    // The most that the node may keep to now, having heard of the newest grant or not.
    queue::Allowance pending;
    queue::Allowance wanted;
    uint32_t open = 0;
    absl::Duration heard_at = -absl::InfiniteDuration();  // It knew its newest grant, last.
    absl::Duration until = -absl::InfiniteDuration();
  };
  using Shares = std::map<NodeId, Share>;
  struct Asker {
    uint64_t boot = 0;
    uint64_t sequence = 0;
  };

  bool Waits(absl::Duration now) const { return now < since_ + options_.lifetime; }
  // What counts against the limit for a node, grants in force or not.
  queue::Allowance Charge(NodeId node, const Shares& shares, const queue::DestinationLimits& limits,
                          absl::Duration now) const;
  queue::Allowance FairShare(NodeId node, const Shares& shares,
                             const queue::DestinationLimits& limits, absl::Duration now) const;
  bool WasSilent(const ShareVoter& voter, absl::Duration now) const;
  bool AsksInVain(const Share& share, const queue::DestinationLimits& limits,
                  absl::Duration now) const;
  std::vector<NodeId> Everybody(const Shares& shares) const;
  // Of a node that asked: it divides the limit with the others that did.
  bool Partakes(NodeId node, const Share& share, absl::Duration now) const;

  const ShareOptions options_;
  const uint64_t term_;
  const absl::Duration since_;
  uint64_t last_grant_ = 0;
  std::vector<ShareVoter> voters_;
  // Who was silent may have gone to its floor: that counts until it had the time to say so.
  std::map<NodeId, absl::Duration> silent_at_;  // Last.
  std::map<NodeId, Asker> askers_;
  std::map<std::string, Shares> destinations_;
};

}  // namespace holdfast::node
