// node/submit/submit_path.h
// SubmitPath is how content becomes a message: it puts a submission into a queue group that this
// node leads, as an Enqueue command with its body beside it, or, above one piece, as Chunk commands
// while it arrives and then the Enqueue. A 250 is earned only by a proposal that was committed and
// accepted by apply (GroupHost's promise).
//
// An unknown outcome stays unknown (kDeadlineExceeded): the submission is never offered again here,
// nor to another group. A submission that ends without its Enqueue is abandoned by command, so that
// its chunks go.
//
// What a client offers again without knowing that it was accepted before is answered with the first
// message's id and not stored (node/replay); the chunks of it are abandoned.
//
// Threads:  Begin() from any io thread; a submission stays on its session's thread.
// Lifetime: everything passed outlives it; submissions end before GroupHost::Stop() returns.
// Limits:   Commit() answers within commit_timeout, whatever it waits for.
//           memory_bytes_max over all submissions together, and room on the disk: what SIZE= says,
//           or kUndeclaredBytes, before the content comes, and more while it does
//           (kResourceExhausted, 452).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/byte_budget.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "node/control/policy.h"
#include "node/leader_table.h"
#include "node/node_metrics.h"
#include "node/node_mutation.h"
#include "node/replay/replay_guard.h"
#include "node/submit/node_health.h"
#include "queue/state/queue_types.h"
#include "raft/host/group_host.h"
#include "smtp/server/message_sink.h"

namespace holdfast::node {

class SubmitPath final : public smtp::MessageSink {
 public:
  // ProposeRouter::Propose() outside tests.
  using Proposer =
      std::function<void(GroupId, raft::Proposal, raft::ProposeCallback, absl::Duration until)>;

  struct Parts {
    Proposer propose;
    LeaderTable& leaders;
    const PolicyHolder& policy;
    const Clock& clock;
    NodeMetrics& metrics;
    NodeHealth& health;
    // Null: replays are not looked for.
    ReplayGuard* replays = nullptr;
    // From the final dot to the answer, a question about replays included.
    absl::Duration commit_timeout = absl::Seconds(5);
    NodeMutation mutation = NodeMutation::kNone;
  };

  // `seed`: of what tells the queue ids of two lives apart.
  SubmitPath(const Parts& parts, NodeId node, uint64_t memory_bytes_max, uint64_t seed);

  absl::StatusOr<std::unique_ptr<smtp::Submission>> Begin(
      std::shared_ptr<const smtp::Envelope> envelope) override;
  void Confirmed(const std::string& queue_id) override;
  void Unconfirmed(const std::string& queue_id) override;

  // A new id; for notices too.
  std::string NextQueueId();
  uint64_t memory_used_bytes() const { return memory_.used_bytes(); }

 private:
  friend class GroupSubmission;

  const Parts parts_;
  ByteBudget memory_;
  Mutex mutex_;
  queue::QueueIdGenerator ids_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::node
