#include "raft/host/group_log.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/check.h"

namespace holdfast::raft {
namespace {

// How many entries lie between two byte marks: the grain of truncation by bytes.
constexpr LogIndex kMarkDistance = 64;

[[noreturn]] void DieOfLog(const absl::Status& status) {
  DieOfEnvironment(
      holdfast::format("the log can't be read: {}", holdfast::Message(status)).c_str());
}

}  // namespace

GroupLog::GroupLog(const Store& store, GroupRecord record, uint64_t cache_bytes_max)
    : store_(store),
      opened_(std::move(record)),
      cache_bytes_max_(cache_bytes_max),
      applied_(opened_.applied),
      conf_state_(opened_.conf_state),
      truncated_(opened_.truncated),
      last_(opened_.last) {}

absl::StatusOr<std::unique_ptr<GroupLog>> GroupLog::Open(const Store& store, GroupId group,
                                                         uint64_t cache_bytes_max) {
  HOLDFAST_ASSIGN_OR_RETURN(GroupRecord record, store.LoadGroup(group));
  std::unique_ptr<GroupLog> log(new GroupLog(store, std::move(record), cache_bytes_max));
  HOLDFAST_RETURN_IF_ERROR(log->FindTerms());
  return log;
}

absl::StatusOr<Term> GroupLog::ReadTerm(LogIndex index) const {
  if (index == truncated_) return opened_.truncated_term;
  HOLDFAST_ASSIGN_OR_RETURN(std::vector<Entry> entries,
                            store_.ReadEntries(opened_.group, index, index + 1, 1));
  return entries.front().term;
}

// Terms never fall along a log, so the end of each run is found by bisection.
absl::Status GroupLog::FindTerms() {
  LogIndex start = truncated_;
  while (start <= last_) {
    HOLDFAST_ASSIGN_OR_RETURN(const Term term, ReadTerm(start));
    terms_.push_back(TermRun{start, term});
    LogIndex within = start;
    LogIndex beyond = last_ + 1;
    while (beyond - within > 1) {
      const LogIndex middle = within + (beyond - within) / 2;
      HOLDFAST_ASSIGN_OR_RETURN(const Term there, ReadTerm(middle));
      (there == term ? within : beyond) = middle;
    }
    start = beyond;
  }
  return absl::OkStatus();
}

LogView::Initial GroupLog::InitialState() const {
  return Initial{opened_.hard_state, opened_.conf_state};
}

std::optional<Term> GroupLog::TermAt(LogIndex index) const {
  if (index < truncated_ || index > last_) return std::nullopt;
  auto run = std::upper_bound(terms_.begin(), terms_.end(), index,
                              [](LogIndex value, const TermRun& r) { return value < r.first; });
  HOLDFAST_CHECK(run != terms_.begin()) << "no term for entry " << index;
  return std::prev(run)->term;
}

absl::StatusOr<std::vector<Entry>> GroupLog::Entries(LogIndex low, LogIndex high,
                                                     uint64_t bytes_max) const {
  HOLDFAST_CHECK(low < high && high <= last_ + 1) << "[" << low << ", " << high << ") of " << last_;
  if (low <= truncated_) {
    return MakeStatus(absl::StatusCode::kOutOfRange, "entry {} is compacted", low);
  }
  const LogIndex cached_from = cache_.empty() ? last_ + 1 : cache_.front().index;
  if (low < cached_from) {
    absl::StatusOr<std::vector<Entry>> entries =
        store_.ReadEntries(opened_.group, low, std::min(high, cached_from), bytes_max);
    // Fewer than asked for is always allowed; the core comes back for the rest.
    if (!entries.ok()) DieOfLog(entries.status());
    return entries;
  }
  std::vector<Entry> entries;
  uint64_t bytes = 0;
  for (LogIndex index = low; index < high; ++index) {
    const Entry& entry = cache_[index - cached_from];
    bytes += EncodedBytes(entry);
    if (!entries.empty() && bytes > bytes_max) break;
    entries.push_back(entry);
  }
  return entries;
}

absl::StatusOr<Snapshot> GroupLog::LatestSnapshot() const {
  if (applied_ == 0) {
    return MakeStatus(absl::StatusCode::kUnavailable, "group {}: nothing is applied yet",
                      opened_.group.value());
  }
  const std::optional<Term> term = TermAt(applied_);
  HOLDFAST_CHECK(term.has_value()) << "no term for the applied entry " << applied_;
  return Snapshot{applied_, *term, conf_state_, ""};
}

void GroupLog::Applied(LogIndex index, const std::optional<ConfState>& conf_state) {
  applied_ = index;
  if (conf_state) conf_state_ = *conf_state;
}

void GroupLog::Installed(LogIndex index, Term term, const ConfState& conf_state) {
  applied_ = index;
  conf_state_ = conf_state;
  truncated_ = index;
  last_ = index;
  terms_ = {TermRun{index, term}};
  cache_.clear();
  cache_bytes_ = 0;
  marks_.clear();
}

void GroupLog::ForgetFrom(LogIndex index) {
  while (!cache_.empty() && cache_.back().index >= index) {
    cache_bytes_ -= CachedBytes(cache_.back());
    cache_.pop_back();
  }
  while (!terms_.empty() && terms_.back().first >= index) terms_.pop_back();
  while (!marks_.empty() && marks_.back().index >= index) marks_.pop_back();
  last_ = index - 1;
}

uint64_t GroupLog::CachedBytes(const Entry& entry) const {
  uint64_t bytes = entry.command.size();
  for (const Payload& body : entry.bodies) bytes += body.bytes != nullptr ? body.size : 0;
  return bytes;
}

void GroupLog::Count(const Entry& entry) {
  if (terms_.empty() || terms_.back().term != entry.term) {
    terms_.push_back(TermRun{entry.index, entry.term});
  }
  if (marks_.empty() || entry.index >= marks_.back().index + kMarkDistance) {
    marks_.push_back(BytesMark{entry.index, command_bytes_});
  }
  command_bytes_ += entry.command.size();
}

void GroupLog::Stored(std::vector<Entry> entries, bool keep_bodies) {
  if (entries.empty()) return;
  const LogIndex first = entries.front().index;
  HOLDFAST_CHECK(first > truncated_ && first <= last_ + 1) << "entry " << first << " of " << last_;
  if (first <= last_) ForgetFrom(first);
  for (Entry& entry : entries) {
    if (!keep_bodies) {
      for (Payload& body : entry.bodies) body.bytes = nullptr;
    }
    Count(entry);
    last_ = entry.index;
    cache_bytes_ += CachedBytes(entry);
    cache_.push_back(std::move(entry));
  }
  ShrinkCache();
}

void GroupLog::ShrinkCache() {
  while (cache_.size() > 1 &&
         (cache_.size() > kCacheEntriesMax || cache_bytes_ > cache_bytes_max_)) {
    cache_bytes_ -= CachedBytes(cache_.front());
    cache_.pop_front();
  }
}

void GroupLog::Truncated(LogIndex before) {
  HOLDFAST_CHECK(before <= last_ + 1) << "truncation before " << before << " of " << last_;
  if (before <= truncated_ + 1) return;
  truncated_ = before - 1;
  while (!cache_.empty() && cache_.front().index < before) {
    cache_bytes_ -= CachedBytes(cache_.front());
    cache_.pop_front();
  }
  while (terms_.size() > 1 && terms_[1].first <= truncated_) terms_.erase(terms_.begin());
  while (marks_.size() > 1 && marks_[1].index <= before) marks_.pop_front();
}

std::optional<LogIndex> GroupLog::TruncationDue(LogIndex applied, uint64_t entries_kept,
                                                uint64_t bytes_kept) const {
  applied = std::min(applied, last_);
  LogIndex before = FirstIndex();
  if (applied > truncated_ && applied - truncated_ > entries_kept + entries_kept / 4) {
    before = applied - entries_kept + 1;
  }
  if (!marks_.empty() && command_bytes_ - marks_.front().bytes > bytes_kept + bytes_kept / 4) {
    for (const BytesMark& mark : marks_) {
      if (mark.index > applied + 1) break;
      before = std::max(before, mark.index);
      if (command_bytes_ - mark.bytes <= bytes_kept) break;
    }
  }
  if (before <= FirstIndex()) return std::nullopt;
  return before;
}

}  // namespace holdfast::raft
