#include "node/peers/peer_book.h"

#include <gtest/gtest.h>

namespace holdfast::node {
namespace {

constexpr NodeId kSelf{2};

class PeerBookTest : public testing::Test {
 protected:
  PeerBook book_{kSelf, {{NodeId{1}, "one:1"}, {NodeId{3}, "three:1"}}};
};

TEST_F(PeerBookTest, TheListChangesTheFile) {
  book_.SetNodes({{NodeId{1}, true, ""}, {kSelf, false, "two:1"}, {NodeId{4}, false, "four:1"}});
  const PeerBook::Addresses expected{{NodeId{3}, "three:1"}, {NodeId{4}, "four:1"}};
  EXPECT_EQ(book_.peers(), expected);
  EXPECT_EQ(book_.removed(), std::set<NodeId>{NodeId{1}});
  book_.SetNodes({});
  EXPECT_TRUE(book_.peers().contains(NodeId{1}));
}

// This node was away while the others were replaced, one after the other.
TEST_F(PeerBookTest, ANodeThatSpeaksIsAnsweredThoughNoListHasIt) {
  EXPECT_TRUE(book_.OnTold(NodeId{5}, "five:1"));
  EXPECT_FALSE(book_.OnTold(NodeId{5}, "five:2"));
  book_.SetNodes({{NodeId{4}, false, "four:1"}});  // An old list.
  EXPECT_EQ(book_.peers().at(NodeId{5}), "five:1");
  book_.SetNodes({{NodeId{5}, false, "five:3"}});
  EXPECT_EQ(book_.peers().at(NodeId{5}), "five:3");
  book_.SetNodes({{NodeId{5}, true, ""}});
  EXPECT_FALSE(book_.peers().contains(NodeId{5}));
  EXPECT_FALSE(book_.OnTold(NodeId{5}, "five:1"));
}

TEST_F(PeerBookTest, NobodyMakesItForgetOrGrow) {
  EXPECT_FALSE(book_.OnTold(NodeId{1}, "elsewhere:1"));
  EXPECT_FALSE(book_.OnTold(kSelf, "elsewhere:1"));
  EXPECT_FALSE(book_.OnTold(NodeId{9}, ""));
  for (uint64_t node = 10; node < 10 + 2 * PeerBook::kToldMax; ++node) {
    (void)book_.OnTold(NodeId{node}, "somewhere:1");
  }
  EXPECT_EQ(book_.peers().size(), 2 + PeerBook::kToldMax);
  EXPECT_EQ(book_.peers().at(NodeId{1}), "one:1");
}

}  // namespace
}  // namespace holdfast::node
