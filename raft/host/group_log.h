// raft/host/group_log.h
// GroupLog is what a core sees of its stored log (LogView): bounds and terms in memory, the newest
// entries in a bounded cache, older ones read from the store.
//
// The host tells it what became durable; it never runs ahead of the store, except that a truncation
// counts as soon as it is ordered, so that the core can't ask for what is about to go.
// Threads:  owned by the raft context.
// Lifetime: the store outlives it.
// Errors:   a header that can't be read ends the process: a node that can't read its log can't
// vote. Limits:   the cache holds at most `cache_bytes_max` of commands (and bodies, where kept)
// and
//           kCacheEntriesMax entries, or a single larger entry.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "raft/core/log_view.h"
#include "raft/core/raft_types.h"
#include "raft/storage/store.h"

namespace holdfast::raft {

class GroupLog final : public LogView {
 public:
  static constexpr size_t kCacheEntriesMax = 8192;

  // Finds the terms of the stored log with a few reads.
  static absl::StatusOr<std::unique_ptr<GroupLog>> Open(const Store& store, GroupId group,
                                                        uint64_t cache_bytes_max);

  Initial InitialState() const override;
  LogIndex FirstIndex() const override { return truncated_ + 1; }
  LogIndex LastIndex() const override { return last_; }
  std::optional<Term> TermAt(LogIndex index) const override;
  absl::StatusOr<std::vector<Entry>> Entries(LogIndex low, LogIndex high,
                                             uint64_t bytes_max) const override;
  // What is applied, without contents: those are pulled (snapshot_pull.h). kUnavailable: nothing
  // is.
  absl::StatusOr<Snapshot> LatestSnapshot() const override;

  // `entries` are durable now, and replace what stood there. `keep_bodies`: followers will want
  // their bytes soon.
  void Stored(std::vector<Entry> entries, bool keep_bodies);
  // Headers before `before` are being removed.
  void Truncated(LogIndex before);

  // The state machine's rows, as known by the raft context, are those after entry `index`;
  // `conf_state` when that changed the configuration.
  void Applied(LogIndex index, const std::optional<ConfState>& conf_state);
  // A snapshot replaced the log and the rows: nothing is in the log, which goes on behind `index`.
  void Installed(LogIndex index, Term term, const ConfState& conf_state);

  // Where to truncate, given that entries up to `applied` may go: nullopt while there are not more
  // than `entries_kept` and `bytes_kept` (of commands) behind it, and a quarter.
  std::optional<LogIndex> TruncationDue(LogIndex applied, uint64_t entries_kept,
                                        uint64_t bytes_kept) const;

  const GroupRecord& opened() const { return opened_; }

 private:
  struct TermRun {
    LogIndex first = 0;
    Term term = 0;
  };
  // Bytes of the commands before `index`, counted since the log was opened.
  struct BytesMark {
    LogIndex index = 0;
    uint64_t bytes = 0;
  };

  GroupLog(const Store& store, GroupRecord record, uint64_t cache_bytes_max);
  absl::Status FindTerms();
  absl::StatusOr<Term> ReadTerm(LogIndex index) const;
  void ForgetFrom(LogIndex index);
  void Count(const Entry& entry);
  void ShrinkCache();
  uint64_t CachedBytes(const Entry& entry) const;

  const Store& store_;
  const GroupRecord opened_;
  const uint64_t cache_bytes_max_;

  LogIndex applied_ = 0;
  ConfState conf_state_;  // As of applied_.
  LogIndex truncated_ = 0;
  LogIndex last_ = 0;
  std::vector<TermRun> terms_;  // Ascending; the first covers `truncated_` (or a later start).
  std::deque<Entry> cache_;     // The newest entries without a gap; ends at last_ when not empty.
  uint64_t cache_bytes_ = 0;
  uint64_t command_bytes_ = 0;  // Of all entries counted; see BytesMark.
  std::deque<BytesMark> marks_;
};

}  // namespace holdfast::raft
