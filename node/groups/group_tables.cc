#include "node/groups/group_tables.h"

#include <utility>

namespace holdfast::node {

std::optional<std::string> GroupReader::Get(std::string_view key) const {
  absl::StatusOr<std::optional<std::string>> row = rows_.Get(key);
  if (row.ok()) return *std::move(row);
  if (status_.ok()) status_ = row.status();
  return std::nullopt;
}

queue::ScanEnd GroupReader::Scan(std::string_view from, std::string_view to, size_t rows_max,
                                 const Visitor& visitor) const {
  const absl::StatusOr<raft::ScanEnd> end = rows_.Scan(from, to, rows_max, visitor);
  if (end.ok()) return {end->rows, end->complete};
  if (status_.ok()) status_ = end.status();
  return {};
}

}  // namespace holdfast::node
