// queue/state/queue_mutation.h
// Known bugs that the simulation of nodes puts back into the queue's state machine, to show that it
// would find them (as raft/host/host_mutation.h). Nothing but tests sets one.
// Threads: values.
#pragma once

#include <cstdint>

namespace holdfast::queue {

enum class QueueMutation : uint8_t {
  kNone = 0,
  kOutcomeTwice = 1,  // An attempt's outcome is recorded as often as it comes.
};

}  // namespace holdfast::queue
