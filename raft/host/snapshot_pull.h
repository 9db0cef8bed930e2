// raft/host/snapshot_pull.h
// SnapshotPull brings one group's snapshot here from the peer that offered it: first the rows, into
// a generation beside the one in use, then those bodies that the rows keep alive and that this
// store lacks. What it fetched of bodies stays when it fails, so the next pull finds it: that is
// how a pull is resumed.
//
//   auto pull = std::make_shared<SnapshotPull>(parts, options, group, source, done);
//   pull->Start();   // ... done(PulledSnapshot) or done(status), once; never after Cancel()
//
// Threads:  Start(), Cancel() and released() from any; the work is done on the transport's threads,
//           one call at a time, and so is `done`.
// Lifetime: shared, kept alive by the transport. Store, machine and transport outlive the
//           transport's Stop().
// Errors:   any error of the peer, the network or the store ends the pull; kDataLoss: bytes that
//           don't match their checksum; kInvalidArgument: an answer against the rules.
// Limits:   SnapshotOptions.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "base/strong_id.h"
#include "raft/host/snapshot_codec.h"
#include "raft/host/snapshot_options.h"
#include "raft/host/state_machine.h"
#include "raft/storage/store.h"
#include "raft/transport/transport.h"

namespace holdfast::raft {

// Rows and bodies are in the store, and nobody sees them yet.
struct PulledSnapshot {
  GroupId group;
  NodeId source;
  StateView::Mark mark;
  // Bodies may be lacking that end at or before this entry.
  LogIndex elided_through = 0;
  std::shared_ptr<StateInstall> install;
};

// For logs and tests.
struct PullCounts {
  uint64_t rows = 0;
  uint64_t bodies_kept = 0;  // They were here already.
  uint64_t bodies_fetched = 0;
  uint64_t bodies_elided = 0;
  uint64_t body_bytes_fetched = 0;
};

class SnapshotPull : public std::enable_shared_from_this<SnapshotPull> {
 public:
  struct Parts {
    Store& store;
    Transport& transport;
    const StateMachine& machine;
    bool forget_rows = false;  // HostMutation::kForgetRowsOfSnapshot.
  };
  using Done = std::function<void(absl::StatusOr<PulledSnapshot>, const PullCounts&)>;

  SnapshotPull(const Parts& parts, const SnapshotOptions& options, GroupId group, NodeId source,
               Done done);

  void Start();
  // Nothing is fetched or written from now on, but for a call that is running.
  void Cancel();
  // After Cancel(): the generation is let go, also by who was given it in the same moment, and
  // another pull of the group may begin.
  bool released() const;

 private:
  class RowSink;
  class BodySink;
  class Call;

  // Each answers what became of the fetch; called within a Call.
  absl::Status TakeMark(const StateView::Mark& mark);
  absl::Status TakeRows(const std::vector<StateView::Row>& rows);
  absl::Status TakeBody(const BodyRef& ref, std::string bytes);
  absl::Status TakeElided(const BodyRef& ref, LogIndex by);
  // The next request, or the end.
  void FetchBodies();
  // Fills missing_ with what comes next in the order of LiveBodies().
  absl::Status FindMissing();
  absl::StatusOr<bool> Have(const BodyRef& ref) const;
  void Finish(absl::Status status);
  bool cancelled() const { return cancelled_.load(std::memory_order_acquire); }
  SnapshotLimits Limits() const;

  const Parts parts_;
  const SnapshotOptions options_;
  const GroupId group_;
  const NodeId source_;

  mutable Mutex mutex_;
  // Two for a moment, when a fetch begins before the call that asked for it has returned.
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;
  bool released_ ABSL_GUARDED_BY(mutex_) = false;
  std::weak_ptr<StateInstall> given_ ABSL_GUARDED_BY(mutex_);  // To `done`.
  std::atomic<bool> cancelled_{false};                         // Written under mutex_.

  // Owned by the newest call that runs, or by Cancel() when none does.
  Done done_;
  PulledSnapshot pulled_;
  PullCounts counts_;
  std::string last_key_;
  std::vector<BodyRef> missing_;
  uint64_t looked_at_ = 0;  // Bodies, in the order of LiveBodies().
  bool all_looked_at_ = false;
};

}  // namespace holdfast::raft
