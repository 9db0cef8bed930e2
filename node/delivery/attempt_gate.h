// node/delivery/attempt_gate.h
// AttemptGate keeps what all groups of this node share: the number of attempts in all, the number
// at one destination, and the memory for content. A group's scheduler grants within its own view;
// what doesn't fit here waits, in order, until something ends.
// Threads: owned by the apply context.
// Limits:  waiting starts are bounded by the schedulers' attempts_max.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>

#include "base/byte_budget.h"

namespace holdfast::node {

class AttemptGate {
 public:
  using Start = std::function<void(ByteBudget::Reservation)>;

  AttemptGate(uint32_t attempts_max, uint64_t memory_bytes_max)
      : attempts_max_(attempts_max), memory_(memory_bytes_max) {}

  // Calls `start` now or later. `memory_bytes` above the whole budget counts as all of it.
  void Enter(const std::string& destination, uint32_t destination_max, uint64_t memory_bytes,
             Start start);
  // One attempt at `destination` ended; its reservation must have been released before.
  void Leave(const std::string& destination);

  uint32_t running() const { return running_; }
  size_t waiting() const { return waiting_.size(); }
  // Something waits that its destination would let start: only this node's own bounds hold it up.
  bool crowded() const;

 private:
  struct Waiting {
    std::string destination;
    uint32_t destination_max = 0;
    uint64_t memory_bytes = 0;
    Start start;
  };
  bool DestinationHasRoom(const Waiting& one) const;
  bool TryStart(Waiting& one);

  const uint32_t attempts_max_;
  ByteBudget memory_;
  uint32_t running_ = 0;
  std::map<std::string, uint32_t> at_destination_;
  std::deque<Waiting> waiting_;
};

}  // namespace holdfast::node
