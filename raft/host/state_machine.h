// raft/host/state_machine.h
// StateMachine is what a group's log is for. The host feeds it every committed command once per
// history, in log order, the same on every replica; it answers with changes to its rows.
// (Raft thesis, 2.1 and 3.8.)
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "raft/core/raft_types.h"
#include "raft/storage/body_key.h"
#include "raft/storage/state_batch.h"

namespace holdfast::raft {

// The views live during the call of Apply() only.
struct CommittedEntry {
  LogIndex index{};
  Term term{};
  std::string_view command;
  // In order of ordinal. They are on disk: Store::ReadBody() finds them.
  std::vector<BodyRef> bodies;
};

// Threads:  owned by the apply context of its group; every method but LiveBodies() is called there,
//           never two at once.
// Lifetime: outlives the host's Stop() and the transport's.
// Errors:   see Apply(). A machine that meets a command that it does not know must end the process
//           (CHECK): skipping it would fork the cluster.
class StateMachine {
 public:
  virtual ~StateMachine() = default;

  // Applies one command by changing `batch`, which several entries in a row may share. May read
  // nothing but the entry and the batch: no clock, no luck, no other group. The answer is the
  // replicated verdict: OK, or a refusal such as kAlreadyExists, which is final and equal on all
  // replicas; it goes to the proposer if the proposal was made on this node. A refusal may have
  // changed the batch. May be called again for the same entry after a restart, never out of order.
  virtual absl::Status Apply(const CommittedEntry& entry, StateBatch& batch) = 0;

  // The batch holding everything up to `last` was written; readers see it from now on.
  virtual void OnCommitted(LogIndex last) = 0;

  // This node began or ceased to lead the group in `term`. Leadership is announced only after the
  // leader's own first entry of the term was applied, so that its rows hold everything committed
  // before. Alternates true, false, true, ...; a loss is announced as soon as it is known, which
  // may be later than another leader's beginning.
  virtual void OnLeaderChange(bool leader, Term term) = 0;

  // Visits the bodies that `rows` (of this machine's kind, perhaps another replica's) keep alive,
  // in an order that the rows decide. Reads nothing else. False from the visitor ends it. Any
  // thread, beside Apply(). kDataLoss: rows that can't be read.
  using BodyVisitor = std::function<bool(const BodyRef&)>;
  virtual absl::Status LiveBodies(const StateReader& rows, const BodyVisitor& visit) const = 0;

  // The group's rows were replaced by another replica's as of `last`: forget everything that was
  // remembered of them. Readers see the new rows. Before the next Apply(), and never while leading.
  virtual void OnSnapshotInstalled(LogIndex last) = 0;
};

}  // namespace holdfast::raft
