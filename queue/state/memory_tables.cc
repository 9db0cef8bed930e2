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
    if (end.rows == rows_max) return end;
    ++end.rows;
    ++counts_.rows_scanned;
    if (!visitor(row->first, row->second)) return end;
  }
  end.complete = true;
  return end;
}

void MemoryTables::Put(std::string_view key, std::string_view value) {
  ++counts_.puts;
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
  if (found != rows_.end()) rows_.erase(found);
}

}  // namespace holdfast::queue
