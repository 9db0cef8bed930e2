#include "tests/raft/memory_log.h"

#include <algorithm>

#include "base/check.h"

namespace holdfast::raft_test {

using raft::Entry;
using raft::LogIndex;

std::optional<raft::Term> MemoryLog::TermAt(LogIndex index) const {
  if (index < compacted_.index || index > LastIndex()) return std::nullopt;
  if (index == compacted_.index) return compacted_.term;
  return entries_[index - FirstIndex()].term;
}

absl::StatusOr<std::vector<Entry>> MemoryLog::Entries(LogIndex low, LogIndex high,
                                                      uint64_t bytes_max) const {
  if (low < FirstIndex()) return MakeStatus(absl::StatusCode::kOutOfRange, "compacted");
  HOLDFAST_CHECK(low < high && high <= LastIndex() + 1);
  std::vector<Entry> found;
  uint64_t bytes = 0;
  for (LogIndex index = low; index < high; ++index) {
    const Entry& entry = entries_[index - FirstIndex()];
    bytes += raft::EncodedBytes(entry);
    if (!found.empty() && bytes > bytes_max) break;
    found.push_back(entry);
  }
  return found;
}

absl::StatusOr<raft::Snapshot> MemoryLog::LatestSnapshot() const {
  if (latest_.empty()) return MakeStatus(absl::StatusCode::kUnavailable, "no snapshot yet");
  return latest_;
}

void MemoryLog::Write(const raft::AppendTask& task) {
  if (task.snapshot) Install(*task.snapshot);
  Append(task.entries);
  if (task.hard_state) hard_state_ = *task.hard_state;
}

void MemoryLog::Append(const std::vector<Entry>& entries) {
  if (entries.empty()) return;
  const LogIndex from = entries.front().index;
  HOLDFAST_CHECK(from >= FirstIndex() && from <= LastIndex() + 1)
      << "entry " << from << " does not join [" << FirstIndex() << ", " << LastIndex() << "]";
  entries_.resize(from - FirstIndex());
  entries_.insert(entries_.end(), entries.begin(), entries.end());
}

void MemoryLog::Install(const raft::Snapshot& snapshot) {
  compacted_ = {snapshot.index, snapshot.term};
  entries_.clear();
  conf_state_ = snapshot.conf_state;
}

absl::Status MemoryLog::CompactTo(LogIndex index) {
  if (index <= compacted_.index) {
    return MakeStatus(absl::StatusCode::kOutOfRange,
                      "requested index is unavailable due to compaction");
  }
  HOLDFAST_CHECK(index <= LastIndex());
  const raft::Term term = *TermAt(index);
  entries_.erase(entries_.begin(),
                 entries_.begin() + static_cast<std::ptrdiff_t>(index - compacted_.index));
  compacted_ = {index, term};
  return absl::OkStatus();
}

}  // namespace holdfast::raft_test
