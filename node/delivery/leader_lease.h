// node/delivery/leader_lease.h
// LeaderLease says whether this node may still be sure that it leads a group: the fence before a
// final dot. A majority that acknowledged something sent at time T will elect nobody else before T
// plus the least election timeout (they withhold votes for so long: pre-vote and check-quorum), so
// until then, less a margin, no other leader attempts this unit. (Raft thesis, 6.4.1.)
//
// The committing of an entry is such an acknowledgement: it was proposed after T. When that is too
// long ago, a read point is asked for, which is another. A leader that handed over, or asked
// another node to take over, has no lease: that node may be elected at once.
//
// Threads:  thread-safe. Lifetime: host and clock outlive it and its callbacks.
// Limits:   one read point at a time for the group; those that wait share the next one. At most one
//           waits for each attempt under way.
#pragma once

#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/strong_id.h"
#include "raft/host/group_host.h"

namespace holdfast::node {

class LeaderLease : public std::enable_shared_from_this<LeaderLease> {
 public:
  using Done = std::function<void(absl::Status)>;
  // GroupHost::Read() and Status().handing_over outside tests.
  struct Parts {
    std::function<void(raft::ReadCallback)> read;
    std::function<bool()> may_rely;
    const Clock& clock;
  };

  // `lifetime`: the least election timeout less a margin; infinite: no other node could lead.
  LeaderLease(Parts parts, absl::Duration lifetime)
      : parts_(std::move(parts)), lifetime_(lifetime) {}

  // Something that was begun at `since` has been committed. OK: the lease holds now. Otherwise
  // kAborted. Calls `done` at once or later, once.
  void Confirm(absl::Duration since, Done done);

 private:
  bool Holds(absl::Duration since) const {
    return parts_.may_rely() && parts_.clock.SinceBoot() < since + lifetime_;
  }
  void AskForAll();
  void OnRead(const absl::StatusOr<raft::ReadPoint>& point);

  const Parts parts_;
  const absl::Duration lifetime_;
  Mutex mutex_;
  std::vector<Done> waiting_ ABSL_GUARDED_BY(mutex_);
  std::vector<Done> asked_ ABSL_GUARDED_BY(mutex_);  // Of the read under way.
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace holdfast::node
