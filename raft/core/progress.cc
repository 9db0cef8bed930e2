#include "raft/core/progress.h"

#include <algorithm>

#include "base/check.h"

namespace holdfast::raft {

void Inflights::Add(LogIndex last, uint64_t bytes) {
  HOLDFAST_CHECK(!full()) << "append " << last << " sent into a full window";
  HOLDFAST_CHECK(sent_.empty() || sent_.back().last < last) << "append " << last << " sent twice";
  sent_.push_back({last, bytes});
  bytes_ += bytes;
}

void Inflights::FreeTo(LogIndex index) {
  while (!sent_.empty() && sent_.front().last <= index) {
    bytes_ -= sent_.front().bytes;
    sent_.pop_front();
  }
}

void Inflights::Clear() {
  sent_.clear();
  bytes_ = 0;
}

Progress::Progress(LogIndex next, bool learner, InflightLimits limits)
    : next_(next), learner_(learner), inflights_(limits) {}

void Progress::Reset(ProgressState state) {
  state_ = state;
  flow_paused_ = false;
  pending_snapshot_ = 0;
  inflights_.Clear();
}

void Progress::BecomeProbe() {
  // A snapshot that was sent is taken to have arrived (see ForgetSnapshot): probe behind it.
  const LogIndex behind = state_ == ProgressState::kSnapshot ? pending_snapshot_ : 0;
  Reset(ProgressState::kProbe);
  next_ = std::max(match_, behind) + 1;
  sent_commit_ = std::min(sent_commit_, next_ - 1);
}

void Progress::BecomeReplicate() {
  Reset(ProgressState::kReplicate);
  next_ = match_ + 1;
}

void Progress::BecomeSnapshot(LogIndex snapshot) {
  Reset(ProgressState::kSnapshot);
  pending_snapshot_ = snapshot;
  next_ = snapshot + 1;
  sent_commit_ = snapshot;
}

void Progress::SentEntries(uint64_t count, uint64_t bytes) {
  HOLDFAST_CHECK(state_ != ProgressState::kSnapshot) << "append sent while a snapshot is pending";
  if (state_ == ProgressState::kProbe) {
    if (count > 0) flow_paused_ = true;
    return;
  }
  if (count > 0) {
    next_ += count;
    inflights_.Add(next_ - 1, bytes);
  }
  // What fills the window, or goes out beside a full one, is a probe: nothing more before an
  // answer. Otherwise a window whose messages were all lost would never empty.
  flow_paused_ = inflights_.full();
}

bool Progress::Acknowledge(LogIndex index) {
  if (index <= match_) return false;
  match_ = index;
  next_ = std::max(next_, index + 1);
  flow_paused_ = false;
  return true;
}

bool Progress::StepBack(LogIndex refused, LogIndex hint) {
  if (state_ == ProgressState::kReplicate) {
    if (refused <= match_) return false;
    next_ = match_ + 1;
  } else {
    // One probe is under way at a time, and it followed next - 1.
    if (next_ - 1 != refused) return false;
    next_ = std::max(std::min(refused, hint + 1), match_ + 1);
    flow_paused_ = false;
  }
  sent_commit_ = std::min(sent_commit_, next_ - 1);
  return true;
}

}  // namespace holdfast::raft
