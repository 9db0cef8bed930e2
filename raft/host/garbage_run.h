// raft/host/garbage_run.h
// GarbageRun removes, once, what installs of one group left behind: it asks the state machine which
// bodies live, on the apply context, and goes through the others in slices, on the storage context.
// Private to raft/host.
//
//   std::make_shared<GarbageRun>(parts, group, steps_max, done)->Start();
//
// Threads:  Start() from any; `stopped` is called on both contexts, `done` on either.
// Lifetime: shared, kept alive by its tasks; `parts` live until the contexts have stopped.
// Errors:   logged; `done` hears whether all went well. Limits: SnapshotOptions::garbage_steps.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/context.h"
#include "base/strong_id.h"
#include "raft/host/state_machine.h"
#include "raft/storage/store.h"

namespace holdfast::raft {

class GarbageRun : public std::enable_shared_from_this<GarbageRun> {
 public:
  struct Parts {
    Store& store;
    Context& apply;
    Context& storage;
    const StateMachine& machine;
    std::function<bool()> stopped;  // Nothing more may be done.
  };
  using Done = std::function<void(bool clean)>;

  GarbageRun(Parts parts, GroupId group, size_t steps_max, Done done);
  void Start();

 private:
  void FindLive();
  void CollectSlice();
  void End(const absl::Status& status);

  const Parts parts_;
  const GroupId group_;
  const size_t steps_max_;
  const Done done_;
  // Ascending; nullopt: only rows are to go.
  std::optional<std::vector<BodyKey>> live_;
};

}  // namespace holdfast::raft
