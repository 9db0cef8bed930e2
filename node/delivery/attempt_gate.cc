#include "node/delivery/attempt_gate.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace holdfast::node {

bool AttemptGate::DestinationHasRoom(const Waiting& one) const {
  const auto there = at_destination_.find(one.destination);
  return there == at_destination_.end() || there->second < std::max(one.destination_max, 1u);
}

bool AttemptGate::crowded() const {
  return std::any_of(waiting_.begin(), waiting_.end(),
                     [this](const Waiting& one) { return DestinationHasRoom(one); });
}

bool AttemptGate::TryStart(Waiting& one) {
  if (running_ >= attempts_max_ || !DestinationHasRoom(one)) return false;
  auto memory = memory_.TryReserve(std::min(one.memory_bytes, memory_.bytes_max()));
  if (!memory) return false;
  ++running_;
  ++at_destination_[one.destination];
  one.start(*std::move(memory));
  return true;
}

void AttemptGate::Enter(const std::string& destination, uint32_t destination_max,
                        uint64_t memory_bytes, Start start) {
  Waiting one{destination, destination_max, memory_bytes, std::move(start)};
  if (!TryStart(one)) waiting_.push_back(std::move(one));
}

void AttemptGate::Leave(const std::string& destination) {
  const auto there = at_destination_.find(destination);
  HOLDFAST_CHECK(there != at_destination_.end() && running_ > 0);
  --running_;
  if (--there->second == 0) at_destination_.erase(there);
  // In order, but a destination at its limit doesn't hold up the others.
  std::deque<Waiting> still;
  std::swap(still, waiting_);
  while (!still.empty()) {
    Waiting one = std::move(still.front());
    still.pop_front();
    if (!TryStart(one)) waiting_.push_back(std::move(one));
  }
}

}  // namespace holdfast::node
