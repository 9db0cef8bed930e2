// tests/storage/store_contract.h
// What every Store must do, whatever it is made of: a suite written against raft/storage/store.h. A
// kind of store joins it with a StoreWorld, which knows how to make, reopen and cut the power of
// one, and
//
//   INSTANTIATE_TEST_SUITE_P(RocksDb, StoreContractTest, testing::Values(MakeRocksDbWorld));
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "raft/storage/store.h"

namespace holdfast::raft {

// The place where one store lives. At most one store is open at a time.
class StoreWorld {
 public:
  virtual ~StoreWorld() = default;
  virtual absl::StatusOr<std::unique_ptr<Store>> Create(const StoreIdentity& identity,
                                                        const std::vector<GroupSeed>& groups) = 0;
  virtual absl::StatusOr<std::unique_ptr<Store>> Open() = 0;
  // Forgets what no sync covered. With the store closed (destroyed).
  virtual void CutPower() = 0;
  // Whether its store may be read beside a write. The simulated one has a single thread.
  virtual bool has_threads() const { return true; }
};

using StoreWorldMaker = std::unique_ptr<StoreWorld> (*)();

class StoreContractTest : public testing::TestWithParam<StoreWorldMaker> {
 protected:
  static constexpr GroupId kGroup{3};
  static constexpr GroupId kOtherGroup{4};

  StoreContractTest();

  // Makes the store with both groups.
  void CreateStore();
  // Destroys the store, loses what was not synced if asked to, and opens it again.
  void Reopen(bool cut_power);

  GroupRecord RecordOf(GroupId group) const;
  // Entries [first, ...] of `term`, each with the given bodies.
  static LogWrite Append(GroupId group, LogIndex first, Term term,
                         const std::vector<std::vector<std::string>>& bodies_of_entries);
  void Write(const LogWrite& write);
  // Puts `value` under `key` and marks entries up to `applied` as applied.
  void Commit(GroupId group, LogIndex applied, const std::string& key, const std::string& value);
  // "" when absent.
  std::string Row(GroupId group, const std::string& key) const;
  // The body's bytes, or the name of the status code.
  std::string ReadBody(GroupId group, LogIndex index, Term term, uint32_t ordinal) const;

  std::unique_ptr<StoreWorld> world_;
  std::unique_ptr<Store> store_;
};

// The part of the contract that snapshots rest on; instantiated beside StoreContractTest.
class StoreInstallTest : public StoreContractTest {
 protected:
  // Five entries with two bodies each; the first two are applied, and entry 1's bodies have ended.
  void Begin();
  // The rows of another replica at entry 4 of term 2, which keep 2b and a body that this one lacks.
  std::unique_ptr<StateInstall> Fill();
  static LogWrite InstallOf(const StateInstall& filled, LogIndex index = 4);
  // The bodies that those rows keep.
  static std::vector<BodyKey> Live();
  // Begun, filled with a row and with bodies 0 and 1 of entry `index` of term 2, and given up.
  void GiveUp(LogIndex index);
  // The log brings the group as far as `index`, of term 2, with a body in the last entry.
  void CatchUp(LogIndex index);
  void ExpectBefore();
  void ExpectInstalled();
  // Until nothing is left, so many bodies at a time.
  void Collect(size_t steps_max);
  void Collect(size_t steps_max, const std::vector<BodyKey>& live);
  void ExpectClean();
};

// A payload with its checksum.
Payload MakePayload(std::string bytes);
// The command that Append() gives to an entry.
std::string CommandOf(LogIndex index, Term term);

}  // namespace holdfast::raft
