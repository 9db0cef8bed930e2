// node/admin/metrics.h
// Counters, gauges and histograms, and their rendering in Prometheus' text format 0.0.4.
//
//   MetricRegistry registry;
//   Counter& accepted = registry.AddCounter("holdfast_messages_accepted_total", "Messages ...",
//                                           {{"listener", "mx"}});
//   accepted.Increment();
//
// Labels are fixed when a metric is registered, so that no outside value can make new series.
// Threads:  Increment(), Set(), Observe() and Render() from any thread, without locks but for the
//           registry's own list. Registering takes a lock: do it once, at the start.
// Owns:     the registry owns its metrics; references stay valid as long as it lives.
// Errors:   names, labels and buckets are ours: a malformed or repeated one fails a CHECK.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace holdfast::node {

using MetricLabels = std::vector<std::pair<std::string, std::string>>;

// Only rises.
class Counter {
 public:
  void Increment(uint64_t by = 1) { value_.fetch_add(by, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// Rises and falls.
class Gauge {
 public:
  void Set(int64_t value) { value_.store(value, std::memory_order_relaxed); }
  void Add(int64_t by) { value_.fetch_add(by, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

// Counts observations per bucket. Upper bounds are inclusive and ascending; the last bucket, +Inf,
// is added by itself.
class Histogram {
 public:
  explicit Histogram(std::vector<double> upper_bounds);
  void Observe(double value);

  const std::vector<double>& upper_bounds() const { return upper_bounds_; }
  // Not cumulative; one more element than upper_bounds().
  std::vector<uint64_t> counts() const;
  double sum() const { return sum_.load(std::memory_order_relaxed); }

  // Seconds, from a tenth of a millisecond to ten seconds: for syncs, commits and calls.
  static std::vector<double> LatencyBounds();
  // Seconds, from ten milliseconds to an hour: for attempts and waits in the queue.
  static std::vector<double> WaitBounds();

 private:
  const std::vector<double> upper_bounds_;
  std::vector<std::atomic<uint64_t>> counts_;
  std::atomic<double> sum_{0};
};

class MetricRegistry {
 public:
  MetricRegistry();
  ~MetricRegistry();

  // Metrics of one name must be of one kind and have one help text; their labels must differ.
  Counter& AddCounter(std::string_view name, std::string_view help, MetricLabels labels = {});
  Gauge& AddGauge(std::string_view name, std::string_view help, MetricLabels labels = {});
  Histogram& AddHistogram(std::string_view name, std::string_view help,
                          std::vector<double> upper_bounds, MetricLabels labels = {});
  // Asked at each Render(), on its thread: for values that others own. Must be thread-safe and
  // quick.
  void AddGaugeFunction(std::string_view name, std::string_view help, std::function<double()> read,
                        MetricLabels labels = {});

  // Families in order of registration, each with HELP and TYPE.
  std::string Render() const;

 private:
  struct Family;
  Family& FamilyFor(std::string_view name, std::string_view help, std::string_view type,
                    const MetricLabels& labels) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  std::deque<Family> families_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::node
