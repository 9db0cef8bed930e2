// raft/core/raft_log.h
// The log as the algorithm sees it: what the LogView says is durable, and behind it the entries (or
// a snapshot) that are not known to be durable yet, wherever they are on their way to the disk.
//
//        first                          stable_to | unstable ...            last
//   ------|----- durable, read by LogView --------|-- handed out --|-- new --|
//              applied <= applying <= committed
//
// Unstable entries win over what the view shows at the same index: a newer leader may have replaced
// entries whose overwriting is still under way. They leave memory only when a write is known to be
// durable and nothing under way can replace it again (StableTo).
// Threads: owned by the core. Pure.
// Errors:  a broken order of the four indexes ends the process.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/status.h"
#include "raft/core/log_view.h"
#include "raft/core/raft_types.h"

namespace holdfast::raft {

struct EntryId {
  LogIndex index = 0;
  Term term = 0;

  bool operator==(const EntryId&) const = default;
};

class RaftLog {
 public:
  // `applying_bytes_max` bounds the entries handed out to be applied and not yet done.
  RaftLog(const LogView& view, uint64_t applying_bytes_max);

  LogIndex first() const;
  LogIndex last() const;
  LogIndex committed() const { return committed_; }
  LogIndex applying() const { return applying_; }
  LogIndex applied() const { return applied_; }
  // The first entry not known to be durable; last() + 1 when all are.
  LogIndex unstable_from() const { return unstable_from_; }
  // The first entry that no AppendTask has carried yet.
  LogIndex unsent_from() const { return unsent_from_; }

  // Of entries in [first() - 1, last()], or of the pending snapshot.
  std::optional<Term> TermAt(LogIndex index) const;
  EntryId LastId() const;
  bool Matches(EntryId id) const { return TermAt(id.index) == std::optional<Term>(id.term); }
  // Whether a log that ends at `other` may lead this one (thesis 3.6.1).
  bool IsUpToDate(EntryId other) const;

  // Entries with low <= index < high, at least one, until they pass `bytes_max`. kOutOfRange: low
  // is compacted.
  absl::StatusOr<std::vector<Entry>> Slice(LogIndex low, LogIndex high, uint64_t bytes_max) const;
  // All from `low` on, as Slice(); empty when low > last().
  absl::StatusOr<std::vector<Entry>> From(LogIndex low, uint64_t bytes_max) const;

  // Leader: appends behind last().
  void Append(std::vector<Entry> entries);
  // Follower: takes a leader's entries that follow `previous` (thesis 3.5). nullopt: the log has
  // something else there. Otherwise the index up to which both logs now match.
  std::optional<LogIndex> TryAppend(EntryId previous, std::vector<Entry> entries);

  // The largest index <= `index` whose term is <= `term` or not known any more, with its term (0 if
  // unknown): where a log that has (index, term) may still agree with this one.
  EntryId FindAgreement(LogIndex index, Term term) const;

  // Never moves back. Beyond last() it ends the process: the log was lost behind our back.
  void CommitTo(LogIndex index);
  // Only entries of `term` may be committed by counting (thesis 3.6.2). True: moved.
  bool TryCommit(EntryId id);

  // Forgets everything: the log begins anew behind the snapshot.
  void Restore(std::shared_ptr<const Snapshot> snapshot);
  bool snapshot_pending() const { return snapshot_ != nullptr; }
  // From a pending snapshot or the view. kUnavailable: not now.
  absl::StatusOr<Snapshot> LatestSnapshot() const;

  // Raises commit and applied to what the previous run left.
  void LoadCommitted(LogIndex committed);
  void LoadApplied(LogIndex applied);

  // --- What Readys hand out ---
  // Entries, and the snapshot, that no AppendTask has carried yet.
  std::vector<Entry> Unsent() const;
  bool has_unsent() const { return unsent_from_ < unstable_from_ + unstable_.size(); }
  std::shared_ptr<const Snapshot> UnsentSnapshot() const;
  bool has_unstable() const { return !unstable_.empty(); }
  // They are under way now.
  void MarkSent();
  // A write is durable, and no other under way can change it.
  void StableTo(EntryId id);
  void StableSnapshotTo(LogIndex index);

  // Committed entries to apply next, within the bound. `unstable_too`: see
  // RaftOptions::apply_unstable.
  bool HasNextCommitted(bool unstable_too) const;
  std::vector<Entry> NextCommitted(bool unstable_too) const;
  void MarkApplying(LogIndex last, uint64_t bytes, bool unstable_too);
  void AppliedTo(LogIndex index, uint64_t bytes);

  // Whether an entry that changes the configuration is committed but not applied.
  bool HasUnappliedConfChange() const;

  // CHECK-fails unless the indexes are in order.
  void CheckInvariants() const;

 private:
  void ReplaceUnstable(std::vector<Entry> entries);
  std::vector<Entry> UnstableSlice(LogIndex low, LogIndex high, uint64_t bytes_max) const;
  LogIndex ApplicableTo(bool unstable_too) const;

  const LogView& view_;
  const uint64_t applying_bytes_max_;

  std::shared_ptr<const Snapshot> snapshot_;  // Not known to be installed yet.
  bool snapshot_sent_ = false;
  std::deque<Entry> unstable_;  // unstable_[i] has index unstable_from_ + i.
  LogIndex unstable_from_;
  LogIndex unsent_from_;

  LogIndex committed_;
  LogIndex applying_;
  LogIndex applied_;
  uint64_t applying_bytes_ = 0;
  bool applying_paused_ = false;
};

}  // namespace holdfast::raft
