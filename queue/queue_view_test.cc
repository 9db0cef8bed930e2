#include "queue/queue_view.h"

#include <gtest/gtest.h>

#include <set>

#include "queue/testing/test_queue.h"

namespace holdfast::queue {
namespace {

using testing::AtSecond;
using testing::TestId;
using testing::TestQueue;

TEST(QueueViewTest, AgesComeFromCountersNotFromMessages) {
  TestQueue queue(false);
  for (uint32_t i = 0; i < 2000; ++i) queue.Enqueue({.id = i + 1, .at = i * 60.0});
  queue.tables().ResetCounts();
  absl::StatusOr<QueueSummary> summary =
      SummariseByDestination(queue.tables(), AtSecond(2000 * 60), 10);
  ASSERT_TRUE(summary.ok());
  EXPECT_EQ(queue.tables().counts().rows_scanned, 1u);
  ASSERT_EQ(summary->rows.size(), 1u);
  EXPECT_EQ(summary->rows[0].recipients, 2000u);
  // A message a minute: a column of width n holds about n, within an eighth of the age at its edge.
  const AgeCounts expected = {5, 5, 10, 20, 40, 80, 160, 320, 640, 720};
  uint64_t total = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double edge = i < kAgeColumnMinutes.size() ? kAgeColumnMinutes[i] : 2000;
    EXPECT_NEAR(static_cast<double>(summary->rows[0].ages[i]), static_cast<double>(expected[i]),
                2 + edge / 8)
        << "column " << i;
    total += summary->rows[0].ages[i];
  }
  EXPECT_EQ(total, 2000u);
}

TEST(QueueViewTest, SummariesKeepTheLargestAndCountTheRest) {
  TestQueue queue;
  for (uint32_t i = 0; i < 20; ++i) {
    const std::string to = "r@d" + std::to_string(i % 5 == 0 ? 0 : i) + ".test";
    queue.Enqueue({.id = i + 1, .to = {to}});
  }
  QueueSummary summary = *SummariseByDestination(queue.tables(), AtSecond(1), 3);
  ASSERT_EQ(summary.rows.size(), 3u);
  EXPECT_EQ(summary.rows[0].destination, "d0.test");
  EXPECT_EQ(summary.rows[0].recipients, 4u);
  EXPECT_EQ(summary.total.recipients, 20u);
  EXPECT_EQ(summary.rows_omitted, 14u);
  QueueSummary first = *SummariseByDestination(queue.tables(), AtSecond(1), 100, 10);
  ASSERT_FALSE(first.next_page_token.empty());
  QueueSummary second =
      *SummariseByDestination(queue.tables(), AtSecond(1), 100, 10, first.next_page_token);
  EXPECT_EQ(first.total.recipients + second.total.recipients, 20u);
}

TEST(QueueViewTest, SendersAreCountedByDomain) {
  TestQueue queue;
  queue.Enqueue({.id = 1, .sender = "a@X.test"});
  queue.Enqueue({.id = 2, .sender = "b@x.test", .to = {"r@one.test", "s@two.test"}});
  queue.Enqueue({.id = 3, .sender = ""});
  QueueSummary summary = *SummariseBySender(queue.tables(), AtSecond(1), 10);
  ASSERT_EQ(summary.rows.size(), 2u);
  EXPECT_EQ(summary.rows[0].destination, "x.test");
  EXPECT_EQ(summary.rows[0].recipients, 3u);
  EXPECT_EQ(summary.rows[1].destination, "<>");
}

TEST(QueueViewTest, PagesTogetherHaveEachMessageOnce) {
  TestQueue queue(false);
  for (uint32_t i = 1; i <= 40; ++i) {
    queue.Enqueue({.id = i, .to = {"r@one.test", "s@two.test"}, .held = i % 4 == 0});
    if (i % 4 == 1) queue.Intent({.id = i});
  }
  for (const std::string destination : {"", "one.test", ".test"}) {
    std::set<QueueId> seen;
    std::string token;
    do {
      absl::StatusOr<QueuePage> page =
          ListMessages(queue.tables(), {.destination = destination}, AtSecond(1), 7, token, 11);
      ASSERT_TRUE(page.ok()) << page.status();
      for (const MessageView& view : page->messages) {
        EXPECT_TRUE(seen.insert(view.queue_id).second) << view.queue_id;
      }
      token = page->next_page_token;
    } while (!token.empty());
    EXPECT_EQ(seen.size(), 40u) << destination;
  }
}

TEST(QueueViewTest, ForeignTokensAreRefused) {
  TestQueue queue;
  queue.Enqueue({});
  for (const char* token : {"zz", "0", "ffff", "4d"}) {
    EXPECT_EQ(ListMessages(queue.tables(), {}, AtSecond(1), 7, token).status().code(),
              absl::StatusCode::kInvalidArgument)
        << token;
    EXPECT_EQ(ListInDoubt(queue.tables(), 7, token).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(QueueViewTest, StaleSubmissionsAndLiveBodiesAreFound) {
  TestQueue queue;
  command::Command chunk;
  for (uint32_t id : {5u, 6u, 5000u}) {
    for (uint32_t ordinal : {0u, 1u}) {
      chunk.mutable_chunk()->set_queue_id(TestId(id).ToString());
      chunk.mutable_chunk()->set_ordinal(ordinal);
      queue.Apply(chunk, 1);
    }
  }
  queue.Enqueue({.id = 1, .bodies = 2});
  EXPECT_EQ(*ListStaleSubmissions(queue.tables(), AtSecond(1), 10),
            (std::vector<QueueId>{TestId(5), TestId(6)}));
  EXPECT_EQ(ListStaleSubmissions(queue.tables(), AtSecond(1), 1)->size(), 1u);
  size_t bodies = 0;
  EXPECT_TRUE(VisitLiveBodies(queue.tables(), [&bodies](const BodyRef&) {
                ++bodies;
                return true;
              }).ok());
  EXPECT_EQ(bodies, 8u);
  EXPECT_EQ(VisitLiveBodies(queue.tables(), [](const BodyRef&) { return false; }).code(),
            absl::StatusCode::kCancelled);
}

// Nodes number their attempts alike: only number, node and life together name one.
TEST(QueueViewTest, AnIntentIsOfOneNodesLife) {
  rows::UnitRow unit;
  EXPECT_EQ(IntentOf(unit), std::nullopt);
  unit.mutable_intent()->set_attempt_id(7);
  unit.mutable_intent()->set_node_id(2);
  unit.mutable_intent()->set_boot_id(99);
  EXPECT_EQ(IntentOf(unit), (AttemptKey{7, 2, 99}));
  EXPECT_NE(IntentOf(unit), (AttemptKey{7, 1, 99}));
  EXPECT_NE(IntentOf(unit), (AttemptKey{7, 2, 98}));
}

TEST(QueueViewTest, TotalsAreKept) {
  TestQueue queue;
  queue.Enqueue({.id = 1, .to = {"r@one.test", "s@two.test"}});
  queue.Enqueue({.id = 2, .held = true});
  Totals totals = *QueueTotals(queue.tables());
  EXPECT_EQ(totals.messages, 2u);
  EXPECT_EQ(totals.units, 3u);
  EXPECT_EQ(totals.recipients, 3u);
  EXPECT_EQ(totals.held_messages, 1u);
  EXPECT_EQ(totals.destinations, 2u);
  EXPECT_EQ(totals.content_bytes, 2000u);
  Totals twice = totals;
  twice += totals;
  EXPECT_EQ(twice.recipients, 6u);
  EXPECT_EQ(twice.content_bytes, 4000u);
}

}  // namespace
}  // namespace holdfast::queue
