#include "node/cluster/state_checksum.h"

#include <string>
#include <string_view>
#include <vector>

#include "base/crc32c.h"

namespace holdfast::node {
namespace {

constexpr uint64_t kReadBytes = uint64_t{1} << 20;

// With the length in front, so that no two rows read like two others.
uint32_t Add(std::string_view bytes, uint32_t seed) {
  std::string length(8, '\0');
  for (size_t i = 0; i < length.size(); ++i) {
    length[i] = static_cast<char>(uint64_t{bytes.size()} >> (8 * i));
  }
  return Crc32c(bytes, Crc32c(length, seed));
}

}  // namespace

absl::StatusOr<StateChecksum> ChecksumOf(raft::StateView& view,
                                         const std::function<bool()>& give_up) {
  StateChecksum sum;
  sum.applied = view.mark().index;
  sum.applied_term = view.mark().term;
  while (true) {
    if (give_up()) return absl::DeadlineExceededError("the rows were not all read in time");
    const absl::StatusOr<std::vector<raft::StateView::Row>> rows = view.Next(kReadBytes);
    HOLDFAST_RETURN_IF_ERROR(rows.status());
    if (rows->empty()) return sum;
    for (const raft::StateView::Row& row : *rows) {
      sum.crc32c = Add(row.value, Add(row.key, sum.crc32c));
      ++sum.rows;
    }
  }
}

}  // namespace holdfast::node
