#include "node/admin/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <thread>

namespace holdfast::node {
namespace {

TEST(MetricRegistryTest, RendersPrometheusText) {
  MetricRegistry registry;
  Counter& mx = registry.AddCounter("holdfast_messages_total", "Messages accepted.\nSince start.",
                                    {{"listener", "mx"}});
  registry.AddCounter("holdfast_messages_total", "Messages accepted.\nSince start.",
                      {{"listener", "sub\"mis\\sion"}});
  Gauge& sessions = registry.AddGauge("holdfast_sessions", "Open sessions.");
  registry.AddGaugeFunction("holdfast_load", "Load.", [] { return 0.25; });
  mx.Increment();
  mx.Increment(41);
  sessions.Set(5);
  sessions.Add(-7);
  EXPECT_EQ(registry.Render(),
            "# HELP holdfast_messages_total Messages accepted.\\nSince start.\n"
            "# TYPE holdfast_messages_total counter\n"
            "holdfast_messages_total{listener=\"mx\"} 42\n"
            "holdfast_messages_total{listener=\"sub\\\"mis\\\\sion\"} 0\n"
            "# HELP holdfast_sessions Open sessions.\n"
            "# TYPE holdfast_sessions gauge\n"
            "holdfast_sessions -2\n"
            "# HELP holdfast_load Load.\n"
            "# TYPE holdfast_load gauge\n"
            "holdfast_load 0.25\n");
}

TEST(MetricRegistryTest, HistogramBucketsAreCumulativeAndInclusive) {
  MetricRegistry registry;
  Histogram& sync = registry.AddHistogram("sync_seconds", "Syncs.", {0.01, 0.1}, {{"disk", "a"}});
  sync.Observe(0.01);  // On the bound: within it.
  sync.Observe(0.05);
  sync.Observe(7);
  sync.Observe(-1);
  EXPECT_EQ(registry.Render(),
            "# HELP sync_seconds Syncs.\n"
            "# TYPE sync_seconds histogram\n"
            "sync_seconds_bucket{disk=\"a\",le=\"0.01\"} 2\n"
            "sync_seconds_bucket{disk=\"a\",le=\"0.1\"} 3\n"
            "sync_seconds_bucket{disk=\"a\",le=\"+Inf\"} 4\n"
            "sync_seconds_sum{disk=\"a\"} 6.06\n"
            "sync_seconds_count{disk=\"a\"} 4\n");
}

TEST(MetricRegistryTest, NumbersThatAreNoneAreWrittenAsPrometheusReadsThem) {
  MetricRegistry registry;
  registry.AddGaugeFunction("a", "A.", [] { return NAN; });
  registry.AddGaugeFunction("b", "B.", [] { return -INFINITY; });
  const std::string text = registry.Render();
  EXPECT_NE(text.find("\na NaN\n"), std::string::npos);
  EXPECT_NE(text.find("\nb -Inf\n"), std::string::npos);
}

TEST(MetricRegistryTest, IncrementsFromManyThreadsAllCount) {
  MetricRegistry registry;
  Counter& counter = registry.AddCounter("c_total", "C.");
  Histogram& histogram = registry.AddHistogram("h", "H.", Histogram::LatencyBounds());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10000; ++i) {
        counter.Increment();
        histogram.Observe(0.5);
        if (i % 1000 == 0) registry.Render();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter.value(), 40000u);
  EXPECT_EQ(histogram.sum(), 20000);
}

TEST(MetricRegistryDeathTest, OurOwnMistakesAreFound) {
  MetricRegistry registry;
  registry.AddCounter("twice_total", "T.", {{"a", "b"}});
  EXPECT_DEATH(registry.AddCounter("twice_total", "T.", {{"a", "b"}}), "registered twice");
  EXPECT_DEATH(registry.AddGauge("twice_total", "T."), "of two kinds");
  EXPECT_DEATH(registry.AddGauge("no-name", "N."), "no metric name");
  EXPECT_DEATH(registry.AddGauge("name", "N.", {{"le", "1"}}), "no label name");
  EXPECT_DEATH(Histogram({2, 1}), "must ascend");
}

}  // namespace
}  // namespace holdfast::node
