// Whole nodes from seeds: a share of them is clean, with faults and mail that did happen, and equal
// seeds give equal runs.
#include <gtest/gtest.h>

#include "base/log.h"
#include "tests/sim/node_sim.h"

namespace holdfast::raft_test {
namespace {

TEST(NodeSimTest, KeepsItsPromisesUnderFaults) {
  SetLogLevel(LogLevel::kError);
  NodeSimOptions options;
  NodeSimResult sum;
  for (options.seed = 1; options.seed <= 20; ++options.seed) {
    const NodeSimResult result = RunNodeSim(options);
    EXPECT_EQ(result.error, "") << "ops/dev sim --floor node --seed " << options.seed;
    sum.elected += result.elected;
    sum.crashes += result.crashes;
    sum.acknowledged += result.acknowledged;
    sum.delivered += result.delivered;
    sum.failed += result.failed;
    sum.doubts += result.doubts;
    sum.repeats += result.repeats;
    sum.offered_again += result.offered_again;
    sum.changes += result.changes;
    sum.lost_disks += result.lost_disks;
    sum.wiped += result.wiped;
    sum.put_back += result.put_back;
    sum.empty += result.empty;
    sum.largest += result.largest;
    sum.flipped_bodies += result.flipped_bodies;
    sum.failed_syncs += result.failed_syncs;
    sum.damaged_stores += result.damaged_stores;
    sum.dead_disks += result.dead_disks;
    sum.drifting += result.drifting;
    sum.installs += result.installs;
    sum.raises += result.raises;
    sum.raises_refused += result.raises_refused;
  }
  // The faults did happen, and so did the work.
  EXPECT_GT(sum.elected, 100u);
  EXPECT_GT(sum.crashes, 50u);
  EXPECT_GT(sum.acknowledged, 500u);
  EXPECT_GT(sum.delivered, 500u);
  EXPECT_GT(sum.failed, 50u);
  EXPECT_GT(sum.doubts, 20u);
  EXPECT_GT(sum.repeats, 5u);
  EXPECT_GT(sum.offered_again, 50u);
  EXPECT_GT(sum.changes, 20u);
  EXPECT_GT(sum.lost_disks, sum.wiped);
  EXPECT_GT(sum.wiped, 3u);
  EXPECT_GT(sum.put_back, 0u);
  EXPECT_GT(sum.empty, 20u);
  EXPECT_GT(sum.largest, 0u);
  EXPECT_GT(sum.flipped_bodies, 10u);
  EXPECT_GT(sum.failed_syncs, 5u);
  EXPECT_GT(sum.damaged_stores, 0u);
  EXPECT_GT(sum.dead_disks, 0u);
  EXPECT_GT(sum.drifting, 5u);
  EXPECT_GT(sum.installs, 10u);
  EXPECT_GT(sum.raises, 0u);
  EXPECT_GT(sum.raises_refused, 10u);
}

TEST(NodeSimTest, EqualSeedsGiveEqualRuns) {
  SetLogLevel(LogLevel::kError);
  NodeSimOptions options;
  uint64_t last_hash = 0;
  // From 11 on disks and clocks may be bad, members change, and mail is large.
  for (const uint64_t seed : {1, 2, 16, 18, 19}) {
    options.seed = seed;
    const NodeSimResult first = RunNodeSim(options);
    const NodeSimResult second = RunNodeSim(options);
    EXPECT_EQ(first.hash, second.hash);
    EXPECT_EQ(first.events, second.events);
    EXPECT_NE(first.hash, last_hash);
    last_hash = first.hash;
  }
}

}  // namespace
}  // namespace holdfast::raft_test
