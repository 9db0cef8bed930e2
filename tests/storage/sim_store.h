// tests/storage/sim_store.h
// A Store (raft/storage/store.h) on a SimDisk: the contract of the RocksDB store without files,
// threads or time of its own, so that a simulation can stop it at every step and look into it. It
// passes the same contract suite.
//
// It keeps the freedoms that the real one takes: a tail that is replaced within one Write() is
// written before the rest, rows are not synced, the witness lags by `witness_interval`.
// Threads:  thread-compatible: all contexts are one thread here.
// Lifetime: disk and clock outlive the store, its readers and its batches.
// Errors:   a failed step of the disk calls `fatal` once and makes every later write fail.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "raft/storage/store.h"
#include "tests/storage/sim_disk.h"

namespace holdfast::raft {

struct SimStoreOptions {
  absl::Duration witness_interval = absl::Seconds(1);
  // As StoreOptions::fatal; null: nobody is told.
  std::function<void(const std::string&)> fatal;
  // What a Write() put into the log; before its sync.
  std::function<void(const std::vector<LogWrite>&)> written;
  const Clock* clock = nullptr;  // Required.
};

// kAlreadyExists, kInvalidArgument, kUnavailable.
absl::StatusOr<std::unique_ptr<Store>> CreateSimStore(SimDisk& disk, const SimStoreOptions& options,
                                                      const StoreIdentity& identity,
                                                      const std::vector<GroupSeed>& groups);
// kNotFound: nothing (finished) there. kDataLoss: less than the witness names, or damaged.
absl::StatusOr<std::unique_ptr<Store>> OpenSimStore(SimDisk& disk, const SimStoreOptions& options);

// Reads the generation in use at each call.
std::unique_ptr<StateReader> NewSimReader(const SimDisk& disk, GroupId group);
// Reads one generation, in use or not.
std::unique_ptr<StateReader> NewSimReader(const SimDisk& disk, GroupId group, uint64_t generation);

std::unique_ptr<StateView> NewSimView(std::shared_ptr<const SimRows> rows, StateView::Mark mark);
// `failed` hears of the first step that fails, `ended` of the install's end.
std::unique_ptr<StateInstall> NewSimInstall(SimDisk& disk, GroupId group, uint64_t incarnation,
                                            uint64_t generation,
                                            std::function<void(const absl::Status&)> failed,
                                            std::function<void()> ended);

// The batch of a SimStore.
class SimBatch final : public StateBatch {
 public:
  SimBatch(const SimDisk& disk, GroupId group, uint64_t incarnation, uint64_t generation)
      : disk_(disk), group_(group), incarnation_(incarnation), generation_(generation) {}

  absl::StatusOr<std::optional<std::string>> Get(std::string_view key) const override;
  absl::StatusOr<ScanEnd> Scan(std::string_view from, std::string_view to, size_t rows_max,
                               const Visitor& visitor) const override;
  void Put(std::string_view key, std::string_view value) override;
  void Delete(std::string_view key) override;
  void DeleteBody(const BodyKey& key) override;
  GroupId group() const override { return group_; }
  size_t bytes() const override { return bytes_; }

  uint64_t generation() const { return generation_; }
  // Everything that the batch changes, once.
  std::vector<SimChange> TakeChanges();

 private:
  const SimDisk& disk_;
  const GroupId group_;
  const uint64_t incarnation_;
  const uint64_t generation_;
  std::map<std::string, std::optional<std::string>, std::less<>> rows_;
  std::vector<BodyKey> dead_bodies_;
  size_t bytes_ = 0;
};

}  // namespace holdfast::raft
