#include "raft/host/snapshot_codec.h"

#include <gtest/gtest.h>

namespace holdfast::raft {
namespace {

constexpr SnapshotLimits kLimits;

absl::StatusCode CodeOf(const SnapshotRequest& request, const SnapshotLimits& limits = kLimits) {
  return DecodeSnapshotRequest(EncodeSnapshotRequest(request), limits).status().code();
}

StateView::Mark MakeMark() {
  StateView::Mark mark;
  mark.index = 7;
  mark.term = 3;
  mark.conf_state.voters = {NodeId(1), NodeId(2)};
  mark.conf_state.learners = {NodeId(4)};
  mark.conf_state.voters_outgoing = {NodeId(1), NodeId(3)};
  mark.conf_state.learners_next = {NodeId(3)};
  mark.conf_state.auto_leave = true;
  return mark;
}

std::string BytesOf(const std::vector<SnapshotRecord>& records) {
  RecordCutter cutter;
  for (const SnapshotRecord& record : records) cutter.Add(record);
  return cutter.Take(cutter.waiting_bytes());
}

// All records of the stream, fed in pieces of that length; the last is what ended it early.
std::vector<SnapshotRecord> Join(const std::string& bytes, size_t piece, absl::Status* status,
                                 const SnapshotLimits& limits = kLimits) {
  std::vector<SnapshotRecord> records;
  RecordJoiner joiner(limits);
  for (size_t at = 0; at < bytes.size(); at += piece) {
    *status = joiner.Feed(std::string_view(bytes).substr(at, piece));
    while (status->ok()) {
      auto record = joiner.Next();
      *status = record.status();
      if (!record.ok() || !record->has_value()) break;
      records.push_back(**std::move(record));
    }
    if (!status->ok()) return records;
  }
  if (!joiner.AtBoundary()) *status = absl::OutOfRangeError("a part is left");
  return records;
}

TEST(SnapshotCodecTest, RequestsComeBackAsTheyWere) {
  auto rows = DecodeSnapshotRequest(EncodeSnapshotRequest(RowsRequest{GroupId(0)}), kLimits);
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(std::get<RowsRequest>(*rows).group, GroupId(0));
  const BodiesRequest asked{GroupId(5), {{GroupId(5), 9, 2, 0}, {GroupId(5), 9, 2, 1}}};
  auto bodies = DecodeSnapshotRequest(EncodeSnapshotRequest(asked), kLimits);
  ASSERT_TRUE(bodies.ok()) << bodies.status();
  EXPECT_EQ(std::get<BodiesRequest>(*bodies).group, GroupId(5));
  EXPECT_EQ(std::get<BodiesRequest>(*bodies).keys, asked.keys);
  EXPECT_FALSE(std::get<BodiesRequest>(*bodies).mending);
  BodiesRequest mend = asked;
  mend.mending = true;
  bodies = DecodeSnapshotRequest(EncodeSnapshotRequest(mend), kLimits);
  EXPECT_TRUE(std::get<BodiesRequest>(*bodies).mending);
  auto waiting = DecodeSnapshotRequest(
      EncodeSnapshotRequest(WaitingRequest{{GroupId(1), GroupId(3)}}), kLimits);
  ASSERT_TRUE(waiting.ok()) << waiting.status();
  EXPECT_EQ(std::get<WaitingRequest>(*waiting).groups,
            (std::vector<GroupId>{GroupId(1), GroupId(3)}));
}

TEST(SnapshotCodecTest, RequestsBeyondABoundOrWithoutSenseAreRefused) {
  BodiesRequest bodies{GroupId(5), {}};
  EXPECT_EQ(CodeOf(bodies), absl::StatusCode::kInvalidArgument);
  bodies.keys.assign(3, {GroupId(5), 9, 2, 0});
  SnapshotLimits limits;
  limits.keys_max = 2;
  EXPECT_EQ(CodeOf(bodies, limits), absl::StatusCode::kResourceExhausted);
  bodies.keys[1].index = 0;
  EXPECT_EQ(CodeOf(bodies), absl::StatusCode::kInvalidArgument);
  limits.waiting_groups_max = 1;
  EXPECT_EQ(CodeOf(WaitingRequest{{GroupId(1), GroupId(2)}}, limits),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(DecodeSnapshotRequest("", kLimits).status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(DecodeSnapshotRequest("\x08\x01", kLimits).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(DecodeSnapshotRequest("\xff\xff", kLimits).status().code(),
            absl::StatusCode::kInvalidArgument);
  // A field of the future.
  const std::string newer = EncodeSnapshotRequest(RowsRequest{GroupId(1)}) + "\x78\x01";
  EXPECT_EQ(DecodeSnapshotRequest(newer, kLimits).status().code(),
            absl::StatusCode::kUnimplemented);
}

TEST(SnapshotCodecTest, RecordsSurviveAnyCuts) {
  const std::vector<StateView::Row> rows = {{"a", "1"}, {"b", ""}, {"b2", std::string(300, 'x')}};
  const std::string bytes = BytesOf(
      {MakeMark(), rows, BodyRecord{4, std::string(1000, 'y')}, ElidedRecord{5, 77}, EndRecord{}});
  for (const size_t piece : {size_t{1}, size_t{3}, size_t{250}, bytes.size()}) {
    absl::Status status;
    const std::vector<SnapshotRecord> records = Join(bytes, piece, &status);
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_EQ(records.size(), 5u);
    const auto& mark = std::get<StateView::Mark>(records[0]);
    EXPECT_EQ(mark.index, 7u);
    EXPECT_EQ(mark.term, 3u);
    EXPECT_EQ(mark.conf_state, MakeMark().conf_state);
    const auto& joined = std::get<std::vector<StateView::Row>>(records[1]);
    ASSERT_EQ(joined.size(), 3u);
    EXPECT_EQ(joined[2].key, "b2");
    EXPECT_EQ(joined[2].value, rows[2].value);
    EXPECT_EQ(std::get<BodyRecord>(records[2]).position, 4u);
    EXPECT_EQ(std::get<BodyRecord>(records[2]).bytes, std::string(1000, 'y'));
    EXPECT_EQ(std::get<ElidedRecord>(records[3]).by, 77u);
    EXPECT_TRUE(std::holds_alternative<EndRecord>(records[4]));
  }
}

TEST(SnapshotCodecTest, RecordsAgainstTheRulesEndTheStream) {
  const auto code_of = [](const std::string& bytes, const SnapshotLimits& limits = kLimits) {
    absl::Status status;
    Join(bytes, bytes.size(), &status, limits);
    return status.code();
  };
  using Rows = std::vector<StateView::Row>;
  EXPECT_EQ(code_of(BytesOf({Rows{{"b", ""}, {"a", ""}}})), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code_of(BytesOf({Rows{{"a", ""}, {"a", ""}}})), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code_of(BytesOf({Rows{{std::string(kStateKeyBytesMax + 1, 'k'), ""}}})),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code_of(BytesOf({ElidedRecord{0, 0}})), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code_of(BytesOf({StateView::Mark{}})), absl::StatusCode::kInvalidArgument);
  StateView::Mark nobody = MakeMark();
  nobody.conf_state.voters.clear();
  EXPECT_EQ(code_of(BytesOf({nobody})), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code_of(std::string(4, '\0')), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code_of(BytesOf({EndRecord{}}).substr(0, 5)), absl::StatusCode::kOutOfRange);
  SnapshotLimits small;
  small.record_bytes_max = 100;
  EXPECT_EQ(code_of(BytesOf({BodyRecord{0, std::string(100, 'x')}}), small),
            absl::StatusCode::kResourceExhausted);
  // A length that is announced is not believed: it is refused before its bytes are waited for.
  EXPECT_EQ(code_of(std::string("\xff\xff\xff\x7f", 4)), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace holdfast::raft
