// The account sees each fault that it is there to see, as ops/lib/account_test.py asks of the other
// one; records and notices are read as they were written.
#include "ops/bench/account.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "ops/bench/commands.h"
#include "ops/bench/notice.h"
#include "ops/bench/record.h"
#include "ops/bench/record_file.h"

namespace holdfast::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Offer Accepted(const std::string& id) {
  Offer offer;
  offer.id = id;
  offer.recipient = id + "@one.test";
  offer.digest = "d";
  offer.target = "127.0.0.1:2525";
  offer.answer = "250 2.0.0 Ok";
  return offer;
}

Offer Ended(const std::string& id, OfferEnd end) {
  Offer offer = Accepted(id);
  offer.end = end;
  return offer;
}

Copy Arrived(const std::string& id, CopyEnd end = CopyEnd::kAccepted,
             const std::string& digest = "d") {
  return {id, id + "@One.Test", 5, 1, end, digest};
}

Notice Told(const std::string& id, const std::string& message_id = "<1@x>",
            const std::string& action = "failed") {
  return {id, id + "@one.test", 6, 2, action, "5.1.1", message_id};
}

Account AccountOf(const std::vector<Record>& records) {
  Tally tally(10);
  for (const Record& record : records) tally.Add(record);
  return tally.Finish();
}

TEST(Account, ACleanRunIsDeliveredOrBounced) {
  const Account account = AccountOf({Accepted("a"), Accepted("b"), Arrived("a"), Told("b")});
  EXPECT_EQ(account.Line(), "accepted 2, delivered 1, bounced 1, duplicates 0, lost 0");
  EXPECT_TRUE(account.clean());
}

TEST(Account, LostIsNamed) {
  const Account account = AccountOf({Accepted("a"), Accepted("b"), Arrived("a")});
  EXPECT_EQ(account.Line(), "accepted 2, delivered 1, bounced 0, duplicates 0, lost 1");
  EXPECT_THAT(account.lost.names, ElementsAre("b b@one.test"));
  EXPECT_FALSE(account.clean());
}

TEST(Account, ADelayNoticeEndsNothing) {
  EXPECT_EQ(AccountOf({Accepted("a"), Told("a", "<1@x>", "delayed")}).lost.count, 1u);
}

TEST(Account, DuplicatesAreCountedAndNamedOnce) {
  const Account account =
      AccountOf({Accepted("a"), Arrived("a"), Arrived("a"), Arrived("a"), Told("b")});
  EXPECT_EQ(account.Line(), "accepted 1, delivered 1, bounced 0, duplicates 2, lost 0");
  EXPECT_THAT(account.duplicates.names, ElementsAre("a a@one.test"));
  EXPECT_TRUE(account.clean());
}

TEST(Account, OnlyWhatWasPromisedCanBeLost) {
  const Account account =
      AccountOf({Ended("a", OfferEnd::kTemporary), Ended("b", OfferEnd::kPermanent),
                 Ended("c", OfferEnd::kUnknown), Ended("d", OfferEnd::kNotOffered), Arrived("c")});
  EXPECT_EQ(account.Line(), "accepted 0, delivered 0, bounced 0, duplicates 0, lost 0");
  EXPECT_EQ(account.refused, 3u);
  EXPECT_EQ(account.unknown, 1u);
  EXPECT_EQ(account.unacknowledged, 1u);
}

TEST(Account, ACopyWithoutAnAnswerIsNoDelivery) {
  const Account lost = AccountOf({Accepted("a"), Arrived("a", CopyEnd::kSilent)});
  EXPECT_EQ(lost.lost.count, 1u);
  const Account repeated = AccountOf({Accepted("a"), Arrived("a", CopyEnd::kSilent), Arrived("a")});
  EXPECT_EQ(repeated.Line(), "accepted 1, delivered 1, bounced 0, duplicates 0, lost 0");
  EXPECT_EQ(repeated.silent, 1u);
}

TEST(Account, DeliveredAndBouncedIsAFault) {
  const Account account = AccountOf({Accepted("a"), Arrived("a"), Told("a")});
  EXPECT_THAT(account.both.names, ElementsAre("a a@one.test"));
  EXPECT_FALSE(account.clean());
}

TEST(Account, TheSameNoticeTwiceIsNoFaultTwoNoticesAre) {
  EXPECT_TRUE(AccountOf({Accepted("a"), Told("a"), Told("a")}).clean());
  EXPECT_EQ(AccountOf({Accepted("a"), Told("a"), Told("a", "<2@x>")}).bounced_twice.count, 1u);
}

TEST(Account, ChangedContentIsSeen) {
  EXPECT_EQ(AccountOf({Accepted("a"), Arrived("a", CopyEnd::kAccepted, "e")}).changed.count, 1u);
  // Somebody else's mail has no digest.
  EXPECT_TRUE(AccountOf({Accepted("a"), Arrived("a", CopyEnd::kAccepted, "")}).clean());
}

TEST(Account, NamesAreBoundedAndCountsAreNot) {
  Tally tally(2);
  for (int i = 0; i < 5; ++i) tally.Add(Accepted("m" + std::to_string(i)));
  EXPECT_EQ(tally.Finish().lost.count, 5u);
  EXPECT_EQ(tally.Finish().lost.names.size(), 2u);
}

TEST(Account, PartsTogetherAreTheWhole) {
  std::vector<Record> records;
  for (int i = 0; i < 50; ++i) {
    const std::string id = std::to_string(i);
    records.push_back(Accepted(id));
    if (i % 3 != 0) records.push_back(Arrived(id));
    if (i % 3 == 1) records.push_back(Arrived(id));
    if (i % 3 == 0 && i % 2 == 0) records.push_back(Told(id));
  }
  Account sum;
  for (size_t part = 0; part < 4; ++part) {
    Tally tally(3);
    for (const Record& record : records) {
      if (PartOf(record, 4) == part) tally.Add(record);
    }
    sum.Add(tally.Finish(), 3);
  }
  EXPECT_EQ(sum.Line(), AccountOf(records).Line());
  EXPECT_EQ(sum.Line(), "accepted 50, delivered 33, bounced 9, duplicates 17, lost 8");
  EXPECT_EQ(sum.lost.names.size(), 3u);
}

TEST(Record, EachKindIsReadAsItWasWritten) {
  Offer offer = Accepted("x-1.1");
  offer.at_us = 1'800'000'000'000'001;
  offer.answered_us = offer.at_us + 7;
  offer.attempt = 3;
  offer.end = OfferEnd::kUnknown;
  offer.digest = "";
  for (const Record& record :
       std::vector<Record>{offer, Arrived("c", CopyEnd::kSilent), Told("n")}) {
    const std::string line = FormatRecord(record);
    ASSERT_TRUE(line.ends_with('\n'));
    const auto read = ParseRecord(std::string_view(line).substr(0, line.size() - 1));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_TRUE(*read == record) << line;
  }
}

TEST(Record, AnAnswerCantForgeALine) {
  Offer offer = Accepted("a");
  offer.answer = "250 ok\nlost\tx";
  EXPECT_THAT(FormatRecord(offer), HasSubstr("\t250 ok?lost?x\n"));
}

TEST(Record, NonsenseIsRefusedWithTheFieldThatIsWrong) {
  for (const char* line : {"", "lost", "copy\ta\tb", "copy\ta\tb\tx\t1\taccepted\td",
                           "copy\ta\tb\t1\t1\tmaybe\td", "copy\ta\tb\t1\t1\tsilent\td\tmore"}) {
    EXPECT_FALSE(ParseRecord(line).ok()) << line;
  }
  EXPECT_THAT(ParseRecord("copy\ta\tb\tx\t1\taccepted\td").status().ToString(),
              HasSubstr("field 4 of a copy line"));
}

constexpr char kNotice[] =
    "Received: from x by y; now\r\n"
    "Message-ID: <n1@x.test>\r\n"
    "Content-Type: multipart/report; report-type=delivery-status;\r\n"
    "    boundary=\"b\"\r\n"
    "\r\n"
    "--b\r\n"
    "Content-Type: text/plain\r\n"
    "\r\n"
    "Final-Recipient: rfc822; not@this.test\r\n"
    "--b\r\n"
    "Content-Description: for programs\r\n"
    "Content-Type: message/delivery-status\r\n"
    "\r\n"
    "Reporting-MTA: dns; x.test\r\n"
    "\r\n"
    "Final-Recipient: rfc822; a@one.test\r\n"
    "Action: Failed\r\n"
    "Status: 5.1.1\r\n"
    "\r\n"
    "Final-Recipient: rfc822;b@one.test\r\n"
    "Action: delayed\r\n"
    "Status: 4.2.2\r\n"
    "\r\n"
    "--b\r\n"
    "Content-Type: message/rfc822\r\n"
    "\r\n"
    "X-Holdfast-Id: m1\r\n"
    "Subject: original\r\n"
    "\r\n"
    "text\r\n"
    "--b--\r\n";

TEST(ReadNotice, NamesEachRecipientOfTheStatusPart) {
  const NoticeContent notice = ReadNotice(kNotice);
  EXPECT_EQ(notice.message_id, "<n1@x.test>");
  EXPECT_THAT(notice.recipients, ElementsAre(NoticeRecipient{"a@one.test", "failed", "5.1.1"},
                                             NoticeRecipient{"b@one.test", "delayed", "4.2.2"}));
  ASSERT_TRUE(FindId(kNotice).has_value());
  EXPECT_EQ(FindId(kNotice)->id, "m1");
}

TEST(ReadNotice, OtherMailIsNone) {
  EXPECT_TRUE(ReadNotice("").recipients.empty());
  EXPECT_TRUE(ReadNotice("Subject: x\r\n\r\nFinal-Recipient: a\r\n").recipients.empty());
  EXPECT_TRUE(ReadNotice("Content-Type: multipart/report\r\n\r\n").recipients.empty());
  EXPECT_FALSE(FindId("Subject: X-Holdfast-Id: m1\r\n").has_value());
}

class AccountFiles : public ::testing::Test {
 protected:
  std::string Write(const std::string& name, const std::vector<Record>& records,
                    const std::string& more = "") {
    const std::string path = ::testing::TempDir() + "/" + name;
    auto writer = RecordWriter::Create(path);
    EXPECT_TRUE(writer.ok()) << writer.status();
    for (const Record& record : records) (*writer)->Append(record);
    EXPECT_TRUE((*writer)->Flush().ok());
    std::ofstream(path, std::ios::app) << more;
    return path;
  }
  int Run(const AccountOptions& options) {
    out_.str("");
    err_.str("");
    return RunAccount(options, {out_, err_});
  }

  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(AccountFiles, TheLastLineIsTheAccountAndLossFails) {
  AccountOptions options;
  options.load_files = {Write("load", {Accepted("a"), Accepted("b")})};
  options.sink_files = {Write("sink1", {Arrived("a")}), Write("sink2", {Arrived("b")})};
  EXPECT_EQ(Run(options), kDone);
  EXPECT_TRUE(out_.str().ends_with("\naccepted 2, delivered 2, bounced 0, duplicates 0, lost 0\n"));
  options.sink_files.pop_back();
  EXPECT_EQ(Run(options), kFailed);
  EXPECT_THAT(out_.str(), HasSubstr("lost: b b@one.test\n"));
  options.json = true;
  EXPECT_EQ(Run(options), kFailed);
  EXPECT_THAT(out_.str(), HasSubstr("\"lost\":1,\"lost_names\":[\"b b@one.test\"]"));
}

TEST_F(AccountFiles, ManyPartsGiveTheSameAccount) {
  std::vector<Record> offers;
  std::vector<Record> arrivals;
  for (int i = 0; i < 10000; ++i) {
    offers.push_back(Accepted(std::to_string(i)));
    if (i != 77) arrivals.push_back(Arrived(std::to_string(i)));
  }
  AccountOptions options;
  options.load_files = {Write("many-load", offers)};
  options.sink_files = {Write("many-sink", arrivals)};
  options.memory_mib = 1;  // Several parts.
  EXPECT_EQ(Run(options), kFailed);
  EXPECT_EQ(out_.str(),
            "lost: 77 77@one.test\n"
            "refused 0, unknown 0, silent 0, arrived without a 250 0\n"
            "accepted 10000, delivered 9999, bounced 0, duplicates 0, lost 1\n");
}

TEST_F(AccountFiles, ATornLastLineIsLeftOutAndOtherNonsenseRefused) {
  AccountOptions options;
  options.load_files = {Write("torn", {Accepted("a")}, "offer\tb\tb@one")};
  options.sink_files = {Write("whole", {Arrived("a")})};
  EXPECT_EQ(Run(options), kDone);
  EXPECT_THAT(err_.str(), HasSubstr("torn"));
  options.sink_files = {Write("nonsense", {Arrived("a")}, "copy\tx\n")};
  EXPECT_EQ(Run(options), kFailed);
  EXPECT_THAT(err_.str(), HasSubstr("nonsense:3: field 3 of a copy line is wrong"));
  options.sink_files = {"/nowhere/at-all"};
  EXPECT_EQ(Run(options), kFailed);
  EXPECT_THAT(err_.str(), HasSubstr("/nowhere/at-all"));
}

}  // namespace
}  // namespace holdfast::bench
