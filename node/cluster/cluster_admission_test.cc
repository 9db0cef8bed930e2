#include "node/cluster/cluster_admission.h"

#include <gtest/gtest.h>

namespace holdfast::node {
namespace {

VoterReport Voter(uint64_t node, bool has_room) {
  return {NodeId{node}, true, has_room, true, false};
}

TEST(ClusterAdmissionTest, AMajorityWithRoomIsEnough) {
  EXPECT_FALSE(SpaceShort({Voter(1, true), Voter(2, true), Voter(3, false)}).has_value());
  EXPECT_FALSE(SpaceShort({Voter(1, true)}).has_value());
  const auto why = SpaceShort({Voter(1, true), Voter(2, false), Voter(3, false)});
  ASSERT_TRUE(why.has_value());
  EXPECT_EQ(*why,
            "insufficient storage: 1 of 3 nodes report room above their reserve (none: 2, 3)");
}

TEST(ClusterAdmissionTest, WhoIsSilentHasNoRoomIfAnotherIsFull) {
  VoterReport silent;
  silent.node = NodeId{3};
  EXPECT_TRUE(SpaceShort({Voter(1, true), Voter(2, false), silent}).has_value());
  // Silence alone is not about space.
  EXPECT_FALSE(SpaceShort({Voter(1, true), Voter(2, true), silent}).has_value());
  EXPECT_FALSE(SpaceShort({Voter(1, true), silent, silent}).has_value());
}

TEST(ClusterAdmissionTest, ElsewhereIsBetterIfAnotherNodeTakesMailWithoutOverload) {
  const NodeId self{1};
  VoterReport loaded = Voter(2, true);
  loaded.overloaded = true;
  VoterReport refuses = Voter(3, true);
  refuses.takes_mail = false;
  EXPECT_FALSE(BetterElsewhere(self, {Voter(1, true), loaded, refuses}));
  refuses.takes_mail = true;
  EXPECT_TRUE(BetterElsewhere(self, {Voter(1, true), loaded, refuses}));
  refuses.heard = false;
  EXPECT_FALSE(BetterElsewhere(self, {Voter(1, true), loaded, refuses}));
}

}  // namespace
}  // namespace holdfast::node
