#include "tests/raft/sim_checker.h"

#include <algorithm>

#include "raft/core/quorum.h"
#include "tests/raft/describe.h"

namespace holdfast::raft_test {

using raft::Entry;
using raft::LogIndex;
using raft::Term;

void SimChecker::Fail(const std::string& what) {
  if (error_.empty()) error_ = what;
}

void SimChecker::OnLeader(NodeId node, Term term, const MemoryLog& log) {
  auto [found, fresh] = leaders_.try_emplace(term, node);
  if (!fresh && found->second != node) {
    Fail(format("two leaders in term {}: {} and {}", term, found->second.value(), node.value()));
  }
  if (!fresh) return;
  for (const auto& [index, committed] : committed_) {
    if (index < log.FirstIndex() || committed.by_term >= term) continue;
    if (log.TermAt(index) != std::optional<Term>(committed.entry.term)) {
      Fail(format("leader {} of term {} lacks {}, committed by term {}", node.value(), term,
                  Describe(committed.entry), committed.by_term));
    }
  }
}

void SimChecker::OnStored(NodeId node, Term previous_term, const Entry& entry) {
  auto [found, fresh] = stored_.try_emplace({entry.index, entry.term}, Known{previous_term, entry});
  if (fresh) return;
  if (found->second.entry != entry || found->second.previous_term != previous_term) {
    Fail(format("node {} has {} behind term {}; elsewhere {} stands behind term {}", node.value(),
                Describe(entry), previous_term, Describe(found->second.entry),
                found->second.previous_term));
  }
}

void SimChecker::OnCommit(const raft::CoreStatus& leader,
                          const std::map<NodeId, const MemoryLog*>& disks) {
  const LogIndex commit = leader.hard_state.commit;
  if (commit <= checked_commit_ || !stored_.contains({commit, leader.hard_state.term})) return;
  checked_commit_ = commit;
  commit_terms_.emplace(commit, leader.hard_state.term);
  std::map<NodeId, bool> durable;
  for (const auto& [node, disk] : disks) {
    durable[node] = disk->TermAt(commit) == std::optional<Term>(leader.hard_state.term) ||
                    disk->FirstIndex() > commit;
  }
  const raft::ConfState& state = leader.conf_state;
  const raft::JointQuorum voters{{state.voters.begin(), state.voters.end()},
                                 {state.voters_outgoing.begin(), state.voters_outgoing.end()}};
  if (voters.Count(durable) != raft::VoteResult::kWon) {
    std::string disks_text;
    for (const auto& [node, disk] : disks) {
      disks_text += format("\n  node {}: entries {} to {}, term {} there", node.value(),
                           disk->FirstIndex(), disk->LastIndex(), disk->TermAt(commit).value_or(0));
    }
    Fail(format("leader {} of term {} committed {}, which no quorum of {} has on disk:{}",
                leader.id.value(), leader.hard_state.term, commit, Describe(state), disks_text));
  }
}

void SimChecker::OnApplied(NodeId node, Term term, const Entry& entry) {
  // The first leader seen with this or a higher commit index is often closer than the node's term.
  const auto seen = commit_terms_.lower_bound(entry.index);
  if (seen != commit_terms_.end()) term = std::min(term, seen->second);
  auto [found, fresh] = committed_.try_emplace(entry.index, Committed{entry, term});
  if (!fresh && found->second.entry != entry) {
    Fail(format("node {} applied {}, but {} was committed there", node.value(), Describe(entry),
                Describe(found->second.entry)));
  }
  if (!fresh) found->second.by_term = std::min(found->second.by_term, term);
}

void SimChecker::OnRead(LogIndex committed_when_asked, LogIndex answer) {
  if (answer < committed_when_asked) {
    Fail(format("a read was answered with {} when {} was already committed", answer,
                committed_when_asked));
  }
}

}  // namespace holdfast::raft_test
