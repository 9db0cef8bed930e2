// Counts over the queue: totals, by destination, by sender.
#include <algorithm>
#include <map>

#include "queue/queue_view.h"
#include "queue/state/keys.h"
#include "queue/state/rows.h"
#include "queue/view_token.h"

namespace holdfast::queue {
namespace {

size_t ColumnOf(int64_t age_minutes) {
  size_t column = 0;
  while (column < kAgeColumnMinutes.size() && age_minutes >= kAgeColumnMinutes[column]) ++column;
  return column;
}

void AddTo(const DestinationSummary& row, DestinationSummary* total) {
  total->ready_units += row.ready_units;
  total->in_doubt_units += row.in_doubt_units;
  total->held_units += row.held_units;
  total->recipients += row.recipients;
  for (size_t i = 0; i < row.ages.size(); ++i) total->ages[i] += row.ages[i];
  if (row.next_due && (!total->next_due || *row.next_due < *total->next_due)) {
    total->next_due = row.next_due;
  }
}

// Keeps the largest `rows_max` rows of any number.
class Largest {
 public:
  Largest(size_t rows_max, QueueSummary* summary) : rows_max_(rows_max), summary_(summary) {}

  void Add(DestinationSummary row) {
    AddTo(row, &summary_->total);
    heap_.push_back(std::move(row));
    std::push_heap(heap_.begin(), heap_.end(), IsLarger);
    if (heap_.size() <= rows_max_) return;
    std::pop_heap(heap_.begin(), heap_.end(), IsLarger);
    heap_.pop_back();
    ++summary_->rows_omitted;
  }
  void Finish() {
    std::sort(heap_.begin(), heap_.end(), IsLarger);
    summary_->rows = std::move(heap_);
  }

 private:
  static bool IsLarger(const DestinationSummary& a, const DestinationSummary& b) {
    if (a.recipients != b.recipients) return a.recipients > b.recipients;
    return a.destination < b.destination;
  }
  const size_t rows_max_;
  QueueSummary* const summary_;
  std::vector<DestinationSummary> heap_;  // The smallest in front.
};

DestinationSummary SummaryOf(std::string destination, const rows::DestinationRow& row,
                             absl::Time now) {
  DestinationSummary summary;
  summary.destination = std::move(destination);
  summary.ready_units = row.ready_units();
  summary.in_doubt_units = row.intent_units();
  summary.held_units = row.held_units();
  summary.recipients = row.recipients();
  if (row.ready_units() > 0) summary.next_due = absl::FromUnixMicros(row.wake_us());
  const int64_t now_minute = absl::ToUnixSeconds(now) / 60;
  for (const rows::AgeSlot& slot : row.ages()) {
    const uint64_t middle = slot.start() + (uint64_t{1} << slot.width_bits()) / 2;
    summary.ages[ColumnOf(now_minute - static_cast<int64_t>(middle))] += slot.count();
  }
  return summary;
}

std::string SenderDomain(const std::string& sender) {
  if (sender.empty()) return "<>";
  const size_t at = sender.rfind('@');
  std::string domain = at == std::string::npos ? sender : sender.substr(at + 1);
  for (char& c : domain) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return domain;
}

}  // namespace

Totals& Totals::operator+=(const Totals& other) {
  messages += other.messages;
  units += other.units;
  recipients += other.recipients;
  held_messages += other.held_messages;
  in_doubt_units += other.in_doubt_units;
  destinations += other.destinations;
  content_bytes += other.content_bytes;
  chunk_bytes += other.chunk_bytes;
  return *this;
}

absl::StatusOr<Totals> QueueTotals(const TablesReader& reader) {
  HOLDFAST_ASSIGN_OR_RETURN(rows::TotalsRow row, ReadTotals(reader));
  Totals totals;
  totals.messages = row.messages();
  totals.units = row.units();
  totals.recipients = row.recipients();
  totals.held_messages = row.held_messages();
  totals.in_doubt_units = row.intent_units();
  totals.destinations = row.destinations();
  totals.content_bytes = row.content_bytes();
  totals.chunk_bytes = row.chunk_bytes();
  return totals;
}

absl::StatusOr<QueueSummary> SummariseByDestination(const TablesReader& reader, absl::Time now,
                                                    size_t rows_max, size_t destinations_scan_max,
                                                    std::string_view page_token) {
  KeyRange range = PrefixRange(FamilyPrefix(KeyFamily::kDestination));
  HOLDFAST_RETURN_IF_ERROR(StartAtToken(page_token, &range));
  QueueSummary summary;
  Largest largest(rows_max, &summary);
  std::string last;
  absl::Status bad;
  const ScanEnd end = reader.Scan(
      range.from, range.to, destinations_scan_max,
      [&](std::string_view key, std::string_view value) {
        std::optional<std::string> destination = DecodeDestinationKey(key);
        rows::DestinationRow row;
        bad = destination ? DecodeRow(value, &row) : absl::DataLossError("unreadable key");
        if (!bad.ok()) return false;
        largest.Add(SummaryOf(*std::move(destination), row, now));
        last = key;
        return true;
      });
  HOLDFAST_RETURN_IF_ERROR(bad);
  HOLDFAST_RETURN_IF_ERROR(reader.status());
  largest.Finish();
  if (!end.complete) summary.next_page_token = TokenAfter(last);
  return summary;
}

absl::StatusOr<QueueSummary> SummariseBySender(const TablesReader& reader, absl::Time now,
                                               size_t rows_max, size_t messages_scan_max,
                                               std::string_view page_token) {
  KeyRange range = PrefixRange(FamilyPrefix(KeyFamily::kMessage));
  HOLDFAST_RETURN_IF_ERROR(StartAtToken(page_token, &range));
  std::map<std::string, DestinationSummary> senders;
  std::string last;
  absl::Status bad;
  const ScanEnd end = reader.Scan(
      range.from, range.to, messages_scan_max, [&](std::string_view key, std::string_view value) {
        std::optional<QueueId> id = DecodeQueueIdKey(key);
        rows::MessageRow message;
        bad = id ? DecodeRow(value, &message) : absl::DataLossError("unreadable key");
        if (!bad.ok()) return false;
        DestinationSummary& row = senders[SenderDomain(message.envelope().sender())];
        const KeyRange units = OpenUnitsOf(*id);
        reader.Scan(units.from, units.to, message.unit_count(),
                    [&](std::string_view, std::string_view unit_value) {
                      rows::UnitRow unit;
                      if (!DecodeRow(unit_value, &unit).ok()) return true;
                      ++(unit.has_intent() ? row.in_doubt_units
                         : unit.held()     ? row.held_units
                                           : row.ready_units);
                      row.recipients += unit.recipients_open();
                      const int64_t age =
                          absl::ToInt64Minutes(now - absl::FromUnixMicros(message.accepted_us()));
                      row.ages[ColumnOf(age)] += unit.recipients_open();
                      return true;
                    });
        last = key;
        return true;
      });
  HOLDFAST_RETURN_IF_ERROR(bad);
  HOLDFAST_RETURN_IF_ERROR(reader.status());
  QueueSummary summary;
  Largest largest(rows_max, &summary);
  for (auto& [domain, row] : senders) {
    row.destination = domain;
    largest.Add(std::move(row));
  }
  largest.Finish();
  if (!end.complete) summary.next_page_token = TokenAfter(last);
  return summary;
}

}  // namespace holdfast::queue
