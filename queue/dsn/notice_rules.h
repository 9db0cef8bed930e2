// queue/dsn/notice_rules.h
// Who is told what (RFC 3461 4.1, 5.2; RFC 5321 6.1; RFC 3464 2): which recipients of an attempt
// get a notice, to whom it goes, or why there is none. Threads: any; pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "queue/dsn/report.h"

namespace holdfast::queue {

// Bits of holdfast.command.Notify.
inline constexpr uint32_t kNotifyNever = 1;
inline constexpr uint32_t kNotifySuccess = 2;
inline constexpr uint32_t kNotifyFailure = 4;
inline constexpr uint32_t kNotifyDelay = 8;

enum class NoticeCause {
  kFailed,      // Bounced or expired.
  kDelayed,     // Still open after a while.
  kRelayed,     // Delivered to a next hop that did not offer DSN.
  kHandedOn,    // Delivered to a next hop that offered DSN: it answers for NOTIFY from here.
  kSuppressed,  // By policy: nobody is told.
};

struct NoticeSubject {
  uint32_t recipient = 0;  // Index into the message's recipients.
  uint32_t notify = 0;     // 0: NOTIFY was absent, which means FAILURE (and DELAY as policy says).
  NoticeCause cause = NoticeCause::kFailed;
  // So that mail to the postmaster that fails is not reported to the postmaster.
  std::string address;
};

struct NoticeQuestion {
  std::string sender;                // Empty for <>.
  bool is_notice = false;            // The message is itself one.
  std::string postmaster_address;    // Receives double bounces; empty: they are only logged.
  bool delay_notice_always = false;  // As in RetryRule.
  std::vector<NoticeSubject> subjects;
};

struct PlannedNotice {
  NoticeKind kind = NoticeKind::kFailed;
  std::string to;
  bool for_postmaster = false;
  std::vector<uint32_t> recipients;  // In the order given.
};

struct NoticePlan {
  // At most one of each kind.
  std::vector<PlannedNotice> notices;
  // Failed recipients about whom nobody is told, because there is nobody to tell (the null sender
  // and no postmaster_address): a log line is all that remains of them.
  std::vector<uint32_t> untold;
};

NoticePlan NoticesFor(const NoticeQuestion& question);

}  // namespace holdfast::queue
