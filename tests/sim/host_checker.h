// tests/sim/host_checker.h
// HostChecker watches a simulated cluster of whole hosts from outside and knows what no node may
// do.
//
//   agreement   one leader per term; equal entries at equal index and term, and equal ones before
//               them; what was committed never changes, is in every later leader's log, and stands
//               on the durable disks of a majority of the group's members at the moment when
//               anybody calls it committed; a leader has the votes of such a majority
//   members     only what a committed change says, one voter at a time or through a joint
//               configuration, and the same on all nodes at the same entry
//   promises    a vote or an acknowledgement leaves only after its sync; a proposal that was
//               accepted is committed with that verdict, is durable on a majority, and its rows are
//               visible where it was answered; one that was ruled out is never applied
//   reads       none is older than what had been answered when it was asked; while a read point may
//               be relied on, nobody else leads
//   rows        applied in order, and equal at equal indexes, on all nodes and across restarts
//   bodies      a body is called ended only by an index that ended it; a replica that may lead has
//               all that its rows and its log keep alive, byte for byte
//
// Threads: thread-compatible. Errors: the first violation sticks in error().
#pragma once

#include <absl/time/time.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "raft/host/group_host.h"
#include "tests/sim/config_history.h"
#include "tests/sim/sim_machine.h"
#include "tests/storage/sim_disk.h"

namespace holdfast::raft_test {

class HostChecker {
 public:
  // `durable_of`: what survives on the node's disk whatever comes; for a disk that was lost, what
  // it held before. `seen_of`: what the node reads now.
  using ImageOf = std::function<const raft::SimImage&(NodeId)>;
  // `voters`: of all groups, in the beginning.
  HostChecker(std::vector<NodeId> voters, ImageOf durable_of, ImageOf seen_of);
  // One that has nothing yet.
  void AddNode(NodeId node) { nodes_.push_back(node); }

  const std::string& error() const { return error_; }
  void Fail(const std::string& what);

  // --- Raft ---
  // After each turn of a node.
  void OnStatus(NodeId node, const raft::GroupStatus& status);
  void OnStored(NodeId node, const std::vector<raft::LogWrite>& writes);
  // The host wants to send.
  void OnSend(NodeId node, GroupId group, const raft::Message& message);
  // The message leaves, with its bodies.
  void OnTransmit(NodeId node, GroupId group, const raft::Message& message);

  // --- The state machine ---
  void OnOpened(NodeId node, const raft::GroupRecord& record);
  void OnApplied(NodeId node, const SimApplied& applied);
  void OnCommitted(NodeId node, GroupId group, raft::LogIndex last);
  void OnInstalled(NodeId node, GroupId group, raft::LogIndex last);
  void OnLeading(NodeId node, GroupId group, raft::Term term);

  // For machines that are not SimMachines: a committed entry ended the body's life.
  void OnEnded(const raft::BodyKey& body, raft::LogIndex by) {
    FactsOf(body.group).ended.emplace(body, by);
  }

  // --- Clients ---
  struct Asked {
    GroupId group;
    uint64_t attempt = 0;  // 0: an end.
    std::string command;
  };
  void OnAnswer(NodeId node, const Asked& asked, const raft::ProposeResult& result);
  // The highest index answered so far: what a read that is asked now must see.
  raft::LogIndex answered(GroupId group) const;
  void OnRead(NodeId node, GroupId group, raft::LogIndex answered_when_asked,
              const raft::ReadPoint& point);
  // Until then nobody else may lead, if `node` leads now and does not hand over.
  void OnLease(NodeId node, const raft::GroupStatus& status, absl::Duration now,
               absl::Duration until);
  // Leases are looked at with this clock.
  void SetNow(absl::Duration now) { now_ = now; }

  // --- At the end, when everything has settled ---
  void OnSettled(const std::vector<NodeId>& nodes, GroupId group);

  // Every body that the group's rows (and log behind them) keep alive is there and whole.
  void CheckBodies(NodeId node, GroupId group);

  raft::LogIndex committed(GroupId group) const;
  // Of the newest committed change.
  const raft::ConfState& members(GroupId group) { return FactsOf(group).configs.newest(); }
  // Changes of members, in all groups.
  uint64_t changes() const;
  uint64_t elected() const { return elected_; }
  uint64_t elided() const { return elided_; }
  uint64_t installed() const { return installed_; }
  uint64_t acknowledged() const { return acknowledged_; }

 private:
  struct Known {
    raft::Term previous_term = 0;
    raft::Entry entry;  // Without bytes.
  };
  struct Committed {
    raft::Term term = 0;
    raft::Term by_term = 0;  // Of a node that called it committed: it was, in this term or earlier.
  };
  struct Applied {
    raft::Term term = 0;
    std::string command;
    absl::StatusCode verdict = absl::StatusCode::kOk;
    uint64_t chain = 0;
  };
  struct Lease {
    NodeId node;
    raft::Term term = 0;
    absl::Duration until;
  };
  // What is known of one group.
  struct Facts {
    explicit Facts(const std::vector<NodeId>& voters) : configs(voters) {}
    ConfigHistory configs;
    std::map<raft::Term, NodeId> leaders;
    std::map<std::pair<raft::LogIndex, raft::Term>, Known> stored;
    std::map<raft::LogIndex, Committed> committed;
    std::map<raft::LogIndex, Applied> applied;
    std::map<uint64_t, raft::LogIndex> applied_attempts;
    std::set<uint64_t> ruled_out;
    std::set<uint64_t> accepted_serials;
    std::map<raft::BodyKey, raft::LogIndex> ended;
    raft::LogIndex answered = 0;
    std::vector<Lease> leases;
  };

  void OnLeader(NodeId node, const raft::GroupStatus& status, Facts& facts);
  void OnCommit(NodeId node, const raft::GroupStatus& status, Facts& facts);
  Facts& FactsOf(GroupId group) { return facts_.try_emplace(group, voters_).first->second; }
  // The disk certainly keeps the entry.
  bool Holds(NodeId node, GroupId group, raft::LogIndex index, raft::Term term) const;
  // So do those of a majority of whoever may have committed it.
  bool IsKept(GroupId group, raft::LogIndex index, raft::Term term);
  void CheckVotes(NodeId node, const raft::GroupStatus& status, const Facts& facts);
  void CheckMembers(NodeId node, GroupId group);
  raft::Term TermAt(const raft::SimGroup& group, raft::LogIndex index) const;
  const raft::SimGroup* Find(const raft::SimImage& image, GroupId group) const;
  void OnVerdict(NodeId node, const Asked& asked, const raft::ProposeResult& result, Facts& facts);
  void OnNotSpoken(const Asked& asked, const raft::ProposeResult& result, Facts& facts);
  // The entry that ended the body, or took its entry's place; 0: nothing did.
  raft::LogIndex EndOf(const raft::BodyKey& key, const Facts& facts) const;
  void CheckBody(NodeId node, const raft::SimGroup& group, const raft::BodyRef& body,
                 const char* why);
  void CheckNoOrphans(NodeId node, const raft::SimGroup& group,
                      const std::vector<raft::BodyRef>& alive);

  const std::vector<NodeId> voters_;
  std::vector<NodeId> nodes_;  // All that ever were.
  const ImageOf durable_of_;
  const ImageOf seen_of_;
  std::string error_;
  std::map<GroupId, Facts> facts_;
  std::map<std::pair<NodeId, GroupId>, raft::LogIndex> last_applied_;  // Of this life.
  absl::Duration now_;
  uint64_t elected_ = 0;
  uint64_t elided_ = 0;
  uint64_t installed_ = 0;
  uint64_t acknowledged_ = 0;
};

}  // namespace holdfast::raft_test
