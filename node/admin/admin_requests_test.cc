#include "node/admin/admin_requests.h"

#include <gtest/gtest.h>

#include "base/status.h"
#include "proto/admin.pb.h"

namespace holdfast::node {
namespace {

constexpr char kId[] = "01J9ABCDEFGHJKMN";

TEST(AdminRequestTest, QueueIdsAreCheckedAndMadeUpperCase) {
  std::string id = "01j9abcdefghjkmn";
  EXPECT_TRUE(CheckQueueId(&id).ok());
  EXPECT_EQ(id, kId);
  for (std::string bad :
       {"", "01J9", "01J9ABCDEFGHJKMNP", "01J9ABCDEFGHJKMU", "01J9 BCDEFGHJKMN"}) {
    EXPECT_EQ(CheckQueueId(&bad).code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(AdminRequestTest, AListWithoutConditionsIsOfAll) {
  admin::QueueListRequest request;
  ASSERT_TRUE(CheckQueueList(&request).ok());
  EXPECT_TRUE(request.filter().all());
  EXPECT_EQ(request.page_size(), 100u);
  request.set_page_size(1001);
  EXPECT_FALSE(CheckQueueList(&request).ok());
}

TEST(AdminRequestTest, AnActionNeedsIdsOrAConditionButNotBoth) {
  admin::QueueActionRequest request;
  request.set_reason("spam");
  EXPECT_EQ(Message(CheckQueueAction(QueueAction::kRemove, &request)),
            "give queue ids, or a filter with at least one condition");
  request.mutable_filter()->set_destination("B.Example");
  EXPECT_TRUE(CheckQueueAction(QueueAction::kRemove, &request).ok());
  EXPECT_EQ(request.filter().destination(), "b.example");
  request.add_queue_ids(kId);
  EXPECT_EQ(Message(CheckQueueAction(QueueAction::kRemove, &request)),
            "give queue ids or a filter, not both");
  request.clear_filter();
  EXPECT_TRUE(CheckQueueAction(QueueAction::kRemove, &request).ok());
  for (int i = 0; i < kQueueIdsPerCallMax; ++i) request.add_queue_ids(kId);
  EXPECT_EQ(Message(CheckQueueAction(QueueAction::kRemove, &request)),
            "at most 1000 queue ids in one call");
}

TEST(AdminRequestTest, OnlyReroutingHasATargetAndItMustBeADomain) {
  admin::QueueActionRequest request;
  request.add_queue_ids(kId);
  request.set_reason("moved");
  EXPECT_EQ(Message(CheckQueueAction(QueueAction::kReroute, &request)),
            "`` is no destination to reroute to");
  request.set_to_destination("not a domain");
  EXPECT_FALSE(CheckQueueAction(QueueAction::kReroute, &request).ok());
  request.set_to_destination("Other.Example");
  EXPECT_TRUE(CheckQueueAction(QueueAction::kReroute, &request).ok());
  EXPECT_EQ(request.to_destination(), "other.example");
  EXPECT_EQ(Message(CheckQueueAction(QueueAction::kRetry, &request)),
            "only reroute takes a destination to send to");
}

TEST(AdminRequestTest, DestructiveVerbsNeedAReasonUnlessTheyOnlyCount) {
  for (const auto& [action, needed] : {std::pair{QueueAction::kRemove, true},
                                       {QueueAction::kBounce, true},
                                       {QueueAction::kHold, true},
                                       {QueueAction::kReroute, true},
                                       {QueueAction::kRetry, false},
                                       {QueueAction::kRelease, false}}) {
    admin::QueueActionRequest request;
    request.add_queue_ids(kId);
    if (action == QueueAction::kReroute) request.set_to_destination("other.example");
    EXPECT_EQ(CheckQueueAction(action, &request).ok(), !needed);
    request.set_dry_run(true);
    EXPECT_TRUE(CheckQueueAction(action, &request).ok());
    request.set_dry_run(false);
    request.set_reason("because");
    EXPECT_TRUE(CheckQueueAction(action, &request).ok());
    request.set_reason("two\nlines");
    EXPECT_FALSE(CheckQueueAction(action, &request).ok());
    request.set_reason(std::string(kReasonBytesMax + 1, 'x'));
    EXPECT_FALSE(CheckQueueAction(action, &request).ok());
  }
}

TEST(AdminRequestTest, FiltersAreBounded) {
  admin::QueueListRequest request;
  request.mutable_filter()->set_destination(".Example.COM");
  EXPECT_TRUE(CheckQueueList(&request).ok());
  EXPECT_EQ(request.filter().destination(), ".example.com");
  request.mutable_filter()->set_destination("not a domain");
  EXPECT_FALSE(CheckQueueList(&request).ok());
  request.mutable_filter()->set_destination("");
  request.mutable_filter()->set_sender(std::string(5000, 'x'));
  EXPECT_FALSE(CheckQueueList(&request).ok());
  request.mutable_filter()->set_sender("");
  request.mutable_filter()->set_state(static_cast<admin::MessageState>(99));
  EXPECT_FALSE(CheckQueueList(&request).ok());
  request.mutable_filter()->set_state(admin::HELD);
  request.mutable_filter()->set_age_seconds_min(~uint64_t{0});
  EXPECT_FALSE(CheckQueueList(&request).ok());
}

TEST(AdminRequestTest, ActorsAreMadePrintable) {
  EXPECT_EQ(CleanActor("alice"), "alice");
  EXPECT_EQ(CleanActor("a b\n\xff"), "a_b__");
  EXPECT_EQ(CleanActor(""), "unnamed");
  EXPECT_EQ(CleanActor(std::string(100, 'x')).size(), 64u);
}

}  // namespace
}  // namespace holdfast::node
