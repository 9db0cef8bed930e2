// tests/raft/sim_node.h
// SimNode is one member of a simulated group: a core, a disk that loses what was not synced, and a
// state machine whose stored state lags behind, as a real one's does.
// Threads: thread-compatible. Lifetime: the checker outlives it.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "raft/core/raft_core.h"
#include "tests/raft/memory_log.h"
#include "tests/raft/sim_checker.h"

namespace holdfast::raft_test {

class SimNode {
 public:
  // `initial` is the configuration at index 1, from which the group begins; a node that is to join
  // later begins empty.
  SimNode(const raft::RaftOptions& options, const raft::ConfState& initial, SimChecker& checker);

  bool running() const { return core_ != nullptr; }
  raft::RaftCore& core() { return *core_; }
  NodeId id() const { return options_.id; }
  const MemoryLog& disk() const { return disk_; }
  raft::LogIndex applied() const { return applied_; }
  uint64_t state_hash() const { return state_hash_; }
  bool busy() const { return !writes_.empty() || !applies_.empty() || core_->HasReady(); }

  // Takes a Ready: queues its work and answers with the messages that leave at once.
  std::vector<raft::Message> TakeReady();
  // The disk finishes its oldest write. What that releases.
  std::vector<raft::Message> FinishWrite();
  // The state machine applies its oldest task.
  void FinishApply();
  // Stores the state machine's state and forgets the log below it.
  void Compact(uint64_t keep);
  // Asks for a read; a later Ready answers it.
  void Read(uint64_t number);

  // Loses memory, and of what was not synced all but a random beginning.
  void Crash(Random& luck);
  void Restart(uint64_t seed);

 private:
  void Open();
  void ToDisk(const raft::AppendTask& task);
  void InstallInMachine(const raft::Snapshot& snapshot);
  void ApplyEntry(const raft::Entry& entry);
  // What the state machine has applied is what followers may get as a snapshot.
  void OfferSnapshot();

  struct Mark {
    uint64_t hash = 0;
    raft::ConfState conf_state;
  };

  raft::RaftOptions options_;
  SimChecker& checker_;
  MemoryLog disk_;                   // What survives a crash.
  std::unique_ptr<MemoryLog> view_;  // What the core reads: disk_ and writes that need no sync.
  std::unique_ptr<raft::RaftCore> core_;
  std::deque<raft::AppendTask> writes_;
  std::vector<raft::AppendTask> unsynced_;  // Finished, but a crash may undo them.
  std::deque<raft::ApplyTask> applies_;
  std::map<uint64_t, raft::LogIndex> reads_;  // What was committed when they were asked.

  raft::LogIndex applied_ = 0;
  uint64_t state_hash_ = 0;
  raft::LogIndex stored_applied_ = 0;     // Of the stored state machine.
  std::map<raft::LogIndex, Mark> marks_;  // The state machine at each index since then.
};

}  // namespace holdfast::raft_test
