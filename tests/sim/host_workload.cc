#include "tests/sim/host_workload.h"

#include <string>

namespace holdfast::raft_test {
namespace {

// Bytes that nobody else has.
raft::Body MakeBody(Random& luck, uint64_t bytes_max) {
  std::string bytes(luck.Below(bytes_max + 1), '\0');
  for (char& c : bytes) c = static_cast<char>(luck.Next());
  return std::make_shared<const std::string>(std::move(bytes));
}

// Takes one of them.
uint64_t Take(Random& luck, std::vector<uint64_t>& from) {
  std::swap(from[luck.Below(from.size())], from.back());
  const uint64_t taken = from.back();
  from.pop_back();
  return taken;
}

}  // namespace

void HostWorkload::Begin() {
  shared_.loop.After(weather_.pause_max * (static_cast<double>(shared_.luck.Below(1000)) / 1000.0),
                     [this] {
                       if (ended_) return;
                       Act();
                       Begin();
                     });
}

HostNode* HostWorkload::AnyRunning() {
  HostNode* node = nodes_[shared_.luck.Below(nodes_.size())];
  return node->running() ? node : nullptr;
}

HostNode* HostWorkload::Leader(GroupId group) const {
  HostNode* leader = nullptr;
  raft::Term newest = 0;
  for (HostNode* node : nodes_) {
    if (!node->running()) continue;
    const std::optional<raft::GroupStatus> status = node->host().Status(group);
    if (!status || !status->leading || status->term <= newest) continue;
    leader = node;
    newest = status->term;
  }
  return leader;
}

// Mostly who leads; now and then one that led, or anybody.
HostNode* HostWorkload::Choose(GroupId group) {
  return shared_.luck.OneIn(6) ? AnyRunning() : Leader(group);
}

void HostWorkload::Act() {
  if (asked_.size() > weather_.asked_max) {
    std::erase_if(asked_, [](const auto& item) {
      return item.second.first->life() != item.second.second;  // Nobody answers any more.
    });
    if (asked_.size() > weather_.asked_max) return;
  }
  const std::vector<GroupId> groups = nodes_.front()->groups();
  const GroupId group = groups[shared_.luck.Below(groups.size())];
  HostNode* node = Choose(group);
  if (node == nullptr) return;
  const uint64_t act = shared_.luck.Below(10);
  if (act < 9 && shared_.loop.now() < hushed_until_[group]) return;
  if (act < 5) return Add(*node, group, next_serial_++);
  if (act == 5 && !unknown_[group].empty()) {
    return Add(*node, group, Take(shared_.luck, unknown_[group]));
  }
  if (act < 9) return Finish(*node, group);
  Read(*node, group);
}

void HostWorkload::Add(HostNode& node, GroupId group, uint64_t serial) {
  std::vector<raft::Body> bodies(shared_.luck.Below(4));
  for (raft::Body& body : bodies) body = MakeBody(shared_.luck, weather_.body_bytes_max);
  HostChecker::Asked asked{group, next_attempt_++, ""};
  asked.command = AddCommand(serial, asked.attempt);
  Propose(node, std::move(asked), std::move(bodies));
}

void HostWorkload::Finish(HostNode& node, GroupId group) {
  if (alive_[group].empty()) return;
  Propose(node, {group, 0, EndCommand(Take(shared_.luck, alive_[group]))}, {});
}

void HostWorkload::Propose(HostNode& node, HostChecker::Asked asked,
                           std::vector<raft::Body> bodies) {
  const uint64_t number = next_ask_++;
  asked_[number] = {&node, node.life()};
  ++proposed_;
  raft::Proposal proposal{asked.command, std::move(bodies)};
  auto answered = std::make_shared<bool>(false);
  const auto done = [this, number, asked, answered, &node,
                     life = node.life()](const raft::ProposeResult& result) {
    // Words of a machine whose power just went out; a life that is over says nothing at all.
    if (node.dying() || node.life() != life) return;
    if (*answered) return shared_.checker.Fail("answered twice: " + asked.command);
    *answered = true;
    asked_.erase(number);
    shared_.trace.Note("answer", {node.id().value(), asked.group.value(), number,
                                  static_cast<uint64_t>(result.status.code()), result.index});
    shared_.checker.OnAnswer(node.id(), asked, result);
    const SimCommand command = ParseCommand(asked.command);
    if (result.index != 0) {
      if (command.add && result.status.ok()) alive_[asked.group].push_back(command.serial);
      return;
    }
    // An end that did not happen, or perhaps: once more later. An unknown add too.
    if (!command.add) {
      alive_[asked.group].push_back(command.serial);
    } else if (absl::IsDeadlineExceeded(result.status)) {
      unknown_[asked.group].push_back(command.serial);
    }
  };
  node.host().Propose(asked.group, std::move(proposal), done);
}

void HostWorkload::Read(HostNode& node, GroupId group) {
  const raft::LogIndex answered = shared_.checker.answered(group);
  node.host().Read(group, [this, group, answered, &node,
                           life = node.life()](const absl::StatusOr<raft::ReadPoint>& point) {
    if (!point.ok() || node.dying() || node.life() != life) return;
    ++reads_;
    shared_.checker.OnRead(node.id(), group, answered, *point);
    // What the status says is published behind this turn.
    const absl::Duration until = point->asked_at - node.clock().offset() + lease_;
    shared_.loop.After(absl::ZeroDuration(), [this, group, &node, life, until] {
      if (!node.running() || node.life() != life) return;
      const std::optional<raft::GroupStatus> status = node.host().Status(group);
      if (status) shared_.checker.OnLease(node.id(), *status, shared_.loop.now(), until);
    });
  });
}

bool HostWorkload::ProposeLast(GroupId group) {
  HostNode* leader = Leader(group);
  if (leader == nullptr) return false;
  Add(*leader, group, next_serial_++);
  return true;
}

uint64_t HostWorkload::Unanswered() const {
  uint64_t count = 0;
  for (const auto& [number, asked] : asked_) count += asked.first->life() == asked.second;
  return count;
}

}  // namespace holdfast::raft_test
