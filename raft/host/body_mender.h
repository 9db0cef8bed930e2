// raft/host/body_mender.h
// BodyMender fetches single bodies that are damaged or missing here from the group's other members,
// one after the other, and puts them back: checked against the size and checksum that log or rows
// name, synced, and only while the body lives. It goes through the fetches of snapshots
// (BodiesRequest), so that pieces, rate and places are bounded there.
//
// Threads:  thread-safe. Fetches go on on the transport's threads; what is found is written on the
//           apply context, where `done` runs then, else on the thread that learnt the outcome or in
//           the call.
// Lifetime: shared, kept alive by its fetches and tasks. Store, transport, contexts and machines
//           outlive the transport's Stop().
// Errors:   of `done`:
//             OK                  the body is here
//             kNotFound           lost: each other member answered, and none has it
//             kUnavailable        a member could not be asked: try again
//             kAborted            it ended meanwhile
//             kResourceExhausted  BodyMenderOptions::bodies_max are being fetched: try again
//             kCancelled          Stop()
//           A store that can't write: as Store::Write().
// Limits:   bodies_max at a time, each at most SnapshotOptions::record_bytes_max; what failed is
// not
//           asked for again before `pause` is over, but answered with the same.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/strong_id.h"
#include "raft/host/snapshot_options.h"
#include "raft/host/state_machine.h"
#include "raft/storage/store.h"
#include "raft/transport/transport.h"

namespace holdfast::raft {

// Bodies since the start.
struct MendCounts {
  uint64_t mended = 0;
  uint64_t lost = 0;  // Findings: the same body counts each time that it is looked for in vain.
};

class BodyMender : public std::enable_shared_from_this<BodyMender> {
 public:
  struct Parts {
    Store& store;
    Transport& transport;
    Context& apply;
    const Clock& clock;
    // The group's other members, those first that are likely to have all. Any thread.
    std::function<std::vector<NodeId>(GroupId)> members;
    // nullptr: no such group.
    std::function<const StateMachine*(GroupId)> machine;
  };
  using Done = std::function<void(const absl::Status&)>;
  // On the apply context: whether the body still lives. Asked if it is missing; one that is damaged
  // or can't be read does, for its end would have removed it.
  using Wanted = std::function<bool()>;

  BodyMender(Parts parts, const SnapshotOptions& options)
      : parts_(std::move(parts)), options_(options) {}

  // `wanted` may be null: mended only if something of no use stands in its place. `done` may be
  // null.
  void Mend(const BodyRef& ref, Wanted wanted, Done done);
  // The same for a damaged body of which only the key is known: log or rows name the rest. May read
  // all rows.
  void MendKey(const BodyKey& key);
  void Stop();

  MendCounts counts() const { return {mended_.load(), lost_.load()}; }

 private:
  struct Waiter {
    Wanted wanted;
    Done done;
  };
  // Of one body. Its fetches come one after the other; `waiters` is guarded by mutex_.
  struct Job {
    BodyRef ref;
    std::vector<NodeId> members;
    size_t next = 0;
    bool unknown = false;  // A member gave no answer.
    std::vector<Waiter> waiters;
  };
  struct Failure {
    absl::Duration until;  // Clock::SinceBoot().
    absl::Status status;
  };
  class Sink;

  // True when the answer is known, or others will hear it.
  bool Join(const BodyKey& key, Waiter& waiter);
  absl::StatusOr<BodyRef> FindRef(const BodyKey& key) const;
  void AskNext(const std::shared_ptr<Job>& job);
  void Heard(const std::shared_ptr<Job>& job, const absl::Status& answer, LogIndex elided_by,
             std::string bytes);
  // On the apply context.
  absl::Status PutBack(Job& job, std::string bytes, NodeId from);
  void Finish(const std::shared_ptr<Job>& job, const absl::Status& status);

  const Parts parts_;
  const SnapshotOptions options_;
  std::atomic<uint64_t> mended_{0};
  std::atomic<uint64_t> lost_{0};

  Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<BodyKey, std::shared_ptr<Job>> jobs_ ABSL_GUARDED_BY(mutex_);
  std::map<BodyKey, Failure> failures_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::raft
