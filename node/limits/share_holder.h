// node/limits/share_holder.h
// ShareHolder is the asking side of a destination's limit on a node: what it may use now, and what
// it asks the coordinator for. It asks only for destinations that want more than the free amount,
// or hold more; others cost nobody anything.
//
// A grant is used for ShareOptions::use() from when it was asked for. After it the node keeps to
// the lesser of grant and floor, and uses its floor once it has waited so long for an answer that
// everybody else's grants have run out, or were made by a coordinator that knows of its silence.
//
// Threads: owned by the apply context; pure. Limits: by the destinations that AttemptPermits knows.
#pragma once

#include <absl/time/time.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "node/limits/share_types.h"

namespace holdfast::node {

class ShareHolder {
 public:
  // Alone until SetVoters(): all limits are this node's.
  explicit ShareHolder(const ShareOptions& options) : options_(options) {}

  // Time since boot; never back.
  void Advance(absl::Duration now) { now_ = std::max(now_, now); }
  void SetVoters(size_t voters) { voters_ = voters; }
  size_t voters() const { return voters_; }

  queue::Allowance Allowed(std::string_view destination,
                           const queue::DestinationLimits& limits) const;

  // What to ask of the coordinator now, if anything; for every destination that is known, about
  // once a second and when one is short.
  std::optional<ShareAsk> Ask(const std::string& destination,
                              const queue::DestinationLimits& limits,
                              const queue::PermitDemand& demand);
  // The answer to what was asked at `asked`. Older ones than the last are passed over.
  void OnGrant(absl::Duration asked, const ShareGrant& grant);

  // Forgets what was not asked for lately: AttemptPermits has forgotten the destination. After the
  // asks of a round.
  void Sweep();

  // Destinations for which a grant counts now.
  size_t grants() const;

 private:
  struct Held {
    uint64_t term = 0;
    uint64_t grant = 0;
    queue::Allowance share;
    bool granted = false;  // Ever.
    absl::Duration until = -absl::InfiniteDuration();
    absl::Duration asked_at;
    absl::Duration waits_since;  // Since the last ask that was answered, or the first of all.
  };

  bool IsForgotten(const Held& held) const { return now_ >= held.asked_at + options_.lifetime; }

  const ShareOptions options_;
  absl::Duration now_;
  size_t voters_ = 1;
  std::map<std::string, Held, std::less<>> held_;
};

}  // namespace holdfast::node
