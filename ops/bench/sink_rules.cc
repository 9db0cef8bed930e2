#include "ops/bench/sink_rules.h"

#include "base/random.h"
#include "smtp/protocol/address.h"

namespace holdfast::bench {
namespace {

// FNV-1a; Random spreads what it leaves together.
uint64_t Hash(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return hash;
}

double PercentOf(uint64_t seed) { return Random(seed).Unit() * 100; }

}  // namespace

SinkRules::SinkRules(double reject_percent, double defer_percent, absl::Duration defer_for,
                     double silent_percent)
    : reject_percent_(reject_percent),
      defer_percent_(defer_percent),
      defer_for_(defer_for),
      silent_percent_(silent_percent) {}

// One number decides both, so that the shares are shares of all recipients.
RecipientAnswer SinkRules::OnRecipient(bool null_sender, std::string_view recipient,
                                       absl::Duration since_begin) const {
  if (null_sender) return RecipientAnswer::kTake;
  const double percent = PercentOf(Hash(smtp::ToLowerAscii(recipient)));
  if (percent < reject_percent_) return RecipientAnswer::kReject;
  const bool defers = since_begin < defer_for_;
  if (defers && percent < reject_percent_ + defer_percent_) return RecipientAnswer::kDefer;
  return RecipientAnswer::kTake;
}

bool SinkRules::VanishesAfterDot(bool null_sender, uint64_t transaction) const {
  return !null_sender && PercentOf(transaction) < silent_percent_;
}

}  // namespace holdfast::bench
