// raft/storage/store.h
// Store is the disk of one node: logs, bodies and rows of all its groups in one engine, so that a
// header, its bodies and the hard state are written in one batch and synced at once.
//
// Four things are kept for each group:
//   log    headers: term, type, command, sizes and checksums of the bodies. Truncated from the
//   front
//          once applied, whatever the age of the oldest body.
//   body   the big bytes, one by one, until the state machine deletes them.
//   state  the rows of the state machine, with the applied index, in one batch.
//   meta   hard state, configuration, where the log begins.
//
// What is durable when:
//   Write()       returns after the sync that covers it, if any of its parts asked for one.
//   CommitState() does not sync. The order of all writes is kept across a crash: if a write is
//                 there after recovery, so is every write that returned before it. So rows are
//                 never ahead of the log, and headers removed behind the applied index are never
//                 needed.
//
// Threads:  Write(), Witness(), AddGroup() and Close() on the storage context; NewStateBatch() and
// CommitState()
//           on the apply context; both run beside each other. The rest is thread-safe.
// Lifetime: outlives every reader and batch that it gave.
// Errors:   a write, sync or flush that fails, here or in the background, calls
// StoreOptions::fatal,
//           which ends the process unless a test put something else there; from then on every write
//           answers kUnavailable and nothing is acknowledged any more. (An engine may report
//           success for a later sync after a failed one: cockroachdb#37102.) A full disk is such an
//           error too: the reserve that admission keeps (FreeBytes()) must make it rare, and the
//           process comes back into a state in which admission refuses and the rest goes on.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/strong_id.h"
#include "raft/core/raft_types.h"
#include "raft/storage/body_key.h"
#include "raft/storage/state_batch.h"

namespace holdfast::raft {

// Version of everything a store keeps. A store of another one is refused (kUnimplemented).
//   1  rows stand under their group
//   2  rows stand under their group and a generation, so that a snapshot can be filled in beside
//      the rows in use; the applied mark has its term
inline constexpr uint32_t kStoreFormat = 2;

// Who this store belongs to. Written once, by CreateStore.
struct StoreIdentity {
  std::string cluster_id;  // 1 to 64 characters; NewClusterId() when nobody names one.
  NodeId node;

  bool operator==(const StoreIdentity&) const = default;
};

// A replica at its birth. `incarnation` is never used twice in a group: bodies are kept under it.
struct GroupSeed {
  GroupId group;
  uint64_t incarnation = 1;
  ConfState conf_state;
};

// What a group's replica knew when the store was opened.
struct GroupRecord {
  GroupId group;
  uint64_t incarnation = 0;
  HardState hard_state;
  ConfState conf_state;
  LogIndex applied{};
  Term applied_term{};  // Of the entry at `applied`; 0 at birth.
  // Headers up to here are gone; `truncated_term` is the term of that entry. 0, 0 at birth.
  LogIndex truncated{};
  Term truncated_term{};
  LogIndex last{};  // truncated when the log is empty.
  // Body elision: the highest Payload::elided_by that a Write() carried. A body that should be here
  // and is not may be one that came elided, until everything up to this index is applied.
  LogIndex elided_through{};
};

// A part of Write(): what one group wants durable.
struct LogWrite {
  GroupId group;
  std::optional<HardState> hard_state;
  // Replaces everything from entries.front().index on, together with the bodies there. Must begin
  // at most one behind the last entry (CHECK), and carry the bytes of all bodies that are not
  // elided (Payload::elided_by).
  std::vector<Entry> entries;
  // Forgets headers up to `first - 1`, which must be applied (CHECK).
  std::optional<LogIndex> truncate_before;
  bool must_sync = true;
  // A snapshot takes the place of rows and log: every header goes, `generation` (StateInstall) has
  // the rows from now on, applied and truncated become `index`, and so does the last index unless
  // `entries` follow it. Synced whatever `must_sync` says. The commit index is raised to `index`.
  // At or above the applied index (CHECK). No state batch of the group may be out: one that is
  // committed afterwards fails a CHECK. What it leaves behind goes with CollectGarbage().
  struct Install {
    uint64_t generation = 0;
    LogIndex index{};
    Term term{};  // Of the entry at `index`.
    ConfState conf_state;
    // Bodies of the rows that are not here were ended by an entry up to this one.
    LogIndex elided_through{};
  };
  std::optional<Install> install;
};

// How far the state machine is with a batch.
struct AppliedMark {
  LogIndex index{};
  Term term{};  // Of the entry at index.
  // When the batch applied a change of configuration.
  std::optional<ConfState> conf_state;
};

// One moment of a group's rows, to send to a replica that lags. It pins the files and memtables of
// that moment, so it should not live long.
// Threads:  any, one call at a time.
// Lifetime: may outlive the store, whose files stay open for it.
class StateView {
 public:
  virtual ~StateView() = default;

  // What the rows are the result of.
  struct Mark {
    LogIndex index{};
    Term term{};
    ConfState conf_state;
  };
  virtual const Mark& mark() const = 0;

  struct Row {
    std::string key;
    std::string value;

    bool operator==(const Row&) const = default;
  };
  // The next rows in key order, until keys and values pass `bytes_max`, at least one; none at the
  // end. kDataLoss: a damaged row.
  virtual absl::StatusOr<std::vector<Row>> Next(uint64_t bytes_max) = 0;
};

// A new generation of a group's rows, filled in beside the one in use, which nobody sees until
// LogWrite::install names it, during whose Write() it must live (CHECK). Forgotten without that,
// its rows are garbage. Bodies that came with it stay for a next try to find; that they did is
// written down with them, and once the rows in use are those of the newest such body's entry (the
// log caught up, or another install), they are garbage as far as the rows don't list them. No
// generation is given twice: what is still written to a forgotten one gets nowhere.
// Threads:  any, one call at a time, beside everything else. Writes are not synced: the install is.
// Lifetime: the store outlives it.
// Errors:   as for Store::Write().
class StateInstall {
 public:
  virtual ~StateInstall() = default;

  virtual uint64_t generation() const = 0;
  virtual absl::Status PutRows(const std::vector<StateView::Row>& rows) = 0;
  // Of the group (CHECK). The caller has checked the bytes; the store makes its own checksum.
  virtual absl::Status PutBody(const BodyKey& key, const Body& body) = 0;
  // Reads the rows put so far.
  virtual std::unique_ptr<StateReader> Reader() const = 0;
};

struct StoreCounters {
  uint64_t writes = 0;
  uint64_t syncs = 0;  // Of the log.
  // What those took together that ended.
  absl::Duration sync_time;
  // Waits for the disk for the witness: two each time it is written.
  uint64_t witness_syncs = 0;
  // What the one under way, of either kind, has taken so far; zero: none is.
  absl::Duration sync_running;
  uint64_t body_bytes_written = 0;  // Accepted by Write().
  uint64_t wal_bytes = 0;           // By the engine, since it was opened.
  uint64_t flush_bytes = 0;
  uint64_t compaction_bytes_written = 0;
  // In memory only, apart from the WAL: a flush will write about so much more.
  uint64_t unflushed_bytes = 0;
};

class Store {
 public:
  virtual ~Store() = default;

  virtual const StoreIdentity& identity() const = 0;

  // The groups, in ascending order, as they were when the store was opened or added since.
  virtual std::vector<GroupId> groups() const = 0;
  virtual absl::StatusOr<GroupRecord> LoadGroup(GroupId group) const = 0;
  // Synced. kAlreadyExists.
  virtual absl::Status AddGroup(const GroupSeed& seed) = 0;

  // One batch, at most one sync, in the order given.
  virtual absl::Status Write(const std::vector<LogWrite>& writes) = 0;

  // Headers with low <= index < high, until their EncodedBytes() (bodies counted) pass `bytes_max`,
  // at least one. Bodies come without bytes. kOutOfRange: not all of the range is in the log.
  // kDataLoss: checksum.
  virtual absl::StatusOr<std::vector<Entry>> ReadEntries(GroupId group, LogIndex low, LogIndex high,
                                                         uint64_t bytes_max) const = 0;

  // kNotFound, or kDataLoss when the bytes don't match their checksum: wrong bytes are never given.
  virtual absl::StatusOr<Body> ReadBody(const BodyKey& key) const = 0;
  // Puts the body in the place of a damaged or missing one; synced. The caller has checked that
  // these are its bytes, and that it lives. On the apply context, where nothing ends it meanwhile.
  virtual absl::Status MendBody(const BodyKey& key, const Body& body) = 0;

  virtual std::unique_ptr<StateReader> Reader(GroupId group) const = 0;
  virtual std::unique_ptr<StateBatch> NewStateBatch(GroupId group) = 0;
  // Takes a batch that came from this store. On return readers see it.
  virtual absl::Status CommitState(std::unique_ptr<StateBatch> batch, const AppliedMark& mark) = 0;

  // The group's rows as they are now. On the apply context, so that rows and mark are one moment.
  virtual absl::StatusOr<std::unique_ptr<StateView>> OpenStateView(GroupId group) const = 0;

  // Removes the rows that abandoned installs of the group left: of those begun only the newest can
  // be installed (CHECK). Not while a Write() with another one is under way (CHECK). Any context.
  virtual absl::StatusOr<std::unique_ptr<StateInstall>> BeginInstall(GroupId group) = 0;

  // Installs, done or given up, left rows or bodies behind that can be collected now; also after a
  // restart.
  virtual bool GarbagePending(GroupId group) const = 0;
  // Bodies are among it.
  virtual bool DeadBodiesPending(GroupId group) const = 0;
  // Removes rows of generations that are not in use, and, when they are due, bodies of the entries
  // that installs brought bodies of, and of those before them, that are not in `live` (ascending):
  // the bodies that the rows of some moment keep alive at which DeadBodiesPending() was true
  // already. Without `live` only rows go.
  // None becomes live again, so an old list only keeps too much. Not while an install of the group
  // is being filled in: what it brings might be overlooked. Looks
  // at `steps_max` bodies at most, and at some 16 MiB of them (their bytes are read); true when
  // nothing is left to do. `live` must be ascending (CHECK). On the storage context. Not synced:
  // garbage that comes back after a crash is collected again.
  virtual absl::StatusOr<bool> CollectGarbage(GroupId group,
                                              const std::optional<std::vector<BodyKey>>& live,
                                              size_t steps_max) = 0;

  // Writes down, outside the engine's own files, how far the last synced write went (witness.h).
  // Write() does so by itself when a vote or term changes, and at most once a second otherwise;
  // calling this each second covers the writes before a pause. On the storage context.
  virtual absl::Status Witness() = 0;

  // What the file system under the store has free for us (statvfs), to compare with the reserve.
  virtual absl::StatusOr<uint64_t> FreeBytes() const = 0;
  virtual StoreCounters Counters() const = 0;

  // Syncs what is unsynced and closes; nothing may be called afterwards. The destructor closes
  // without the sync.
  virtual absl::Status Close() = 0;
};

}  // namespace holdfast::raft
