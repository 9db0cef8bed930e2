// tests/raft/sim_checker.h
// SimChecker watches a simulated group from outside and knows what no member may do (thesis figure
// 3.2): one leader per term; log matching; leader completeness; what was committed never changes;
// and commit implies that a quorum has the entry on disk. It also checks reads: none is older than
// what anybody had seen committed when it was asked.
// Threads: thread-compatible. Errors: the first violation sticks in error().
#pragma once

#include <map>
#include <string>
#include <vector>

#include "raft/core/raft_core.h"
#include "raft/core/raft_types.h"
#include "tests/raft/memory_log.h"

namespace holdfast::raft_test {

class SimChecker {
 public:
  const std::string& error() const { return error_; }
  void Fail(const std::string& what);

  // A node took the lead; `log` answers for everything that it may read, durable or not.
  void OnLeader(NodeId node, raft::Term term, const MemoryLog& log);
  // A node's disk got an entry behind one of term `previous_term`.
  void OnStored(NodeId node, raft::Term previous_term, const raft::Entry& entry);
  // A leader says that `commit` is committed; these are the disks of the whole group.
  void OnCommit(const raft::CoreStatus& leader, const std::map<NodeId, const MemoryLog*>& disks);
  // `term` is the node's own at that time: the entry was committed in it or an earlier one.
  void OnApplied(NodeId node, raft::Term term, const raft::Entry& entry);
  void OnRead(raft::LogIndex committed_when_asked, raft::LogIndex answer);

  // The highest index that any node has applied.
  raft::LogIndex committed() const { return committed_.empty() ? 0 : committed_.rbegin()->first; }

 private:
  struct Known {
    raft::Term previous_term;
    raft::Entry entry;
  };

  std::string error_;
  std::map<raft::Term, NodeId> leaders_;
  // By (index, term): two entries that agree in these agree in everything before them too.
  std::map<std::pair<raft::LogIndex, raft::Term>, Known> stored_;
  struct Committed {
    raft::Entry entry;
    // It was committed in this term or an earlier one. Leaders of later terms must have it (thesis
    // 3.6.3). One of an earlier term need not: votes that were long under way can still make it a
    // leader, and it will find out.
    raft::Term by_term = 0;
  };

  std::map<raft::LogIndex, Committed> committed_;
  std::map<raft::LogIndex, raft::Term> commit_terms_;  // Commit index of a leader: its term.
  raft::LogIndex checked_commit_ = 0;
};

}  // namespace holdfast::raft_test
