#include "queue/dsn/notice_rules.h"

#include <gtest/gtest.h>

namespace holdfast::queue {
namespace {

NoticeSubject Subject(uint32_t recipient, uint32_t notify, NoticeCause cause) {
  return {recipient, notify, cause, "r" + std::to_string(recipient) + "@x.test"};
}

NoticeQuestion From(const std::string& sender, std::vector<NoticeSubject> subjects) {
  NoticeQuestion question;
  question.sender = sender;
  question.subjects = std::move(subjects);
  return question;
}

TEST(NoticeRulesTest, OneNoticeForAllThatFailed) {
  NoticePlan plan = NoticesFor(From(
      "a@x.test",
      {Subject(0, 0, NoticeCause::kFailed), Subject(1, kNotifyNever, NoticeCause::kFailed),
       Subject(2, kNotifyFailure, NoticeCause::kFailed),
       Subject(3, kNotifySuccess, NoticeCause::kFailed), Subject(4, 0, NoticeCause::kSuppressed)}));
  ASSERT_EQ(plan.notices.size(), 1u);
  EXPECT_EQ(plan.notices[0].kind, NoticeKind::kFailed);
  EXPECT_EQ(plan.notices[0].to, "a@x.test");
  EXPECT_EQ(plan.notices[0].recipients, (std::vector<uint32_t>{0, 2}));
  EXPECT_TRUE(plan.untold.empty());
}

TEST(NoticeRulesTest, SuccessIsReportedOnlyWhereTheNextHopWillNot) {
  NoticePlan plan =
      NoticesFor(From("a@x.test", {Subject(0, kNotifySuccess, NoticeCause::kRelayed),
                                   Subject(1, 0, NoticeCause::kRelayed),
                                   Subject(2, kNotifyFailure, NoticeCause::kRelayed),
                                   Subject(3, kNotifySuccess, NoticeCause::kHandedOn)}));
  ASSERT_EQ(plan.notices.size(), 1u);
  EXPECT_EQ(plan.notices[0].kind, NoticeKind::kRelayed);
  EXPECT_EQ(plan.notices[0].recipients, (std::vector<uint32_t>{0}));
}

TEST(NoticeRulesTest, DelayIsToldToThoseWhoAskedOrToAllButTheSilent) {
  NoticeQuestion question = From("a@x.test", {Subject(0, 0, NoticeCause::kDelayed),
                                              Subject(1, kNotifyDelay, NoticeCause::kDelayed),
                                              Subject(2, kNotifyFailure, NoticeCause::kDelayed),
                                              Subject(3, kNotifyNever, NoticeCause::kDelayed)});
  EXPECT_EQ(NoticesFor(question).notices[0].recipients, (std::vector<uint32_t>{1}));
  question.delay_notice_always = true;
  EXPECT_EQ(NoticesFor(question).notices[0].recipients, (std::vector<uint32_t>{0, 1}));
}

TEST(NoticeRulesTest, ANoticeIsNeverAnsweredToItsSender) {
  NoticeQuestion question = From("", {Subject(0, kNotifyNever, NoticeCause::kFailed),
                                      Subject(1, kNotifyDelay, NoticeCause::kDelayed)});
  question.is_notice = true;
  NoticePlan plan = NoticesFor(question);
  EXPECT_TRUE(plan.notices.empty());
  EXPECT_EQ(plan.untold, (std::vector<uint32_t>{0}));
  question.postmaster_address = "postmaster@us.test";
  plan = NoticesFor(question);
  ASSERT_EQ(plan.notices.size(), 1u);
  EXPECT_EQ(plan.notices[0].to, "postmaster@us.test");
  EXPECT_TRUE(plan.notices[0].for_postmaster);
}

TEST(NoticeRulesTest, MailToThePostmasterThatFailsEndsThere) {
  NoticeQuestion question = From("", {Subject(0, 0, NoticeCause::kFailed)});
  question.is_notice = true;
  question.postmaster_address = "R0@x.test";
  NoticePlan plan = NoticesFor(question);
  EXPECT_TRUE(plan.notices.empty());
  EXPECT_EQ(plan.untold, (std::vector<uint32_t>{0}));
}

TEST(NoticeRulesTest, AStrangersNullSenderWhoAskedForSilenceGetsIt) {
  NoticeQuestion question = From("", {Subject(0, kNotifyNever, NoticeCause::kFailed)});
  question.postmaster_address = "postmaster@us.test";
  NoticePlan plan = NoticesFor(question);
  EXPECT_TRUE(plan.notices.empty());
  EXPECT_TRUE(plan.untold.empty());
}

}  // namespace
}  // namespace holdfast::queue
