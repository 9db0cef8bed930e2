#include "smtp/mime/header_scan.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace holdfast::smtp {
namespace {

std::string Facts(const HeaderScan& scan) {
  return std::to_string(scan.received_fields()) + (scan.has_date() ? " date" : "") +
         (scan.non_ascii() ? " 8bit" : "") + " " + std::to_string(scan.bytes()) + " " +
         scan.message_id();
}

// Whole, and cut at every byte: the same facts.
std::string Scan(std::string_view content) {
  HeaderScan whole;
  whole.Feed(content);
  whole.Finish();
  HeaderScan pieces;
  for (size_t i = 0; i < content.size(); ++i) pieces.Feed(content.substr(i, 1));
  pieces.Finish();
  EXPECT_EQ(Facts(whole), Facts(pieces)) << content;
  return Facts(whole);
}

TEST(HeaderScanTest, CountsReceivedFieldsInAnyCase) {
  EXPECT_EQ(Scan("Received: a\r\nRECEIVED:b\r\nreceived : c\r\n\tfolded\r\n\r\n"), "3 50 ");
}

TEST(HeaderScanTest, StopsAtTheEmptyLine) {
  EXPECT_EQ(Scan("Received: a\r\n\r\nReceived: body\r\nDate: x\r\n"), "1 15 ");
}

TEST(HeaderScanTest, StopsAtALineThatIsNoField) {
  EXPECT_EQ(Scan("Received: a\r\nhello there\r\nReceived: body\r\n").substr(0, 1), "1");
  EXPECT_EQ(Scan(" begins with a space\r\nReceived: a\r\n").substr(0, 1), "0");
  EXPECT_EQ(Scan(": no name\r\nReceived: a\r\n").substr(0, 1), "0");
}

TEST(HeaderScanTest, FoldedLinesAreNotFields) {
  EXPECT_EQ(Scan("Subject: x\r\n Received: no\r\n\tDate: no\r\n\r\n").substr(0, 2), "0 ");
}

TEST(HeaderScanTest, FindsMessageIdAndDate) {
  EXPECT_EQ(Scan("Message-ID: <a@b>\r\nDate: today\r\n\r\n"), "0 date 34 <a@b>");
  EXPECT_EQ(Scan("message-id:\r\n <folded@id>\r\n\r\n"), "0 29 <folded@id>");
}

TEST(HeaderScanTest, FirstMessageIdCountsAndBrokenOnesDoNot) {
  EXPECT_EQ(Scan("Message-ID: <a@b>\r\nMessage-ID: <c@d>\r\n\r\n"), "0 40 <a@b>");
  EXPECT_EQ(Scan("Message-ID: none\r\n\r\n"), "0 20 ");
  EXPECT_EQ(Scan("Message-ID: <unclosed\r\nX: >\r\n\r\n"), "0 31 ");
}

TEST(HeaderScanTest, SeesBytesBeyondAsciiInHeadersOnly) {
  EXPECT_EQ(Scan("Subject: \xC3\xBC\r\n\r\n"), "0 8bit 15 ");
  EXPECT_EQ(Scan("Subject: u\r\n\r\n\xC3\xBC\r\n"), "0 14 ");
}

TEST(HeaderScanTest, EndlessNameAndIdStayBounded) {
  HeaderScan scan;
  for (int i = 0; i < 1000; ++i) scan.Feed(std::string(1000, 'x'));
  EXPECT_EQ(scan.bytes(), 1000000u);
  EXPECT_FALSE(scan.done());
  HeaderScan id;
  id.Feed("Message-ID: <");
  for (int i = 0; i < 1000; ++i) id.Feed(std::string(1000, 'x'));
  EXPECT_LE(id.message_id().size(), 998u);
}

}  // namespace
}  // namespace holdfast::smtp
