// ops/bench/sink_rules.h
// SinkRules decides what the sink refuses: by the recipient's address, so that the answer is the
// same at each try and in each run, and nobody has to remember. Mail from the null sender is never
// refused nor left without an answer: it is how bounces come back, and a bounce that the sink
// refuses looks like a lost message.
//
// Threads: immutable; pure.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string_view>

namespace holdfast::bench {

enum class RecipientAnswer { kTake, kReject, kDefer };

class SinkRules {
 public:
  // `defer_for`: from then on (as time since the sink began) deferred recipients are taken.
  SinkRules(double reject_percent, double defer_percent, absl::Duration defer_for,
            double silent_percent);

  RecipientAnswer OnRecipient(bool null_sender, std::string_view recipient,
                              absl::Duration since_begin) const;
  // Whether the sink vanishes after the dot of its n-th transaction: another one at the next try,
  // so that mail gets through in the end.
  bool VanishesAfterDot(bool null_sender, uint64_t transaction) const;

 private:
  const double reject_percent_;
  const double defer_percent_;
  const absl::Duration defer_for_;
  const double silent_percent_;
};

}  // namespace holdfast::bench
