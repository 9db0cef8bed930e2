// Keys and records: order, round trips, and every kind of damage.
#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "base/random.h"
#include "raft/storage/byte_codec.h"
#include "raft/storage/store_keys.h"
#include "raft/storage/store_records.h"

namespace holdfast::raft {
namespace {

LogHeader SampleHeader() {
  LogHeader header;
  header.index = 0x0102030405060708;
  header.term = 9;
  header.type = EntryType::kConfChange;
  header.command = std::string("command\0with zero", 17);
  header.bodies = {{1, 2}, {0xffffffff, 0xfffffffe}};
  return header;
}

TEST(StoreKeysTest, KeysOfAGroupStandInLogOrder) {
  EXPECT_LT(LogKey(GroupId(1), 255), LogKey(GroupId(1), 256));
  EXPECT_LT(LogKey(GroupId(1), ~LogIndex{0}), LogKey(GroupId(2), 0));
  EXPECT_LT(BodyDiskKey(1, {GroupId(9), 9, 9, 9}), BodyDiskKey(2, {GroupId(0), 0, 0, 0}));
  EXPECT_LT(BodyDiskKey(1, {GroupId(1), 1, 1, 2}), BodyDiskKey(1, {GroupId(1), 1, 2, 0}));
}

TEST(StoreKeysTest, KeysAreReadBackAndOthersRefused) {
  GroupId group;
  LogIndex index = 0;
  ASSERT_TRUE(ParseLogKey(LogKey(GroupId(7), 1234567890123), group, index));
  EXPECT_EQ(group, GroupId(7));
  EXPECT_EQ(index, 1234567890123u);
  const std::string key = LogKey(GroupId(7), 1);
  EXPECT_FALSE(ParseLogKey(key.substr(1), group, index));
  EXPECT_FALSE(ParseLogKey(key + "x", group, index));
  EXPECT_FALSE(ParseLogKey("", group, index));
  ASSERT_TRUE(ParseMetaKey(MetaKey(MetaKind::kApplied, GroupId(300)), MetaKind::kApplied, group));
  EXPECT_EQ(group, GroupId(300));
  EXPECT_FALSE(ParseMetaKey(MetaKey(MetaKind::kApplied, group), MetaKind::kReplica, group));
  EXPECT_FALSE(ParseMetaKey(MetaKey(MetaKind::kIdentity), MetaKind::kIdentity, group));
}

TEST(StoreKeysTest, ThePrefixEndIsBehindEveryKeyOfTheGroup) {
  const std::string prefix = StatePrefix(GroupId(0xffffffff), ~uint64_t{0});
  EXPECT_GT(PrefixEnd(prefix), prefix + std::string(10, '\xff'));
  EXPECT_EQ(PrefixEnd(StatePrefix(GroupId(1), 7)), StatePrefix(GroupId(1), 8));
  EXPECT_EQ(PrefixEnd("\xff"), "");
}

TEST(StoreRecordsTest, RecordsComeBackAsTheyWere) {
  EXPECT_EQ(*DecodeLogHeader(EncodeLogHeader(SampleHeader())), SampleHeader());
  EXPECT_EQ(*DecodeLogHeader(EncodeLogHeader(LogHeader{})), LogHeader{});
  const StoreIdentity identity{"0123456789abcdef0123456789abcdef", NodeId(3)};
  EXPECT_EQ(*DecodeIdentity(EncodeIdentity(identity)), identity);
  const HardState hard_state{5, NodeId(6), 7};
  EXPECT_EQ(*DecodeHardState(EncodeHardState(hard_state)), hard_state);
  ConfState conf;
  conf.voters = {NodeId(1), NodeId(2)};
  conf.learners = {NodeId(3)};
  conf.voters_outgoing = {NodeId(1)};
  conf.auto_leave = true;
  EXPECT_EQ(*DecodeConfState(EncodeConfState(conf)), conf);
  EXPECT_EQ(*DecodeLogMark(EncodeLogMark({8, 9})), (LogMark{8, 9}));
  EXPECT_EQ(*DecodeNumber(EncodeNumber(~uint64_t{0})), ~uint64_t{0});
  EXPECT_EQ(*DecodeStateRow(EncodeStateRow("value")), "value");
  const std::string record = EncodeBodyFrame("key", Crc32c("bytes")) + "bytes";
  EXPECT_EQ(*DecodeBody("key", record), "bytes");
}

// Released stores hold these very bytes.
TEST(StoreRecordsTest, TheHeaderFormatIsFrozen) {
  LogHeader header;
  header.index = 2;
  header.term = 1;
  header.command = "c";
  header.bodies = {{3, 4}};
  const std::string record = EncodeLogHeader(header);
  const std::string expected(
      "\x01\x00\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x01\0\0\0c\x01\0\0\0\x03\0\0\0\x04\0\0\0", 35);
  ASSERT_EQ(record.size(), expected.size() + 4);
  EXPECT_EQ(record.substr(0, expected.size()), expected);
  EXPECT_EQ(ByteReader(record.substr(expected.size())).LittleEndian(4), Crc32c(expected));
}

TEST(StoreRecordsTest, EveryFlippedBitAndEveryCutIsFound) {
  const std::string record = EncodeLogHeader(SampleHeader());
  for (size_t bit = 0; bit < record.size() * 8; ++bit) {
    std::string damaged = record;
    damaged[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    EXPECT_EQ(DecodeLogHeader(damaged).status().code(), absl::StatusCode::kDataLoss) << bit;
  }
  for (size_t size = 0; size < record.size(); ++size) {
    EXPECT_EQ(DecodeLogHeader(record.substr(0, size)).status().code(), absl::StatusCode::kDataLoss);
  }
}

TEST(StoreRecordsTest, ABodyUnderAWrongKeyIsDamage) {
  const std::string record = EncodeBodyFrame("key", Crc32c("bytes")) + "bytes";
  EXPECT_EQ(DecodeBody("yek", record).status().code(), absl::StatusCode::kDataLoss);
  for (size_t bit = 0; bit < record.size() * 8; ++bit) {
    std::string damaged = record;
    damaged[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    EXPECT_EQ(DecodeBody("key", damaged).status().code(), absl::StatusCode::kDataLoss) << bit;
  }
}

// A record with its checksum made right again: what a newer build, or a bug, would leave.
std::string Sealed(std::string fields) {
  AppendLittleEndian(Crc32c(fields), 4, fields);
  return fields;
}

TEST(StoreRecordsTest, NewerFormatsAreToldApartFromDamage) {
  const std::string header = EncodeLogHeader(SampleHeader());
  std::string newer = header.substr(0, header.size() - 4);
  newer[0] = 2;
  EXPECT_EQ(DecodeLogHeader(Sealed(newer)).status().code(), absl::StatusCode::kUnimplemented);
  newer[0] = 0;
  EXPECT_EQ(DecodeLogHeader(Sealed(newer)).status().code(), absl::StatusCode::kDataLoss);
  newer[0] = 1;
  newer[1] = 99;  // An entry type that nobody knows.
  EXPECT_EQ(DecodeLogHeader(Sealed(newer)).status().code(), absl::StatusCode::kUnimplemented);
}

TEST(StoreRecordsTest, LengthsThatLieAreDamageAndReadNothingTheyShouldNot) {
  Random random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string fields = EncodeLogHeader(SampleHeader());
    fields.resize(random.Below(fields.size() - 4) + 1);
    for (int flips = 0; flips < 3; ++flips) {
      fields[random.Below(fields.size())] ^= static_cast<char>(random.Next());
    }
    (void)DecodeLogHeader(Sealed(fields));  // Must not crash; the sanitizers watch.
    (void)DecodeConfState(Sealed(fields));
    (void)DecodeIdentity(Sealed(fields));
  }
  std::string many{kRecordFormat};
  many += std::string(4, '\xff');
  EXPECT_EQ(DecodeConfState(Sealed(many)).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace holdfast::raft
