// Fingerprints of submissions: kept by Enqueue, removed by Confirm or by time. The ring has them in
// the order in which they came; a confirmed one leaves a gap there, which is passed over later, so
// that no command looks for the oldest through all the rows that were deleted.
#include <algorithm>

#include "base/check.h"
#include "queue/state/apply_step.h"
#include "queue/state/keys.h"
#include "queue/state/rows.h"

namespace holdfast::queue {
namespace {

// Places of the ring that a command passes: more than it adds or empties, so that the ring's first
// place keeps up, and few enough that none pays for a crowd.
constexpr uint64_t kSteps = 4;
constexpr uint64_t kStepsWhenFull = 64;

}  // namespace

void ApplyStep::KeepFingerprint(const QueueId& id, const command::Fingerprint& fingerprint,
                                int64_t now_us) {
  rows::TotalsRow& totals = ledger_.totals();
  const uint64_t kept_max = std::min(fingerprint.kept_max(), kUnconfirmedMax);
  if (kept_max == 0) return;
  ForgetOldFingerprints(now_us, kept_max - 1,
                        totals.unconfirmed() >= kept_max ? kStepsWhenFull : kSteps);
  // The oldest is behind a wide gap: the bound counts more than this one.
  if (totals.unconfirmed() >= kept_max) return;
  const std::string key = UnconfirmedKey(fingerprint.sha256());
  rows::UnconfirmedRow row = Load<rows::UnconfirmedRow>(tables_, key).value_or(decltype(row)());
  if (row.messages_size() >= static_cast<int>(kEqualUnconfirmedMax)) return;
  const uint64_t number = totals.unconfirmed_next();
  rows::UnconfirmedMessage& message = *row.add_messages();
  message.set_queue_id(id.ToString());
  message.set_number(number);
  message.set_forget_us(fingerprint.forget_us());
  tables_.Put(key, EncodeRow(row));
  rows::UnconfirmedRingRow ring;
  ring.set_sha256(fingerprint.sha256());
  ring.set_queue_id(id.ToString());
  ring.set_forget_us(fingerprint.forget_us());
  tables_.Put(UnconfirmedRingKey(number), EncodeRow(ring));
  totals.set_unconfirmed(totals.unconfirmed() + 1);
  totals.set_unconfirmed_next(number + 1);
}

bool ApplyStep::ForgetFingerprint(const std::string& sha256, const std::string& queue_id) {
  const std::string key = UnconfirmedKey(sha256);
  std::optional<rows::UnconfirmedRow> row = Load<rows::UnconfirmedRow>(tables_, key);
  if (!row) return false;
  auto& messages = *row->mutable_messages();
  const auto found = std::find_if(
      messages.begin(), messages.end(),
      [&](const rows::UnconfirmedMessage& message) { return message.queue_id() == queue_id; });
  if (found == messages.end()) return false;
  tables_.Delete(UnconfirmedRingKey(found->number()));
  messages.erase(found);
  if (messages.empty()) {
    tables_.Delete(key);
  } else {
    tables_.Put(key, EncodeRow(*row));
  }
  rows::TotalsRow& totals = ledger_.totals();
  totals.set_unconfirmed(totals.unconfirmed() - 1);
  return true;
}

void ApplyStep::ForgetOldFingerprints(int64_t now_us, uint64_t kept_max, uint64_t steps) {
  rows::TotalsRow& totals = ledger_.totals();
  for (; steps > 0 && totals.unconfirmed_first() < totals.unconfirmed_next(); --steps) {
    const std::optional<rows::UnconfirmedRingRow> oldest =
        Load<rows::UnconfirmedRingRow>(tables_, UnconfirmedRingKey(totals.unconfirmed_first()));
    if (oldest) {
      if (oldest->forget_us() > now_us && totals.unconfirmed() <= kept_max) return;
      HOLDFAST_CHECK(ForgetFingerprint(oldest->sha256(), oldest->queue_id()))
          << "the ring of unconfirmed messages has " << oldest->queue_id()
          << ", which is not there";
    }
    totals.set_unconfirmed_first(totals.unconfirmed_first() + 1);
  }
}

absl::Status ApplyStep::Confirm(const command::Confirm& confirm) {
  if (confirm.messages_size() > static_cast<int>(kConfirmedPerCommandMax)) {
    return absl::InvalidArgumentError("too many messages");
  }
  std::vector<absl::Status> items;
  for (const command::Confirmed& message : confirm.messages()) {
    if (message.sha256().size() != kFingerprintBytes) {
      items.push_back(absl::InvalidArgumentError("not a fingerprint"));
    } else if (ForgetFingerprint(message.sha256(), message.queue_id())) {
      items.push_back(absl::OkStatus());
    } else {
      items.push_back(absl::NotFoundError("no such unconfirmed message"));
    }
  }
  ForgetOldFingerprints(confirm.stamped_us(), kUnconfirmedMax, kSteps + 2 * items.size());
  return TakeItems(std::move(items));
}

}  // namespace holdfast::queue
