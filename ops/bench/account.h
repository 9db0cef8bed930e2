// ops/bench/account.h
// Tally joins what was offered with what arrived: an acknowledged recipient must end in exactly one
// of delivered and bounced. It means the same as ops/lib/account.py:
//
//   delivered   at least one copy that the sink did not leave unanswered
//   bounced     a notice with action "failed"; "delayed" ends nothing
//   duplicates  copies beyond the first of each recipient
//   lost        acknowledged, and neither delivered nor bounced
//   bounced twice: failed notices with different Message-IDs; with the same one it only came twice
//
// Every field's name in the printed account is the one above.
// Threads: thread-compatible; pure.
// Limits:  about 200 bytes and the key for each recipient of this part of the records. The caller
//          parts them by PartOf(), so that all records of one recipient fall into one part, and
//          counts the parts together with Add(). At most names_max names of each kind are kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ops/bench/record.h"

namespace holdfast::bench {

// Some of a kind, by name: "ID RECIPIENT".
struct Named {
  uint64_t count = 0;
  std::vector<std::string> names;
};

struct Account {
  uint64_t accepted = 0;
  uint64_t delivered = 0;
  uint64_t bounced = 0;
  Named duplicates;     // Counts copies, names recipients.
  Named lost;           // Neither delivered nor bounced.
  Named both;           // Delivered and bounced.
  Named bounced_twice;  // Two different notices.
  Named changed;        // The content is not what was sent.
  // No faults:
  uint64_t unacknowledged = 0;  // Arrived though the client got no 250: allowed, at least once.
  uint64_t silent = 0;          // Copies that the sink left unanswered.
  uint64_t refused = 0;         // Offers that ended in 4xx, 5xx or without a target.
  uint64_t unknown = 0;         // Offers that were left without an answer.

  // "accepted N, delivered N, bounced N, duplicates N, lost N"
  std::string Line() const;
  // Nothing that must never be. Duplicates are no fault by themselves: a kill explains some.
  bool clean() const { return lost.count + both.count + bounced_twice.count + changed.count == 0; }
  void Add(const Account& part, size_t names_max);
};

// In which of `parts` parts (at least one) a record's recipient falls.
size_t PartOf(const Record& record, size_t parts);

class Tally {
 public:
  explicit Tally(size_t names_max) : names_max_(names_max) {}

  // Offers before arrivals: content is compared when a copy comes.
  void Add(const Record& record);
  Account Finish() const;

 private:
  struct Entry {
    uint32_t acknowledged = 0;
    uint32_t copies = 0;
    bool failed = false;
    bool failed_twice = false;
    bool changed = false;
    std::string digest;  // As offered.
    std::string notice_message_id;
  };

  void AddOffer(const Offer& offer);
  void AddCopy(const Copy& copy);
  void AddNotice(const Notice& notice);
  void Count(const std::string& key, const Entry& entry, Account& account) const;

  const size_t names_max_;
  std::unordered_map<std::string, Entry> entries_;
  Account counts_;  // What needs no join.
};

}  // namespace holdfast::bench
