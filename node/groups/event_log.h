// node/groups/event_log.h
// Turns what a group's leader applied into the node's log events and metrics.
// Threads: owned by the apply context. Lifetime: the metrics outlive it.
#pragma once

#include <vector>

#include "base/strong_id.h"
#include "node/node_metrics.h"
#include "queue/state/events.h"

namespace holdfast::node {

class EventLog {
 public:
  EventLog(GroupId group, NodeMetrics& metrics) : group_(group), metrics_(metrics) {}
  void Write(const std::vector<queue::Event>& events);

 private:
  void WriteOne(const queue::Event& event);

  const GroupId group_;
  NodeMetrics& metrics_;
};

}  // namespace holdfast::node
