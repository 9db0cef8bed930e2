#include "node/limits/share_exchange.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "node/peers/peer_calls.h"

namespace holdfast::node {
namespace {

constexpr uint32_t kGroups = 12;
constexpr char kName[] = "a.test";

TEST(ShareExchangeTest, AloneANodeHasAllAndAsksNobody) {
  ManualClock clock(absl::UnixEpoch());
  ManualContext apply;
  PolicyHolder policy;
  policy.SetKnown(true);
  ShareExchange exchange(
      {[] { return std::vector<raft::GroupStatus>(); }, [](GroupId) { return std::nullopt; },
       nullptr, nullptr, policy, apply, clock, nullptr},
      {.self = NodeId{1}, .boot_id = 1, .queue_groups = kGroups});
  const queue::DestinationLimits limits;
  for (int i = 0; i < 30; ++i) {
    EXPECT_EQ(exchange.permits().Take(1, kName, limits, 1).has_value(), i < 20);
  }
  exchange.Tick();
  EXPECT_EQ(exchange.counts().destinations.load(), 1u);
  EXPECT_EQ(exchange.counts().asks.load(), 0u);
}

// Three nodes; node 1 leads all groups. Calls go through bytes, and wait to be delivered.
class ThreeNodes : public ::testing::Test {
 protected:
  ThreeNodes() {
    policy_.SetKnown(true);
    for (uint64_t node = 1; node <= 3; ++node) {
      exchanges_.push_back(std::make_unique<ShareExchange>(
          ShareExchange::Parts{
              [this, node] {
                std::vector<raft::GroupStatus> groups;
                for (uint32_t group = 0; group <= kGroups; ++group) {
                  groups.push_back(*StatusOf(node, GroupId{group}));
                }
                return groups;
              },
              [this, node](GroupId group) { return StatusOf(node, group); },
              [this, node](NodeId to, std::string request, absl::Duration, auto done) {
                ++calls_;
                if (cut_) return done(absl::UnavailableError("cut"));
                absl::StatusOr<peer_call::Request> decoded = DecodeRequest(request);
                ASSERT_TRUE(decoded.ok()) << decoded.status();
                exchanges_.at(to.value() - 1)
                    ->OnAsks(NodeId{node}, std::move(*decoded->mutable_shares()),
                             [done](const absl::StatusOr<peer_call::Answer>& answer) {
                               done(EncodeAnswer(*answer));
                             });
              },
              [this](NodeId) { return clock_.SinceBoot(); }, policy_, apply_, clock_, nullptr},
          ShareExchange::Options{
              .self = NodeId{node}, .boot_id = node, .alone = false, .queue_groups = kGroups}));
    }
  }

  std::optional<raft::GroupStatus> StatusOf(uint64_t node, GroupId group) const {
    raft::GroupStatus status;
    status.group = group;
    status.leader = NodeId{leader_};
    status.leading = node == leader_;
    status.term = leader_ + 6;
    status.voters = {NodeId{1}, NodeId{2}, NodeId{3}};
    return status;
  }

  // Each node takes what it can, time passes.
  void Run(absl::Duration time, std::vector<uint64_t> busy) {
    for (absl::Duration passed; passed < time; passed += absl::Milliseconds(50)) {
      clock_.Advance(absl::Milliseconds(50));
      for (auto& exchange : exchanges_) exchange->Tick();
      for (const uint64_t node : busy) {
        while (exchanges_[node - 1]->permits().Take(1, kName, limits_, 30)) {
        }
      }
      apply_.RunAll();
    }
  }
  uint32_t InUse(uint64_t node) const { return exchanges_[node - 1]->permits().in_use(kName); }

  const queue::DestinationLimits limits_;
  ManualClock clock_{absl::UnixEpoch()};
  ManualContext apply_;
  PolicyHolder policy_;  // Of all three.
  uint64_t leader_ = 1;
  bool cut_ = false;
  int calls_ = 0;
  std::vector<std::unique_ptr<ShareExchange>> exchanges_;
};

TEST_F(ThreeNodes, OneThatIsAloneWithItsWishGetsAllButALittle) {
  Run(absl::Seconds(4), {2});
  EXPECT_EQ(InUse(2), 1u);  // The coordinator is new.
  Run(absl::Seconds(10), {2});
  EXPECT_EQ(InUse(2), 18u);
  EXPECT_EQ(exchanges_[1]->counts().grants.load(), 1u);
  EXPECT_EQ(exchanges_[0]->counts().coordinated.load(), 1u);
  const std::vector<ShareExchange::View> views = exchanges_[1]->Views(10);
  ASSERT_EQ(views.size(), 1u);
  EXPECT_EQ(views[0].allowed.connections, 18);
  EXPECT_EQ(views[0].limits.concurrency_max, 20u);
  EXPECT_EQ(views[0].running, 18u);
}

TEST_F(ThreeNodes, AllTogetherKeepTheLimit) {
  Run(absl::Seconds(20), {1, 2, 3});
  EXPECT_EQ(InUse(1) + InUse(2) + InUse(3), 20u);
  EXPECT_GE(std::min({InUse(1), InUse(2), InUse(3)}), 6u);
}

TEST_F(ThreeNodes, ACoordinatorWithoutTheClustersPolicyGrantsNothing) {
  policy_.SetKnown(false);
  Run(absl::Seconds(8), {2});
  EXPECT_EQ(exchanges_[1]->counts().grants.load(), 0u);
  EXPECT_LE(InUse(2), 6u) << "no more than its floor";
  policy_.SetKnown(true);
  Run(absl::Seconds(10), {2});
  EXPECT_EQ(InUse(2), 18u);
}

TEST_F(ThreeNodes, WhoWantsLittleCallsNobody) {
  const std::optional<uint32_t> slot = exchanges_[1]->permits().Take(1, kName, limits_, 1);
  ASSERT_TRUE(slot);
  Run(absl::Seconds(5), {});
  EXPECT_EQ(calls_, 0);
}

TEST_F(ThreeNodes, CutOffItUsesItsFloor) {
  cut_ = true;
  Run(absl::Seconds(8), {2});
  EXPECT_EQ(InUse(2), 1u);
  Run(absl::Seconds(4), {2});
  EXPECT_EQ(InUse(2), 6u);
}

TEST_F(ThreeNodes, AnotherCoordinatorGoesOnFromWhatTheyHave) {
  Run(absl::Seconds(14), {2});
  EXPECT_EQ(InUse(2), 18u);
  leader_ = 3;
  Run(absl::Seconds(4), {1, 2});
  EXPECT_EQ(InUse(2), 18u);
  EXPECT_EQ(InUse(1), 1u);
  for (const ShareExchange::View& view : exchanges_[1]->Views(1)) {
    EXPECT_EQ(view.allowed.connections, 18);
  }
  Run(absl::Seconds(10), {1, 2});
  EXPECT_EQ(exchanges_[1]->Views(1).at(0).allowed.connections, 9);
  EXPECT_EQ(InUse(1), 1u);  // The other's attempts go on.
}

}  // namespace
}  // namespace holdfast::node
