#include "ops/cli/table_print.h"

#include <google/protobuf/timestamp.pb.h>
#include <gtest/gtest.h>

#include <sstream>

namespace holdfast::cli {
namespace {

TEST(TableTest, AlignsItsColumns) {
  Table table({{"ID"}, {"SIZE", Align::kRight}, {"SENDER"}});
  table.AddRow({"1", "12 KiB", "a@example.com"});
  table.AddRow({"1234", "5 B", "j\xc3\xb6rg@example.com"});
  table.AddRow({"22", "1.0 MiB", ""});
  std::ostringstream out;
  table.Print(out);
  EXPECT_EQ(out.str(),
            "ID       SIZE  SENDER\n"
            "1      12 KiB  a@example.com\n"
            "1234      5 B  j\xc3\xb6rg@example.com\n"
            "22    1.0 MiB\n");
}

TEST(TableTest, StrangersCannotMoveTheCursor) {
  Table table({{"TO"}});
  table.AddRow({"a\x1b[2J\n\xc2\x9b@b"});
  std::ostringstream out;
  table.Print(out);
  EXPECT_EQ(out.str(), "TO\na?[2J??@b\n");
}

TEST(TextTest, NumbersSizesAndTimes) {
  EXPECT_EQ(CountText(0), "0");
  EXPECT_EQ(CountText(999), "999");
  EXPECT_EQ(CountText(1000), "1,000");
  EXPECT_EQ(CountText(1234567), "1,234,567");
  EXPECT_EQ(CountOf(1, "message"), "1 message");
  EXPECT_EQ(CountOf(2, "message"), "2 messages");
  EXPECT_EQ(BytesText(0), "0 B");
  EXPECT_EQ(BytesText(1023), "1023 B");
  EXPECT_EQ(BytesText(1536), "1.5 KiB");
  EXPECT_EQ(BytesText(50 << 20), "50 MiB");
  google::protobuf::Timestamp time;
  EXPECT_EQ(TimeText(time), "-");
  time.set_seconds(1767323045);
  EXPECT_EQ(TimeText(time), "2026-01-02 03:04:05Z");
}

TEST(TextTest, LongTextsAreCutBetweenCharacters) {
  EXPECT_EQ(Shown("\xc3\xa4\xc3\xb6\xc3\xbc", 3), "\xc3\xa4\xc3\xb6\xc3\xbc");
  EXPECT_EQ(Shown("\xc3\xa4\xc3\xb6\xc3\xbc", 2), "\xc3\xa4\xc3\xb6...");
}

}  // namespace
}  // namespace holdfast::cli
