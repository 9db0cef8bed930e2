// The part of the store's contract that snapshots rest on: views, generations, installs, garbage.
#include <atomic>
#include <thread>

#include "tests/storage/store_contract.h"

namespace holdfast::raft {

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StoreInstallTest);

namespace {

using ViewRow = StateView::Row;

ConfState Voters(std::initializer_list<uint64_t> nodes) {
  ConfState conf;
  for (const uint64_t node : nodes) conf.voters.emplace_back(node);
  return conf;
}

// Reads all of a view, a little at a time.
const std::vector<BodyKey> kNoneAlive;

std::vector<ViewRow> All(StateView& view, uint64_t bytes_max = 1) {
  std::vector<ViewRow> rows;
  while (true) {
    auto next = view.Next(bytes_max);
    EXPECT_TRUE(next.ok()) << next.status();
    if (!next.ok() || next->empty()) return rows;
    rows.insert(rows.end(), next->begin(), next->end());
  }
}

}  // namespace

void StoreInstallTest::Begin() {
  CreateStore();
  Write(
      Append(kGroup, 1, 1, {{"1a", "1b"}, {"2a", "2b"}, {"3a", "3b"}, {"4a", "4b"}, {"5a", "5b"}}));
  std::unique_ptr<StateBatch> batch = store_->NewStateBatch(kGroup);
  batch->Put("old", "row");
  batch->Put("shared", "before");
  batch->DeleteBody({kGroup, 1, 1, 0});
  batch->DeleteBody({kGroup, 1, 1, 1});
  ASSERT_TRUE(store_->CommitState(std::move(batch), AppliedMark{2, 1, std::nullopt}).ok());
  Commit(kOtherGroup, 0, "other", "group");
}

std::unique_ptr<StateInstall> StoreInstallTest::Fill() {
  auto install = store_->BeginInstall(kGroup);
  EXPECT_TRUE(install.ok()) << install.status();
  EXPECT_TRUE((*install)->PutRows({{"new", "row"}, {"shared", "after"}}).ok());
  EXPECT_TRUE((*install)->PutBody({kGroup, 4, 2, 0}, MakePayload("4 of term 2").bytes).ok());
  return *std::move(install);
}

LogWrite StoreInstallTest::InstallOf(const StateInstall& filled, LogIndex index) {
  LogWrite write;
  write.group = kGroup;
  write.hard_state = HardState{2, NodeId(8), 1};
  write.must_sync = false;  // It is synced all the same.
  write.install = LogWrite::Install{filled.generation(), index, 2, Voters({7, 8, 9}), 6};
  return write;
}

std::vector<BodyKey> StoreInstallTest::Live() { return {{kGroup, 2, 1, 1}, {kGroup, 4, 2, 0}}; }

void StoreInstallTest::GiveUp(LogIndex index) {
  auto install = store_->BeginInstall(kGroup);
  ASSERT_TRUE(install.ok()) << install.status();
  ASSERT_TRUE((*install)->PutRows({{"given up", "row"}}).ok());
  for (uint32_t ordinal = 0; ordinal < 2; ++ordinal) {
    const Body body = MakePayload(format("fetched {}", ordinal)).bytes;
    ASSERT_TRUE((*install)->PutBody({kGroup, index, 2, ordinal}, body).ok());
  }
}

void StoreInstallTest::CatchUp(LogIndex index) {
  const LogIndex last = RecordOf(kGroup).last;
  std::vector<std::vector<std::string>> bodies(index - last);
  bodies.back() = {format("of the log {}", index)};
  Write(Append(kGroup, last + 1, 2, bodies));
  Commit(kGroup, index, "shared", format("as of {}", index));
}

void StoreInstallTest::ExpectBefore() {
  const GroupRecord record = RecordOf(kGroup);
  EXPECT_EQ(record.applied, 2u);
  EXPECT_EQ(record.applied_term, 1u);
  EXPECT_EQ(record.last, 5u);
  EXPECT_EQ(Row(kGroup, "old"), "row");
  EXPECT_EQ(Row(kGroup, "shared"), "before");
  EXPECT_EQ(Row(kGroup, "new"), "");
  EXPECT_EQ(ReadBody(kGroup, 3, 1, 0), "3a");
  EXPECT_FALSE(store_->GarbagePending(kGroup));
}

void StoreInstallTest::ExpectInstalled() {
  const GroupRecord record = RecordOf(kGroup);
  EXPECT_EQ(record.applied, 4u);
  EXPECT_EQ(record.applied_term, 2u);
  EXPECT_EQ(record.truncated, 4u);
  EXPECT_EQ(record.truncated_term, 2u);
  EXPECT_EQ(record.last, 4u);
  EXPECT_EQ(record.hard_state, (HardState{2, NodeId(8), 4}));
  EXPECT_EQ(record.conf_state, Voters({7, 8, 9}));
  EXPECT_EQ(record.elided_through, 6u);
  EXPECT_EQ(store_->ReadEntries(kGroup, 4, 5, 1000).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(Row(kGroup, "old"), "");
  EXPECT_EQ(Row(kGroup, "shared"), "after");
  EXPECT_EQ(Row(kGroup, "new"), "row");
  EXPECT_EQ(ReadBody(kGroup, 2, 1, 1), "2b");
  EXPECT_EQ(ReadBody(kGroup, 4, 2, 0), "4 of term 2");
  // It stood behind the snapshot: another leader's entry will have its place.
  EXPECT_EQ(ReadBody(kGroup, 5, 1, 0), "NOT_FOUND");
  EXPECT_EQ(Row(kOtherGroup, "other"), "group");
}

void StoreInstallTest::Collect(size_t steps_max) { Collect(steps_max, Live()); }

void StoreInstallTest::Collect(size_t steps_max, const std::vector<BodyKey>& live) {
  for (int round = 0; round < 20; ++round) {
    auto done = store_->CollectGarbage(kGroup, live, steps_max);
    ASSERT_TRUE(done.ok()) << done.status();
    if (*done) return;
    EXPECT_TRUE(store_->GarbagePending(kGroup));
  }
  FAIL() << "no end of garbage";
}

void StoreInstallTest::ExpectClean() {
  EXPECT_FALSE(store_->GarbagePending(kGroup));
  for (const auto& [index, ordinal] : {std::pair{2, 0}, {3, 0}, {3, 1}, {4, 0}, {4, 1}}) {
    EXPECT_EQ(ReadBody(kGroup, index, 1, ordinal), "NOT_FOUND") << index << "/" << ordinal;
  }
  ExpectInstalled();
}

namespace {

TEST_P(StoreInstallTest, AViewShowsOneMoment) {
  Begin();
  auto view = store_->OpenStateView(kGroup);
  ASSERT_TRUE(view.ok()) << view.status();
  Commit(kGroup, 3, "shared", "later");
  Commit(kGroup, 4, "zlast", "later");
  EXPECT_EQ((*view)->mark().index, 2u);
  EXPECT_EQ((*view)->mark().term, 1u);
  EXPECT_EQ((*view)->mark().conf_state, Voters({7, 8}));
  EXPECT_EQ(All(**view), (std::vector<ViewRow>{{"old", "row"}, {"shared", "before"}}));
  view = store_->OpenStateView(kGroup);
  EXPECT_EQ((*view)->mark().index, 4u);
  EXPECT_EQ(All(**view, 1000).size(), 3u);
  EXPECT_EQ(store_->OpenStateView(GroupId(99)).status().code(), absl::StatusCode::kNotFound);
}

TEST_P(StoreInstallTest, RowsAreSentInPiecesOfAboutTheSizeAskedFor) {
  Begin();
  auto view = store_->OpenStateView(kGroup);
  ASSERT_TRUE(view.ok());
  auto first = (*view)->Next(1);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->size(), 1u);  // At least one.
  auto second = (*view)->Next(1000);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->size(), 1u);
  auto end = (*view)->Next(1000);
  EXPECT_TRUE(end.ok() && end->empty());
}

TEST_P(StoreInstallTest, WhatIsFilledInIsNotSeenUntilItIsInstalled) {
  Begin();
  const std::unique_ptr<StateReader> reader = store_->Reader(kGroup);
  std::unique_ptr<StateInstall> filled = Fill();
  EXPECT_EQ(*filled->Reader()->Get("new"), "row");
  EXPECT_EQ(*filled->Reader()->Get("old"), std::nullopt);
  ExpectBefore();
  Write(InstallOf(*filled));
  ExpectInstalled();
  EXPECT_TRUE(store_->GarbagePending(kGroup));
  // A reader that was there before follows.
  EXPECT_EQ(*reader->Get("shared"), "after");
  size_t rows = 0;
  EXPECT_TRUE(reader->Scan("", "", 100, [&rows](auto, auto) { return ++rows > 0; }).ok());
  EXPECT_EQ(rows, 2u);
}

TEST_P(StoreInstallTest, AnInstallIsSyncedAndOutlivesAPowerCut) {
  Begin();
  Write(InstallOf(*Fill()));
  Reopen(/*cut_power=*/true);
  ExpectInstalled();
  EXPECT_TRUE(store_->GarbagePending(kGroup));
  Collect(100);
  ExpectClean();
}

TEST_P(StoreInstallTest, WithoutTheInstallAPowerCutLeavesWhatWas) {
  Begin();
  Write(Append(kOtherGroup, 1, 1, {{}}));  // Its sync covers all that was written before.
  { std::unique_ptr<StateInstall> filled = Fill(); }
  Reopen(/*cut_power=*/true);
  ExpectBefore();
}

TEST_P(StoreInstallTest, GarbageGoesInSlices) {
  Begin();
  Write(InstallOf(*Fill()));
  Collect(1);
  ExpectClean();
  Reopen(/*cut_power=*/false);
  ExpectClean();
}

TEST_P(StoreInstallTest, GarbageIsCollectedAgainAfterACrash) {
  Begin();
  Write(InstallOf(*Fill()));
  ASSERT_FALSE(*store_->CollectGarbage(kGroup, Live(), 2));
  Reopen(/*cut_power=*/true);
  ExpectInstalled();
  EXPECT_TRUE(store_->GarbagePending(kGroup));
  Collect(2);
  ExpectClean();
}

TEST_P(StoreInstallTest, AnAbandonedInstallLeavesItsBodiesAndNoRows) {
  Begin();
  {
    auto first = store_->BeginInstall(kGroup);
    ASSERT_TRUE(first.ok());
    ASSERT_TRUE((*first)->PutRows({{"abandoned", "row"}}).ok());
    ASSERT_TRUE((*first)->PutBody({kGroup, 3, 2, 0}, MakePayload("fetched").bytes).ok());
  }
  EXPECT_EQ(ReadBody(kGroup, 3, 2, 0), "fetched");  // The next try need not fetch it.
  std::unique_ptr<StateInstall> filled = Fill();
  EXPECT_EQ(*filled->Reader()->Get("abandoned"), std::nullopt);
  Write(InstallOf(*filled));
  EXPECT_EQ(Row(kGroup, "abandoned"), "");
  Collect(100);
  EXPECT_EQ(ReadBody(kGroup, 3, 2, 0), "NOT_FOUND");  // The rows don't list it.
  ExpectClean();
}

// The ends of bodies that a pull fetched may be applied already when it is given up, or be applied
// from the log before they arrive: nothing but a look at what lives can tell.
TEST_P(StoreInstallTest, BodiesOfAnAbandonedInstallGoWhenTheLogHasCaughtUp) {
  Begin();
  GiveUp(8);
  Collect(100, {});
  EXPECT_EQ(ReadBody(kGroup, 8, 2, 0), "fetched 0");  // The next try may want it.
  CatchUp(7);
  EXPECT_FALSE(store_->DeadBodiesPending(kGroup));
  EXPECT_EQ(*store_->CollectGarbage(kGroup, kNoneAlive, 100), true);
  EXPECT_EQ(ReadBody(kGroup, 8, 2, 0), "fetched 0");
  CatchUp(8);  // Writes body 0 once more.
  Write(Append(kGroup, 9, 2, {{"not applied"}}));
  EXPECT_TRUE(store_->GarbagePending(kGroup));
  EXPECT_TRUE(store_->DeadBodiesPending(kGroup));
  EXPECT_EQ(*store_->CollectGarbage(kGroup, std::nullopt, 100), true);
  EXPECT_EQ(ReadBody(kGroup, 8, 2, 1), "fetched 1");  // Nobody said what lives.
  Collect(1, {{kGroup, 3, 1, 1}, {kGroup, 8, 2, 0}});
  EXPECT_EQ(ReadBody(kGroup, 3, 1, 0), "NOT_FOUND");
  EXPECT_EQ(ReadBody(kGroup, 3, 1, 1), "3b");
  EXPECT_EQ(ReadBody(kGroup, 8, 2, 0), "of the log 8");
  EXPECT_EQ(ReadBody(kGroup, 8, 2, 1), "NOT_FOUND");
  EXPECT_EQ(ReadBody(kGroup, 9, 2, 0), "not applied");
  EXPECT_EQ(Row(kGroup, "shared"), "as of 8");
  EXPECT_FALSE(store_->GarbagePending(kGroup));
}

TEST_P(StoreInstallTest, WhatAnAbandonedInstallFetchedIsKnownAfterAPowerCut) {
  Begin();
  GiveUp(8);
  CatchUp(8);
  Write(Append(kOtherGroup, 1, 1, {{}}));  // Its sync covers all that was written before.
  Reopen(/*cut_power=*/true);
  ASSERT_TRUE(store_->DeadBodiesPending(kGroup));
  ASSERT_FALSE(*store_->CollectGarbage(kGroup, std::vector<BodyKey>{{kGroup, 8, 2, 0}}, 2));
  Reopen(/*cut_power=*/true);
  Collect(2, {{kGroup, 8, 2, 0}});
  EXPECT_EQ(ReadBody(kGroup, 8, 2, 0), "of the log 8");
  EXPECT_EQ(ReadBody(kGroup, 8, 2, 1), "NOT_FOUND");
  Reopen(/*cut_power=*/false);
  EXPECT_FALSE(store_->GarbagePending(kGroup));
}

TEST_P(StoreInstallTest, RowsOfAnAbandonedInstallAreGarbageAtOnce) {
  Begin();
  {
    auto install = store_->BeginInstall(kGroup);
    ASSERT_TRUE((*install)->PutRows({{"given up", "row"}}).ok());
    EXPECT_FALSE(store_->GarbagePending(kGroup));
  }
  EXPECT_TRUE(store_->GarbagePending(kGroup));
  EXPECT_FALSE(store_->DeadBodiesPending(kGroup));
  EXPECT_EQ(*store_->CollectGarbage(kGroup, std::nullopt, 1), true);
  ExpectBefore();
  // And not those of one that was begun since.
  auto forgotten = store_->BeginInstall(kGroup);
  ASSERT_TRUE(forgotten.ok());
  std::unique_ptr<StateInstall> filled = Fill();
  forgotten->reset();
  EXPECT_EQ(*store_->CollectGarbage(kGroup, std::nullopt, 1), true);
  Write(InstallOf(*filled));
  ExpectInstalled();
}

// A leader that is behind the one that was pulled from before.
TEST_P(StoreInstallTest, AnInstallBehindAnAbandonedOneLeavesItsBodiesUntilTheyAreDue) {
  Begin();
  GiveUp(8);
  Write(InstallOf(*Fill()));
  EXPECT_FALSE(store_->DeadBodiesPending(kGroup));
  Collect(100);
  EXPECT_EQ(ReadBody(kGroup, 3, 1, 0), "3a");
  Write(Append(kGroup, 5, 2, {{}, {}, {}, {}}));
  Commit(kGroup, 8, "shared", "after");
  Collect(100);
  EXPECT_EQ(ReadBody(kGroup, 3, 1, 0), "NOT_FOUND");
  EXPECT_EQ(ReadBody(kGroup, 8, 2, 1), "NOT_FOUND");
  EXPECT_EQ(ReadBody(kGroup, 2, 1, 1), "2b");
}

TEST_P(StoreInstallTest, AnInstallThatWasGivenUpIsRefused) {
  Begin();
  LogWrite write;
  {
    std::unique_ptr<StateInstall> filled = Fill();
    write = InstallOf(*filled);
  }
  EXPECT_DEATH((void)store_->Write({write}), "which was given up");
}

TEST_P(StoreInstallTest, LifeGoesOnBehindTheSnapshot) {
  Begin();
  Write(InstallOf(*Fill()));
  Write(Append(kGroup, 5, 2, {{"5 of term 2"}, {}}));
  auto entries = store_->ReadEntries(kGroup, 5, 7, 1 << 20);
  ASSERT_TRUE(entries.ok()) << entries.status();
  EXPECT_EQ(entries->at(0).command, CommandOf(5, 2));
  std::unique_ptr<StateBatch> batch = store_->NewStateBatch(kGroup);
  EXPECT_EQ(*batch->Get("new"), "row");
  batch->Put("new", "changed");
  batch->DeleteBody({kGroup, 4, 2, 0});
  ASSERT_TRUE(store_->CommitState(std::move(batch), AppliedMark{5, 2, std::nullopt}).ok());
  Reopen(/*cut_power=*/false);
  EXPECT_EQ(Row(kGroup, "new"), "changed");
  EXPECT_EQ(ReadBody(kGroup, 4, 2, 0), "NOT_FOUND");
  // Garbage that is collected later with the list of an earlier moment touches nothing newer.
  Collect(3);
  EXPECT_EQ(ReadBody(kGroup, 5, 2, 0), "5 of term 2");
  EXPECT_EQ(RecordOf(kGroup).applied, 5u);
}

TEST_P(StoreInstallTest, EntriesMayFollowInTheSameWrite) {
  Begin();
  std::unique_ptr<StateInstall> filled = Fill();
  LogWrite write = Append(kGroup, 5, 2, {{"with it"}});
  write.install = InstallOf(*filled).install;
  Write(write);
  EXPECT_EQ(RecordOf(kGroup).last, 5u);
  EXPECT_EQ(RecordOf(kGroup).applied, 4u);
  EXPECT_EQ(ReadBody(kGroup, 5, 2, 0), "with it");
  EXPECT_EQ(RecordOf(kGroup).hard_state.commit, 4u);
}

TEST_P(StoreInstallTest, ASecondSnapshotReplacesTheFirstAndItsGarbage) {
  Begin();
  Write(InstallOf(*Fill()));
  ASSERT_FALSE(*store_->CollectGarbage(kGroup, Live(), 1));
  auto second = store_->BeginInstall(kGroup);
  ASSERT_TRUE(second.ok());
  ASSERT_TRUE((*second)->PutRows({{"second", "row"}}).ok());
  Write(InstallOf(**second, 9));
  EXPECT_EQ(Row(kGroup, "second"), "row");
  EXPECT_EQ(Row(kGroup, "new"), "");
  EXPECT_EQ(RecordOf(kGroup).applied, 9u);
  auto done = store_->CollectGarbage(kGroup, kNoneAlive, 100);
  ASSERT_TRUE(done.ok() && *done);
  EXPECT_EQ(ReadBody(kGroup, 2, 1, 1), "NOT_FOUND");
  EXPECT_EQ(ReadBody(kGroup, 4, 2, 0), "NOT_FOUND");
}

TEST_P(StoreInstallTest, ABatchFromBeforeTheInstallIsRefused) {
  Begin();
  std::unique_ptr<StateBatch> batch = store_->NewStateBatch(kGroup);
  Write(InstallOf(*Fill()));
  batch->Put("late", "row");
  EXPECT_DEATH(
      {
        (void)store_->CommitState(std::move(batch), AppliedMark{4, 2, std::nullopt});
      },
      "behind an install");
}

TEST_P(StoreInstallTest, NothingIsCollectedWhereNothingWasInstalled) {
  Begin();
  auto done = store_->CollectGarbage(kGroup, kNoneAlive, 100);
  ASSERT_TRUE(done.ok() && *done);
  ExpectBefore();
  EXPECT_EQ(ReadBody(kGroup, 2, 1, 0), "2a");
}

TEST_P(StoreInstallTest, WhatAForgottenInstallStillWritesGetsNowhere) {
  Begin();
  auto forgotten = store_->BeginInstall(kGroup);
  ASSERT_TRUE(forgotten.ok());
  ASSERT_TRUE((*forgotten)->PutRows({{"early", "row"}}).ok());
  std::unique_ptr<StateInstall> filled = Fill();
  EXPECT_NE(filled->generation(), (*forgotten)->generation());
  ASSERT_TRUE((*forgotten)->PutRows({{"late", "row"}}).ok());
  EXPECT_EQ(*filled->Reader()->Get("late"), std::nullopt);
  Write(InstallOf(*filled));
  ASSERT_TRUE((*forgotten)->PutRows({{"later", "row"}}).ok());
  auto view = store_->OpenStateView(kGroup);
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(All(**view), (std::vector<ViewRow>{{"new", "row"}, {"shared", "after"}}));
  Collect(100);
  ExpectClean();
}

TEST_P(StoreInstallTest, AnInstallWhoseRowsANewerOneRemovedIsRefused) {
  Begin();
  std::unique_ptr<StateInstall> first = Fill();
  std::unique_ptr<StateInstall> second = Fill();
  EXPECT_DEATH((void)store_->Write({InstallOf(*first)}), "the newest begun is");
  Write(InstallOf(*second));
  EXPECT_DEATH((void)store_->Write({InstallOf(*second)}), "an install of generation");
}

TEST_P(StoreInstallTest, AnInstallIsNeverBehindTheAppliedIndex) {
  Begin();
  std::unique_ptr<StateInstall> filled = Fill();
  EXPECT_DEATH((void)store_->Write({InstallOf(*filled, 1)}), "behind applied");
}

TEST_P(StoreInstallTest, LiveBodiesInDisorderAreRefusedBeforeOneIsLost) {
  Begin();
  Write(InstallOf(*Fill()));
  std::vector<BodyKey> live = Live();
  std::swap(live.front(), live.back());
  EXPECT_DEATH((void)store_->CollectGarbage(kGroup, live, 100), "in disorder");
}

TEST_P(StoreInstallTest, ASnapshotOfAnEmptyStateEmptiesTheGroup) {
  Begin();
  Write(InstallOf(**store_->BeginInstall(kGroup)));
  EXPECT_TRUE(All(**store_->OpenStateView(kGroup)).empty());
  auto done = store_->CollectGarbage(kGroup, kNoneAlive, 100);
  EXPECT_TRUE(done.ok() && *done);
  EXPECT_EQ(ReadBody(kGroup, 2, 1, 1), "NOT_FOUND");
  Reopen(/*cut_power=*/true);
  EXPECT_EQ(Row(kGroup, "shared"), "");
  EXPECT_EQ(RecordOf(kGroup).applied, 4u);
}

TEST_P(StoreInstallTest, ABehindReplicaLosesItsHeadersAndAnEmptyLogHasNone) {
  Begin();
  // Far behind its log's end.
  Write(InstallOf(*Fill(), 1000));
  // And once more, with nothing in the log.
  Write(InstallOf(**store_->BeginInstall(kGroup), 2000));
  Reopen(/*cut_power=*/true);
  EXPECT_EQ(RecordOf(kGroup).last, 2000u);
  EXPECT_EQ(RecordOf(kGroup).truncated, 2000u);
  Write(Append(kGroup, 2001, 2, {{"next"}}));
  Reopen(/*cut_power=*/true);
  EXPECT_EQ(RecordOf(kGroup).last, 2001u);
  EXPECT_EQ(ReadBody(kGroup, 2001, 2, 0), "next");
}

TEST_P(StoreInstallTest, WritesOfOtherGroupsShareTheInstallsWrite) {
  Begin();
  Write(Append(kOtherGroup, 1, 1, {{"lost"}, {"lost too"}}));
  const LogWrite behind = Append(kGroup, 5, 2, {{"behind"}});
  // The last one replaces a tail: what stands before it in the batch is written early.
  ASSERT_TRUE(
      store_->Write({InstallOf(*Fill()), behind, Append(kOtherGroup, 1, 2, {{"won"}})}).ok());
  EXPECT_EQ(RecordOf(kGroup).applied, 4u);
  EXPECT_EQ(RecordOf(kGroup).last, 5u);
  Reopen(/*cut_power=*/true);
  EXPECT_EQ(ReadBody(kGroup, 5, 2, 0), "behind");
  EXPECT_EQ(ReadBody(kOtherGroup, 1, 2, 0), "won");
  EXPECT_EQ(ReadBody(kOtherGroup, 2, 1, 0), "NOT_FOUND");
  EXPECT_EQ(Row(kGroup, "shared"), "after");
}

// On the apply context a source opens views and attempts read rows, while the storage context
// installs and collects.
TEST_P(StoreInstallTest, WhoeverLooksDuringInstallsSeesOneMoment) {
  if (!world_->has_threads()) GTEST_SKIP() << "nobody can look while this store writes";
  Begin();
  Commit(kGroup, 2, "mark", "2");
  std::atomic<bool> over = false;
  std::atomic<int> looks = 0;
  std::thread looker([&] {
    const std::unique_ptr<StateReader> reader = store_->Reader(kGroup);
    while (!over && !HasFailure()) {
      auto view = store_->OpenStateView(kGroup);
      ASSERT_TRUE(view.ok()) << view.status();
      std::string mark;
      for (const ViewRow& row : All(**view, 100)) mark = row.key == "mark" ? row.value : mark;
      EXPECT_EQ(mark, std::to_string((*view)->mark().index));
      auto row = reader->Get("mark");
      ASSERT_TRUE(row.ok()) << row.status();
      EXPECT_TRUE(row->has_value()) << "behind " << mark;
      size_t rows = 0;
      EXPECT_TRUE(reader->Scan("", "", 10, [&rows](auto, auto) { return ++rows > 0; }).ok());
      EXPECT_GT(rows, 0u) << "behind " << mark;
      ++looks;
    }
  });
  LogIndex index = 10;
  for (int rounds = 0; (rounds < 300 || looks < 300) && !HasFailure(); ++rounds, ++index) {
    auto install = store_->BeginInstall(kGroup);
    ASSERT_TRUE(install.ok());
    EXPECT_TRUE((*install)->PutRows({{"mark", std::to_string(index)}}).ok());
    Write(InstallOf(**install, index));
    auto done = store_->CollectGarbage(kGroup, kNoneAlive, 100);
    EXPECT_TRUE(done.ok() && *done);
  }
  over = true;
  looker.join();
}

}  // namespace
}  // namespace holdfast::raft
