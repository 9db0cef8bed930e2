#include "queue/state/ledger.h"

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "queue/state/age_histogram.h"
#include "queue/state/keys.h"
#include "queue/state/rows.h"

namespace holdfast::queue {
namespace {

ListKey PlaceOf(const UnitKey& key, const rows::UnitRow& unit) {
  ListKey place;
  place.list = ListOf(unit);
  place.pool = static_cast<uint16_t>(unit.pool());
  place.destination = unit.destination();
  place.unit_class = static_cast<uint8_t>(unit.unit_class());
  place.due_us = unit.due_us();
  place.unit = key;
  return place;
}

// One of the three counters of a destination, by list.
uint64_t CountOf(const rows::DestinationRow& row, UnitList list) {
  switch (list) {
    case UnitList::kReady:
      return row.ready_units();
    case UnitList::kIntent:
      return row.intent_units();
    case UnitList::kHeld:
      return row.held_units();
  }
  return 0;
}

void SetCount(UnitList list, uint64_t count, rows::DestinationRow* row) {
  switch (list) {
    case UnitList::kReady:
      return row->set_ready_units(count);
    case UnitList::kIntent:
      return row->set_intent_units(count);
    case UnitList::kHeld:
      return row->set_held_units(count);
  }
}

}  // namespace

UnitList ListOf(const rows::UnitRow& unit) {
  if (unit.has_intent()) return UnitList::kIntent;
  return unit.held() ? UnitList::kHeld : UnitList::kReady;
}

rows::TotalsRow& Ledger::totals() {
  if (!totals_) {
    absl::StatusOr<rows::TotalsRow> row = ReadTotals(tables_);
    // When the tables can't be read the batch is refused at its commit, so zeroes do no harm; a row
    // that was read and makes no sense is another matter.
    HOLDFAST_CHECK(row.ok() || !tables_.status().ok()) << row.status();
    totals_ = row.ok() ? *std::move(row) : rows::TotalsRow();
  }
  return *totals_;
}

Ledger::Entry& Ledger::Destination(const std::string& destination) {
  auto [found, is_new] = destinations_.try_emplace(destination);
  Entry& entry = found->second;
  if (is_new) {
    std::optional<std::string> value = tables_.Get(DestinationKey(destination));
    if (value) {
      absl::Status decoded = DecodeRow(*value, &entry.row);
      HOLDFAST_CHECK(decoded.ok()) << "destination row: " << decoded;
      entry.existed = true;
    }
    if (entry.row.ready_units() > 0) entry.wake_before = entry.row.wake_us();
    entry.earliest_us = entry.wake_before.value_or(std::numeric_limits<int64_t>::max());
  }
  return entry;
}

void Ledger::Leave(const UnitKey& key, const rows::UnitRow& unit) {
  const ListKey place = PlaceOf(key, unit);
  tables_.Delete(EncodeListKey(place));
  Entry& entry = Destination(unit.destination());
  rows::DestinationRow& row = entry.row;
  const uint64_t count = CountOf(row, place.list);
  const bool counted = count > 0 && row.recipients() >= unit.recipients_open() &&
                       RemoveAge(unit.accepted_us(), unit.recipients_open(), &row);
  // Not when the tables failed: the row may then be one of zeroes, in a batch that is refused.
  HOLDFAST_CHECK(counted || !tables_.status().ok())
      << "destination " << unit.destination() << " has not counted unit " << key.ToString();
  if (!counted) return;
  SetCount(place.list, count - 1, &row);
  row.set_recipients(row.recipients() - unit.recipients_open());
  if (place.list == UnitList::kReady && unit.due_us() <= entry.earliest_us) entry.rescan = true;
  rows::TotalsRow& all = totals();
  all.set_units(all.units() - 1);
  all.set_recipients(all.recipients() - unit.recipients_open());
  if (place.list == UnitList::kIntent) all.set_intent_units(all.intent_units() - 1);
}

void Ledger::Enter(const UnitKey& key, const rows::UnitRow& unit, int64_t now_us) {
  const ListKey place = PlaceOf(key, unit);
  tables_.Put(EncodeListKey(place), EncodeListValue(unit.expires_us()));
  Entry& entry = Destination(unit.destination());
  rows::DestinationRow& row = entry.row;
  SetCount(place.list, CountOf(row, place.list) + 1, &row);
  row.set_recipients(row.recipients() + unit.recipients_open());
  AddAge(unit.accepted_us(), unit.recipients_open(), now_us, &row);
  if (place.list == UnitList::kReady) {
    entry.earliest_us = std::min(entry.earliest_us, unit.due_us());
  }
  rows::TotalsRow& all = totals();
  all.set_units(all.units() + 1);
  all.set_recipients(all.recipients() + unit.recipients_open());
  if (place.list == UnitList::kIntent) all.set_intent_units(all.intent_units() + 1);
}

void Ledger::TellScheduler(const UnitKey& key, const rows::UnitRow* before,
                           const rows::UnitRow* after) {
  const bool was_ready = before != nullptr && ListOf(*before) == UnitList::kReady;
  const bool is_ready = after != nullptr && ListOf(*after) == UnitList::kReady;
  if (was_ready && (!is_ready || before->destination() != after->destination())) {
    events_.push_back(UnitGone{key, before->destination()});
  }
  if (is_ready) {
    events_.push_back(UnitDue{key, after->destination(), absl::FromUnixMicros(after->due_us())});
  }
}

void Ledger::ChangeUnit(const UnitKey& key, const rows::UnitRow* before, const rows::UnitRow* after,
                        int64_t now_us) {
  if (before != nullptr) Leave(key, *before);
  if (after != nullptr) {
    Enter(key, *after, now_us);
    tables_.Put(OpenUnitKey(key), EncodeRow(*after));
  } else {
    tables_.Delete(OpenUnitKey(key));
  }
  TellScheduler(key, before, after);
}

void Ledger::FlushDestination(const std::string& destination, Entry& entry) {
  rows::DestinationRow& row = entry.row;
  std::optional<int64_t> wake;
  if (row.ready_units() > 0) {
    wake = entry.earliest_us;
    if (entry.rescan) {
      // From the old wake time on, so that the scan does not pass over what was deleted before it.
      const KeyRange range{ListRange(UnitList::kReady, destination, entry.earliest_us, 0).from,
                           ListRange(UnitList::kReady, destination).to};
      tables_.Scan(range.from, range.to, 1, [&wake](std::string_view key, std::string_view) {
        if (std::optional<ListKey> first = DecodeListKey(key)) wake = first->due_us;
        return false;
      });
    }
  }
  if (wake != entry.wake_before) {
    if (entry.wake_before) tables_.Delete(WakeKey(*entry.wake_before, destination));
    if (wake) tables_.Put(WakeKey(*wake, destination), "");
  }
  const bool is_empty = row.ready_units() + row.intent_units() + row.held_units() == 0;
  if (is_empty != !entry.existed) {
    totals().set_destinations(totals().destinations() + (is_empty ? -1 : 1));
  }
  if (is_empty) {
    if (entry.existed) tables_.Delete(DestinationKey(destination));
  } else {
    row.set_wake_us(wake.value_or(0));
    tables_.Put(DestinationKey(destination), EncodeRow(row));
  }
}

void Ledger::Flush() {
  for (auto& [destination, entry] : destinations_) FlushDestination(destination, entry);
  if (totals_) tables_.Put(TotalsKey(), EncodeRow(*totals_));
}

}  // namespace holdfast::queue
