// tests/storage/sim_disk.h
// SimDisk is the disk under a SimStore: what one node keeps across crashes, in memory. It knows
// what a write-ahead log promises and no more: batches are kept in order and whole, a sync covers
// all before it, and a power cut keeps everything synced and some prefix of what was not.
//
// Two images are kept: what a reader sees now, and what survives whatever happens next. A checker
// compares promises with the latter.
//
// Faults: FailAt() makes one step from now the last: it and everything after it fails until
// CutPower(), with or without the effect of that step. That is a crash between any two steps, and a
// disk that refuses, in one.
// Threads: thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/random.h"
#include "base/status.h"
#include "base/strong_id.h"
#include "raft/core/raft_types.h"
#include "raft/storage/body_key.h"
#include "raft/storage/store.h"

namespace holdfast::raft {

struct SimBody {
  Body bytes;
  uint32_t crc32c = 0;
};

using SimRows = std::map<std::string, std::string, std::less<>>;

// Whoever keeps the rows sees them as they were then: a change copies them first if somebody does.
// Most of a simulation's time was spent on copies for readers that were soon done.
class SimSharedRows {
 public:
  const SimRows& operator*() const { return *rows_; }
  std::shared_ptr<const SimRows> Keep() const { return rows_; }
  SimRows& ForChange() {
    if (rows_.use_count() > 1) rows_ = std::make_shared<SimRows>(*rows_);
    return *rows_;
  }

 private:
  std::shared_ptr<SimRows> rows_ = std::make_shared<SimRows>();
};

// What the disk holds of one group.
struct SimGroup {
  GroupRecord record;
  std::map<LogIndex, Entry> log;                           // Bodies without bytes.
  std::map<std::pair<uint64_t, BodyKey>, SimBody> bodies;  // By the replica's incarnation.
  std::map<uint64_t, SimSharedRows> rows;                  // By generation.
  uint64_t generation = 1;                                 // The one in use.
  // Installs, done or given up, may have left bodies up to here that nothing lists.
  std::optional<LogIndex> garbage_through;
  // A record of log or hard state does not have its checksum any more.
  bool damaged = false;

  const SimRows& current_rows() const { return *KeepRows(generation); }
  std::shared_ptr<const SimRows> KeepRows(uint64_t of_generation) const;
};

struct SimImage {
  std::optional<StoreIdentity> identity;
  std::map<GroupId, SimGroup> groups;
  uint64_t write_number = 0;
};

// One change of an image.
struct SimPutIdentity {
  StoreIdentity identity;
};
struct SimPutNumber {
  uint64_t write_number = 0;
};
// Also founds the group.
struct SimPutRecord {
  GroupRecord record;
};
struct SimPutHeader {
  GroupId group;
  Entry entry;
};
struct SimDropHeader {
  GroupId group;
  LogIndex index = 0;
};
struct SimPutBody {
  uint64_t incarnation = 0;
  BodyKey key;
  SimBody body;
};
struct SimDropBody {
  uint64_t incarnation = 0;
  BodyKey key;
};
struct SimPutRow {
  GroupId group;
  uint64_t generation = 0;
  std::string key;
  std::string value;
};
struct SimDropRow {
  GroupId group;
  uint64_t generation = 0;
  std::string key;
};
struct SimDropRows {
  GroupId group;
  uint64_t generation = 0;
};
struct SimUseGeneration {
  GroupId group;
  uint64_t generation = 0;
};
struct SimPutGarbage {
  GroupId group;
  std::optional<LogIndex> through;
};
using SimChange = std::variant<SimPutIdentity, SimPutNumber, SimPutRecord, SimPutHeader,
                               SimDropHeader, SimPutBody, SimDropBody, SimPutRow, SimDropRow,
                               SimDropRows, SimUseGeneration, SimPutGarbage>;

class SimDisk {
 public:
  // Steps: each may be a process's last.
  absl::Status Write(std::vector<SimChange> batch);
  absl::Status Sync();
  // Durable at once, old or new after a crash.
  absl::Status PutWitness(uint64_t durable_write);

  const SimImage& now() const { return now_; }
  const SimImage& durable() const { return durable_; }
  std::optional<uint64_t> witness() const { return witness_; }
  size_t unsynced() const { return unsynced_.size(); }
  uint64_t steps() const { return steps_; }

  // The step that comes after `steps` more fails, and all behind it. With `takes_effect` that step
  // itself is done on the disk, though nobody hears so.
  void FailAt(uint64_t steps, bool takes_effect);
  // Nothing that was to fail once does.
  void DontFail();
  bool failed() const { return failed_; }

  // Ends a failure. Keeps what was synced and the oldest `kept` batches of what was not.
  void CutPower(size_t kept);
  void CutPower(Random& luck) { CutPower(luck.Below(unsynced_.size() + 1)); }

  // The synced state becomes `earlier`; the witness stays. Loss that no power cut explains.
  void LoseSynced(const SimImage& earlier);
  void LoseWitness() { witness_.reset(); }
  // Flips a bit of the body, without its checksum noticing. kNotFound.
  absl::Status DamageBody(uint64_t incarnation, const BodyKey& key);
  // Flips a bit of the group's log or hard state, without their checksums noticing: whoever opens
  // the store finds it.
  void DamageGroup(GroupId group);
  // The next sync fails without effect, and all behind it until CutPower(). `for_good`: so it is
  // after each CutPower() too.
  void FailSyncs(bool for_good);
  // Tests of tests: syncs answer OK and do nothing.
  void PretendSyncs(bool pretend) { pretend_syncs_ = pretend; }

 private:
  // Counts a step. nullopt: go on. Otherwise it fails, and `true` means with its effect.
  std::optional<bool> FailsNow();

  SimImage now_;
  SimImage durable_;
  std::deque<std::vector<SimChange>> unsynced_;
  std::optional<uint64_t> witness_;
  uint64_t steps_ = 0;
  std::optional<uint64_t> steps_left_;
  bool last_takes_effect_ = false;
  bool failed_ = false;
  bool pretend_syncs_ = false;
  enum class Syncs { kWork, kFailOnce, kFail };
  Syncs syncs_ = Syncs::kWork;
};

}  // namespace holdfast::raft
