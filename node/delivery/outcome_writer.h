// node/delivery/outcome_writer.h
// What an attempt's report becomes in the log: the verdict on each recipient (deferred, bounced,
// expired), when the rest is due again, and the notices that the failures cause, in one command.
// Threads: owned by the apply context. Lifetime: the notice writer outlives it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "node/control/policy.h"
#include "node/delivery/attempt.h"
#include "node/delivery/notice_writer.h"
#include "proto/command.pb.h"
#include "queue/queue_view.h"
#include "queue/schedule/retry_policy.h"

namespace holdfast::node {

// One attempt's outcome, ready to be put into an Outcomes command.
struct MadeOutcome {
  command::AttemptOutcome outcome;  // Without notices.
  std::vector<MadeNotice> notices;
  // A delay notice that is due, as a command of its own: present when any recipient stays open.
  bool delayed = false;
  std::vector<MadeNotice> delay_notices;
};

queue::RetryRule RetryRuleOf(const RetrySettings& settings);

class OutcomeWriter {
 public:
  explicit OutcomeWriter(const NoticeWriter& notices) : notices_(notices) {}

  // `message` as committed; it holds the unit.
  MadeOutcome Make(const queue::MessageView& message, uint32_t unit,
                   const queue::AttemptKey& attempt,
                   const std::vector<AttemptRecipient>& recipients, const AttemptReport& report,
                   const PolicySnapshot& policy, uint64_t luck) const;

  // For an intent whose outcome nobody will ever tell: open recipients go on as policy says.
  MadeOutcome MakeUnknown(const queue::MessageView& message, const queue::InDoubtUnit& unit,
                          const PolicySnapshot& policy, absl::Time now) const;

 private:
  const NoticeWriter& notices_;
};

}  // namespace holdfast::node
