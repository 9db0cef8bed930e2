// queue/state/tables.h
// The ordered rows in which one group's queue lives: the little that the queue needs of a store.
// The node adapts the store's state batch to Tables, so that rows and the applied index are written
// together, and a committed reader to TablesReader. MemoryTables (memory_tables.h) is the simulated
// edge.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace holdfast::queue {

struct ScanEnd {
  size_t rows = 0;
  // True when every row of the range was visited; false when `rows_max` or the visitor ended it.
  bool complete = false;
};

// Threads: as the implementation says; this room calls a reader from one thread at a time.
// Errors:  absence is no error. A row that cannot be read counts as absent, and the error stays in
//          status(): who answers anybody from what was read looks there first.
class TablesReader {
 public:
  // Called for each row in ascending key order; the views die with the call. False ends the scan.
  // Must not change the tables.
  using Visitor = std::function<bool(std::string_view key, std::string_view value)>;

  virtual ~TablesReader() = default;

  virtual std::optional<std::string> Get(std::string_view key) const = 0;

  // Visits at most `rows_max` rows with from <= key < to; an empty `to` means up to the last row.
  virtual ScanEnd Scan(std::string_view from, std::string_view to, size_t rows_max,
                       const Visitor& visitor) const = 0;

  // The first error of any Get or Scan so far; kept for good.
  virtual absl::Status status() const = 0;
};

// Get and Scan see what was put and deleted before through the same object.
// Threads: owned by the apply context.
class Tables : public TablesReader {
 public:
  virtual void Put(std::string_view key, std::string_view value) = 0;
  virtual void Delete(std::string_view key) = 0;
};

}  // namespace holdfast::queue
