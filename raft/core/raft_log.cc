#include "raft/core/raft_log.h"

#include <algorithm>

#include "base/check.h"

namespace holdfast::raft {
namespace {

bool IsConfChange(const Entry& entry) { return entry.type != EntryType::kNormal; }

}  // namespace

RaftLog::RaftLog(const LogView& view, uint64_t applying_bytes_max)
    : view_(view),
      applying_bytes_max_(applying_bytes_max),
      unstable_from_(view.LastIndex() + 1),
      unsent_from_(unstable_from_),
      committed_(view.FirstIndex() - 1),
      applying_(committed_),
      applied_(committed_) {}

LogIndex RaftLog::first() const { return snapshot_ ? snapshot_->index + 1 : view_.FirstIndex(); }

LogIndex RaftLog::last() const {
  if (!unstable_.empty()) return unstable_from_ + unstable_.size() - 1;
  return snapshot_ ? snapshot_->index : view_.LastIndex();
}

std::optional<Term> RaftLog::TermAt(LogIndex index) const {
  if (index >= unstable_from_) {
    const uint64_t offset = index - unstable_from_;
    if (offset < unstable_.size()) return unstable_[offset].term;
  } else if (snapshot_ && snapshot_->index == index) {
    return snapshot_->term;
  }
  if (index + 1 < first() || index > last()) return std::nullopt;
  return view_.TermAt(index);
}

EntryId RaftLog::LastId() const {
  const LogIndex index = last();
  const std::optional<Term> term = TermAt(index);
  HOLDFAST_CHECK(term.has_value()) << "the log's last entry " << index << " can't be read";
  return {index, *term};
}

bool RaftLog::IsUpToDate(EntryId other) const {
  const EntryId mine = LastId();
  return other.term > mine.term || (other.term == mine.term && other.index >= mine.index);
}

std::vector<Entry> RaftLog::UnstableSlice(LogIndex low, LogIndex high, uint64_t bytes_max) const {
  HOLDFAST_CHECK(low >= unstable_from_ && high <= unstable_from_ + unstable_.size())
      << "[" << low << ", " << high << ") is not unstable";
  std::vector<Entry> entries;
  uint64_t bytes = 0;
  for (LogIndex index = low; index < high; ++index) {
    const Entry& entry = unstable_[index - unstable_from_];
    bytes += EncodedBytes(entry);
    if (!entries.empty() && bytes > bytes_max) break;
    entries.push_back(entry);
  }
  return entries;
}

absl::StatusOr<std::vector<Entry>> RaftLog::Slice(LogIndex low, LogIndex high,
                                                  uint64_t bytes_max) const {
  if (low < first()) {
    return MakeStatus(absl::StatusCode::kOutOfRange, "entry {} is compacted", low);
  }
  HOLDFAST_CHECK(low <= high && high <= last() + 1)
      << "[" << low << ", " << high << ") is not in the log, which ends at " << last();
  if (low == high) return std::vector<Entry>();
  if (low >= unstable_from_) return UnstableSlice(low, high, bytes_max);

  const LogIndex cut = std::min(high, unstable_from_);
  absl::StatusOr<std::vector<Entry>> entries = view_.Entries(low, cut, bytes_max);
  if (!entries.ok() && entries.status().code() == absl::StatusCode::kOutOfRange) return entries;
  HOLDFAST_CHECK(entries.ok()) << "the log can't be read: " << holdfast::Message(entries.status());
  HOLDFAST_CHECK(!entries->empty() && entries->front().index == low && entries->size() <= cut - low)
      << "the log view answered for [" << low << ", " << cut << ") with something else";
  if (high <= unstable_from_ || entries->size() < cut - low) return entries;

  const uint64_t bytes = EncodedBytes(*entries);
  if (bytes >= bytes_max) return entries;
  std::vector<Entry> rest = UnstableSlice(unstable_from_, high, bytes_max - bytes);
  if (rest.size() == 1 && bytes + EncodedBytes(rest) > bytes_max) return entries;
  entries->insert(entries->end(), std::make_move_iterator(rest.begin()),
                  std::make_move_iterator(rest.end()));
  return entries;
}

absl::StatusOr<std::vector<Entry>> RaftLog::From(LogIndex low, uint64_t bytes_max) const {
  if (low > last()) return std::vector<Entry>();
  return Slice(low, last() + 1, bytes_max);
}

void RaftLog::Append(std::vector<Entry> entries) {
  if (entries.empty()) return;
  HOLDFAST_CHECK(entries.front().index > committed_)
      << "entry " << entries.front().index << " would replace a committed one, up to "
      << committed_;
  HOLDFAST_CHECK(entries.front().index <= last() + 1) << "gap in the log behind " << last();
  ReplaceUnstable(std::move(entries));
}

void RaftLog::ReplaceUnstable(std::vector<Entry> entries) {
  const LogIndex from = entries.front().index;
  if (from <= unstable_from_) {
    unstable_.clear();
    unstable_from_ = from;
    unsent_from_ = from;
  } else {
    unstable_.resize(std::min<uint64_t>(unstable_.size(), from - unstable_from_));
    unsent_from_ = std::min(unsent_from_, from);
  }
  unstable_.insert(unstable_.end(), std::make_move_iterator(entries.begin()),
                   std::make_move_iterator(entries.end()));
}

std::optional<LogIndex> RaftLog::TryAppend(EntryId previous, std::vector<Entry> entries) {
  if (!Matches(previous)) return std::nullopt;
  const LogIndex matched = previous.index + entries.size();
  auto fresh = std::find_if(entries.begin(), entries.end(), [this](const Entry& entry) {
    return !Matches({entry.index, entry.term});
  });
  // What is there already stays: an old, shorter append must not cut off what a newer one brought.
  if (fresh != entries.end()) {
    HOLDFAST_CHECK(fresh->index > committed_)
        << "a leader's entry " << fresh->index << " contradicts ours, committed up to "
        << committed_;
    Append({std::make_move_iterator(fresh), std::make_move_iterator(entries.end())});
  }
  return matched;
}

EntryId RaftLog::FindAgreement(LogIndex index, Term term) const {
  for (; index > 0; --index) {
    const std::optional<Term> ours = TermAt(index);
    if (!ours) return {index, 0};
    if (*ours <= term) return {index, *ours};
  }
  return {};
}

void RaftLog::CommitTo(LogIndex index) {
  if (index <= committed_) return;
  HOLDFAST_CHECK(index <= last()) << "commit index " << index << " is beyond the log's end "
                                  << last() << ": was the log lost, truncated or replaced?";
  committed_ = index;
}

bool RaftLog::TryCommit(EntryId id) {
  if (id.index <= committed_ || id.term == 0 || !Matches(id)) return false;
  CommitTo(id.index);
  return true;
}

void RaftLog::Restore(std::shared_ptr<const Snapshot> snapshot) {
  HOLDFAST_CHECK(snapshot->index > committed_) << "snapshot behind the commit index";
  committed_ = snapshot->index;
  unstable_.clear();
  unstable_from_ = snapshot->index + 1;
  unsent_from_ = unstable_from_;
  snapshot_ = std::move(snapshot);
  snapshot_sent_ = false;
}

absl::StatusOr<Snapshot> RaftLog::LatestSnapshot() const {
  if (snapshot_) return *snapshot_;
  return view_.LatestSnapshot();
}

void RaftLog::LoadCommitted(LogIndex committed) {
  HOLDFAST_CHECK(committed >= committed_ && committed <= last())
      << "stored commit index " << committed << " is outside the log [" << committed_ << ", "
      << last() << "]";
  committed_ = committed;
}

void RaftLog::LoadApplied(LogIndex applied) {
  // Only committed entries are ever applied, and the stored commit index may lag: applied proves
  // it.
  if (applied > committed_) LoadCommitted(applied);
  AppliedTo(applied, 0);
}

std::vector<Entry> RaftLog::Unsent() const {
  return {unstable_.begin() + static_cast<std::ptrdiff_t>(unsent_from_ - unstable_from_),
          unstable_.end()};
}

std::shared_ptr<const Snapshot> RaftLog::UnsentSnapshot() const {
  return snapshot_sent_ ? nullptr : snapshot_;
}

void RaftLog::MarkSent() {
  unsent_from_ = unstable_from_ + unstable_.size();
  if (snapshot_) snapshot_sent_ = true;
}

void RaftLog::StableTo(EntryId id) {
  // Not there any more, replaced, or the index of a pending snapshot: an old answer.
  if (id.index < unstable_from_ || id.index >= unstable_from_ + unstable_.size()) return;
  const uint64_t count = id.index + 1 - unstable_from_;
  if (unstable_[count - 1].term != id.term) return;
  unstable_.erase(unstable_.begin(), unstable_.begin() + static_cast<std::ptrdiff_t>(count));
  unstable_from_ = id.index + 1;
  unsent_from_ = std::max(unsent_from_, unstable_from_);
}

void RaftLog::StableSnapshotTo(LogIndex index) {
  if (!snapshot_ || snapshot_->index != index) return;
  snapshot_ = nullptr;
  snapshot_sent_ = false;
}

LogIndex RaftLog::ApplicableTo(bool unstable_too) const {
  return unstable_too ? committed_ : std::min(committed_, unstable_from_ - 1);
}

bool RaftLog::HasNextCommitted(bool unstable_too) const {
  // Nothing is applied beside a snapshot: it would be open which comes first.
  return !applying_paused_ && !snapshot_ && applying_ < ApplicableTo(unstable_too);
}

std::vector<Entry> RaftLog::NextCommitted(bool unstable_too) const {
  if (!HasNextCommitted(unstable_too)) return {};
  HOLDFAST_CHECK(applying_bytes_ < applying_bytes_max_) << "applying beyond the bound";
  auto entries =
      Slice(applying_ + 1, ApplicableTo(unstable_too) + 1, applying_bytes_max_ - applying_bytes_);
  HOLDFAST_CHECK(entries.ok()) << "entries to apply are gone: "
                               << holdfast::Message(entries.status());
  return *std::move(entries);
}

void RaftLog::MarkApplying(LogIndex last, uint64_t bytes, bool unstable_too) {
  HOLDFAST_CHECK(last <= committed_) << "applying " << last << " beyond commit " << committed_;
  applying_ = last;
  applying_bytes_ += bytes;
  // Also when the bound cut the batch short: the next entry would not fit.
  applying_paused_ = applying_bytes_ >= applying_bytes_max_ || last < ApplicableTo(unstable_too);
}

void RaftLog::AppliedTo(LogIndex index, uint64_t bytes) {
  HOLDFAST_CHECK(applied_ <= index && index <= committed_)
      << "applied " << index << " is outside [" << applied_ << ", " << committed_ << "]";
  applied_ = index;
  applying_ = std::max(applying_, index);
  applying_bytes_ -= std::min(bytes, applying_bytes_);
  applying_paused_ = applying_bytes_ >= applying_bytes_max_;
}

bool RaftLog::HasUnappliedConfChange() const {
  // Page by page, so that a long tail is never in memory at once.
  for (LogIndex low = applied_ + 1; low <= committed_;) {
    auto page = Slice(low, committed_ + 1, applying_bytes_max_);
    HOLDFAST_CHECK(page.ok()) << "entries to apply are gone: " << holdfast::Message(page.status());
    if (std::any_of(page->begin(), page->end(), IsConfChange)) return true;
    low += page->size();
  }
  return false;
}

void RaftLog::CheckInvariants() const {
  HOLDFAST_CHECK(applied_ <= applying_ && applying_ <= committed_ && committed_ <= last())
      << "applied " << applied_ << ", applying " << applying_ << ", committed " << committed_
      << ", last " << last();
  HOLDFAST_CHECK(snapshot_ || first() <= applied_ + 1)
      << "compacted up to " << first() - 1 << " but applied only up to " << applied_;
  HOLDFAST_CHECK(unstable_from_ <= unsent_from_ &&
                 unsent_from_ <= unstable_from_ + unstable_.size())
      << "unsent " << unsent_from_ << " is not among the unstable from " << unstable_from_;
  HOLDFAST_CHECK(unstable_.empty() || (unstable_.front().index == unstable_from_ &&
                                       unstable_.front().term <= unstable_.back().term))
      << "unstable entries out of order at " << unstable_from_;
}

}  // namespace holdfast::raft
