#include "queue/state/memory_tables.h"

namespace holdfast::queue {

std::optional<std::string> MemoryTables::Get(std::string_view key) const {
  ++counts_.gets;
  auto found = rows_.find(key);
  if (found == rows_.end()) return std::nullopt;
  return found->second;
}

ScanEnd MemoryTables::Scan(std::string_view from, std::string_view to, size_t rows_max,
                           const Visitor& visitor) const {
  ScanEnd end;
  for (auto row = rows_.lower_bound(from); row != rows_.end(); ++row) {
    if (!to.empty() && row->first >= to) break;
    const bool full = end.rows == rows_max;
    if (!full) {
      ++end.rows;
      ++counts_.rows_scanned;
    }
    if (full || !visitor(row->first, row->second)) {
      CountDeleted(from, to, row->first);
      return end;
    }
  }
  end.complete = true;
  CountDeleted(from, to, std::nullopt);
  return end;
}

void MemoryTables::CountDeleted(std::string_view from, std::string_view to,
                                std::optional<std::string_view> stop) const {
  for (auto key = deleted_.lower_bound(from); key != deleted_.end(); ++key) {
    if ((!to.empty() && *key >= to) || (stop && *key >= *stop)) return;
    ++counts_.deleted_passed;
  }
}

void MemoryTables::Put(std::string_view key, std::string_view value) {
  ++counts_.puts;
  if (const auto deleted = deleted_.find(key); deleted != deleted_.end()) deleted_.erase(deleted);
  auto found = rows_.find(key);
  if (found == rows_.end()) {
    rows_.emplace(key, value);
  } else {
    found->second = value;
  }
}

void MemoryTables::Delete(std::string_view key) {
  ++counts_.deletes;
  auto found = rows_.find(key);
  if (found == rows_.end()) return;
  rows_.erase(found);
  deleted_.emplace(key);
}

}  // namespace holdfast::queue
