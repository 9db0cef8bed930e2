#include "node/peers/forming.h"

#include <gtest/gtest.h>

namespace holdfast::node {
namespace {

constexpr uint32_t kGroups = 12;
const std::vector<NodeId> kNodes = {NodeId{1}, NodeId{2}, NodeId{3}};

std::string Token(char digit) { return std::string(32, digit); }

Forming Node(uint64_t self, char token, bool formed = false,
             const std::vector<NodeId>& nodes = kNodes, uint32_t groups = kGroups) {
  return Forming(NodeId{self}, nodes, groups, {Token(token), {}}, formed);
}

TEST(FormingTest, EmptyDirectoriesThatSeeEachOtherBegin) {
  Forming one = Node(1, 'a');
  EXPECT_FALSE(one.complete());
  EXPECT_EQ(one.Missing(), (std::vector<NodeId>{NodeId{2}, NodeId{3}}));
  EXPECT_TRUE(one.OnSaid(NodeId{2}, Node(2, 'b').Say()).ok());
  EXPECT_FALSE(one.complete());
  EXPECT_TRUE(one.OnSaid(NodeId{3}, Node(3, 'c').Say()).ok());
  EXPECT_TRUE(one.complete());
  EXPECT_EQ(one.record().tokens.at(NodeId{3}), Token('c'));
}

TEST(FormingTest, ANodeThatIsLateFollowsThoseThatSawIt) {
  Forming first(NodeId{1}, kNodes, kGroups,
                {Token('a'), {{NodeId{2}, Token('b')}, {NodeId{3}, Token('c')}}}, true);
  Forming late = Node(3, 'c');
  EXPECT_TRUE(late.OnSaid(NodeId{1}, first.Say()).ok());
  EXPECT_TRUE(late.OnSaid(NodeId{2}, Node(2, 'b').Say()).ok());
  EXPECT_TRUE(late.complete());
}

TEST(FormingTest, ADirectoryThatWasLostDoesNotComeBackAsIfItHadNeverBeenThere) {
  Forming first(NodeId{1}, kNodes, kGroups,
                {Token('a'), {{NodeId{2}, Token('b')}, {NodeId{3}, Token('c')}}}, true);
  Forming wiped = Node(3, 'd');
  const absl::Status refused = wiped.OnSaid(NodeId{1}, first.Say());
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(Message(refused).find("remove node 3"), std::string_view::npos);
}

TEST(FormingTest, OtherListsAreRefused) {
  Forming one = Node(1, 'a');
  EXPECT_EQ(one.OnSaid(NodeId{2}, Node(2, 'b', false, {NodeId{1}, NodeId{2}}).Say()).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(one.OnSaid(NodeId{2}, Node(2, 'b', false, kNodes, 13).Say()).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(one.OnSaid(NodeId{4}, Node(4, 'b').Say()).code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(FormingTest, TheRecordKeepsTheIncarnation) {
  FormingRecord record{Token('a'), {{NodeId{2}, Token('b')}}, true, Token('c')};
  absl::StatusOr<FormingRecord> read = FormingRecord::FromText(record.ToText());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->incarnation, Token('c'));
  record.incarnation.clear();
  read = FormingRecord::FromText(record.ToText());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->incarnation, "");
  EXPECT_FALSE(FormingRecord::FromText(record.ToText() + "incarnation 7\n").ok());
  Forming joined = Node(4, 'd');
  joined.SetIncarnation(Token('e'));
  EXPECT_EQ(joined.record().incarnation, Token('e'));
}

TEST(FormingTest, EachRoundCountsAlone) {
  Forming one = Node(1, 'a');
  EXPECT_TRUE(one.OnSaid(NodeId{2}, Node(2, 'b').Say()).ok());
  one.StartRound();
  EXPECT_TRUE(one.OnSaid(NodeId{3}, Node(3, 'c').Say()).ok());
  EXPECT_EQ(one.Missing(), (std::vector<NodeId>{NodeId{2}}));
}

TEST(FormingTest, TheRecordIsReadAsItWasWritten) {
  FormingRecord record{Token('a'), {{NodeId{1}, Token('a')}, {NodeId{12}, Token('f')}}};
  for (const bool formed : {false, true}) {
    record.formed = formed;
    const auto read = FormingRecord::FromText(record.ToText());
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->token, record.token);
    EXPECT_EQ(read->tokens, record.tokens);
    EXPECT_EQ(read->formed, formed);
  }
}

TEST(FormingTest, ADamagedRecordIsNotBelieved) {
  const std::string good = FormingRecord{Token('a'), {{NodeId{1}, Token('a')}}}.ToText();
  for (const std::string& bad :
       {std::string(), good.substr(0, good.size() - 1), good.substr(1), good + "x\n",
        std::string("holdfast forming 1\n"), std::string("holdfast forming 1\ntoken 12\n"),
        good + "node 0 " + Token('b') + "\n", good + "node 2" + Token('b') + "\n"}) {
    EXPECT_EQ(FormingRecord::FromText(bad).status().code(), absl::StatusCode::kDataLoss) << bad;
  }
}

}  // namespace
}  // namespace holdfast::node
