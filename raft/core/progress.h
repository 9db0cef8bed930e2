// raft/core/progress.h
// What a leader knows about one peer's log, and how eagerly it may send to it.
//
//   kProbe      where the logs agree is unknown: one append, then silence until an answer or the
//               next heartbeat's.
//   kReplicate  they agree up to `match`: appends stream, bounded by the window in flight.
//   kSnapshot   the peer's next entry is compacted; nothing is sent until the snapshot arrived.
//
// Invariant: match < next. Entries in (match, next) are in flight.
// Threads: values, owned by the core. Pure.
#pragma once

#include <cstdint>
#include <deque>

#include "raft/core/raft_types.h"

namespace holdfast::raft {

enum class ProgressState : uint8_t { kProbe = 0, kReplicate = 1, kSnapshot = 2 };

struct InflightLimits {
  uint64_t messages_max = 1;
  uint64_t bytes_max = ~uint64_t{0};
};

// The appends sent to a peer and not answered yet, oldest first.
class Inflights {
 public:
  explicit Inflights(InflightLimits limits) : limits_(limits) {}

  // `last` is the append's last index; they come in rising order. Not when full() (CHECK).
  void Add(LogIndex last, uint64_t bytes);
  // The peer has everything up to `index`.
  void FreeTo(LogIndex index);
  void Clear();

  // A message may carry the window past its bytes, never past its count.
  bool full() const { return sent_.size() >= limits_.messages_max || bytes_ >= limits_.bytes_max; }
  uint64_t messages() const { return sent_.size(); }
  uint64_t bytes() const { return bytes_; }

 private:
  struct Sent {
    LogIndex last;
    uint64_t bytes;
  };
  InflightLimits limits_;
  std::deque<Sent> sent_;
  uint64_t bytes_ = 0;
};

class Progress {
 public:
  Progress(LogIndex next, bool learner, InflightLimits limits);

  LogIndex match() const { return match_; }
  LogIndex next() const { return next_; }
  ProgressState state() const { return state_; }
  LogIndex pending_snapshot() const { return pending_snapshot_; }
  bool learner() const { return learner_; }
  bool recent_active() const { return recent_active_; }
  const Inflights& inflights() const { return inflights_; }

  // Nothing may be sent to this peer for now.
  bool paused() const { return state_ == ProgressState::kSnapshot || flow_paused_; }

  void BecomeProbe();
  void BecomeReplicate();
  void BecomeSnapshot(LogIndex snapshot);
  // The snapshot is known not to have arrived: the next probe must not start behind it.
  void ForgetSnapshot() { pending_snapshot_ = 0; }

  // An append with this many entries left. Not in kSnapshot (CHECK).
  void SentEntries(uint64_t count, uint64_t bytes);
  void SentCommit(LogIndex commit) { sent_commit_ = commit; }
  // Whether telling this commit index could move the peer's: not if one was told already that
  // covers all that it will have.
  bool CanRaiseCommit(LogIndex commit) const {
    return commit > sent_commit_ && sent_commit_ < next_ - 1;
  }

  // The peer acknowledged `index`. False: nothing new.
  bool Acknowledge(LogIndex index);
  // The peer refused an append after `refused`; the logs may agree at `hint`. False: an old
  // message, already answered by what is known.
  bool StepBack(LogIndex refused, LogIndex hint);
  void FreeInflightTo(LogIndex index) { inflights_.FreeTo(index); }

  void PauseFlow() { flow_paused_ = true; }
  void ResumeFlow() { flow_paused_ = false; }
  void set_recent_active(bool active) { recent_active_ = active; }
  void set_learner(bool learner) { learner_ = learner; }

 private:
  void Reset(ProgressState state);

  LogIndex match_ = 0;
  LogIndex next_ = 1;
  LogIndex sent_commit_ = 0;
  ProgressState state_ = ProgressState::kProbe;
  LogIndex pending_snapshot_ = 0;
  bool recent_active_ = false;
  bool flow_paused_ = false;
  bool learner_ = false;
  Inflights inflights_;
};

}  // namespace holdfast::raft
