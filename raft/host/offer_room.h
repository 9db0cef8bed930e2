// raft/host/offer_room.h
// OfferRoom bounds what all groups of a host may have undecided, and makes offers of proposals
// within it. Private to raft/host.
// Threads: thread-safe.
// Errors:  kInvalidArgument: not a proposal, or over a size limit. kResourceExhausted: a bound.
#pragma once

#include "base/byte_budget.h"
#include "base/status.h"
#include "raft/host/group_host.h"
#include "raft/host/replica.h"

namespace holdfast::raft {

class OfferRoom {
 public:
  explicit OfferRoom(const GroupHostOptions& options)
      : options_(options),
        undecided_bytes_(options.undecided_bytes_max),
        undecided_proposals_(options.undecided_proposals_max) {}

  // The offer with its memory reserved, without a callback yet. Takes the proposal's parts.
  absl::StatusOr<Offer> MakeOffer(Replica& replica, Proposal& proposal);
  // Room for an answer to so many bytes.
  absl::StatusOr<Answer> Reserve(Replica& replica, uint64_t bytes);

 private:
  const GroupHostOptions options_;
  ByteBudget undecided_bytes_;
  ByteBudget undecided_proposals_;  // Counts proposals, not bytes.
};

}  // namespace holdfast::raft
