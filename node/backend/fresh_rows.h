// node/backend/fresh_rows.h
// FreshRows makes sure that this node's rows of queue groups show everything that was committed
// when it was asked, though others lead them: it asks each leader for a read index and waits until
// that is applied here (ReadIndex, Raft thesis 6.4). Without it a node that just came back, or is
// cut off, would show an operator, and act on, the queue of a while ago.
//
//   for (const LateGroup& late : fresh.Wait(groups, absl::Seconds(2))) ... say so, or refuse ...
//
// Threads:  Wait() blocks its thread, at most for the timeout; from any. While four wait already,
//           another waits for a quarter of a second at most: that is long where all is well.
// Lifetime: what Parts refers to outlives Wait(). Answers may come later, and touch nothing of it.
// Limits:   two open questions to others for each group and wait; where this node leads without a
//           majority, ten reads of its host. A leader that is silent for half a second
//           is asked again, or whoever leads by then; who refuses or is missing, after 50 ms.
// Errors:   a leader of an older build does not know the question: its groups count as fresh, as
//           far as this node's rows go.
#pragma once

#include <absl/time/time.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "base/strong_id.h"
#include "node/peers/propose_router.h"
#include "proto/peer_call.pb.h"
#include "raft/host/group_host.h"

namespace holdfast::node {

struct LateGroup {
  GroupId group;
  std::string reason;  // For people: "nobody leads it".
};

class FreshRows {
 public:
  // GroupHost::Read().
  using GroupRead = std::function<void(GroupId, raft::ReadCallback, raft::PointCallback)>;
  using PeerCall = std::function<void(NodeId, std::string, absl::Duration,
                                      std::function<void(absl::StatusOr<std::string>)>)>;
  struct Parts {
    GroupRead read;
    std::function<raft::LogIndex(GroupId)> applied;
    std::function<KnownLeader(GroupId)> leader_of;
    // Transport::Call(). Null: there are no other nodes.
    PeerCall call;
    const Clock& clock;
    NodeId self;
  };

  explicit FreshRows(Parts parts) : parts_(std::move(parts)) {}
  static FreshRows Of(NodeId self, raft::GroupHost& host,
                      std::function<KnownLeader(GroupId)> leader_of, PeerCall call,
                      const Clock& clock);

  // The groups of `groups` that may still lack something, in their order. Empty: all are fresh.
  std::vector<LateGroup> Wait(const std::vector<GroupId>& groups, absl::Duration timeout) const;

 private:
  class Points;
  using PointOrWhy = absl::StatusOr<raft::LogIndex>;

  void Ask(GroupId group, absl::Duration timeout, std::function<void(PointOrWhy)> set) const;
  // Of each group, in the order of `groups`: asks until there are all, or no time is left.
  std::vector<PointOrWhy> FindPoints(const std::vector<GroupId>& groups,
                                     absl::Duration until) const;

  const Parts parts_;
  // How many wait now; shared by copies.
  std::shared_ptr<std::atomic<int>> waiting_ = std::make_shared<std::atomic<int>>(0);
};

// Answers another node's question, of a group that is led here.
void AnswerReadPoint(raft::GroupHost& host, GroupId group,
                     std::function<void(absl::StatusOr<peer_call::Answer>)> reply);

}  // namespace holdfast::node
