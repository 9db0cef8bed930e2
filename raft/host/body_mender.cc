#include "raft/host/body_mender.h"

#include <algorithm>
#include <optional>

#include "base/crc32c.h"
#include "base/log.h"
#include "raft/host/snapshot_codec.h"

namespace holdfast::raft {
namespace {

// Failures remembered; the oldest of more are forgotten with all others.
constexpr size_t kFailuresMax = 4096;

std::string NameOf(const BodyKey& key) {
  return holdfast::format("{}.{}.{}.{}", key.group.value(), key.index, key.term, key.ordinal);
}

}  // namespace

// The answer of one member: one record about the body, and the end.
class BodyMender::Sink final : public FetchSink {
 public:
  Sink(std::shared_ptr<BodyMender> mender, std::shared_ptr<Job> job, const SnapshotLimits& limits)
      : mender_(std::move(mender)), job_(std::move(job)), joiner_(limits) {}

  absl::Status OnPiece(std::string piece) override {
    HOLDFAST_RETURN_IF_ERROR(joiner_.Feed(piece));
    while (true) {
      HOLDFAST_ASSIGN_OR_RETURN(std::optional<SnapshotRecord> record, joiner_.Next());
      if (!record) return absl::OkStatus();
      if (auto* body = std::get_if<BodyRecord>(&*record)) bytes_ = std::move(body->bytes);
      if (const auto* elided = std::get_if<ElidedRecord>(&*record)) elided_by_ = elided->by;
      answered_ |= !std::holds_alternative<EndRecord>(*record);
    }
  }

  void OnDone(const absl::Status& status) override {
    absl::Status answer = status;
    if (answer.ok() && !answered_) answer = absl::InvalidArgumentError("an empty answer");
    mender_->Heard(job_, answer, elided_by_, std::move(bytes_));
  }

 private:
  const std::shared_ptr<BodyMender> mender_;
  const std::shared_ptr<Job> job_;
  RecordJoiner joiner_;
  bool answered_ = false;
  LogIndex elided_by_ = 0;
  std::string bytes_;
};

bool BodyMender::Join(const BodyKey& key, Waiter& waiter) {
  absl::Status known;
  {
    MutexLock lock(mutex_);
    const auto job = jobs_.find(key);
    const auto failure = failures_.find(key);
    if (stopping_) {
      known = absl::CancelledError("the node is stopping");
    } else if (job != jobs_.end()) {
      job->second->waiters.push_back(std::move(waiter));
      return true;
    } else if (failure != failures_.end() && parts_.clock.SinceBoot() < failure->second.until) {
      known = failure->second.status;
    } else if (jobs_.size() >= options_.mends_max) {
      known = absl::ResourceExhaustedError("too many bodies are being fetched");
    } else {
      return false;
    }
  }
  if (waiter.done) waiter.done(known);
  return true;
}

void BodyMender::Mend(const BodyRef& ref, Wanted wanted, Done done) {
  Waiter waiter{std::move(wanted), std::move(done)};
  if (Join(ref.key, waiter)) return;
  auto job = std::make_shared<Job>();
  job->ref = ref;
  job->members = parts_.members(ref.key.group);
  {
    MutexLock lock(mutex_);
    job->waiters.push_back(std::move(waiter));
    const auto [other, fresh] = jobs_.emplace(ref.key, job);
    if (!fresh) {  // Somebody came in between.
      other->second->waiters.push_back(std::move(job->waiters.back()));
      return;
    }
    failures_.erase(ref.key);
  }
  Log(LogLevel::kWarn, "body_damaged",
      {{"body", NameOf(ref.key)}, {"bytes", ref.bytes}, {"members", job->members.size()}});
  AskNext(job);
}

void BodyMender::MendKey(const BodyKey& key) {
  Waiter nobody;
  if (Join(key, nobody)) return;
  const absl::StatusOr<BodyRef> ref = FindRef(key);
  if (ref.ok()) return Mend(*ref, nullptr, nullptr);
  Log(LogLevel::kWarn, "body_unknown",
      {{"body", NameOf(key)}, {"reason", holdfast::Message(ref.status())}});
}

absl::StatusOr<BodyRef> BodyMender::FindRef(const BodyKey& key) const {
  const absl::StatusOr<std::vector<Entry>> entries =
      parts_.store.ReadEntries(key.group, key.index, key.index + 1, 1);
  if (entries.ok() && entries->front().term == key.term &&
      key.ordinal < entries->front().bodies.size()) {
    const Payload& body = entries->front().bodies[key.ordinal];
    return BodyRef{key, body.size, body.crc32c};
  }
  const StateMachine* machine = parts_.machine(key.group);
  if (machine == nullptr) return absl::NotFoundError("no such group");
  std::optional<BodyRef> found;
  HOLDFAST_RETURN_IF_ERROR(
      machine->LiveBodies(*parts_.store.Reader(key.group), [&](const BodyRef& ref) {
        if (ref.key == key) found = ref;
        return !found.has_value();
      }));
  if (!found) return absl::NotFoundError("neither log nor rows know it");
  return *found;
}

void BodyMender::Stop() {
  MutexLock lock(mutex_);
  stopping_ = true;
}

void BodyMender::AskNext(const std::shared_ptr<Job>& job) {
  bool stopping = false;
  {
    MutexLock lock(mutex_);
    stopping = stopping_;
  }
  if (stopping) return Finish(job, absl::CancelledError("the node is stopping"));
  if (job->next < job->members.size()) {
    SnapshotLimits limits;
    limits.record_bytes_max = options_.record_bytes_max;
    parts_.transport.Fetch(
        job->members[job->next++],
        EncodeSnapshotRequest(BodiesRequest{job->ref.key.group, {job->ref.key}, true}),
        std::make_shared<Sink>(shared_from_this(), job, limits));
    return;
  }
  if (job->unknown) {
    Finish(job, MakeStatus(absl::StatusCode::kUnavailable, "body {}: not all members answered",
                           NameOf(job->ref.key)));
    return;
  }
  Finish(job, MakeStatus(absl::StatusCode::kNotFound, "body {}: none of {} other members has it",
                         NameOf(job->ref.key), job->members.size()));
}

void BodyMender::Heard(const std::shared_ptr<Job>& job, const absl::Status& answer,
                       LogIndex elided_by, std::string bytes) {
  if (!answer.ok()) {
    // Damaged there too. Whatever else: the member may have it.
    job->unknown |= answer.code() != absl::StatusCode::kDataLoss;
    return AskNext(job);
  }
  if (elided_by != 0) {
    // If our rows should know of its end and don't, it is the member that lost it. Otherwise they
    // will, soon.
    const absl::StatusOr<GroupRecord> record = parts_.store.LoadGroup(job->ref.key.group);
    job->unknown |= !record.ok() || record->applied < elided_by;
    return AskNext(job);
  }
  // Of other bytes than ours the member's own checksum is right: they can't become ours later.
  if (bytes.size() != job->ref.bytes || Crc32c(bytes) != job->ref.crc32c) return AskNext(job);
  const NodeId from = job->members[job->next - 1];
  auto shared = std::make_shared<std::string>(std::move(bytes));
  parts_.apply.Post([self = shared_from_this(), job, shared, from] {
    self->Finish(job, self->PutBack(*job, std::move(*shared), from));
  });
}

absl::Status BodyMender::PutBack(Job& job, std::string bytes, NodeId from) {
  const BodyKey& key = job.ref.key;
  const absl::Status here = parts_.store.ReadBody(key).status();
  if (here.ok()) return here;
  std::vector<Wanted> wanted;
  {
    MutexLock lock(mutex_);
    if (stopping_) return absl::CancelledError("the node is stopping");
    for (const Waiter& waiter : job.waiters) {
      if (waiter.wanted) wanted.push_back(waiter.wanted);
    }
  }
  const bool lives =
      here.code() != absl::StatusCode::kNotFound ||
      std::any_of(wanted.begin(), wanted.end(), [](const Wanted& one) { return one(); });
  if (!lives) {
    return MakeStatus(absl::StatusCode::kAborted, "body {} has ended meanwhile", NameOf(key));
  }
  HOLDFAST_RETURN_IF_ERROR(
      parts_.store.MendBody(key, std::make_shared<const std::string>(std::move(bytes))));
  ++mended_;
  Log(LogLevel::kInfo, "body_mended",
      {{"body", NameOf(key)}, {"bytes", job.ref.bytes}, {"from", from.value()}});
  return absl::OkStatus();
}

void BodyMender::Finish(const std::shared_ptr<Job>& job, const absl::Status& status) {
  std::vector<Waiter> waiters;
  {
    MutexLock lock(mutex_);
    waiters.swap(job->waiters);
    jobs_.erase(job->ref.key);
    if (!status.ok()) {
      if (failures_.size() >= kFailuresMax) failures_.clear();
      failures_[job->ref.key] = {parts_.clock.SinceBoot() + options_.mend_pause, status};
    }
  }
  if (status.code() == absl::StatusCode::kNotFound) {
    ++lost_;
    Log(LogLevel::kError, "body_unmended", {{"reason", holdfast::Message(status)}});
  }
  for (const Waiter& waiter : waiters) {
    if (waiter.done) waiter.done(status);
  }
}

}  // namespace holdfast::raft
