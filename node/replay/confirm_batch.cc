#include "node/replay/confirm_batch.h"

#include <algorithm>
#include <utility>

namespace holdfast::node {

void ConfirmBatch::Add(GroupId group, ToConfirm item) {
  std::deque<ToConfirm>& waiting = groups_[group].waiting;
  waiting.push_back(std::move(item));
  if (waiting.size() > waiting_max_) waiting.pop_front();
}

std::vector<ConfirmBatch::Command> ConfirmBatch::Take(absl::Duration now, bool at_once) {
  std::vector<Command> commands;
  for (auto& [id, group] : groups_) {
    if (group.waiting.empty() || group.under_way || (!at_once && now < group.next)) continue;
    Command& command = commands.emplace_back(Command{id, {}});
    while (!group.waiting.empty() && command.items.size() < items_max_) {
      command.items.push_back(std::move(group.waiting.front()));
      group.waiting.pop_front();
    }
    group.under_way = true;
    // What didn't fit need not wait.
    group.next = group.waiting.empty() ? now + interval_ : now;
  }
  return commands;
}

void ConfirmBatch::OnAnswer(Command command, bool again) {
  Group& group = groups_[command.group];
  group.under_way = false;
  if (!again) return;
  while (!command.items.empty() && group.waiting.size() < waiting_max_) {
    group.waiting.push_front(std::move(command.items.back()));
    command.items.pop_back();
  }
}

bool ConfirmBatch::empty() const {
  return std::all_of(groups_.begin(), groups_.end(), [](const auto& entry) {
    return entry.second.waiting.empty() && !entry.second.under_way;
  });
}

}  // namespace holdfast::node
