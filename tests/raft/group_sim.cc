#include "tests/raft/group_sim.h"

#include <algorithm>

#include "base/check.h"
#include "base/text.h"
#include "raft/core/confchange.h"
#include "tests/raft/apart.h"
#include "tests/raft/describe.h"

namespace holdfast::raft_test {
namespace {

using raft::Entry;
using raft::LogIndex;
using raft::Message;
using raft::Role;

// Under way at once; what comes beyond pushes out old messages, as a full queue would.
constexpr size_t kNetworkMessagesMax = 400;
// Ticks in which a healed group must settle.
constexpr int kHealingRoundsMax = 600;

raft::ConfState FirstVoters(int count) {
  raft::ConfState state;
  for (int i = 1; i <= count; ++i) state.voters.push_back(NodeId(static_cast<uint64_t>(i)));
  return state;
}

}  // namespace

GroupSim::GroupSim(const SimOptions& options) : options_(options), luck_(options.seed) {
  weather_.drop_percent = luck_.Below(25);
  weather_.repeat_percent = luck_.Below(15);
  weather_.crash_one_in = luck_.Between(60, 600);
  weather_.cut_one_in = luck_.Between(60, 600);
  weather_.conf_change_one_in = luck_.Between(40, 400);
  weather_.slow_disk_percent = luck_.Below(90);
  raft::RaftOptions raft_options;
  raft_options.election_ticks = 10;
  raft_options.heartbeat_ticks = 2;
  raft_options.pre_vote = !luck_.OneIn(3);
  raft_options.check_quorum = !luck_.OneIn(3);
  raft_options.message_bytes_max = luck_.OneIn(2) ? 64 : raft_options.message_bytes_max;
  raft_options.inflight_messages_max = luck_.Between(1, 8);
  raft_options.applying_bytes_max = luck_.OneIn(2) ? 64 : raft_options.applying_bytes_max;
  raft_options.step_down_on_removal = !luck_.OneIn(4);
  raft_options.mutation = options.mutation;
  const raft::ConfState initial = FirstVoters(options.voters);
  for (int i = 1; i <= options.nodes; ++i) {
    raft_options.id = NodeId(static_cast<uint64_t>(i));
    raft_options.seed = luck_.Next();
    nodes_.push_back(std::make_unique<SimNode>(
        raft_options, i <= options.voters ? initial : raft::ConfState{}, checker_));
  }
}

void GroupSim::Mix(uint64_t value) {
  result_.hash = (result_.hash ^ value) * 0x100000001B3ull + (result_.hash >> 29);
}

SimResult GroupSim::Run() {
  for (int i = 0; i < options_.steps && checker_.error().empty(); ++i) Step();
  if (checker_.error().empty()) Heal();
  result_.error = checker_.error();
  result_.committed = checker_.committed();
  Mix(result_.committed);
  return result_;
}

void GroupSim::Step() {
  Act();
  WatchLeaders();
}

void GroupSim::Act() {
  SimNode& node = AnyNode();
  if (!node.running()) {
    if (luck_.OneIn(12)) node.Restart(luck_.Next());
    return;
  }
  if (luck_.OneIn(weather_.crash_one_in)) {
    node.Crash(luck_);
    ++result_.crashes;
    Mix(node.id().value());
    return;
  }
  if (luck_.OneIn(weather_.cut_one_in)) CutOrMend();
  switch (luck_.Below(12)) {
    case 0:
    case 1:
      node.core().Tick();
      break;
    case 2:
      Propose(node);
      break;
    case 3:
      if (luck_.OneIn(weather_.conf_change_one_in / 12 + 1)) ChangeMembers(node);
      if (luck_.OneIn(30)) (void)node.core().TransferLeadership(AnyNode().id());
      if (luck_.OneIn(60)) (void)node.core().Campaign();
      if (luck_.OneIn(60)) (void)node.core().ForgetLeader();
      if (luck_.OneIn(20)) node.core().ReportUnreachable(AnyNode().id());
      if (luck_.OneIn(20)) {
        const bool taken = luck_.OneIn(2);
        node.core().ReportSnapshot(AnyNode().id(), taken);
      }
      break;
    case 4:
      node.Read(next_command_++);
      if (luck_.OneIn(8)) node.Compact(luck_.Below(6));
      break;
    case 5:
      if (luck_.Below(100) >= weather_.slow_disk_percent) Post(node.FinishWrite());
      break;
    case 6:
      node.FinishApply();
      break;
    default:
      DeliverOne();
      break;
  }
  if (node.running() && node.core().HasReady() && luck_.OneIn(2)) Post(node.TakeReady());
}

void GroupSim::Post(std::vector<Message> messages) {
  for (Message& message : messages) {
    Mix(message.index * 31 + message.term * 7 + static_cast<uint64_t>(message.type));
    if (message.type == raft::MessageType::kSnapshot) ++result_.snapshots;
    if (network_.size() >= kNetworkMessagesMax) network_.erase(network_.begin());
    network_.push_back(std::move(message));
  }
}

void GroupSim::DeliverOne() {
  if (network_.empty()) return;
  // Mostly in order; now and then a later one overtakes.
  const size_t at = luck_.OneIn(4) ? luck_.Below(network_.size())
                                   : luck_.Below(std::min<size_t>(network_.size(), 4));
  const bool repeat = !healing_ && luck_.Below(100) < weather_.repeat_percent;
  const bool drop = !healing_ && luck_.Below(100) < weather_.drop_percent;
  Message message = network_[at];
  if (!repeat) network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(at));
  SimNode& node = *nodes_[message.to.value() - 1];
  if (drop || !node.running() || cut_.contains({message.from, message.to})) return;
  (void)node.core().Step(std::move(message));  // Refusals are part of the game.
}

void GroupSim::Propose(SimNode& node) {
  Entry entry;
  entry.command = format("{}", next_command_++);
  if (luck_.OneIn(3)) entry.command.resize(40, '.');
  (void)node.core().Propose({entry});
}

void GroupSim::ChangeMembers(SimNode& node) {
  using raft::ConfChangeType;
  raft::ConfChange change;
  const uint64_t count = luck_.Below(4);
  for (uint64_t i = 0; i < count; ++i) {
    const auto type = luck_.OneIn(3)   ? ConfChangeType::kRemove
                      : luck_.OneIn(3) ? ConfChangeType::kAddLearner
                                       : ConfChangeType::kAddVoter;
    change.steps.push_back({type, AnyNode().id()});
  }
  if (count > 0 && luck_.OneIn(2)) {
    change.transition = luck_.OneIn(2) ? raft::ConfChangeTransition::kJointImplicit
                                       : raft::ConfChangeTransition::kJointExplicit;
  }
  // Apply-time failures are the proposer's fault (it must check what it asks for): ask only for
  // what the present configuration can take. A pending change makes the core refuse.
  const raft::CoreStatus status = node.core().Status();
  if (status.role != Role::kLeader || status.hard_state.commit != status.applied) return;
  raft::MembershipChanger changer(status.last, {});
  const auto now = changer.Restore(status.conf_state);
  if (!now.ok()) return;
  const auto next = changer.Apply(*now, change);
  if (!next.ok()) return;
  // The caller's duty (raft/README.md): a majority of the present voters stays.
  const raft::NodeSet& voters = now->config.voters.incoming;
  const raft::NodeSet& next_voters = next->config.voters.incoming;
  const auto staying = std::count_if(voters.begin(), voters.end(), [&next_voters](NodeId voter) {
    return next_voters.count(voter) > 0;
  });
  if (2 * static_cast<size_t>(staying) <= voters.size()) return;
  if (node.core().ProposeConfChange(change).ok()) ++result_.conf_changes;
}

void GroupSim::CutOrMend() {
  if (!cut_.empty() && luck_.OneIn(2)) {
    cut_.clear();
    return;
  }
  switch (luck_.Below(3)) {
    case 0:  // One way.
      cut_.insert({AnyNode().id(), AnyNode().id()});
      break;
    case 1: {  // One node alone.
      const NodeId alone = AnyNode().id();
      for (const auto& node : nodes_) {
        cut_.insert({alone, node->id()});
        cut_.insert({node->id(), alone});
      }
      break;
    }
    default: {  // A bridge: two halves that only one node hears both of.
      const NodeId bridge = AnyNode().id();
      for (const auto& a : nodes_) {
        for (const auto& b : nodes_) {
          const bool apart = a->id().value() % 2 != b->id().value() % 2;
          if (apart && a->id() != bridge && b->id() != bridge) cut_.insert({a->id(), b->id()});
        }
      }
      break;
    }
  }
}

void GroupSim::WatchLeaders() {
  std::map<NodeId, const MemoryLog*> disks;
  for (const auto& node : nodes_) disks[node->id()] = &node->disk();
  for (const auto& node : nodes_) {
    if (!node->running() || node->core().role() != Role::kLeader) continue;
    const raft::Term term = node->core().term();
    // Its disk holds all that its vote rested on: its own vote was durable behind it.
    checker_.OnLeader(node->id(), term, node->disk());
    if (seen_terms_.insert(term).second) ++result_.leaders;
    checker_.OnCommit(node->core().Status(), disks);
  }
}

// --- Healing ---

void GroupSim::Drain(SimNode& node) {
  // Work makes work, but every round ends: nothing ticks in here.
  for (int i = 0; i < 1000 && node.busy(); ++i) {
    Post(node.TakeReady());
    Post(node.FinishWrite());
    WatchLeaders();  // Before an applied change makes another quorum the measure.
    node.FinishApply();
  }
}

// The caller's duty: whoever sends a snapshot learns how that ended. Here nothing is under way any
// more, so what still waits was lost.
void GroupSim::ReportLostSnapshots() {
  SimNode* leader = Leader();
  if (leader == nullptr) return;
  for (const auto& [peer, progress] : leader->core().Status().progress) {
    if (progress.state == raft::ProgressState::kSnapshot) {
      leader->core().ReportSnapshot(peer, /*arrived=*/false);
    }
  }
}

SimNode* GroupSim::Leader() {
  SimNode* leader = nullptr;
  for (const auto& node : nodes_) {
    if (node->core().role() != Role::kLeader) continue;
    if (leader == nullptr || node->core().term() > leader->core().term()) leader = node.get();
  }
  return leader;
}

bool GroupSim::Settled() {
  SimNode* leader = Leader();
  if (leader == nullptr) return false;
  const raft::CoreStatus status = leader->core().Status();
  if (status.applied != status.last || leader->applied() != status.last) return false;
  if (!status.conf_state.voters_outgoing.empty()) {
    (void)leader->core().ProposeConfChange({});  // Explicit ones are left on command only.
    return false;
  }
  for (const auto& [peer, progress] : status.progress) {
    SimNode& node = *nodes_[peer.value() - 1];
    if (node.applied() != leader->applied()) return false;
    if (node.state_hash() != leader->state_hash()) {
      checker_.Fail(format("nodes {} and {} differ at index {}", peer.value(), leader->id().value(),
                           leader->applied()));
    }
  }
  return true;
}

void GroupSim::Heal() {
  healing_ = true;
  cut_.clear();
  for (const auto& node : nodes_) {
    if (!node->running()) node->Restart(luck_.Next());
  }
  bool proposed = false;
  for (int round = 0; round < kHealingRoundsMax && checker_.error().empty(); ++round) {
    for (const auto& node : nodes_) node->core().Tick();
    // What is under way all arrives, in some order.
    for (int i = 0; i < 5000; ++i) {
      for (const auto& node : nodes_) Drain(*node);
      if (network_.empty()) break;
      DeliverOne();
      WatchLeaders();
    }
    if (round % 10 == 0) ReportLostSnapshots();
    if (round < 30 || !Settled()) continue;
    if (proposed) return;
    Propose(*Leader());
    proposed = true;
  }
  if (!checker_.error().empty()) return;
  std::string state;
  for (const auto& node : nodes_) {
    const raft::CoreStatus status = node->core().Status();
    state += format("\n  node {}: {} term {} leader {} commit {} applied {}/{} last {} {}",
                    node->id().value(), RoleName(status.role), status.hard_state.term,
                    status.leader.value(), status.hard_state.commit, status.applied,
                    node->applied(), status.last, Describe(status.conf_state));
  }
  checker_.Fail(
      format("the healed group did not settle in {} rounds:{}", kHealingRoundsMax, state));
}

SimResult RunSim(const SimOptions& options) { return GroupSim(options).Run(); }

SimResult RunSimApart(const SimOptions& options) {
  SimResult result;
  result.error = RunApart([&options] { return RunSim(options).error; });
  return result;
}

}  // namespace holdfast::raft_test
