#include "queue/dsn/notice_rules.h"

#include <map>
#include <string_view>

namespace holdfast::queue {
namespace {

bool SameAddress(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; };
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

// Whether the sender wants to hear of it, given that there is a sender (RFC 3461 4.1).
bool IsWanted(const NoticeSubject& subject, bool delay_notice_always) {
  switch (subject.cause) {
    case NoticeCause::kFailed:
      return subject.notify == 0 || (subject.notify & kNotifyFailure) != 0;
    case NoticeCause::kDelayed:
      return subject.notify == 0 ? delay_notice_always : (subject.notify & kNotifyDelay) != 0;
    case NoticeCause::kRelayed:
      return (subject.notify & kNotifySuccess) != 0;
    case NoticeCause::kHandedOn:
    case NoticeCause::kSuppressed:
      return false;
  }
  return false;
}

NoticeKind KindFor(NoticeCause cause) {
  switch (cause) {
    case NoticeCause::kDelayed:
      return NoticeKind::kDelayed;
    case NoticeCause::kRelayed:
      return NoticeKind::kRelayed;
    default:
      return NoticeKind::kFailed;
  }
}

}  // namespace

NoticePlan NoticesFor(const NoticeQuestion& question) {
  NoticePlan plan;
  std::map<NoticeKind, PlannedNotice> notices;
  const bool nobody_sent_it = question.is_notice || question.sender.empty();
  for (const NoticeSubject& subject : question.subjects) {
    if (!nobody_sent_it) {
      if (!IsWanted(subject, question.delay_notice_always)) continue;
      notices[KindFor(subject.cause)].recipients.push_back(subject.recipient);
      continue;
    }
    // RFC 5321 6.1: no notice about a notice. Our own carry NOTIFY=NEVER, which silences remotes,
    // not our postmaster.
    if (subject.cause != NoticeCause::kFailed) continue;
    if (!question.is_notice && (subject.notify & kNotifyNever) != 0) continue;
    if (question.postmaster_address.empty() ||
        SameAddress(subject.address, question.postmaster_address)) {
      plan.untold.push_back(subject.recipient);
    } else {
      notices[NoticeKind::kFailed].recipients.push_back(subject.recipient);
    }
  }
  for (auto& [kind, notice] : notices) {
    notice.kind = kind;
    notice.for_postmaster = nobody_sent_it;
    notice.to = nobody_sent_it ? question.postmaster_address : question.sender;
    plan.notices.push_back(std::move(notice));
  }
  return plan;
}

}  // namespace holdfast::queue
