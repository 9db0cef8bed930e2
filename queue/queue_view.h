// queue/queue_view.h
// Questions about the queue, answered from the tables: for the admin service, for a new leader's
// duties and for snapshots. Nothing here changes anything.
//
// Every call reads a bounded number of rows, whatever the queue's length, and hands back a token
// where it stopped. Age columns come from counters that apply keeps per destination
// (queue/state/age_histogram.h), so a summary of a million messages reads destinations only.
//
// Threads: any; a reader is used by one thread at a time.
// Errors:  kInvalidArgument for a token that is not ours, kNotFound, kDataLoss for unreadable rows,
//          or the reader's own.
#pragma once

#include <absl/time/time.h>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "proto/queue_rows.pb.h"
#include "queue/state/queue_types.h"
#include "queue/state/tables.h"

namespace holdfast::queue {

// Upper ends of the age columns; the last column has none.
inline constexpr std::array<uint32_t, 9> kAgeColumnMinutes = {5,   10,  20,  40,  80,
                                                              160, 320, 640, 1280};
using AgeCounts = std::array<uint64_t, kAgeColumnMinutes.size() + 1>;

struct Totals {
  uint64_t messages = 0;
  uint64_t units = 0;
  uint64_t recipients = 0;
  uint64_t held_messages = 0;
  uint64_t in_doubt_units = 0;
  uint64_t destinations = 0;
  uint64_t content_bytes = 0;
  uint64_t chunk_bytes = 0;

  // The sum over groups; a destination counts in each.
  Totals& operator+=(const Totals& other);
};
absl::StatusOr<Totals> QueueTotals(const TablesReader& reader);

struct DestinationSummary {
  std::string destination;
  uint64_t ready_units = 0;
  uint64_t in_doubt_units = 0;
  uint64_t held_units = 0;
  uint64_t recipients = 0;
  std::optional<absl::Time> next_due;
  // Recipients. Totals are exact; near a column's edge a recipient may stand one column off, by at
  // most an eighth of its age.
  AgeCounts ages{};
};

struct QueueSummary {
  // The largest, by recipients.
  std::vector<DestinationSummary> rows;
  DestinationSummary total;  // Of all rows read, those left out too.
  uint64_t rows_omitted = 0;
  // Not empty: more destinations follow; ask again with it and add up.
  std::string next_page_token;
};

// Reads at most `destinations_scan_max` destination rows.
absl::StatusOr<QueueSummary> SummariseByDestination(const TablesReader& reader, absl::Time now,
                                                    size_t rows_max,
                                                    size_t destinations_scan_max = 200'000,
                                                    std::string_view page_token = {});
// The same by the sender's domain ("<>" for the null sender), which has no counters: reads at most
// `messages_scan_max` messages, in the order of their ids.
absl::StatusOr<QueueSummary> SummariseBySender(const TablesReader& reader, absl::Time now,
                                               size_t rows_max, size_t messages_scan_max = 20'000,
                                               std::string_view page_token = {});

enum class MessageState { kAny, kActive, kDeferred, kHeld, kInDoubt };

// Messages that match every condition given.
struct QueueFilter {
  std::string destination = {};  // Exact, or ".example.com" for every domain below it.
  std::string sender = {};       // Whole address, or "@example.com"; "<>" for the null sender.
  std::string recipient = {};    // Whole address, or "@example.com".
  MessageState state = MessageState::kAny;
  absl::Duration age_min = {};  // Accepted at least this long ago.
};

struct UnitView {
  UnitKey key;
  rows::UnitRow row;
  bool ended = false;
};

struct MessageView {
  QueueId queue_id;
  MessageState state = MessageState::kActive;
  rows::MessageRow row;
  std::vector<UnitView> units;
  uint32_t recipients_open = 0;
  std::string first_open_destination;
  std::optional<absl::Time> next_attempt;  // The earliest of its ready units.
  std::string last_status;                 // "451 4.7.1 try later", of the last attempt.
};

struct QueuePage {
  std::vector<MessageView> messages;
  std::string next_page_token;  // Empty: that was all.
};

// Reads at most `rows_scan_max` rows of the index that fits the filter best (destination and state
// have one; sender and recipient have not), so a page may have fewer messages than asked for, even
// none, and still have a token.
absl::StatusOr<QueuePage> ListMessages(const TablesReader& reader, const QueueFilter& filter,
                                       absl::Time now, size_t page_size,
                                       std::string_view page_token = {},
                                       size_t rows_scan_max = 20'000);

absl::StatusOr<MessageView> ShowMessage(const TablesReader& reader, const QueueId& id,
                                        absl::Time now);

// A message's fate after it is gone, as long as it is remembered: RememberedRow::ENDED, ABANDONED.
absl::StatusOr<rows::RememberedRow> Remembered(const TablesReader& reader, const QueueId& id);

// The attempt whose intent is open; its number alone says nothing, for nodes count alike.
std::optional<AttemptKey> IntentOf(const rows::UnitRow& unit);

// Units whose attempt may be past its final dot: what a new leader waits for, then settles with an
// outcome marked in_doubt.
struct InDoubtUnit {
  UnitKey key;
  std::string destination;
  AttemptKey attempt;
  absl::Time since;
  uint32_t in_doubt_count = 0;  // Before this one.
};
struct InDoubtPage {
  std::vector<InDoubtUnit> units;
  std::string next_page_token;
};
absl::StatusOr<InDoubtPage> ListInDoubt(const TablesReader& reader, size_t max,
                                        std::string_view page_token = {});

// Submissions whose chunks came but whose Enqueue or Abandon did not, given their id before
// `older_than`: the leader abandons them.
absl::StatusOr<std::vector<QueueId>> ListStaleSubmissions(const TablesReader& reader,
                                                          absl::Time older_than, size_t max);

// Every body that is alive, for snapshots. OK when all were seen, kCancelled when the visitor said
// false.
absl::Status VisitLiveBodies(const TablesReader& reader,
                             const std::function<bool(const BodyRef&)>& visitor);

// Newest first, at most `max`.
absl::StatusOr<std::vector<rows::AuditRow>> ListAudit(const TablesReader& reader, size_t max);

std::string_view MessageStateName(MessageState state);  // "active", "deferred", "held", "in doubt"

}  // namespace holdfast::queue
