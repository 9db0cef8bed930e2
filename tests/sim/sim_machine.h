// tests/sim/sim_machine.h
// The state machine of the simulation: it keeps a row for each serial, with the bodies that came
// with it, and ends their lives on command. Its commands and rows are text:
//
//   add SERIAL ATTEMPT    keeps the entry's bodies under the serial; a serial that is known is
//                         refused (kAlreadyExists) and the bodies of the refused entry end at once
//   end SERIAL            ends the bodies; the serial stays known. kNotFound when it isn't
//
//   m/SERIAL   "INDEX TERM ATTEMPT [BYTES CRC]..."   alive
//   s/SERIAL   "ATTEMPT"                             ended
//   chain      a hash of all that was applied, verdicts included: equal at equal indexes
//
// Threads: one.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "raft/host/state_machine.h"
#include "raft/storage/state_batch.h"

namespace holdfast::raft_test {

// One command, understood.
struct SimCommand {
  bool add = false;
  uint64_t serial = 0;
  uint64_t attempt = 0;  // Of an add.
};
std::string AddCommand(uint64_t serial, uint64_t attempt);
std::string EndCommand(uint64_t serial);
// Ends the process when it is none.
SimCommand ParseCommand(std::string_view text);

std::string AliveKey(uint64_t serial);
std::string EndedKey(uint64_t serial);
inline constexpr std::string_view kChainKey = "chain";

// An alive row's bodies.
std::vector<raft::BodyRef> BodiesOfRow(GroupId group, std::string_view value);

// What a machine did, for whoever checks it.
struct SimApplied {
  GroupId group;
  raft::LogIndex index = 0;
  raft::Term term = 0;
  std::string command;
  absl::StatusCode verdict = absl::StatusCode::kOk;
  uint64_t chain = 0;
  std::vector<raft::BodyKey> ended;
};

class SimMachine final : public raft::StateMachine {
 public:
  struct Watcher {
    std::function<void(const SimApplied&)> applied;
    std::function<void(GroupId, raft::LogIndex)> committed;
    std::function<void(GroupId, bool, raft::Term)> leader;
    std::function<void(GroupId, raft::LogIndex)> installed;
  };

  SimMachine(GroupId group, const Watcher& watcher) : group_(group), watcher_(watcher) {}

  absl::Status Apply(const raft::CommittedEntry& entry, raft::StateBatch& batch) override;
  void OnCommitted(raft::LogIndex last) override { watcher_.committed(group_, last); }
  void OnLeaderChange(bool leader, raft::Term term) override {
    watcher_.leader(group_, leader, term);
  }
  absl::Status LiveBodies(const raft::StateReader& rows, const BodyVisitor& visit) const override;
  void OnSnapshotInstalled(raft::LogIndex last) override { watcher_.installed(group_, last); }

 private:
  absl::Status Add(const SimCommand& command, const raft::CommittedEntry& entry,
                   raft::StateBatch& batch, SimApplied& done) const;
  absl::Status End(const SimCommand& command, raft::StateBatch& batch, SimApplied& done) const;

  const GroupId group_;
  const Watcher& watcher_;
};

}  // namespace holdfast::raft_test
