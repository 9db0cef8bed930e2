// queue/state/ledger.h
// Ledger keeps a unit's row, its place in a list, the counters of its destination and the totals in
// step, while one command is applied. Destination and totals rows are read once and written once,
// in Flush().
// Threads:  owned by the apply context. Lifetime: of one Apply(); tables and events outlive it.
// Errors:   an unreadable row ends the process (CHECK): see queue_state.h.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/queue_rows.pb.h"
#include "queue/state/events.h"
#include "queue/state/queue_types.h"
#include "queue/state/tables.h"

namespace holdfast::queue {

UnitList ListOf(const rows::UnitRow& unit);

class Ledger {
 public:
  Ledger(Tables& tables, std::vector<Event>& events) : tables_(tables), events_(events) {}

  // Changes an open unit from `before` (nullptr: it is new) to `after` (nullptr: it has ended),
  // with everything that follows from it. `now_us` is the command's time.
  void ChangeUnit(const UnitKey& key, const rows::UnitRow* before, const rows::UnitRow* after,
                  int64_t now_us);

  rows::TotalsRow& totals();

  // Writes what changed. Call once, last.
  void Flush();

 private:
  struct Entry {
    rows::DestinationRow row;
    bool existed = false;
    std::optional<int64_t> wake_before;  // The wake row in the tables.
    int64_t earliest_us = 0;             // No ready unit is due before this.
    bool rescan = false;                 // A unit that may have been the earliest has gone.
  };

  Entry& Destination(const std::string& destination);
  void Leave(const UnitKey& key, const rows::UnitRow& unit);
  void Enter(const UnitKey& key, const rows::UnitRow& unit, int64_t now_us);
  void TellScheduler(const UnitKey& key, const rows::UnitRow* before, const rows::UnitRow* after);
  void FlushDestination(const std::string& destination, Entry& entry);

  Tables& tables_;
  std::vector<Event>& events_;
  std::map<std::string, Entry> destinations_;
  std::optional<rows::TotalsRow> totals_;
};

}  // namespace holdfast::queue
