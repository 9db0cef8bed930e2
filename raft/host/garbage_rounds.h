// raft/host/garbage_rounds.h
// GarbageRounds has the store collect what an install of a snapshot left behind, in slices, so that
// no group's writes wait for more than one of them. Private to raft/host.
// Threads:  Collect() and Stop() from any; the rows are looked at on the apply context, the slices
//           run on the storage context, as does `done` mostly.
// Lifetime: shared, kept alive by its tasks; store and machines outlive those that do something.
// Errors:   logged (event=garbage_kept); what is left waits for the next start.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "base/context.h"
#include "raft/host/snapshot_options.h"
#include "raft/host/state_machine.h"
#include "raft/storage/store.h"

namespace holdfast::raft {

class GarbageRounds : public std::enable_shared_from_this<GarbageRounds> {
 public:
  GarbageRounds(Store& store, Context& apply, Context& storage, const SnapshotOptions& options)
      : store_(store), apply_(apply), storage_(storage), options_(options) {}

  // `done`: nothing is left to do, or it failed. Not called after Stop().
  void Collect(GroupId group, const StateMachine& machine, std::function<void()> done);
  void Stop() { stopped_ = true; }

 private:
  struct Round;
  void Begin(const std::shared_ptr<Round>& round, const StateMachine& machine);
  void CollectSlice(const std::shared_ptr<Round>& round);
  static void Fail(const Round& round, const absl::Status& status);

  Store& store_;
  Context& apply_;
  Context& storage_;
  const SnapshotOptions options_;
  std::atomic<bool> stopped_{false};
};

}  // namespace holdfast::raft
