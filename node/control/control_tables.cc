#include "node/control/control_tables.h"

#include <algorithm>

namespace holdfast::node {

std::optional<std::string> MemoryControlTables::Get(std::string_view key) const {
  const auto found = rows_.find(key);
  if (found == rows_.end()) return std::nullopt;
  return found->second;
}

void MemoryControlTables::Put(std::string_view key, std::string_view value) {
  rows_.insert_or_assign(std::string(key), std::string(value));
}

void MemoryControlTables::Delete(std::string_view key) {
  if (const auto found = rows_.find(key); found != rows_.end()) rows_.erase(found);
}

void MemoryControlTables::Scan(
    std::string_view prefix, std::string_view from,
    const std::function<bool(std::string_view key, std::string_view value)>& visit) const {
  for (auto row = rows_.lower_bound(std::max(prefix, from)); row != rows_.end(); ++row) {
    if (!std::string_view(row->first).starts_with(prefix)) return;
    if (!visit(row->first, row->second)) return;
  }
}

}  // namespace holdfast::node
