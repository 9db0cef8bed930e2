// node/node_metrics.h
// The node's own counters and histograms, registered once. Names are an interface of the project.
// Threads: thread-safe (see metrics.h). Lifetime: the registry outlives it.
#pragma once

#include "node/admin/metrics.h"

namespace holdfast::node {

struct NodeMetrics {
  explicit NodeMetrics(MetricRegistry& registry);

  Counter& accepted;
  Counter& accepted_bytes;
  Counter& rejected;
  Counter& connections;
  Counter& turned_away;
  Counter& delivered;
  Counter& deferred;
  Counter& bounced;
  Counter& expired;
  Counter& removed;
  Counter& suppressed;
  Counter& attempts;
  Counter& notices;
  Counter& in_doubt;
  Counter& replays_suppressed;
  Counter& replay_questions;
  Counter& replays_unanswered;
  Counter& load_hand_overs;
  Gauge& attempts_running;
  Histogram& commit_seconds;
  Histogram& attempt_seconds;
  Histogram& queue_seconds;
};

}  // namespace holdfast::node
