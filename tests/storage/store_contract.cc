#include "tests/storage/store_contract.h"

#include "base/crc32c.h"

namespace holdfast::raft {

// Programs that don't instantiate the suite may still link its fixtures.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StoreContractTest);

Payload MakePayload(std::string bytes) {
  Payload payload;
  payload.size = static_cast<uint32_t>(bytes.size());
  payload.crc32c = Crc32c(bytes);
  payload.bytes = std::make_shared<const std::string>(std::move(bytes));
  return payload;
}

std::string CommandOf(LogIndex index, Term term) {
  return holdfast::format("command {} of term {}", index, term);
}

StoreContractTest::StoreContractTest() : world_(GetParam()()) {}

void StoreContractTest::CreateStore() {
  StoreIdentity identity{"0123456789abcdef0123456789abcdef", NodeId(7)};
  GroupSeed seed;
  seed.group = kGroup;
  seed.incarnation = 5;
  seed.conf_state.voters = {NodeId(7), NodeId(8)};
  GroupSeed other = seed;
  other.group = kOtherGroup;
  auto store = world_->Create(identity, {seed, other});
  ASSERT_TRUE(store.ok()) << store.status();
  store_ = *std::move(store);
}

void StoreContractTest::Reopen(bool cut_power) {
  store_.reset();
  if (cut_power) world_->CutPower();
  auto store = world_->Open();
  ASSERT_TRUE(store.ok()) << store.status();
  store_ = *std::move(store);
}

GroupRecord StoreContractTest::RecordOf(GroupId group) const {
  auto record = store_->LoadGroup(group);
  EXPECT_TRUE(record.ok()) << record.status();
  return record.ok() ? *record : GroupRecord{};
}

LogWrite StoreContractTest::Append(GroupId group, LogIndex first, Term term,
                                   const std::vector<std::vector<std::string>>& bodies_of_entries) {
  LogWrite write;
  write.group = group;
  write.hard_state = HardState{term, NodeId(7), 0};
  for (const std::vector<std::string>& bodies : bodies_of_entries) {
    Entry entry;
    entry.index = first++;
    entry.term = term;
    entry.command = CommandOf(entry.index, term);
    for (const std::string& body : bodies) entry.bodies.push_back(MakePayload(body));
    write.entries.push_back(std::move(entry));
  }
  return write;
}

void StoreContractTest::Write(const LogWrite& write) {
  absl::Status status = store_->Write({write});
  ASSERT_TRUE(status.ok()) << status;
}

void StoreContractTest::Commit(GroupId group, LogIndex applied, const std::string& key,
                               const std::string& value) {
  std::unique_ptr<StateBatch> batch = store_->NewStateBatch(group);
  batch->Put(key, value);
  absl::Status status =
      store_->CommitState(std::move(batch), AppliedMark{applied, 1, std::nullopt});
  ASSERT_TRUE(status.ok()) << status;
}

std::string StoreContractTest::Row(GroupId group, const std::string& key) const {
  auto value = store_->Reader(group)->Get(key);
  EXPECT_TRUE(value.ok()) << value.status();
  return value.ok() ? value->value_or("") : "";
}

std::string StoreContractTest::ReadBody(GroupId group, LogIndex index, Term term,
                                        uint32_t ordinal) const {
  auto body = store_->ReadBody(BodyKey{group, index, term, ordinal});
  return body.ok() ? **body : absl::StatusCodeToString(body.status().code());
}

namespace {

TEST_P(StoreContractTest, ANewStoreRemembersItsIdentityAndEmptyGroups) {
  CreateStore();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(store_->identity().node, NodeId(7));
    EXPECT_EQ(store_->identity().cluster_id, "0123456789abcdef0123456789abcdef");
    EXPECT_EQ(store_->groups(), (std::vector<GroupId>{kGroup, kOtherGroup}));
    const GroupRecord record = RecordOf(kGroup);
    EXPECT_EQ(record.incarnation, 5u);
    EXPECT_EQ(record.conf_state.voters, (std::vector<NodeId>{NodeId(7), NodeId(8)}));
    EXPECT_TRUE(record.hard_state.empty());
    EXPECT_EQ(record.last, 0u);
    EXPECT_EQ(record.applied, 0u);
    Reopen(/*cut_power=*/true);
  }
}

TEST_P(StoreContractTest, OpeningNothingIsRefusedAndSoIsCreatingTwice) {
  EXPECT_EQ(world_->Open().status().code(), absl::StatusCode::kNotFound);
  CreateStore();
  store_.reset();
  EXPECT_EQ(world_->Create({"0123456789abcdef0123456789abcdef", NodeId(9)}, {}).status().code(),
            absl::StatusCode::kAlreadyExists);
}

TEST_P(StoreContractTest, AnElidedBodyIsNotStoredAndItsMarkNeverFalls) {
  CreateStore();
  LogWrite write = Append(kGroup, 1, 1, {{"here"}, {"gone", "here too"}});
  write.entries[1].bodies[0].bytes = nullptr;
  write.entries[1].bodies[0].elided_by = 9;
  Write(write);
  write = Append(kGroup, 3, 1, {{"gone"}});
  write.entries[0].bodies[0].bytes = nullptr;
  write.entries[0].bodies[0].elided_by = 7;
  Write(write);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(RecordOf(kGroup).elided_through, 9u);
    EXPECT_EQ(RecordOf(kOtherGroup).elided_through, 0u);
    EXPECT_EQ(ReadBody(kGroup, 1, 1, 0), "here");
    EXPECT_EQ(ReadBody(kGroup, 2, 1, 0), "NOT_FOUND");
    EXPECT_EQ(ReadBody(kGroup, 2, 1, 1), "here too");
    auto entries = store_->ReadEntries(kGroup, 2, 3, ~uint64_t{0});
    ASSERT_TRUE(entries.ok()) << entries.status();
    EXPECT_EQ((*entries)[0].bodies[0], MakePayload("gone"));
    Reopen(/*cut_power=*/true);
  }
}

TEST_P(StoreContractTest, AMendedBodyIsThereAndSurvivesAPowerCut) {
  CreateStore();
  LogWrite write = Append(kGroup, 1, 1, {{"one", "two"}});
  write.entries[0].bodies[1].bytes = nullptr;
  write.entries[0].bodies[1].elided_by = 9;
  Write(write);
  const auto body = [](std::string bytes) {
    return std::make_shared<const std::string>(std::move(bytes));
  };
  ASSERT_TRUE(store_->MendBody({kGroup, 1, 1, 1}, body("two")).ok());
  // In the place of another one, too.
  ASSERT_TRUE(store_->MendBody({kGroup, 1, 1, 0}, body(std::string(50'000, 'x'))).ok());
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(ReadBody(kGroup, 1, 1, 0), std::string(50'000, 'x'));
    EXPECT_EQ(ReadBody(kGroup, 1, 1, 1), "two");
    EXPECT_EQ(ReadBody(kOtherGroup, 1, 1, 1), "NOT_FOUND");
    Reopen(/*cut_power=*/true);
  }
}

TEST_P(StoreContractTest, SyncedEntriesBodiesAndHardStateSurviveAPowerCut) {
  CreateStore();
  const std::string big(100'000, 'b');
  Write(Append(kGroup, 1, 1, {{"first"}, {}, {big, "", "third"}}));
  Reopen(/*cut_power=*/true);
  const GroupRecord record = RecordOf(kGroup);
  EXPECT_EQ(record.last, 3u);
  EXPECT_EQ(record.hard_state, (HardState{1, NodeId(7), 0}));
  auto entries = store_->ReadEntries(kGroup, 1, 4, ~uint64_t{0});
  ASSERT_TRUE(entries.ok()) << entries.status();
  ASSERT_EQ(entries->size(), 3u);
  EXPECT_EQ((*entries)[2].command, CommandOf(3, 1));
  ASSERT_EQ((*entries)[2].bodies.size(), 3u);
  EXPECT_EQ((*entries)[2].bodies[0], MakePayload(big));
  EXPECT_EQ((*entries)[2].bodies[0].bytes, nullptr);
  EXPECT_EQ(ReadBody(kGroup, 1, 1, 0), "first");
  EXPECT_EQ(ReadBody(kGroup, 3, 1, 0), big);
  EXPECT_EQ(ReadBody(kGroup, 3, 1, 1), "");
  EXPECT_EQ(ReadBody(kGroup, 3, 1, 2), "third");
  EXPECT_EQ(ReadBody(kGroup, 3, 1, 3), "NOT_FOUND");
  EXPECT_EQ(ReadBody(kOtherGroup, 1, 1, 0), "NOT_FOUND");
  EXPECT_EQ(RecordOf(kOtherGroup).last, 0u);
}

TEST_P(StoreContractTest, OneWriteCarriesManyGroups) {
  CreateStore();
  const uint64_t syncs = store_->Counters().syncs;
  ASSERT_TRUE(store_
                  ->Write({Append(kGroup, 1, 1, {{"a"}}), Append(kOtherGroup, 1, 2, {{"b"}}),
                           Append(kGroup, 2, 1, {{"c"}})})
                  .ok());
  EXPECT_EQ(store_->Counters().syncs, syncs + 1);
  Reopen(/*cut_power=*/true);
  EXPECT_EQ(ReadBody(kGroup, 1, 1, 0), "a");
  EXPECT_EQ(ReadBody(kGroup, 2, 1, 0), "c");
  EXPECT_EQ(ReadBody(kOtherGroup, 1, 2, 0), "b");
}

TEST_P(StoreContractTest, ReadsStopAtTheByteLimitAndRefuseWhatIsNotThere) {
  CreateStore();
  Write(Append(kGroup, 1, 1, {{}, {}, {}, {}}));
  auto one = store_->ReadEntries(kGroup, 2, 5, 1);
  ASSERT_TRUE(one.ok());
  ASSERT_EQ(one->size(), 1u);
  EXPECT_EQ(one->front().index, 2u);
  EXPECT_EQ(store_->ReadEntries(kGroup, 4, 6, 1).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(store_->ReadEntries(kGroup, 0, 2, 1).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_P(StoreContractTest, ANewerLeadersEntriesReplaceTheTailWithItsBodies) {
  CreateStore();
  Write(Append(kGroup, 1, 1, {{"one"}, {"two"}, {"three"}}));
  Write(Append(kGroup, 2, 4, {{"other two"}}));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(RecordOf(kGroup).last, 2u);
    EXPECT_EQ(ReadBody(kGroup, 1, 1, 0), "one");
    EXPECT_EQ(ReadBody(kGroup, 2, 1, 0), "NOT_FOUND");
    EXPECT_EQ(ReadBody(kGroup, 3, 1, 0), "NOT_FOUND");
    EXPECT_EQ(ReadBody(kGroup, 2, 4, 0), "other two");
    EXPECT_EQ(store_->ReadEntries(kGroup, 3, 4, 1).status().code(), absl::StatusCode::kOutOfRange);
    Reopen(/*cut_power=*/true);
  }
}

TEST_P(StoreContractTest, ATailWrittenAndReplacedWithinOneWriteLeavesNoBody) {
  CreateStore();
  ASSERT_TRUE(store_
                  ->Write({Append(kGroup, 1, 1, {{"one"}, {"two"}}),
                           Append(kGroup, 1, 2, {{"new one"}}), Append(kGroup, 1, 3, {{"newest"}})})
                  .ok());
  EXPECT_EQ(RecordOf(kGroup).last, 1u);
  EXPECT_EQ(ReadBody(kGroup, 1, 1, 0), "NOT_FOUND");
  EXPECT_EQ(ReadBody(kGroup, 2, 1, 0), "NOT_FOUND");
  EXPECT_EQ(ReadBody(kGroup, 1, 2, 0), "NOT_FOUND");
  EXPECT_EQ(ReadBody(kGroup, 1, 3, 0), "newest");
}

TEST_P(StoreContractTest, TheSameEntryWrittenTwiceIsThereOnce) {
  CreateStore();
  Write(Append(kGroup, 1, 2, {{"body"}, {"behind"}}));
  Write(Append(kGroup, 1, 2, {{"body"}}));
  EXPECT_EQ(RecordOf(kGroup).last, 1u);
  EXPECT_EQ(ReadBody(kGroup, 1, 2, 0), "body");
  EXPECT_EQ(ReadBody(kGroup, 2, 2, 0), "NOT_FOUND");
}

TEST_P(StoreContractTest, RowsAreNeverAheadOfTheLogAfterAPowerCut) {
  CreateStore();
  Write(Append(kGroup, 1, 1, {{"a"}, {"b"}}));
  Commit(kGroup, 1, "row", "of entry 1");
  Write(Append(kGroup, 3, 1, {{"c"}}));  // Its sync covers the rows before it.
  Commit(kGroup, 3, "row", "of entry 3");
  EXPECT_EQ(Row(kGroup, "row"), "of entry 3");
  Reopen(/*cut_power=*/true);
  const GroupRecord record = RecordOf(kGroup);
  EXPECT_EQ(record.last, 3u);
  EXPECT_GE(record.hard_state.commit, record.applied);
  if (record.applied == 3) {
    EXPECT_EQ(Row(kGroup, "row"), "of entry 3");
  } else {
    EXPECT_EQ(record.applied, 1u);
    EXPECT_EQ(Row(kGroup, "row"), "of entry 1");
  }
}

TEST_P(StoreContractTest, ABatchReadsItsOwnWritesAndOthersDoNotUntilCommitted) {
  CreateStore();
  Write(Append(kGroup, 1, 1, {{}}));
  Commit(kGroup, 0, "b", "old b");
  Commit(kGroup, 0, "d", "old d");
  Commit(kOtherGroup, 0, "c", "other group's");
  std::unique_ptr<StateBatch> batch = store_->NewStateBatch(kGroup);
  batch->Put("a", "new a");
  batch->Put("b", "new b");
  batch->Put("c", "never seen");
  batch->Delete("c");
  batch->Delete("d");
  EXPECT_EQ(**batch->Get("b"), "new b");
  EXPECT_FALSE(batch->Get("d")->has_value());
  EXPECT_GT(batch->bytes(), 10u);
  const auto scan = [](const StateReader& reader, size_t rows_max, bool& complete) {
    std::string rows;
    auto end = reader.Scan("", "", rows_max, [&](std::string_view key, std::string_view value) {
      rows += holdfast::format("{}={};", key, value);
      return true;
    });
    EXPECT_TRUE(end.ok()) << end.status();
    complete = end.ok() && end->complete;
    return rows;
  };
  bool complete = false;
  EXPECT_EQ(scan(*batch, 10, complete), "a=new a;b=new b;");
  EXPECT_TRUE(complete);
  EXPECT_EQ(scan(*batch, 1, complete), "a=new a;");
  EXPECT_FALSE(complete);
  std::unique_ptr<StateReader> reader = store_->Reader(kGroup);
  EXPECT_EQ(scan(*reader, 10, complete), "b=old b;d=old d;");
  ASSERT_TRUE(store_->CommitState(std::move(batch), AppliedMark{1, 1, std::nullopt}).ok());
  EXPECT_EQ(scan(*reader, 10, complete), "a=new a;b=new b;");
  EXPECT_EQ(scan(*store_->Reader(kOtherGroup), 10, complete), "c=other group's;");
}

TEST_P(StoreContractTest, ScansKeepToTheirRangeAndStopWhenTold) {
  CreateStore();
  std::unique_ptr<StateBatch> batch = store_->NewStateBatch(kGroup);
  for (const char* key : {"a", "b", "ba", "c"}) batch->Put(key, "");
  batch->Put(std::string("\xff\xff", 2), "last");
  ASSERT_TRUE(store_->CommitState(std::move(batch), AppliedMark{}).ok());
  std::vector<std::string> keys;
  const auto visit = [&](std::string_view key, std::string_view) {
    keys.emplace_back(key);
    return keys.size() < 3;
  };
  auto end = store_->Reader(kGroup)->Scan("b", "c", 10, visit);
  ASSERT_TRUE(end.ok());
  EXPECT_EQ(keys, (std::vector<std::string>{"b", "ba"}));
  EXPECT_TRUE(end->complete);
  keys.clear();
  end = store_->Reader(kGroup)->Scan("b", "", 10, visit);
  EXPECT_EQ(keys, (std::vector<std::string>{"b", "ba", "c"}));
  EXPECT_FALSE(end->complete);
}

TEST_P(StoreContractTest, BodiesDieWithTheBatchThatEndsThem) {
  CreateStore();
  Write(Append(kGroup, 1, 1, {{"keep", "drop"}}));
  std::unique_ptr<StateBatch> batch = store_->NewStateBatch(kGroup);
  batch->DeleteBody(BodyKey{kGroup, 1, 1, 1});
  batch->DeleteBody(BodyKey{kGroup, 1, 1, 1});
  EXPECT_EQ(ReadBody(kGroup, 1, 1, 1), "drop");
  ASSERT_TRUE(store_->CommitState(std::move(batch), AppliedMark{1, 1, std::nullopt}).ok());
  EXPECT_EQ(ReadBody(kGroup, 1, 1, 0), "keep");
  EXPECT_EQ(ReadBody(kGroup, 1, 1, 1), "NOT_FOUND");
}

TEST_P(StoreContractTest, TruncationRemovesHeadersAndKeepsBodiesAndTheTermBefore) {
  CreateStore();
  Write(Append(kGroup, 1, 1, {{"old mail"}, {}}));
  Write(Append(kGroup, 3, 2, {{}, {}}));
  Commit(kGroup, 3, "row", "value");
  LogWrite truncation;
  truncation.group = kGroup;
  truncation.truncate_before = 4;
  Write(truncation);
  for (int i = 0; i < 2; ++i) {
    const GroupRecord record = RecordOf(kGroup);
    EXPECT_EQ(record.truncated, 3u);
    EXPECT_EQ(record.truncated_term, 2u);
    EXPECT_EQ(record.last, 4u);
    EXPECT_EQ(record.applied, 3u);
    EXPECT_EQ(store_->ReadEntries(kGroup, 3, 5, 1).status().code(), absl::StatusCode::kOutOfRange);
    EXPECT_TRUE(store_->ReadEntries(kGroup, 4, 5, 1).ok());
    EXPECT_EQ(ReadBody(kGroup, 1, 1, 0), "old mail");
    Reopen(/*cut_power=*/true);
  }
}

TEST_P(StoreContractTest, ALogTruncatedToNothingGoesOnBehindItsEnd) {
  CreateStore();
  Write(Append(kGroup, 1, 3, {{}, {}}));
  Commit(kGroup, 2, "row", "value");
  LogWrite truncation;
  truncation.group = kGroup;
  truncation.truncate_before = 3;
  Write(truncation);
  Reopen(/*cut_power=*/true);
  EXPECT_EQ(RecordOf(kGroup).last, 2u);
  EXPECT_EQ(RecordOf(kGroup).truncated_term, 3u);
  Write(Append(kGroup, 3, 3, {{"next"}}));
  EXPECT_EQ(ReadBody(kGroup, 3, 3, 0), "next");
}

TEST_P(StoreContractTest, ConfigurationsAreStoredWithTheEntryThatMadeThem) {
  CreateStore();
  Write(Append(kGroup, 1, 1, {{}}));
  AppliedMark mark{1, 1, ConfState{}};
  mark.conf_state->voters = {NodeId(7)};
  mark.conf_state->voters_outgoing = {NodeId(7), NodeId(8)};
  mark.conf_state->learners = {NodeId(1)};
  mark.conf_state->learners_next = {NodeId(8)};
  mark.conf_state->auto_leave = true;
  ASSERT_TRUE(store_->CommitState(store_->NewStateBatch(kGroup), mark).ok());
  EXPECT_EQ(RecordOf(kGroup).conf_state, *mark.conf_state);
  Write(Append(kGroup, 2, 1, {{}}));
  Reopen(/*cut_power=*/true);
  EXPECT_EQ(RecordOf(kGroup).conf_state, *mark.conf_state);
}

TEST_P(StoreContractTest, GroupsCanBeAddedOnce) {
  CreateStore();
  GroupSeed seed;
  seed.group = GroupId(9);
  seed.incarnation = 2;
  seed.conf_state.voters = {NodeId(7)};
  ASSERT_TRUE(store_->AddGroup(seed).ok());
  EXPECT_EQ(store_->AddGroup(seed).code(), absl::StatusCode::kAlreadyExists);
  Reopen(/*cut_power=*/true);
  EXPECT_EQ(store_->groups().size(), 3u);
  Write(Append(GroupId(9), 1, 1, {{"body"}}));
  EXPECT_EQ(ReadBody(GroupId(9), 1, 1, 0), "body");
}

TEST_P(StoreContractTest, ClosingSyncsEverything) {
  CreateStore();
  Write(Append(kGroup, 1, 1, {{"a"}}));
  Commit(kGroup, 1, "row", "value");
  ASSERT_TRUE(store_->Close().ok());
  Reopen(/*cut_power=*/true);
  EXPECT_EQ(RecordOf(kGroup).applied, 1u);
  EXPECT_EQ(Row(kGroup, "row"), "value");
}

}  // namespace
}  // namespace holdfast::raft
