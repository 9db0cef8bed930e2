#include "raft/host/outbox.h"

#include <utility>

namespace holdfast::raft {

void Outbox::Add(GroupId group, Message message) {
  const NodeId to = message.to;
  if (message.type == MessageType::kAppend) {
    if (message.entries.empty()) {
      held_[to].insert_or_assign(group, std::move(message));
      return;
    }
    // It tells of the commit index too.
    if (const auto held = held_.find(to); held != held_.end()) held->second.erase(group);
  }
  now_[to].push_back({group, std::move(message)});
}

void Outbox::ReleaseHeld() {
  for (const auto& [to, held] : held_) now_.try_emplace(to);
}

Outbox::Batches Outbox::Take() {
  Batches batches = std::exchange(now_, {});
  for (auto& [to, messages] : batches) {
    auto held = held_.extract(to);
    if (held.empty()) continue;
    for (auto& [group, message] : held.mapped()) messages.push_back({group, std::move(message)});
  }
  std::erase_if(batches, [](const auto& batch) { return batch.second.empty(); });
  return batches;
}

}  // namespace holdfast::raft
