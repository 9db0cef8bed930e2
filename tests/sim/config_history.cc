#include "tests/sim/config_history.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "base/text.h"

namespace holdfast::raft_test {

using raft::ConfChange;
using raft::ConfChangeStep;
using raft::ConfChangeType;
using raft::LogIndex;

namespace {

using Nodes = std::vector<NodeId>;

bool Has(const Nodes& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

void Add(Nodes& nodes, NodeId node) {
  if (!Has(nodes, node)) nodes.push_back(node);
}

bool Majority(const Nodes& voters, const NodeTest& has) {
  return 2 * static_cast<size_t>(std::count_if(voters.begin(), voters.end(), has)) > voters.size();
}

std::set<NodeId> SetOf(const Nodes& nodes) { return {nodes.begin(), nodes.end()}; }

void Make(ConfState& conf, const ConfChangeStep& step) {
  const NodeId node = step.node;
  if (node == raft::kNoNode || step.type == ConfChangeType::kUpdate) return;
  if (step.type == ConfChangeType::kAddLearner) {
    if (Has(conf.learners, node) || Has(conf.learners_next, node)) return;
    std::erase(conf.voters, node);
    // Who still votes in the outgoing half learns afterwards.
    Add(Has(conf.voters_outgoing, node) ? conf.learners_next : conf.learners, node);
    return;
  }
  std::erase(conf.learners, node);
  std::erase(conf.learners_next, node);
  if (step.type == ConfChangeType::kRemove) std::erase(conf.voters, node);
  if (step.type == ConfChangeType::kAddVoter) Add(conf.voters, node);
}

// What two configurations without a common part between them differ in.
size_t Different(const Nodes& a, const Nodes& b) {
  const auto lacks = [](const Nodes& nodes) {
    return [&nodes](NodeId node) { return !Has(nodes, node); };
  };
  return static_cast<size_t>(std::count_if(a.begin(), a.end(), lacks(b)) +
                             std::count_if(b.begin(), b.end(), lacks(a)));
}

}  // namespace

bool Decides(const ConfState& conf, const NodeTest& has) {
  return Majority(conf.voters, has) &&
         (conf.voters_outgoing.empty() || Majority(conf.voters_outgoing, has));
}

bool SameMembers(const ConfState& a, const ConfState& b) {
  return SetOf(a.voters) == SetOf(b.voters) && SetOf(a.learners) == SetOf(b.learners) &&
         SetOf(a.voters_outgoing) == SetOf(b.voters_outgoing) &&
         SetOf(a.learners_next) == SetOf(b.learners_next);
}

ConfigHistory::ConfigHistory(std::vector<NodeId> first_voters) {
  states_[0].voters = std::move(first_voters);
}

std::string ConfigHistory::OnCommitted(const raft::Entry& entry) {
  const absl::StatusOr<ConfChange> change = raft::DecodeConfChange(entry);
  if (!change.ok()) return format("entry {} is no change of members", entry.index);
  ConfState next = newest();
  const bool joint = !next.voters_outgoing.empty();
  if (change->LeavesJoint()) {
    if (!joint) return format("entry {} leaves a joint configuration that is none", entry.index);
    for (const NodeId node : next.learners_next) Add(next.learners, node);
    next.learners_next.clear();
    next.voters_outgoing.clear();
  } else {
    if (joint) return format("entry {} changes a joint configuration", entry.index);
    if (change->EntersJoint()) next.voters_outgoing = next.voters;
    for (const ConfChangeStep& step : change->steps) Make(next, step);
    if (!change->EntersJoint() && Different(newest().voters, next.voters) > 1) {
      return format("entry {} changes two voters at once", entry.index);
    }
  }
  if (next.voters.empty()) return format("entry {} leaves no voter", entry.index);
  states_[entry.index] = std::move(next);
  return "";
}

const ConfState& ConfigHistory::At(LogIndex index) const {
  return std::prev(states_.upper_bound(index))->second;
}

bool ConfigHistory::MayCommit(LogIndex index, const NodeTest& has) const {
  const auto newest = std::prev(states_.upper_bound(index));
  // A change can't be in force before it is committed itself.
  if ((newest->first < index || index == 0) && Decides(newest->second, has)) return true;
  return newest != states_.begin() && Decides(std::prev(newest)->second, has);
}

bool ConfigHistory::MayElect(const NodeTest& has) const {
  return MayCommit(states_.rbegin()->first + 1, has);
}

}  // namespace holdfast::raft_test
