#include "ops/bench/account.h"

#include <functional>

#include "base/text.h"
#include "smtp/protocol/address.h"

namespace holdfast::bench {
namespace {

// Addresses are compared as ops/lib/account.py does: whatever the letter case.
std::string KeyOf(const std::string& id, const std::string& recipient) {
  return format("{} {}", id, smtp::ToLowerAscii(recipient));
}

std::string KeyOf(const Record& record) {
  return std::visit([](const auto& one) { return KeyOf(one.id, one.recipient); }, record);
}

void Name(Named& kind, const std::string& key, uint64_t count, size_t names_max) {
  kind.count += count;
  if (kind.names.size() < names_max) kind.names.push_back(key);
}

void Join(Named& kind, const Named& part, size_t names_max) {
  for (const std::string& name : part.names) Name(kind, name, 0, names_max);
  kind.count += part.count;
}

}  // namespace

std::string Account::Line() const {
  return format("accepted {}, delivered {}, bounced {}, duplicates {}, lost {}", accepted,
                delivered, bounced, duplicates.count, lost.count);
}

void Account::Add(const Account& part, size_t names_max) {
  accepted += part.accepted;
  delivered += part.delivered;
  bounced += part.bounced;
  unacknowledged += part.unacknowledged;
  silent += part.silent;
  refused += part.refused;
  unknown += part.unknown;
  Join(duplicates, part.duplicates, names_max);
  Join(lost, part.lost, names_max);
  Join(both, part.both, names_max);
  Join(bounced_twice, part.bounced_twice, names_max);
  Join(changed, part.changed, names_max);
}

size_t PartOf(const Record& record, size_t parts) {
  return std::hash<std::string>()(KeyOf(record)) % parts;
}

void Tally::Add(const Record& record) {
  if (const auto* offer = std::get_if<Offer>(&record)) return AddOffer(*offer);
  if (const auto* copy = std::get_if<Copy>(&record)) return AddCopy(*copy);
  AddNotice(std::get<Notice>(record));
}

void Tally::AddOffer(const Offer& offer) {
  if (offer.end == OfferEnd::kUnknown) {
    ++counts_.unknown;
  } else if (offer.end != OfferEnd::kAccepted) {
    ++counts_.refused;
  } else {
    Entry& entry = entries_[KeyOf(offer.id, offer.recipient)];
    ++entry.acknowledged;
    entry.digest = offer.digest;
  }
}

void Tally::AddCopy(const Copy& copy) {
  // The relay has no answer: what counts is that it comes again.
  if (copy.end == CopyEnd::kSilent) {
    ++counts_.silent;
    return;
  }
  Entry& entry = entries_[KeyOf(copy.id, copy.recipient)];
  ++entry.copies;
  if (!entry.digest.empty() && !copy.digest.empty() && entry.digest != copy.digest) {
    entry.changed = true;
  }
}

void Tally::AddNotice(const Notice& notice) {
  if (notice.action != "failed") return;
  Entry& entry = entries_[KeyOf(notice.id, notice.recipient)];
  if (entry.failed && entry.notice_message_id != notice.message_id) entry.failed_twice = true;
  entry.failed = true;
  entry.notice_message_id = notice.message_id;
}

void Tally::Count(const std::string& key, const Entry& entry, Account& account) const {
  if (entry.copies > 1) Name(account.duplicates, key, entry.copies - 1, names_max_);
  if (entry.failed_twice) Name(account.bounced_twice, key, 1, names_max_);
  if (entry.acknowledged == 0) {
    account.unacknowledged += entry.copies > 0 ? 1 : 0;
    return;
  }
  account.accepted += entry.acknowledged;
  account.delivered += entry.copies > 0 ? entry.acknowledged : 0;
  account.bounced += entry.failed ? entry.acknowledged : 0;
  if (entry.copies == 0 && !entry.failed) Name(account.lost, key, entry.acknowledged, names_max_);
  if (entry.copies > 0 && entry.failed) Name(account.both, key, 1, names_max_);
  if (entry.changed) Name(account.changed, key, 1, names_max_);
}

Account Tally::Finish() const {
  Account account = counts_;
  for (const auto& [key, entry] : entries_) Count(key, entry, account);
  return account;
}

}  // namespace holdfast::bench
