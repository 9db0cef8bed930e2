// tests/raft/memory_log.h
// A LogView over memory, with the writes that a store would do. What was written is durable at
// once; tests that lose unsynced writes hold the tasks back themselves.
// Threads: thread-compatible. Errors: gaps and writes below the log's beginning CHECK-fail.
#pragma once

#include <vector>

#include "raft/core/log_view.h"
#include "raft/core/raft_core.h"
#include "raft/core/raft_types.h"

namespace holdfast::raft_test {

class MemoryLog final : public raft::LogView {
 public:
  Initial InitialState() const override { return {hard_state_, conf_state_}; }
  raft::LogIndex FirstIndex() const override { return compacted_.index + 1; }
  raft::LogIndex LastIndex() const override { return compacted_.index + entries_.size(); }
  std::optional<raft::Term> TermAt(raft::LogIndex index) const override;
  absl::StatusOr<std::vector<raft::Entry>> Entries(raft::LogIndex low, raft::LogIndex high,
                                                   uint64_t bytes_max) const override;
  absl::StatusOr<raft::Snapshot> LatestSnapshot() const override;

  // Does what the task says: snapshot, entries, hard state.
  void Write(const raft::AppendTask& task);
  void Append(const std::vector<raft::Entry>& entries);
  // The log begins anew behind the snapshot.
  void Install(const raft::Snapshot& snapshot);
  // Forgets entries up to `index`. kOutOfRange: they are forgotten already.
  absl::Status CompactTo(raft::LogIndex index);

  void set_hard_state(const raft::HardState& state) { hard_state_ = state; }
  void set_conf_state(const raft::ConfState& state) { conf_state_ = state; }
  // What LatestSnapshot() answers with; kUnavailable while there is none.
  void set_latest_snapshot(const raft::Snapshot& snapshot) { latest_ = snapshot; }
  const raft::HardState& hard_state() const { return hard_state_; }
  const raft::ConfState& conf_state() const { return conf_state_; }
  const std::vector<raft::Entry>& entries() const { return entries_; }

 private:
  struct Position {
    raft::LogIndex index = 0;
    raft::Term term = 0;
  };
  raft::HardState hard_state_;
  raft::ConfState conf_state_;
  Position compacted_;
  std::vector<raft::Entry> entries_;
  raft::Snapshot latest_;
};

}  // namespace holdfast::raft_test
