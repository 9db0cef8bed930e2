#include "raft/core/membership.h"

#include <algorithm>

#include "base/check.h"

namespace holdfast::raft {
namespace {

std::vector<NodeId> ToVector(const NodeSet& nodes) { return {nodes.begin(), nodes.end()}; }

template <typename... Args>
absl::Status Refuse(fmt::format_string<Args...> text, Args&&... args) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, text, std::forward<Args>(args)...);
}

size_t CountDifferent(const NodeSet& a, const NodeSet& b) {
  auto missing_from = [](const NodeSet& set) {
    return [&set](NodeId node) { return !set.contains(node); };
  };
  return static_cast<size_t>(std::count_if(a.begin(), a.end(), missing_from(b)) +
                             std::count_if(b.begin(), b.end(), missing_from(a)));
}

absl::StatusOr<Membership> Checked(Membership membership) {
  HOLDFAST_RETURN_IF_ERROR(CheckMembership(membership));
  return membership;
}

std::vector<ConfChangeStep> StepsOf(ConfChangeType type, const std::vector<NodeId>& nodes) {
  std::vector<ConfChangeStep> steps;
  for (NodeId node : nodes) steps.push_back({type, node});
  return steps;
}

void Append(std::vector<ConfChangeStep>& to, const std::vector<ConfChangeStep>& steps) {
  to.insert(to.end(), steps.begin(), steps.end());
}

}  // namespace

ConfState Configuration::ToConfState() const {
  return {ToVector(voters.incoming), ToVector(learners), ToVector(voters.outgoing),
          ToVector(learners_next), auto_leave};
}

LogIndex Membership::Committed() const {
  std::map<NodeId, LogIndex> acked;
  for (const auto& [node, progress] : progress) acked[node] = progress.match();
  return config.voters.Committed(acked);
}

absl::StatusOr<Membership> MembershipChanger::Apply(const Membership& now,
                                                    const ConfChange& change) const {
  if (change.LeavesJoint()) return LeaveJoint(now);
  if (change.EntersJoint()) return EnterJoint(now, change.AutoLeaves(), change.steps);
  return Simple(now, change.steps);
}

absl::StatusOr<Membership> MembershipChanger::Simple(
    const Membership& now, const std::vector<ConfChangeStep>& steps) const {
  if (now.config.voters.joint()) {
    return Refuse("can't apply simple config change in joint config");
  }
  Membership next = now;
  HOLDFAST_RETURN_IF_ERROR(ApplySteps(next, steps));
  // Majorities of configurations that differ by one voter overlap; beyond that they need not.
  if (CountDifferent(now.config.voters.incoming, next.config.voters.incoming) > 1) {
    return Refuse("more than one voter changed without entering joint config");
  }
  return Checked(std::move(next));
}

absl::StatusOr<Membership> MembershipChanger::EnterJoint(
    const Membership& now, bool auto_leave, const std::vector<ConfChangeStep>& steps) const {
  if (now.config.voters.joint()) return Refuse("config is already joint");
  if (now.config.voters.incoming.empty()) {
    return Refuse("can't make a zero-voter config joint");
  }
  Membership next = now;
  next.config.voters.outgoing = next.config.voters.incoming;
  HOLDFAST_RETURN_IF_ERROR(ApplySteps(next, steps));
  next.config.auto_leave = auto_leave;
  return Checked(std::move(next));
}

absl::StatusOr<Membership> MembershipChanger::LeaveJoint(const Membership& now) const {
  if (!now.config.voters.joint()) return Refuse("can't leave a non-joint config");
  Membership next = now;
  Configuration& config = next.config;
  for (NodeId node : config.learners_next) {
    config.learners.insert(node);
    next.progress.at(node).set_learner(true);
  }
  config.learners_next.clear();
  for (NodeId node : config.voters.outgoing) {
    if (!config.voters.incoming.contains(node) && !config.learners.contains(node)) {
      next.progress.erase(node);
    }
  }
  config.voters.outgoing.clear();
  config.auto_leave = false;
  return Checked(std::move(next));
}

absl::StatusOr<Membership> MembershipChanger::Restore(const ConfState& state) const {
  // Builds the outgoing voters first, then enters the joint state by replacing them, so that
  // every rule of the steps is checked on the way.
  Membership membership;
  std::vector<ConfChangeStep> incoming;
  Append(incoming, StepsOf(ConfChangeType::kRemove, state.voters_outgoing));
  Append(incoming, StepsOf(ConfChangeType::kAddVoter, state.voters));
  Append(incoming, StepsOf(ConfChangeType::kAddLearner, state.learners));
  Append(incoming, StepsOf(ConfChangeType::kAddLearner, state.learners_next));
  const bool joint = !state.voters_outgoing.empty();
  const std::vector<ConfChangeStep> one_by_one =
      joint ? StepsOf(ConfChangeType::kAddVoter, state.voters_outgoing) : incoming;
  for (const ConfChangeStep& step : one_by_one) {
    HOLDFAST_ASSIGN_OR_RETURN(membership, Simple(membership, {step}));
  }
  if (joint) {
    HOLDFAST_ASSIGN_OR_RETURN(membership, EnterJoint(membership, state.auto_leave, incoming));
  }
  if (!Equivalent(membership.config.ToConfState(), state)) {
    return Refuse("the configuration contradicts itself");
  }
  return membership;
}

absl::Status MembershipChanger::ApplySteps(Membership& next,
                                           const std::vector<ConfChangeStep>& steps) const {
  for (const ConfChangeStep& step : steps) {
    // A proposer that thinks better of a step after it was committed blanks its node.
    if (step.node == kNoNode) continue;
    switch (step.type) {
      case ConfChangeType::kAddVoter:
        MakeVoter(next, step.node);
        break;
      case ConfChangeType::kAddLearner:
        MakeLearner(next, step.node);
        break;
      case ConfChangeType::kRemove:
        Remove(next, step.node);
        break;
      case ConfChangeType::kUpdate:
        break;
    }
  }
  if (next.config.voters.incoming.empty()) return Refuse("removed all voters");
  return absl::OkStatus();
}

void MembershipChanger::MakeVoter(Membership& next, NodeId node) const {
  auto found = next.progress.find(node);
  next.config.voters.incoming.insert(node);
  if (found == next.progress.end()) {
    AddProgress(next, node, /*learner=*/false);
    return;
  }
  found->second.set_learner(false);
  next.config.learners.erase(node);
  next.config.learners_next.erase(node);
}

void MembershipChanger::MakeLearner(Membership& next, NodeId node) const {
  auto found = next.progress.find(node);
  if (found == next.progress.end()) {
    next.config.learners.insert(node);
    AddProgress(next, node, /*learner=*/true);
    return;
  }
  if (found->second.learner()) return;
  Configuration& config = next.config;
  config.voters.incoming.erase(node);
  if (config.voters.outgoing.contains(node)) {
    config.learners_next.insert(node);  // Still votes in the outgoing half.
  } else {
    found->second.set_learner(true);
    config.learners.insert(node);
  }
}

void MembershipChanger::Remove(Membership& next, NodeId node) const {
  Configuration& config = next.config;
  config.voters.incoming.erase(node);
  config.learners.erase(node);
  config.learners_next.erase(node);
  if (!config.voters.outgoing.contains(node)) next.progress.erase(node);
}

void MembershipChanger::AddProgress(Membership& next, NodeId node, bool learner) const {
  Progress progress(std::max<LogIndex>(last_, 1), learner, limits_);
  // Not yet heard of, but counted as alive: otherwise the next check of the quorum could depose
  // the leader before the new member had a chance to speak.
  progress.set_recent_active(true);
  next.progress.emplace(node, std::move(progress));
}

absl::Status CheckMembership(const Membership& membership) {
  const Configuration& config = membership.config;
  for (const NodeSet& nodes : {config.voters.All(), config.learners, config.learners_next}) {
    for (NodeId node : nodes) {
      if (!membership.progress.contains(node)) return Refuse("no progress for {}", node.value());
    }
  }
  for (NodeId node : config.learners_next) {
    if (!config.voters.outgoing.contains(node)) {
      return Refuse("{} is in LearnersNext, but not Voters[1]", node.value());
    }
    if (membership.progress.at(node).learner()) {
      return Refuse("{} is in LearnersNext, but is already marked as learner", node.value());
    }
  }
  for (NodeId node : config.learners) {
    if (config.voters.Contains(node)) return Refuse("{} is learner and voter", node.value());
    if (!membership.progress.at(node).learner()) {
      return Refuse("{} is in Learners, but is not marked as learner", node.value());
    }
  }
  if (!config.voters.joint() && (!config.learners_next.empty() || config.auto_leave)) {
    return Refuse("leftovers of a joint configuration");
  }
  return absl::OkStatus();
}

bool Equivalent(const ConfState& a, const ConfState& b) {
  auto same = [](std::vector<NodeId> x, std::vector<NodeId> y) {
    std::sort(x.begin(), x.end());
    std::sort(y.begin(), y.end());
    return x == y;
  };
  return same(a.voters, b.voters) && same(a.learners, b.learners) &&
         same(a.voters_outgoing, b.voters_outgoing) && same(a.learners_next, b.learners_next) &&
         a.auto_leave == b.auto_leave;
}

}  // namespace holdfast::raft
