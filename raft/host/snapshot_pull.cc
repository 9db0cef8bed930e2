#include "raft/host/snapshot_pull.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/crc32c.h"

namespace holdfast::raft {
namespace {

absl::Status AgainstTheRules(std::string_view what) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, "snapshot: {}", what);
}

}  // namespace

// The right to touch what the pull holds; Cancel() takes it away for ever. The transport gives one
// call at a time, and a call touches nothing any more once it has begun the next fetch.
class SnapshotPull::Call {
 public:
  explicit Call(SnapshotPull& pull) : pull_(pull) {
    MutexLock lock(pull_.mutex_);
    given_ = !pull_.cancelled();
    if (given_) ++pull_.calls_;
  }
  ~Call() {
    if (!given_) return;
    {
      MutexLock lock(pull_.mutex_);
      if (--pull_.calls_ > 0 || !pull_.cancelled()) return;
    }
    pull_.pulled_.install.reset();
    MutexLock lock(pull_.mutex_);
    pull_.released_ = true;
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  explicit operator bool() const { return given_; }

 private:
  SnapshotPull& pull_;
  bool given_ = false;
};

class SnapshotPull::RowSink final : public FetchSink {
 public:
  explicit RowSink(std::shared_ptr<SnapshotPull> pull)
      : pull_(std::move(pull)), joiner_(pull_->Limits()) {}

  absl::Status OnPiece(std::string piece) override {
    Call call(*pull_);
    if (!call) return absl::CancelledError("not wanted any more");
    HOLDFAST_RETURN_IF_ERROR(joiner_.Feed(piece));
    while (true) {
      HOLDFAST_ASSIGN_OR_RETURN(const std::optional<SnapshotRecord> record, joiner_.Next());
      if (!record) return absl::OkStatus();
      HOLDFAST_RETURN_IF_ERROR(Take(*record));
    }
  }

  void OnDone(const absl::Status& status) override {
    Call call(*pull_);
    if (!call) return;
    if (!status.ok()) return pull_->Finish(status);
    if (!ended_) return pull_->Finish(AgainstTheRules("the rows have no end"));
    pull_->FetchBodies();
  }

 private:
  absl::Status Take(const SnapshotRecord& record) {
    if (ended_) return AgainstTheRules("something behind the end");
    if (const auto* mark = std::get_if<StateView::Mark>(&record)) {
      if (marked_) return AgainstTheRules("two marks");
      marked_ = true;
      return pull_->TakeMark(*mark);
    }
    if (!marked_) return AgainstTheRules("no mark in front of the rows");
    if (const auto* rows = std::get_if<std::vector<StateView::Row>>(&record)) {
      return pull_->TakeRows(*rows);
    }
    if (!std::holds_alternative<EndRecord>(record)) return AgainstTheRules("a body among rows");
    ended_ = true;
    return absl::OkStatus();
  }

  const std::shared_ptr<SnapshotPull> pull_;
  RecordJoiner joiner_;
  bool marked_ = false;
  bool ended_ = false;
};

class SnapshotPull::BodySink final : public FetchSink {
 public:
  BodySink(std::shared_ptr<SnapshotPull> pull, std::vector<BodyRef> asked)
      : pull_(std::move(pull)), asked_(std::move(asked)), joiner_(pull_->Limits()) {}

  absl::Status OnPiece(std::string piece) override {
    Call call(*pull_);
    if (!call) return absl::CancelledError("not wanted any more");
    HOLDFAST_RETURN_IF_ERROR(joiner_.Feed(piece));
    while (true) {
      HOLDFAST_ASSIGN_OR_RETURN(std::optional<SnapshotRecord> record, joiner_.Next());
      if (!record) return absl::OkStatus();
      HOLDFAST_RETURN_IF_ERROR(Take(*record));
    }
  }

  void OnDone(const absl::Status& status) override {
    Call call(*pull_);
    if (!call) return;
    if (!status.ok()) return pull_->Finish(status);
    if (!ended_) return pull_->Finish(AgainstTheRules("not all bodies were answered"));
    pull_->FetchBodies();
  }

 private:
  absl::Status Take(SnapshotRecord& record) {
    if (ended_) return AgainstTheRules("something behind the end");
    if (std::holds_alternative<EndRecord>(record)) {
      ended_ = answered_ == asked_.size();
      return ended_ ? absl::OkStatus() : AgainstTheRules("not all bodies were answered");
    }
    if (answered_ == asked_.size()) return AgainstTheRules("more bodies than were asked for");
    const BodyRef& ref = asked_[answered_];
    if (auto* body = std::get_if<BodyRecord>(&record); body && body->position == answered_) {
      ++answered_;
      return pull_->TakeBody(ref, std::move(body->bytes));
    }
    if (const auto* elided = std::get_if<ElidedRecord>(&record);
        elided && elided->position == answered_) {
      ++answered_;
      return pull_->TakeElided(ref, elided->by);
    }
    return AgainstTheRules("another body than the next one");
  }

  const std::shared_ptr<SnapshotPull> pull_;
  const std::vector<BodyRef> asked_;
  RecordJoiner joiner_;
  uint32_t answered_ = 0;
  bool ended_ = false;
};

SnapshotPull::SnapshotPull(const Parts& parts, const SnapshotOptions& options, GroupId group,
                           NodeId source, Done done)
    : parts_(parts), options_(options), group_(group), source_(source), done_(std::move(done)) {
  pulled_.group = group;
  pulled_.source = source;
}

SnapshotLimits SnapshotPull::Limits() const {
  SnapshotLimits limits;
  limits.keys_max = options_.request_keys_max;
  limits.record_bytes_max = options_.record_bytes_max;
  return limits;
}

void SnapshotPull::Start() {
  parts_.transport.Fetch(source_, EncodeSnapshotRequest(RowsRequest{group_}),
                         std::make_shared<RowSink>(shared_from_this()));
}

void SnapshotPull::Cancel() {
  {
    MutexLock lock(mutex_);
    cancelled_.store(true, std::memory_order_release);
    if (calls_ > 0) return;  // The call lets go itself.
  }
  pulled_.install.reset();
  MutexLock lock(mutex_);
  released_ = true;
}

bool SnapshotPull::released() const {
  MutexLock lock(mutex_);
  return released_ && given_.expired();
}

absl::Status SnapshotPull::TakeMark(const StateView::Mark& mark) {
  HOLDFAST_ASSIGN_OR_RETURN(pulled_.install, parts_.store.BeginInstall(group_));
  pulled_.mark = mark;
  return absl::OkStatus();
}

absl::Status SnapshotPull::TakeRows(const std::vector<StateView::Row>& rows) {
  if (counts_.rows > 0 && rows.front().key <= last_key_) {
    return AgainstTheRules("keys out of order");
  }
  last_key_ = rows.back().key;
  counts_.rows += rows.size();
  if (parts_.forget_rows) return pulled_.install->PutRows({rows.begin(), rows.end() - 1});
  return pulled_.install->PutRows(rows);
}

absl::Status SnapshotPull::TakeBody(const BodyRef& ref, std::string bytes) {
  if (bytes.size() != ref.bytes || Crc32c(bytes) != ref.crc32c) {
    return MakeStatus(absl::StatusCode::kDataLoss,
                      "group {}: node {} sent other bytes than those of body {}.{}.{}",
                      group_.value(), source_.value(), ref.key.index, ref.key.term,
                      ref.key.ordinal);
  }
  ++counts_.bodies_fetched;
  counts_.body_bytes_fetched += bytes.size();
  return pulled_.install->PutBody(ref.key, std::make_shared<const std::string>(std::move(bytes)));
}

absl::Status SnapshotPull::TakeElided(const BodyRef& ref, LogIndex by) {
  if (by < ref.key.index) return AgainstTheRules("a body that ended before it began");
  ++counts_.bodies_elided;
  pulled_.elided_through = std::max(pulled_.elided_through, by);
  return absl::OkStatus();
}

absl::StatusOr<bool> SnapshotPull::Have(const BodyRef& ref) const {
  const absl::StatusOr<Body> body = parts_.store.ReadBody(ref.key);
  // Its own checksum is right then; that it is the one that the rows mean is another question.
  if (body.ok()) return (*body)->size() == ref.bytes && Crc32c(**body) == ref.crc32c;
  const absl::StatusCode code = body.status().code();
  if (code == absl::StatusCode::kNotFound || code == absl::StatusCode::kDataLoss) return false;
  return body.status();
}

absl::Status SnapshotPull::FindMissing() {
  absl::Status status;
  uint64_t visited = 0;
  all_looked_at_ = true;
  const std::unique_ptr<StateReader> rows = pulled_.install->Reader();
  HOLDFAST_RETURN_IF_ERROR(parts_.machine.LiveBodies(*rows, [&](const BodyRef& ref) {
    if (visited++ < looked_at_) return true;
    if (cancelled()) status = absl::CancelledError("not wanted any more");
    if (status.ok() && ref.key.group != group_) status = AgainstTheRules("another group's body");
    if (status.ok() && missing_.size() == options_.missing_bodies_max) {
      all_looked_at_ = false;
      return false;
    }
    absl::StatusOr<bool> have = status.ok() ? Have(ref) : status;
    if (!have.ok()) {
      status = have.status();
      return false;
    }
    ++looked_at_;
    if (*have) {
      ++counts_.bodies_kept;
    } else {
      missing_.push_back(ref);
    }
    return true;
  }));
  // From the back it is taken, so that what is fetched first is what comes first.
  std::reverse(missing_.begin(), missing_.end());
  return status;
}

void SnapshotPull::FetchBodies() {
  if (missing_.empty() && !all_looked_at_) {
    if (absl::Status status = FindMissing(); !status.ok()) return Finish(std::move(status));
  }
  if (missing_.empty()) return Finish(absl::OkStatus());
  BodiesRequest request{group_, {}};
  std::vector<BodyRef> asked;
  uint64_t bytes = 0;
  while (!missing_.empty() && asked.size() < options_.request_keys_max) {
    bytes += missing_.back().bytes;
    if (!asked.empty() && bytes > options_.request_body_bytes_max) break;
    asked.push_back(missing_.back());
    request.keys.push_back(missing_.back().key);
    missing_.pop_back();
  }
  parts_.transport.Fetch(source_, EncodeSnapshotRequest(request),
                         std::make_shared<BodySink>(shared_from_this(), std::move(asked)));
}

void SnapshotPull::Finish(absl::Status status) {
  if (done_ == nullptr) return;
  const Done done = std::exchange(done_, nullptr);
  if (status.ok()) {
    {
      MutexLock lock(mutex_);
      given_ = pulled_.install;
    }
    done(std::move(pulled_), counts_);
    return;
  }
  pulled_.install.reset();
  done(std::move(status), counts_);
}

}  // namespace holdfast::raft
