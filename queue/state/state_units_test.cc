// The small parts of the state: ids, keys, texts, ages, the codec.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "base/random.h"
#include "proto/command.pb.h"
#include "proto/queue_rows.pb.h"
#include "queue/state/age_histogram.h"
#include "queue/state/command_codec.h"
#include "queue/state/keys.h"
#include "queue/state/queue_types.h"
#include "queue/testing/test_queue.h"

namespace holdfast::queue {
namespace {

TEST(QueueIdTest, SpellsItsPartsAndKeepsTheirOrder) {
  const QueueId id = QueueId::FromParts(0x0123456789AB, 0xABC, 0xFEDCB);
  EXPECT_EQ(id.text().size(), 16u);
  EXPECT_EQ(id.time(), absl::FromUnixMillis(0x0123456789AB));
  EXPECT_EQ(id.node_bits(), 0xABCu);
  EXPECT_EQ(QueueId::Parse(id.text()), id);
  EXPECT_LT(id, QueueId::FromParts(0x0123456789AB, 0xABC, 0xFEDCC));
  EXPECT_LT(id, QueueId::FromParts(0x0123456789AC, 0, 0));
}

TEST(QueueIdTest, OnlyPeopleMayTypeItLoosely) {
  EXPECT_FALSE(QueueId::Parse("01j9zc3w5r0g4000").has_value());
  EXPECT_FALSE(QueueId::Parse("01J9ZC3W5R0G400").has_value());
  EXPECT_FALSE(QueueId::Parse("01J9ZC3W5R0G400U").has_value());
  EXPECT_EQ(QueueId::ParseTyped("oij9zc3w5r0g4ool")->text(), "01J9ZC3W5R0G4001");
}

TEST(QueueIdTest, AscendWhateverTheClockDoes) {
  QueueIdGenerator generator(NodeId(7), 0xFFFF0);
  const absl::Time start = absl::FromUnixSeconds(1'700'000'000);
  QueueId last = generator.Next(start);
  for (int i = 0; i < 100; ++i) {
    const QueueId next = generator.Next(start - absl::Seconds(i));
    EXPECT_LT(last, next);
    last = next;
  }
  EXPECT_LT(last, generator.Next(start + absl::Seconds(1)));
  EXPECT_EQ(last.node_bits(), 7u);
}

TEST(KeysTest, OrderIsDestinationThenDueTime) {
  const auto key = [](const char* destination, int64_t due, uint32_t id) {
    return EncodeListKey({UnitList::kReady,
                          kDefaultPool,
                          destination,
                          kDefaultClass,
                          due,
                          {testing::TestId(id), 0}});
  };
  EXPECT_LT(key("a.test", 5, 9), key("a.test", 6, 1));
  EXPECT_LT(key("a.test", -5, 9), key("a.test", 5, 1));
  EXPECT_LT(key("a.test", 900, 9), key("a.test.b", 1, 1));
  EXPECT_LT(key("a.test.b", 900, 9), key("b", 1, 1));
}

TEST(KeysTest, EveryKeyReadsBack) {
  const UnitKey unit{testing::TestId(77), 12};
  const ListKey place{UnitList::kHeld, 3, "x.test", 1, -1234567, unit};
  EXPECT_EQ(DecodeListKey(EncodeListKey(place)), place);
  EXPECT_EQ(DecodeUnitKey(OpenUnitKey(unit)), unit);
  EXPECT_EQ(DecodeUnitKey(EndedUnitKey(unit)), unit);
  EXPECT_EQ(DecodeQueueIdKey(MessageKey(unit.queue_id)), unit.queue_id);
  EXPECT_EQ(DecodeChunkKey(ChunkKey(unit.queue_id, 4))->ordinal, 4u);
  EXPECT_EQ(DecodeWakeKey(WakeKey(-9, "x.test"))->wake_us, -9);
  EXPECT_EQ(DecodeDestinationKey(DestinationKey("x.test")), "x.test");
  EXPECT_EQ(DecodeNumberKey(AuditKey(12345)), 12345u);
  EXPECT_EQ(DecodeListValue(EncodeListValue(-5)), -5);
  std::string cut = EncodeListKey(place);
  while (!cut.empty()) {
    cut.pop_back();
    EXPECT_FALSE(DecodeListKey(cut).has_value());
  }
}

TEST(AgeHistogramTest, RemovesWhatWasAddedHoweverOldItIs) {
  Random random(5);
  rows::DestinationRow row;
  std::vector<int64_t> waiting;
  int64_t now = 1'700'000'000'000'000;
  for (int i = 0; i < 5000; ++i) {
    now += static_cast<int64_t>(random.Below(5 * 60'000'000));
    AddAge(now, 1, now, &row);
    waiting.push_back(now);
    ASSERT_LE(row.ages_size(), kAgeSlotsMax);
    if (random.OneIn(3)) {
      const size_t at = random.Below(waiting.size());
      ASSERT_TRUE(RemoveAge(waiting[at], 1, &row));
      waiting.erase(waiting.begin() + static_cast<ptrdiff_t>(at));
    }
  }
  for (const rows::AgeSlot& slot : row.ages()) {
    const double age = static_cast<double>(now) / 60e6 - static_cast<double>(slot.start());
    EXPECT_LE(static_cast<double>(uint64_t{1} << slot.width_bits()), std::max(1.0, age / 8));
  }
  for (int64_t at : waiting) ASSERT_TRUE(RemoveAge(at, 1, &row));
  EXPECT_EQ(row.ages_size(), 0);
  EXPECT_FALSE(RemoveAge(now, 1, &row));
}

TEST(AgeHistogramTest, StaysBoundedWithTimesFromABrokenClock) {
  rows::DestinationRow row;
  for (int64_t i = 0; i < 1000; ++i) AddAge(i * 3600'000'000, 1, 0, &row);
  AddAge(std::numeric_limits<int64_t>::max(), 1, 0, &row);
  AddAge(std::numeric_limits<int64_t>::min(), 1, 0, &row);
  EXPECT_LE(row.ages_size(), kAgeSlotsMax);
}

TEST(CommandCodecTest, WhatIsEncodedDecodes) {
  const command::Command command = testing::MakeEnqueue({});
  absl::StatusOr<std::string> bytes = EncodeCommand(command);
  ASSERT_TRUE(bytes.ok());
  absl::StatusOr<command::Command> decoded = DecodeCommand(*bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->format(), kCommandFormat);
  EXPECT_EQ(decoded->enqueue().SerializeAsString(), command.enqueue().SerializeAsString());
}

TEST(CommandCodecTest, UnknownFieldsAreUnknownCommandsAtEveryDepth) {
  const auto with_unknown = [](google::protobuf::Message* at, command::Command* command) {
    at->GetReflection()->MutableUnknownFields(at)->AddVarint(999, 1);
    command->set_format(kCommandFormat);
    return DecodeCommand(command->SerializeAsString()).status().code();
  };
  command::Command top = testing::MakeEnqueue({});
  EXPECT_EQ(with_unknown(&top, &top), absl::StatusCode::kUnimplemented);
  command::Command deep = testing::MakeEnqueue({});
  EXPECT_EQ(with_unknown(deep.mutable_enqueue()->mutable_envelope()->mutable_recipients(0), &deep),
            absl::StatusCode::kUnimplemented);
}

TEST(CommandCodecTest, UnknownEnumeratorsAndFormatsAreUnknownCommands) {
  command::Command command = testing::MakeOutcome({});
  command.set_format(kCommandFormat);
  EXPECT_TRUE(DecodeCommand(command.SerializeAsString()).ok());
  command.mutable_outcomes()->mutable_attempts(0)->mutable_recipients(0)->set_result(
      static_cast<command::Result>(99));
  EXPECT_EQ(DecodeCommand(command.SerializeAsString()).status().code(),
            absl::StatusCode::kUnimplemented);
  command::Command newer = testing::MakeEnqueue({});
  newer.set_format(2);
  EXPECT_EQ(DecodeCommand(newer.SerializeAsString()).status().code(),
            absl::StatusCode::kUnimplemented);
  EXPECT_EQ(DecodeCommand("\x08\x01").status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(DecodeCommand("\xFF\xFF").status().code(), absl::StatusCode::kDataLoss);
}

TEST(CommandCodecTest, ForeignWordsAreMendedAndAddressesAreNot) {
  command::Command command = testing::MakeOutcome({});
  command.mutable_outcomes()->mutable_attempts(0)->mutable_recipients(0)->set_text("na\xEFve");
  absl::StatusOr<std::string> bytes = EncodeCommand(command);
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(DecodeCommand(*bytes)->outcomes().attempts(0).recipients(0).text(), "na?ve");
  EXPECT_EQ(EncodeCommand(testing::MakeEnqueue({.sender = "\xFF@x.test"})).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace holdfast::queue
