// queue/state/memory_tables.h
// Tables in a std::map: for tests and the simulation, where equal histories must give equal maps.
// Counts what was read and written, so that tests can bound work instead of time.
// Threads: thread-compatible.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "queue/state/tables.h"

namespace holdfast::queue {

class MemoryTables final : public Tables {
 public:
  struct Counts {
    uint64_t gets = 0;
    uint64_t puts = 0;
    uint64_t deletes = 0;
    uint64_t rows_scanned = 0;
    // Rows once deleted in the ranges scanned: a log-structured store passes over each.
    uint64_t deleted_passed = 0;
  };

  std::optional<std::string> Get(std::string_view key) const override;
  ScanEnd Scan(std::string_view from, std::string_view to, size_t rows_max,
               const Visitor& visitor) const override;
  absl::Status status() const override { return absl::OkStatus(); }
  void Put(std::string_view key, std::string_view value) override;
  void Delete(std::string_view key) override;

  const std::map<std::string, std::string, std::less<>>& rows() const { return rows_; }
  const Counts& counts() const { return counts_; }
  void ResetCounts() { counts_ = {}; }

 private:
  // Up to `stop`, or to the end of the range where that is nullopt.
  void CountDeleted(std::string_view from, std::string_view to,
                    std::optional<std::string_view> stop) const;

  std::map<std::string, std::string, std::less<>> rows_;
  std::set<std::string, std::less<>> deleted_;
  mutable Counts counts_;
};

}  // namespace holdfast::queue
