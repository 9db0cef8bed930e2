// raft/host/snapshot_intake.h
// SnapshotIntake decides which replica of this node pulls a snapshot now: one at a time, the others
// wait and let their leaders know. It also has the garbage of installs and of pulls that were given
// up collected, when the group is not pulling: rows that are not in use, and bodies that those in
// use don't list.
// Private to raft/host.
//
// Threads:  owned by the raft context. Pulls and collections run elsewhere and come back by the
//           effects.
// Lifetime: what it is given outlives the transport's Stop().
// Errors:   a pull that fails is forgotten: whoever leads offers a snapshot again. A collection
// that
//           fails is logged and waits for the next install or start.
// Limits:   one pull and one collection at a time.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "raft/host/snapshot_options.h"
#include "raft/host/snapshot_pull.h"

namespace holdfast::raft {

// What the intake may cause; each in the raft context.
class IntakeEffects {
 public:
  virtual ~IntakeEffects() = default;
  virtual const StateMachine& MachineOf(GroupId group) = 0;
  // Runs it in the raft context, from any thread.
  virtual void Later(std::function<void()> act) = 0;
  // The replica's TakePulled(), which ends with Over().
  virtual void GivePulled(PulledSnapshot pulled) = 0;
  // Removes the garbage of the group in slices, then calls GarbageCollected().
  virtual void Collect(GroupId group) = 0;
};

class SnapshotIntake {
 public:
  SnapshotIntake(const SnapshotOptions& options, Store& store, Transport& transport,
                 IntakeEffects& effects)
      : options_(options), store_(store), transport_(transport), effects_(effects) {}

  // ReplicaEffects.
  void Want(GroupId group, NodeId from, Term term);
  void Over(GroupId group, bool installed);

  void GarbageCollected(GroupId group, bool clean);

  void Tick(absl::Duration now);
  // Tests only: HostMutation::kKeepAbandonedBodies.
  void KeepAbandoned() { keep_abandoned_ = true; }
  // HostMutation::kForgetRowsOfSnapshot.
  void ForgetRows() { forget_rows_ = true; }
  void Stop();

  // The group's snapshot is being pulled or installed, or waits for that.
  bool Receives(GroupId group) const;
  uint64_t pulls_begun() const { return pulls_begun_; }

 private:
  struct Offer {
    NodeId from;
    Term term = 0;
    uint64_t number = 0;  // First come, first served.
  };
  struct Active {
    GroupId group;
    Offer offer;
    std::shared_ptr<SnapshotPull> pull;
  };
  class WaitingSink;

  void Next();
  void Begin(GroupId group, const Offer& offer);
  void Pulled(uint64_t number, absl::StatusOr<PulledSnapshot>& pulled, const PullCounts& counts);
  void LookForGarbage();
  // Nothing of the group's former pulls holds the store.
  bool Released(GroupId group);
  void SayWaiting();

  const SnapshotOptions options_;
  Store& store_;
  Transport& transport_;
  IntakeEffects& effects_;

  bool stopping_ = false;
  bool keep_abandoned_ = false;
  bool forget_rows_ = false;
  uint64_t pulls_begun_ = 0;
  uint64_t offers_ = 0;
  std::map<GroupId, Offer> waiting_;
  std::optional<Active> active_;
  // Cancelled, and perhaps in the middle of a call.
  std::vector<std::pair<GroupId, std::shared_ptr<SnapshotPull>>> ending_;
  std::set<GroupId> garbage_;
  std::set<GroupId> garbage_kept_;  // Collecting it failed.
  std::optional<GroupId> collecting_;
  absl::Duration next_word_;
  std::map<NodeId, std::shared_ptr<std::atomic<bool>>> asking_;  // Keep-alives under way.
};

}  // namespace holdfast::raft
