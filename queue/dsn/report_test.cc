#include "queue/dsn/report.h"

#include <gtest/gtest.h>

#include "queue/dsn/explain.h"
#include "queue/dsn/text_lines.h"

namespace holdfast::queue {
namespace {

constexpr char kOriginal[] =
    "Received: from client.test\r\n"
    "From: Alice <a@sender.test>\r\n"
    "Subject: Hello\r\n"
    "\r\n"
    "Body line\r\n";

constexpr char kFailedHeader[] =
    "Date: Tue, 14 Nov 2023 23:13:20 +0000\r\n"
    "From: Mail Delivery System <MAILER-DAEMON@relay.test>\r\n"
    "To: <a@sender.test>\r\n"
    "Subject: Undelivered mail: returned to sender\r\n"
    "Message-ID: <01J9ZC3W5R0G4001@relay.test>\r\n"
    "Auto-Submitted: auto-replied\r\n"
    "MIME-Version: 1.0\r\n"
    "Content-Type: multipart/report; report-type=delivery-status;\r\n"
    "    boundary=\"=_01J9ZC3W5R0G4001.0\"\r\n"
    "\r\n";

// Up to the original message.
constexpr char kFailedBody[] =
    "This is a report in several parts, as RFC 3464 describes them.\r\n"
    "\r\n"
    "--=_01J9ZC3W5R0G4001.0\r\n"
    "Content-Description: What happened\r\n"
    "Content-Type: text/plain; charset=us-ascii\r\n"
    "\r\n"
    "This is the mail system at mx.relay.test.\r\n"
    "\r\n"
    "Your message could not be delivered to the recipient below. It has been\r\n"
    "given up.\r\n"
    "\r\n"
    "<b@one.test>\r\n"
    "    There is no mailbox with this name at one.test.\r\n"
    "    mx1.one.test answered: 550 5.1.1 No such user\r\n"
    "\r\n"
    "Your message is attached.\r\n"
    "\r\n"
    "If you ask for help, write to postmaster@relay.test and quote\r\n"
    "01J9ZC3W5R0G4000.\r\n"
    "\r\n"
    "\r\n"
    "--=_01J9ZC3W5R0G4001.0\r\n"
    "Content-Description: What happened, for programs\r\n"
    "Content-Type: message/delivery-status\r\n"
    "\r\n"
    "Reporting-MTA: dns; mx.relay.test\r\n"
    "Original-Envelope-Id: env+id\r\n"
    "Arrival-Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
    "X-Holdfast-Queue-ID: 01J9ZC3W5R0G4000\r\n"
    "\r\n"
    "Original-Recipient: rfc822; b+tag@one.test\r\n"
    "Final-Recipient: rfc822; b@one.test\r\n"
    "Action: failed\r\n"
    "Status: 5.1.1\r\n"
    "Remote-MTA: dns; mx1.one.test\r\n"
    "Diagnostic-Code: smtp; 550 5.1.1 No such user\r\n"
    "Last-Attempt-Date: Tue, 14 Nov 2023 23:13:19 +0000\r\n"
    "\r\n"
    "--=_01J9ZC3W5R0G4001.0\r\n"
    "Content-Description: Your message\r\n"
    "Content-Type: message/rfc822\r\n"
    "\r\n";

constexpr char kFailedEnd[] =
    "\r\n"
    "--=_01J9ZC3W5R0G4001.0--\r\n";

ReportFacts FailedFacts() {
  ReportFacts facts;
  facts.reporting_mta = "mx.relay.test";
  facts.mail_name = "relay.test";
  facts.queue_id = "01J9ZC3W5R0G4000";
  facts.notice_id = "01J9ZC3W5R0G4001";
  facts.now = absl::FromUnixSeconds(1'700'003'600);
  facts.arrival = absl::FromUnixSeconds(1'700'000'000);
  facts.to = "a@sender.test";
  facts.original_sender = "a@sender.test";
  facts.envid = "env+2Bid";
  facts.content = kOriginal;
  facts.content_is_full = true;
  ReportRecipient recipient;
  recipient.address = "b@one.test";
  recipient.orcpt = "rfc822;b+2Btag@one.test";
  recipient.code = 550;
  recipient.enhanced = "5.1.1";
  recipient.text = "5.1.1 No such user";
  recipient.remote = "mx1.one.test [192.0.2.1]:25";
  recipient.last_attempt = absl::FromUnixSeconds(1'700'003'599);
  facts.recipients = {recipient};
  return facts;
}

void ExpectSound(const Report& report) {
  EXPECT_TRUE(report.bytes.ends_with("\r\n"));
  size_t line = 0;
  for (size_t i = 0; i < report.bytes.size(); ++i) {
    const char c = report.bytes[i];
    if (c == '\r') {
      ASSERT_EQ(report.bytes[i + 1], '\n') << "bare CR at " << i;
      line = 0;
    } else if (c == '\n') {
      ASSERT_EQ(report.bytes[i - 1], '\r') << "bare LF at " << i;
    } else {
      ASSERT_LE(++line, 998u);
    }
  }
  EXPECT_EQ(report.bytes.substr(report.header_bytes - 4, 4), "\r\n\r\n");
}

TEST(ReportTest, AFailureInFull) {
  const Report report = BuildReport(FailedFacts());
  ExpectSound(report);
  EXPECT_EQ(report.bytes, std::string(kFailedHeader) + kFailedBody + kOriginal + kFailedEnd);
  EXPECT_FALSE(report.has_8bit);
  EXPECT_FALSE(report.needs_smtputf8);
}

TEST(ReportTest, ADelaySaysHowLongItIsTried) {
  ReportFacts facts = FailedFacts();
  facts.kind = NoticeKind::kDelayed;
  facts.retry_until = absl::FromUnixSeconds(1'700'432'000);
  facts.content_is_full = false;
  facts.recipients[0].code = 0;
  facts.recipients[0].enhanced = "4.4.1";
  facts.recipients[0].text = "connection refused";
  const Report report = BuildReport(facts);
  ExpectSound(report);
  EXPECT_NE(report.bytes.find("Action: delayed\r\nStatus: 4.4.1\r\n"), std::string::npos);
  EXPECT_NE(report.bytes.find("Will-Retry-Until: Sun, 19 Nov 2023 22:13:20 +0000\r\n"),
            std::string::npos);
  EXPECT_NE(report.bytes.find("Diagnostic-Code: x-holdfast; connection refused\r\n"),
            std::string::npos);
  EXPECT_NE(report.bytes.find("text/rfc822-headers"), std::string::npos);
  EXPECT_EQ(report.bytes.find("Body line"), std::string::npos);
}

TEST(ReportTest, ExpiryIsSaidAsSuch) {
  ReportFacts facts = FailedFacts();
  facts.now = facts.arrival + absl::Hours(120);
  facts.recipients[0].expired = true;
  facts.recipients[0].enhanced = "4.4.1";
  const Report report = BuildReport(facts);
  EXPECT_NE(report.bytes.find("It was tried for 5 days without success."), std::string::npos);
  EXPECT_NE(report.bytes.find("Status: 4.4.7\r\n"), std::string::npos);
}

TEST(ReportTest, RelayedIsASuccessWithoutAPromise) {
  ReportFacts facts = FailedFacts();
  facts.kind = NoticeKind::kRelayed;
  facts.recipients[0].code = 250;
  facts.recipients[0].enhanced = "2.0.0";
  facts.recipients[0].text = "2.0.0 Ok";
  const Report report = BuildReport(facts);
  EXPECT_NE(report.bytes.find("Action: relayed\r\nStatus: 2.0.0\r\n"), std::string::npos);
}

// What clients and remotes wrote must not become header fields or recipients of the report.
TEST(ReportTest, NobodyElseWritesLinesOfIt) {
  ReportFacts facts = FailedFacts();
  facts.envid = "x+0D+0AAction:+20delivered";
  facts.recipients[0].orcpt = "rfc822;x+0D+0AAction:+20delivered";
  facts.recipients[0].text = "no\r\nAction: delivered\r\n\r\nFinal-Recipient: rfc822; c@x.test\x01";
  facts.recipients[0].remote = "mx\r\nAction: delivered";
  facts.recipients[0].address = "b\r\nAction: delivered@one.test";
  facts.to = "a\r\nBcc: victim@x.test";
  facts.queue_id = "x\r\nAction: delivered";
  const Report report = BuildReport(facts);
  ExpectSound(report);
  EXPECT_EQ(report.bytes.find("\r\nAction: delivered"), std::string::npos);
  EXPECT_EQ(report.bytes.find("\r\nBcc:"), std::string::npos);
  EXPECT_EQ(report.bytes.find("\r\nFinal-Recipient: rfc822; c@x.test"), std::string::npos);
}

TEST(ReportTest, EndlessTextsAreFolded) {
  ReportFacts facts = FailedFacts();
  facts.recipients[0].text = std::string(5000, 'x') + " " + std::string(3000, 'y');
  facts.recipients[0].address = std::string(3000, 'a') + "@one.test";
  facts.to = std::string(3000, 't') + "@x.test";
  ExpectSound(BuildReport(facts));
}

TEST(ReportTest, OverlongLinesOfTheOriginalAreFoldedOrLeftBehind) {
  ReportFacts facts = FailedFacts();
  const std::string long_body =
      "Subject: x\r\nX-Long: " + std::string(3000, 'h') + "\r\n\r\n" + std::string(2000, 'b');
  facts.content = long_body;
  const Report report = BuildReport(facts);
  ExpectSound(report);
  EXPECT_NE(report.bytes.find("text/rfc822-headers"), std::string::npos);
  EXPECT_EQ(report.bytes.find("bbbbb"), std::string::npos);
}

TEST(ReportTest, OriginalsWithStrayLineEndsComeOutClean) {
  ReportFacts facts = FailedFacts();
  facts.content = "Subject: x\nX: a\rb\r\n\r\nbody\n.\nmore";
  ExpectSound(BuildReport(facts));
}

TEST(ReportTest, TheBoundaryIsNotInTheOriginal) {
  ReportFacts facts = FailedFacts();
  const std::string hostile =
      "Subject: x\r\n\r\n--=_01J9ZC3W5R0G4001.0\r\nContent-Type: message/delivery-status\r\n";
  facts.content = hostile;
  const Report report = BuildReport(facts);
  EXPECT_NE(report.bytes.find("boundary=\"=_01J9ZC3W5R0G4001.1\""), std::string::npos);
}

TEST(ReportTest, EightBitContentIsDeclared) {
  ReportFacts facts = FailedFacts();
  facts.content = "Subject: x\r\n\r\ngr\xC3\xBC\xC3\x9F\r\n";
  const Report report = BuildReport(facts);
  EXPECT_TRUE(report.has_8bit);
  EXPECT_FALSE(report.needs_smtputf8);
  EXPECT_NE(report.bytes.find("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit"),
            std::string::npos);
}

TEST(ReportTest, InternationalAddressesUseTheInternationalForms) {
  ReportFacts facts = FailedFacts();
  facts.smtputf8 = true;
  facts.utf8_headers = true;
  facts.to = facts.original_sender = "\xC3\xBC@sender.test";
  facts.recipients[0].address = "\xC3\xB6@one.test";
  facts.content = "Subject: gr\xC3\xBC\xC3\x9F\r\n\r\nx\r\n";
  const Report report = BuildReport(facts);
  ExpectSound(report);
  EXPECT_TRUE(report.needs_smtputf8);
  EXPECT_NE(report.bytes.find("message/global-delivery-status"), std::string::npos);
  EXPECT_NE(report.bytes.find("Final-Recipient: utf-8; \xC3\xB6@one.test\r\n"), std::string::npos);
  EXPECT_NE(report.bytes.find("Content-Type: message/global\r\n"), std::string::npos);
}

TEST(ReportTest, AfterARefusalOf8BitMailTheReportIsAscii) {
  ReportFacts facts = FailedFacts();
  facts.ascii_only = true;
  facts.content = "Subject: gr\xC3\xBC\xC3\x9F = x\r\n\r\ngr\xC3\xBC\xC3\x9F\r\n";
  facts.content_is_full = true;
  const Report report = BuildReport(facts);
  ExpectSound(report);
  EXPECT_FALSE(report.has_8bit);
  EXPECT_NE(report.bytes.find("Content-Type: text/rfc822-headers\r\n"
                              "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
                              "Subject: gr=C3=BC=C3=9F =3D x\r\n"),
            std::string::npos)
      << report.bytes;
}

TEST(ReportTest, AfterARefusalOf8BitMailAnAsciiOriginalIsReturnedWhole) {
  ReportFacts facts = FailedFacts();
  facts.ascii_only = true;
  const Report report = BuildReport(facts);
  EXPECT_NE(report.bytes.find("Content-Type: message/rfc822\r\n\r\n"), std::string::npos);
}

TEST(ReportTest, AfterARefusalOfInternationalMailAddressesAreWrittenInAscii) {
  ReportFacts facts = FailedFacts();
  facts.ascii_only = facts.smtputf8 = true;
  facts.recipients[0].address = "\xC3\xBC+x@one.test";
  const Report report = BuildReport(facts);
  EXPECT_FALSE(report.has_8bit);
  EXPECT_FALSE(report.needs_smtputf8);
  EXPECT_NE(report.bytes.find("Final-Recipient: utf-8; \\x{FC}\\x{2B}x@one.test\r\n"),
            std::string::npos)
      << report.bytes;
  EXPECT_NE(report.bytes.find("Content-Type: message/delivery-status\r\n"), std::string::npos);
}

TEST(TextLinesTest, QuotedPrintableLinesEndWithinTheirColumnsAndWithoutBlanks) {
  std::string out;
  AppendQuotedPrintable(std::string(80, 'a') + "\r\nblank \r\n" + std::string(30, '\xFF'), out);
  EXPECT_EQ(
      out, std::string(75, 'a') + "=\r\n" + std::string(5, 'a') + "\r\nblank=20\r\n" + [] {
        std::string encoded;
        for (int i = 0; i < 30; ++i) encoded += i == 25 ? "=\r\n=FF" : "=FF";
        return encoded;
      }());
}

TEST(ReportTest, ReturnsContentOnlyWithFailuresAndWithinTheBound) {
  EXPECT_TRUE(ReturnsFullContent(false, NoticeKind::kFailed, 1000, 65536));
  EXPECT_FALSE(ReturnsFullContent(true, NoticeKind::kFailed, 1000, 65536));
  EXPECT_FALSE(ReturnsFullContent(false, NoticeKind::kFailed, 65537, 65536));
  EXPECT_FALSE(ReturnsFullContent(false, NoticeKind::kFailed, 70'000, 1'000'000));
  EXPECT_FALSE(ReturnsFullContent(false, NoticeKind::kDelayed, 1000, 65536));
}

TEST(XtextTest, OnlyPrintableXtextDecodes) {
  std::string out;
  EXPECT_TRUE(DecodeXtext("a+2Bb+3D", &out));
  EXPECT_EQ(out, "a+b=");
  for (const char* bad : {"", "a+", "a+2", "a+2b", "a=b", "a b", "a+0A", "a+FF", "a\x7F"}) {
    EXPECT_FALSE(DecodeXtext(bad, &out)) << bad;
  }
}

TEST(ExplainTest, EveryCodeBecomesASentence) {
  EXPECT_EQ(ExplainStatus("5.1.1", 550, "x.test"), "There is no mailbox with this name at x.test.");
  EXPECT_EQ(ExplainStatus("4.2.2", 452, "x.test"), "The recipient's mailbox is full.");
  EXPECT_EQ(ExplainStatus("", 554, "x.test"), "x.test refused the message.");
  EXPECT_EQ(ExplainStatus("nonsense", 451, "x.test"), "x.test could not take the message.");
  EXPECT_EQ(ExplainStatus("5.99.99", 0, "{}"), "{} refused the message.");
}

TEST(ExplainTest, MalformedCodesAreReplaced) {
  EXPECT_EQ(CleanEnhanced("5.7.26", 550, true), "5.7.26");
  for (const char* bad :
       {"", "5", "5.1", "5.1.", "5..1", "3.1.1", "5.1.1.1", "5.1234.1", "5.x.1"}) {
    EXPECT_EQ(CleanEnhanced(bad, 550, true), "5.0.0") << bad;
  }
  EXPECT_EQ(CleanEnhanced("", 0, false), "4.0.0");
}

}  // namespace
}  // namespace holdfast::queue
