#include "queue/state/queue_state.h"

#include <gtest/gtest.h>

#include "proto/queue_rows.pb.h"
#include "queue/state/invariants.h"
#include "queue/state/keys.h"
#include "queue/state/rows.h"
#include "queue/state/unconfirmed.h"
#include "queue/testing/test_queue.h"

namespace holdfast::queue {
namespace {

using testing::AttemptSpec;
using testing::MakeEnqueue;
using testing::MakeIntent;
using testing::MakeOutcome;
using testing::MessageSpec;
using testing::TestId;
using testing::TestQueue;

template <typename T>
std::vector<T> EventsOf(const ApplyResult& result) {
  std::vector<T> found;
  for (const Event& event : result.events) {
    if (const T* one = std::get_if<T>(&event)) found.push_back(*one);
  }
  return found;
}

// Rows of families other than totals, remembered ids and audit: what a message leaves behind.
size_t LiveRows(const MemoryTables& tables) {
  size_t rows = 0;
  for (const auto& [key, value] : tables.rows()) {
    if (std::string_view("MUVIDWC").find(key[0]) != std::string_view::npos) ++rows;
  }
  return rows;
}

TEST(QueueStateTest, AMessageOfOneRecipientCostsFewRows) {
  TestQueue queue(false);
  queue.Enqueue({.id = 1});
  queue.tables().ResetCounts();
  queue.Enqueue({.id = 2, .at = 1});
  EXPECT_LE(queue.tables().counts().puts, 5u);
  EXPECT_EQ(queue.tables().counts().deletes, 0u);
  EXPECT_EQ(queue.tables().counts().rows_scanned, 0u);
}

TEST(QueueStateTest, AnEndedMessageLeavesOnlyItsIdBehind) {
  TestQueue queue;
  queue.Enqueue({.to = {"b@one.test", "c@two.test"}});
  EXPECT_TRUE(queue.Outcome({.unit = 0}).ended_bodies.empty());
  ApplyResult last = queue.Outcome({.unit = 1, .attempt = 2, .first_recipient = 1});
  ASSERT_EQ(last.ended_bodies.size(), 1u);
  EXPECT_EQ(last.ended_bodies[0].index, 1u);
  EXPECT_EQ(EventsOf<MessageEnded>(last).size(), 1u);
  EXPECT_EQ(LiveRows(queue.tables()), 0u) << testing::DumpTables(queue.tables());
}

TEST(QueueStateTest, AKnownQueueIdIsRefusedAliveAndAfterItsEnd) {
  TestQueue queue;
  EXPECT_TRUE(queue.Enqueue({}).verdict.ok());
  ApplyResult again = queue.Enqueue({});
  EXPECT_EQ(again.verdict.code(), absl::StatusCode::kAlreadyExists);
  ASSERT_EQ(again.ended_bodies.size(), 1u);
  EXPECT_EQ(again.ended_bodies[0].index, 2u);
  queue.Outcome({});
  EXPECT_EQ(queue.Enqueue({}).verdict.code(), absl::StatusCode::kAlreadyExists);
}

TEST(QueueStateTest, EnqueueAndAbandonWhicheverIsFirstWins) {
  TestQueue queue;
  command::Command abandon;
  abandon.mutable_abandon()->set_queue_id(TestId(1).ToString());
  EXPECT_TRUE(queue.Apply(abandon).verdict.ok());
  EXPECT_EQ(queue.Enqueue({}).verdict.code(), absl::StatusCode::kAborted);
  EXPECT_TRUE(queue.Apply(abandon).verdict.ok());
  queue.Enqueue({.id = 2});
  abandon.mutable_abandon()->set_queue_id(TestId(2).ToString());
  EXPECT_EQ(queue.Apply(abandon).verdict.code(), absl::StatusCode::kAlreadyExists);
}

TEST(QueueStateTest, ChunksBelongToTheirMessageUntilItEnds) {
  TestQueue queue;
  command::Command chunk;
  chunk.mutable_chunk()->set_queue_id(TestId(1).ToString());
  EXPECT_TRUE(queue.Apply(chunk, 1).verdict.ok());
  ApplyResult again = queue.Apply(chunk, 1);
  EXPECT_EQ(again.verdict.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(again.ended_bodies.size(), 1u);
  chunk.mutable_chunk()->set_ordinal(1);
  EXPECT_TRUE(queue.Apply(chunk, 1).verdict.ok());
  EXPECT_EQ(queue.Enqueue({.bodies = 1, .chunks = 3}).verdict.code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(queue.Enqueue({.bodies = 1, .chunks = 2}).verdict.ok());
  EXPECT_EQ(queue.Apply(chunk, 1).verdict.code(), absl::StatusCode::kAlreadyExists);
  std::vector<BodyRef> ended = queue.Outcome({}).ended_bodies;
  ASSERT_EQ(ended.size(), 3u);
  EXPECT_EQ(ended[0].index, 1u);
  EXPECT_EQ(ended[1].index, 3u);
  EXPECT_EQ(ended[2].index, 5u);
}

TEST(QueueStateTest, AnAbandonedSubmissionFreesItsChunks) {
  TestQueue queue;
  command::Command chunk;
  chunk.mutable_chunk()->set_queue_id(TestId(1).ToString());
  queue.Apply(chunk, 1);
  command::Command abandon;
  abandon.mutable_abandon()->set_queue_id(TestId(1).ToString());
  EXPECT_EQ(queue.Apply(abandon).ended_bodies.size(), 1u);
  EXPECT_EQ(queue.Apply(chunk, 1).verdict.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(LiveRows(queue.tables()), 0u);
}

TEST(QueueStateTest, RecipientsAreGroupedByDestinationWithinTheBound) {
  TestQueue queue;
  MessageSpec spec;
  spec.to.clear();
  for (uint32_t i = 0; i < kRecipientsPerUnitMax + 1; ++i) {
    spec.to.push_back(std::to_string(i) + "@one.test");
    spec.to.push_back(std::to_string(i) + "@two.test");
  }
  EXPECT_EQ(EventsOf<UnitDue>(queue.Enqueue(spec)).size(), 4u);
  EXPECT_EQ(ReadUnit(queue.tables(), {TestId(1), 0})->recipients_size(), 50);
  EXPECT_EQ(ReadUnit(queue.tables(), {TestId(1), 2})->recipients_size(), 1);
}

TEST(QueueStateTest, OnlyRecipientsStillOpenAreDueAgain) {
  TestQueue queue;
  queue.Enqueue({.to = {"b@one.test", "c@one.test", "d@one.test"}});
  ApplyResult result = queue.Outcome(
      {.next = 300,
       .results = {command::RESULT_DELIVERED, command::RESULT_DEFERRED, command::RESULT_BOUNCED}});
  EXPECT_EQ(EventsOf<RecipientFinal>(result).size(), 2u);
  EXPECT_EQ(EventsOf<RecipientDeferred>(result).size(), 1u);
  rows::UnitRow unit = *ReadUnit(queue.tables(), {TestId(1), 0});
  EXPECT_EQ(unit.recipients_open(), 1u);
  EXPECT_EQ(unit.due_us(), 300'000'000);
  EXPECT_EQ(unit.attempts(), 1u);
}

TEST(QueueStateTest, AnOutcomeIsRecordedOncePerAttempt) {
  TestQueue queue;
  queue.Enqueue({});
  AttemptSpec deferred{.next = 300, .results = {command::RESULT_DEFERRED}};
  queue.Intent({});
  EXPECT_TRUE(queue.Outcome(deferred).verdict.ok());
  EXPECT_EQ(queue.Outcome(deferred).verdict.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ReadUnit(queue.tables(), {TestId(1), 0})->attempts(), 1u);
  // The same without an id, told apart by its start.
  deferred.attempt = 0;
  deferred.at = 400;
  EXPECT_TRUE(queue.Outcome(deferred).verdict.ok());
  EXPECT_EQ(queue.Outcome(deferred).verdict.code(), absl::StatusCode::kAlreadyExists);
}

TEST(QueueStateTest, AnOpenIntentShutsOutEveryOtherAttempt) {
  TestQueue queue;
  queue.Enqueue({});
  EXPECT_TRUE(queue.Intent({}).verdict.ok());
  EXPECT_TRUE(queue.Intent({}).verdict.ok());  // The same again.
  ApplyResult other = queue.Intent({.attempt = 2, .node = 2});
  EXPECT_EQ(other.verdict.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(EventsOf<IntentRefused>(other).size(), 1u);
  EXPECT_EQ(queue.Outcome({.attempt = 2, .node = 2}).verdict.code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(queue.Outcome({}).verdict.ok());
}

TEST(QueueStateTest, NotSentIsNoAttempt) {
  TestQueue queue;
  queue.Enqueue({});
  queue.Outcome({.at = 5, .next = 5, .results = {command::RESULT_NOT_SENT}});
  rows::UnitRow unit = *ReadUnit(queue.tables(), {TestId(1), 0});
  EXPECT_EQ(unit.attempts(), 0u);
  EXPECT_EQ(unit.due_us(), 5'000'000);
}

TEST(QueueStateTest, ALateDeliveryOfAnInDoubtAttemptIsNews) {
  TestQueue queue;
  queue.Enqueue({.to = {"b@one.test", "c@one.test"}});
  queue.Intent({});
  const std::vector<command::Result> both = {command::RESULT_DEFERRED, command::RESULT_DEFERRED};
  EXPECT_TRUE(
      queue.Outcome({.at = 30, .next = 30, .in_doubt = true, .results = both}).verdict.ok());
  EXPECT_EQ(ReadUnit(queue.tables(), {TestId(1), 0})->in_doubt_count(), 1u);
  queue.Intent({.attempt = 2, .node = 2, .at = 31});
  AttemptSpec late{.at = 40, .next = 50};
  late.results = {command::RESULT_DELIVERED, command::RESULT_DEFERRED};
  EXPECT_TRUE(queue.Outcome(late).verdict.ok());
  EXPECT_EQ(queue.Outcome(late).verdict.code(), absl::StatusCode::kAlreadyExists);
  // The attempt that runs meanwhile settles the other one; what it says of the first is no news.
  ApplyResult last =
      queue.Outcome({.attempt = 2,
                     .node = 2,
                     .at = 41,
                     .results = {command::RESULT_DELIVERED, command::RESULT_DELIVERED}});
  EXPECT_EQ(EventsOf<RecipientFinal>(last).size(), 1u);
  EXPECT_EQ(LiveRows(queue.tables()), 0u);
}

TEST(QueueStateTest, AFailureAndItsNoticeAreOneStep) {
  TestQueue queue;
  queue.Enqueue({});
  AttemptSpec bounce{.results = {command::RESULT_BOUNCED}};
  bounce.notices = {{.id = 9, .sender = "", .to = {"a@sender.test"}, .is_notice = true}};
  ApplyResult result = queue.Outcome(bounce);
  EXPECT_EQ(EventsOf<NoticeQueued>(result).size(), 1u);
  ASSERT_EQ(result.ended_bodies.size(), 1u);  // The original's, not the notice's.
  EXPECT_EQ(result.ended_bodies[0].index, 1u);
  ApplyResult again = queue.Outcome(bounce);
  EXPECT_EQ(again.verdict.code(), absl::StatusCode::kNotFound);
  ASSERT_EQ(again.ended_bodies.size(), 1u);  // The second notice's.
  EXPECT_EQ(again.ended_bodies[0].index, 3u);
  EXPECT_TRUE(ReadMessage(queue.tables(), TestId(9)).ok());
}

TEST(QueueStateTest, AnOutcomeWithABadNoticeIsNotRecorded) {
  TestQueue queue;
  queue.Enqueue({});
  AttemptSpec bounce{.results = {command::RESULT_BOUNCED}};
  bounce.notices = {{.id = 9, .sender = "not-null@x.test", .to = {"a@x.test"}, .is_notice = true}};
  EXPECT_EQ(queue.Outcome(bounce).verdict.code(), absl::StatusCode::kInvalidArgument);
  bounce.notices[0].sender = "";
  bounce.notices[0].first_body = 1;  // The entry has one body, ordinal 0.
  EXPECT_EQ(queue.Outcome(bounce).verdict.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(ReadMessage(queue.tables(), TestId(1)).ok());
}

TEST(QueueStateTest, ABodyHasOneOwner) {
  TestQueue queue;
  queue.Enqueue({});
  AttemptSpec bounce{.results = {command::RESULT_BOUNCED}};
  const MessageSpec notice{.id = 9, .sender = "", .to = {"a@x.test"}, .is_notice = true};
  bounce.notices = {notice, notice};
  bounce.notices[1].id = 10;
  EXPECT_EQ(queue.Outcome(bounce).verdict.code(), absl::StatusCode::kInvalidArgument);
  bounce.notices[1].first_body = 1;
  EXPECT_TRUE(queue.Outcome(bounce).verdict.ok());
}

TEST(QueueStateTest, AHeldMessageIsNotAttempted) {
  TestQueue queue;
  queue.Enqueue({});
  command::Command hold;
  hold.mutable_hold()->add_queue_ids(TestId(1).ToString());
  EXPECT_EQ(EventsOf<UnitGone>(queue.Apply(hold)).size(), 1u);
  EXPECT_EQ(queue.Apply(hold).verdict.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(queue.Intent({}).verdict.code(), absl::StatusCode::kFailedPrecondition);
  command::Command release;
  release.mutable_release()->add_queue_ids(TestId(1).ToString());
  EXPECT_EQ(EventsOf<UnitDue>(queue.Apply(release)).size(), 1u);
  EXPECT_TRUE(queue.Intent({}).verdict.ok());
}

TEST(QueueStateTest, WhatAnAttemptMayStillDeliverIsNotBounced) {
  TestQueue queue;
  queue.Enqueue({});
  queue.Intent({});
  command::Command bounce;
  bounce.mutable_bounce()->set_queue_id(TestId(1).ToString());
  bounce.mutable_bounce()->add_recipients(0);
  EXPECT_EQ(queue.Apply(bounce).verdict.code(), absl::StatusCode::kFailedPrecondition);
  queue.Outcome({.next = 9, .results = {command::RESULT_DEFERRED}});
  EXPECT_TRUE(queue.Apply(bounce).verdict.ok());
  EXPECT_EQ(LiveRows(queue.tables()), 0u);
}

// The notice was written when both were open; one was delivered before the command was applied.
TEST(QueueStateTest, ABounceThatNamesADeliveredRecipientIsRefused) {
  TestQueue queue;
  queue.Enqueue({.to = {"a@one.test", "b@two.test"}});
  command::Command bounce;
  bounce.mutable_bounce()->set_queue_id(TestId(1).ToString());
  bounce.mutable_bounce()->add_recipients(0);
  bounce.mutable_bounce()->add_recipients(1);
  queue.Intent({});
  queue.Outcome({.results = {command::RESULT_DELIVERED}});
  EXPECT_EQ(queue.Apply(bounce).verdict.code(), absl::StatusCode::kFailedPrecondition);
  bounce.mutable_bounce()->clear_recipients();
  bounce.mutable_bounce()->add_recipients(1);
  const ApplyResult result = queue.Apply(bounce);
  EXPECT_TRUE(result.verdict.ok()) << result.verdict;
  ASSERT_EQ(EventsOf<RecipientFinal>(result).size(), 1u);
  EXPECT_EQ(EventsOf<RecipientFinal>(result)[0].address, "b@two.test");
}

TEST(QueueStateTest, NonsenseIsRefusedAndChangesNothing) {
  TestQueue queue;
  queue.Enqueue({});
  const auto before = queue.tables().rows();
  std::vector<command::Command> nonsense(9);
  nonsense[0] = MakeEnqueue({.id = 2, .to = {}});
  nonsense[1] = MakeEnqueue({.id = 2, .to = {"b@"}});
  nonsense[2] = MakeEnqueue({.id = 2, .to = {"b\r\n@one.test"}});
  nonsense[3] = MakeEnqueue({.id = 2, .first_body = 4'000'000'000u, .bodies = 4'000'000'000u});
  nonsense[4] = MakeIntent({.unit = 7});
  nonsense[5] = MakeOutcome({.first_recipient = 7});
  nonsense[6] = MakeOutcome({.results = {command::RESULT_UNSET}});
  nonsense[7].mutable_hold();
  nonsense[8].mutable_set_policy();
  for (const command::Command& command : nonsense) {
    ApplyResult result = queue.Apply(command, 1);
    EXPECT_FALSE(result.verdict.ok()) << command.ShortDebugString();
    EXPECT_EQ(result.ended_bodies.size(), 1u);
    EXPECT_EQ(queue.tables().rows(), before) << command.ShortDebugString();
  }
}

command::Command RaiseTo(uint32_t version) {
  command::Command command;
  command.mutable_raise_state_version()->set_version(version);
  command.mutable_raise_state_version()->set_stamped_us(5);
  return command;
}

TEST(QueueStateTest, TheStateVersionRisesAndNeverFalls) {
  TestQueue queue;
  queue.Enqueue({});
  const size_t rows = queue.tables().rows().size();
  EXPECT_EQ(*ReadStateVersion(queue.tables()), kFirstStateVersion);
  for (const uint32_t version : {2u, 5u}) {
    const ApplyResult raised = queue.Apply(RaiseTo(version));
    EXPECT_TRUE(raised.verdict.ok()) << raised.verdict;
    EXPECT_TRUE(raised.events.empty());
    EXPECT_EQ(*ReadStateVersion(queue.tables()), version);
    EXPECT_EQ(queue.tables().rows().size(), rows + 1);
  }
  const auto before = queue.tables().rows();
  for (const uint32_t version : {5u, 4u, 1u, 0u}) {
    EXPECT_EQ(queue.Apply(RaiseTo(version)).verdict.code(), absl::StatusCode::kAlreadyExists)
        << version;
    EXPECT_EQ(queue.tables().rows(), before) << version;
  }
  queue.Outcome({});
  EXPECT_EQ(*ReadStateVersion(queue.tables()), 5u) << "it outlives the messages";
}

TEST(QueueStateTest, AGroupThatWasNeverRaisedHasNoRowOfIt) {
  TestQueue queue;
  for (const uint32_t version : {1u, 0u}) {
    EXPECT_EQ(queue.Apply(RaiseTo(version)).verdict.code(), absl::StatusCode::kAlreadyExists);
  }
  EXPECT_TRUE(queue.tables().rows().empty());
}

TEST(QueueStateTest, AStateVersionThatNoCommandWritesIsABrokenInvariant) {
  for (const uint32_t version : {0u, 1u}) {
    TestQueue queue(false);
    queue.Enqueue({});
    EXPECT_TRUE(CheckInvariants(queue.tables()).empty());
    rows::StateVersionRow row;
    row.set_version(version);
    queue.tables().Put(StateVersionKey(), EncodeRow(row));
    EXPECT_EQ(CheckInvariants(queue.tables()),
              (std::vector<std::string>{"state version: unreadable, or the first one"}));
  }
}

TEST(QueueStateTest, RememberedIdsAreForgottenAfterAnHour) {
  TestQueue queue;
  queue.Enqueue({.id = 1});
  queue.Outcome({.id = 1, .at = 10});
  queue.Enqueue({.id = 2, .at = 20});
  queue.Outcome({.id = 2, .at = 3000});
  EXPECT_TRUE(queue.tables().Get(RememberedKey(TestId(1))).has_value());
  queue.Enqueue({.id = 3, .at = 3605});
  queue.Outcome({.id = 3, .at = 3611});
  EXPECT_FALSE(queue.tables().Get(RememberedKey(TestId(1))).has_value());
  EXPECT_TRUE(queue.tables().Get(RememberedKey(TestId(2))).has_value());
}

uint64_t Unconfirmed(const TestQueue& queue) {
  return ReadTotals(const_cast<TestQueue&>(queue).tables())->unconfirmed();
}

command::Command MakeConfirm(const std::vector<uint32_t>& ids, const std::string& fingerprint,
                             double at) {
  command::Command command;
  for (const uint32_t id : ids) {
    command::Confirmed& message = *command.mutable_confirm()->add_messages();
    message.set_queue_id(TestId(id).ToString());
    message.set_sha256(testing::FingerprintOf(fingerprint));
  }
  command.mutable_confirm()->set_stamped_us(static_cast<int64_t>(at * 1e6));
  return command;
}

std::optional<QueueId> Seen(TestQueue& queue, const std::string& fingerprint, double at) {
  return *FindUnconfirmed(queue.tables(), testing::FingerprintOf(fingerprint),
                          testing::AtSecond(at));
}

TEST(QueueStateTest, AnUnconfirmedMessageIsFoundUntilItIsConfirmed) {
  TestQueue queue;
  queue.Enqueue({.id = 1, .fingerprint = "x"});
  EXPECT_EQ(Seen(queue, "x", 1), TestId(1));
  EXPECT_EQ(Seen(queue, "y", 1), std::nullopt);
  // Its end is no confirmation: the client never heard of it.
  queue.Outcome({});
  EXPECT_EQ(Seen(queue, "x", 1), TestId(1));
  EXPECT_TRUE(queue.Apply(MakeConfirm({1}, "x", 2)).verdict.ok());
  EXPECT_EQ(Seen(queue, "x", 2), std::nullopt);
  EXPECT_EQ(Unconfirmed(queue), 0u);
  EXPECT_TRUE(absl::IsNotFound(queue.Apply(MakeConfirm({1}, "x", 3)).verdict));
}

TEST(QueueStateTest, OfMessagesThatAreAlikeTheFirstUnconfirmedIsFound) {
  TestQueue queue;
  queue.Enqueue({.id = 1, .fingerprint = "x"});
  queue.Enqueue({.id = 2, .at = 1, .fingerprint = "x"});
  queue.Enqueue({.id = 3, .at = 2, .fingerprint = "x"});
  EXPECT_EQ(Seen(queue, "x", 3), TestId(1));
  queue.Apply(MakeConfirm({1}, "x", 3));
  EXPECT_EQ(Seen(queue, "x", 3), TestId(2));
  queue.Apply(MakeConfirm({3, 2}, "x", 3));
  EXPECT_EQ(Seen(queue, "x", 3), std::nullopt);
}

TEST(QueueStateTest, AFingerprintIsForgottenInTimeWhetherOrNotACommandComes) {
  TestQueue queue;
  queue.Enqueue({.id = 1, .fingerprint = "x", .forget = 900});
  EXPECT_EQ(Seen(queue, "x", 899), TestId(1));
  EXPECT_EQ(Seen(queue, "x", 900), std::nullopt);
  EXPECT_EQ(Unconfirmed(queue), 1u);
  queue.Enqueue({.id = 2, .at = 901, .fingerprint = "y"});
  EXPECT_EQ(Unconfirmed(queue), 1u);
}

TEST(QueueStateTest, NoMoreFingerprintsAreKeptThanTheBoundAndTheOldestGo) {
  TestQueue queue;
  for (uint32_t id = 1; id <= 20; ++id) {
    queue.Enqueue({.id = id, .fingerprint = "x" + std::to_string(id), .kept_max = 5});
    EXPECT_LE(Unconfirmed(queue), 5u);
  }
  EXPECT_EQ(Seen(queue, "x15", 1), std::nullopt);
  EXPECT_EQ(Seen(queue, "x16", 1), TestId(16));
  // A bound of none is no bound to fail by.
  EXPECT_TRUE(queue.Enqueue({.id = 50, .fingerprint = "z", .kept_max = 0}).verdict.ok());
  EXPECT_EQ(Seen(queue, "z", 1), std::nullopt);
}

// The oldest stays while thousands behind it come and are confirmed: no command may pay for the
// gap.
TEST(QueueStateTest, AWideGapBehindAnOldFingerprintIsPassedInSteps) {
  TestQueue queue(false);
  queue.Enqueue({.id = 1, .fingerprint = "old", .forget = 1000});
  for (uint32_t id = 2; id < 1000; ++id) {
    queue.Enqueue({.id = id, .fingerprint = "x"});
    queue.Apply(MakeConfirm({id}, "x", 1));
  }
  EXPECT_EQ(Unconfirmed(queue), 1u);
  for (uint32_t id = 1000; id < 1500; ++id) {
    queue.tables().ResetCounts();
    queue.Enqueue({.id = id, .at = 2000, .fingerprint = std::to_string(id)});
    EXPECT_LE(queue.tables().counts().gets, 16u);
  }
  const rows::TotalsRow totals = *ReadTotals(queue.tables());
  EXPECT_EQ(totals.unconfirmed(), 500u);
  EXPECT_EQ(totals.unconfirmed_next() - totals.unconfirmed_first(), 500u);
}

TEST(QueueStateTest, ARefusedSubmissionLeavesNoFingerprint) {
  TestQueue queue;
  queue.Enqueue({.id = 1});
  EXPECT_FALSE(queue.Enqueue({.id = 1, .fingerprint = "x"}).verdict.ok());
  EXPECT_EQ(Seen(queue, "x", 1), std::nullopt);
  command::Command broken = MakeEnqueue({.id = 2, .fingerprint = "x"});
  broken.mutable_enqueue()->mutable_fingerprint()->set_sha256("short");
  EXPECT_TRUE(absl::IsInvalidArgument(queue.Apply(broken, 1).verdict));
  command::Command many;
  for (uint32_t i = 0; i <= kConfirmedPerCommandMax; ++i) many.mutable_confirm()->add_messages();
  EXPECT_TRUE(absl::IsInvalidArgument(queue.Apply(many).verdict));
}

}  // namespace
}  // namespace holdfast::queue
