// tests/sim/config_history.h
// ConfigHistory knows who belongs to one group at each of its committed entries: it makes the steps
// of chapter 4 of the thesis once more, by itself, for a checker that does not believe the product.
//
// A change takes effect where it is applied, so two configurations may be in force when an entry
// is committed or a leader elected: the one of the newest change before it, and the one before
// that. Never a third: whoever has a change in its log knows that the one before it is committed,
// and neither campaigns nor proposes before it has applied that.
// Threads: thread-compatible. Pure.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "raft/core/confchange.h"
#include "raft/core/raft_types.h"

namespace holdfast::raft_test {

using raft::ConfState;
using NodeTest = std::function<bool(NodeId)>;

// Those for which `has` holds are a majority, or both of a joint configuration.
bool Decides(const ConfState& conf, const NodeTest& has);
// Equal but for the order in which nodes are listed, and for who leaves a joint configuration.
bool SameMembers(const ConfState& a, const ConfState& b);

class ConfigHistory {
 public:
  explicit ConfigHistory(std::vector<NodeId> first_voters);

  // The next committed entry that changes the configuration. Empty, or what it breaks.
  std::string OnCommitted(const raft::Entry& entry);

  const ConfState& At(raft::LogIndex index) const;
  const ConfState& newest() const { return states_.rbegin()->second; }
  uint64_t changes() const { return states_.size() - 1; }

  // Whether those for which `has` holds may have made entry `index` a committed one.
  bool MayCommit(raft::LogIndex index, const NodeTest& has) const;
  // Whether they may have elected a leader by now.
  bool MayElect(const NodeTest& has) const;

 private:
  std::map<raft::LogIndex, ConfState> states_;  // By the entry that made it; 0: the first one.
};

}  // namespace holdfast::raft_test
