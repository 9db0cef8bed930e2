#include "node/submit/submit_path.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/log.h"
#include "node/await_callback.h"
#include "node/replay/fingerprint.h"
#include "node/submit/envelope_codec.h"
#include "proto/command.pb.h"
#include "queue/schedule/retry_policy.h"
#include "queue/state/command_codec.h"

namespace holdfast::node {
namespace {

// What a submission of unknown size reserves before its first piece is there.
constexpr uint64_t kFirstReservationBytes = 64 * 1024;

// A submission offers its id once, so a known id is another message's (a clock set back): what the
// client sent is not stored, and "exists already" must not reach it as a 250.
absl::Status NotOurs(absl::Status status) {
  if (status.code() != absl::StatusCode::kAlreadyExists) return status;
  return absl::InternalError("the queue id is another message's");
}

absl::Status NoRoom() {
  return absl::ResourceExhaustedError("insufficient storage for a message of this size");
}

}  // namespace

class GroupSubmission final : public smtp::Submission {
 public:
  GroupSubmission(SubmitPath& path, GroupId group, std::string queue_id,
                  std::shared_ptr<const smtp::Envelope> envelope,
                  ByteBudget::Reservation reservation, uint64_t disk_bytes,
                  DiskBudget::Reservation disk_reservation)
      : path_(path),
        group_(group),
        queue_id_(std::move(queue_id)),
        envelope_(std::move(envelope)),
        disk_bytes_(disk_bytes) {
    if (path_.parts_.replays != nullptr && path_.parts_.replays->window() > absl::ZeroDuration()) {
      fingerprint_.emplace(*envelope_);
    }
    reservations_.push_back(std::move(reservation));
    disk_reservations_.push_back(std::move(disk_reservation));
  }
  ~GroupSubmission() override;

  const std::string& queue_id() const override { return queue_id_; }
  void SetTraceHeaderBytes(size_t bytes) override { own_bytes_ = bytes; }
  boost::asio::awaitable<absl::Status> Write(std::shared_ptr<const std::string> chunk) override;
  boost::asio::awaitable<absl::StatusOr<std::string>> Commit(smtp::FinalFacts facts) override;

 private:
  absl::Status Reserve(uint64_t bytes);
  absl::Status ReserveDisk(uint64_t bytes);
  // `until`: as ProposeRouter::Propose().
  boost::asio::awaitable<absl::Status> Propose(command::Command command,
                                               std::vector<raft::Body> bodies,
                                               absl::Duration until);
  command::Command EnqueueCommand(const smtp::FinalFacts& facts) const;
  // Content in order, each piece once.
  void AddToFingerprint(std::string_view piece);
  // Of the whole; empty when the message could be another one that looks the same.
  std::string FinishFingerprint(const smtp::FinalFacts& facts);
  // The message that this one repeats, if anybody knows one; kUnavailable: it can't be known now.
  boost::asio::awaitable<absl::StatusOr<std::optional<SeenMessage>>> FindReplayed(
      const smtp::FinalFacts& facts);

  SubmitPath& path_;
  GroupId group_;
  const std::string queue_id_;
  const std::shared_ptr<const smtp::Envelope> envelope_;
  std::vector<ByteBudget::Reservation> reservations_;
  uint64_t reserved_bytes_ = kFirstReservationBytes;
  std::vector<DiskBudget::Reservation> disk_reservations_;
  uint64_t disk_bytes_;         // Of them.
  uint64_t written_bytes_ = 0;  // Content so far.
  // The newest piece: it goes with the Enqueue if it is the last.
  std::shared_ptr<const std::string> held_;
  std::optional<Fingerprint> fingerprint_;
  std::string sha256_;         // Of the whole; empty: none.
  size_t own_bytes_ = 0;       // At the front of what comes next, and not the client's.
  uint64_t header_bytes_ = 0;  // 0: not within the first piece.
  uint32_t chunks_ = 0;
  bool chunk_proposed_ = false;
  bool decided_ = false;  // An Enqueue was proposed, whatever came of it, and was not refused.
};

GroupSubmission::~GroupSubmission() {
  if (!chunk_proposed_ || decided_) return;
  // An abandoned id is remembered by its stamp; a leader's sweep finds what is left without one.
  if (!path_.parts_.health.MayStamp().ok()) return;
  command::Command command;
  command::Abandon& abandon = *command.mutable_abandon();
  abandon.set_queue_id(queue_id_);
  abandon.set_reason("the submission ended before its content did");
  abandon.set_stamped_us(absl::ToUnixMicros(path_.parts_.clock.Now()));
  absl::StatusOr<std::string> bytes = queue::EncodeCommand(std::move(command));
  if (!bytes.ok()) return;
  // Should it get lost, the group's leader abandons what stays behind (stale submissions).
  path_.parts_.propose(
      group_, {*std::move(bytes), {}}, [](const raft::ProposeResult&) {}, absl::InfiniteDuration());
}

absl::Status GroupSubmission::Reserve(uint64_t bytes) {
  if (bytes <= reserved_bytes_) return absl::OkStatus();
  std::optional<ByteBudget::Reservation> more = path_.memory_.TryReserve(bytes - reserved_bytes_);
  if (!more) {
    return absl::ResourceExhaustedError(
        "memory for messages (sessions.memory_bytes_max) is used up");
  }
  reservations_.push_back(*std::move(more));
  reserved_bytes_ = bytes;
  return absl::OkStatus();
}

absl::Status GroupSubmission::ReserveDisk(uint64_t bytes) {
  if (bytes <= disk_bytes_) return absl::OkStatus();
  std::optional<DiskBudget::Reservation> more =
      path_.parts_.health.disk().TryReserve(bytes - disk_bytes_);
  if (!more) return NoRoom();
  disk_reservations_.push_back(*std::move(more));
  disk_bytes_ = bytes;
  return absl::OkStatus();
}

boost::asio::awaitable<absl::Status> GroupSubmission::Propose(command::Command command,
                                                              std::vector<raft::Body> bodies,
                                                              absl::Duration until) {
  // Refused at MAIL already, unless the clock was set meanwhile.
  if (absl::Status may = path_.parts_.health.MayStamp(); !may.ok()) co_return may;
  command.set_policy_version(path_.parts_.policy.Current()->version());
  absl::StatusOr<std::string> bytes = queue::EncodeCommand(std::move(command));
  if (!bytes.ok()) co_return bytes.status();
  auto proposal =
      std::make_shared<raft::Proposal>(raft::Proposal{*std::move(bytes), std::move(bodies)});
  const SubmitPath::Proposer* const propose = &path_.parts_.propose;
  const GroupId group = group_;
  auto start = [propose, group, proposal, until](auto done) {
    (*propose)(group, std::move(*proposal), std::move(done), until);
  };
  raft::ProposeResult result = co_await AwaitCallback<raft::ProposeResult>(start);
  co_return result.status;
}

boost::asio::awaitable<absl::Status> GroupSubmission::Write(
    std::shared_ptr<const std::string> chunk) {
  const uint64_t held_bytes = held_ == nullptr ? 0 : held_->size();
  absl::Status reserved = Reserve(held_bytes + chunk->size());
  if (!reserved.ok()) co_return reserved;
  written_bytes_ += chunk->size();
  if (absl::Status room = ReserveDisk(written_bytes_); !room.ok()) co_return room;
  if (held_ == nullptr) {
    const size_t end = chunk->find("\r\n\r\n");
    if (end != std::string::npos) header_bytes_ = end + 4;
  }
  std::shared_ptr<const std::string> before = std::exchange(held_, std::move(chunk));
  if (before == nullptr) co_return absl::OkStatus();
  AddToFingerprint(*before);
  command::Command command;
  command::Chunk& part = *command.mutable_chunk();
  part.set_queue_id(queue_id_);
  part.set_ordinal(chunks_++);
  part.set_stamped_us(absl::ToUnixMicros(path_.parts_.clock.Now()));
  chunk_proposed_ = true;
  std::vector<raft::Body> bodies;
  bodies.push_back(std::move(before));
  absl::Status status =
      co_await Propose(std::move(command), std::move(bodies), absl::InfiniteDuration());
  co_return NotOurs(std::move(status));
}

command::Command GroupSubmission::EnqueueCommand(const smtp::FinalFacts& facts) const {
  const std::shared_ptr<const PolicySnapshot> policy = path_.parts_.policy.Current();
  const absl::Time now = path_.parts_.clock.Now();
  command::Command command;
  command::Enqueue& enqueue = *command.mutable_enqueue();
  enqueue.set_queue_id(queue_id_);
  EncodeEnvelope(*envelope_, facts, header_bytes_, enqueue.mutable_envelope());
  enqueue.set_accepted_us(absl::ToUnixMicros(now));
  const RetrySettings& retry = policy->settings().destinations.at("*").retry;
  enqueue.set_expires_us(absl::ToUnixMicros(
      now + (envelope_->reverse_path.empty() ? retry.null_sender_expiry : retry.expiry)));
  enqueue.set_due_us(enqueue.accepted_us());
  enqueue.set_chunk_count(chunks_);
  enqueue.set_body_count(held_ == nullptr ? 0 : 1);
  if (!sha256_.empty()) {
    command::Fingerprint& fingerprint = *enqueue.mutable_fingerprint();
    fingerprint.set_sha256(sha256_);
    const ReplaySettings& replays = policy->settings().replays;
    fingerprint.set_forget_us(absl::ToUnixMicros(now + replays.remember_for));
    fingerprint.set_kept_max(replays.messages_max);
  }
  return command;
}

void GroupSubmission::AddToFingerprint(std::string_view piece) {
  if (!fingerprint_) return;
  const size_t own = std::min(own_bytes_, piece.size());
  own_bytes_ -= own;
  fingerprint_->Add(piece.substr(own));
}

std::string GroupSubmission::FinishFingerprint(const smtp::FinalFacts& facts) {
  if (!fingerprint_ || facts.message_id.empty() || !facts.has_date) return "";
  if (held_ != nullptr) AddToFingerprint(*held_);
  return fingerprint_->Finish();
}

boost::asio::awaitable<absl::StatusOr<std::optional<SeenMessage>>> GroupSubmission::FindReplayed(
    const smtp::FinalFacts& facts) {
  using Seen = absl::StatusOr<std::optional<SeenMessage>>;
  ReplayGuard* const replays = path_.parts_.replays;
  NodeMetrics& metrics = path_.parts_.metrics;
  if (sha256_.empty() || !replays->MustAsk()) co_return std::optional<SeenMessage>();
  metrics.replay_questions.Increment();
  auto start = [replays, sha256 = sha256_](auto done) { replays->Ask(sha256, std::move(done)); };
  Seen seen = co_await AwaitCallback<Seen>(start);
  if (!seen.ok()) {
    metrics.replays_unanswered.Increment();
    co_return seen.status();
  }
  if (!*seen) co_return seen;
  replays->Repeated(**seen, sha256_);
  metrics.replays_suppressed.Increment();
  Log(LogLevel::kInfo, "replay_suppressed",
      {{"group", (*seen)->group.value()},
       {"queue_id", (*seen)->queue_id},
       {"message_id", facts.message_id},
       {"client", envelope_->client.address.ToString()}});
  co_return seen;
}

boost::asio::awaitable<absl::StatusOr<std::string>> GroupSubmission::Commit(
    smtp::FinalFacts facts) {
  const absl::Duration start = path_.parts_.clock.SinceBoot();
  sha256_ = FinishFingerprint(facts);
  const absl::StatusOr<std::optional<SeenMessage>> replayed = co_await FindReplayed(facts);
  if (!replayed.ok()) co_return replayed.status();
  if (*replayed) co_return (*replayed)->queue_id;
  std::vector<raft::Body> bodies;
  if (held_ != nullptr) bodies.push_back(held_);
  decided_ = true;
  ReplayGuard* const replays = sha256_.empty() ? nullptr : path_.parts_.replays;
  if (replays != nullptr) replays->Proposing({group_, queue_id_}, sha256_);
  absl::Status status = co_await Propose(EnqueueCommand(facts), std::move(bodies),
                                         start + path_.parts_.commit_timeout);
  if (path_.parts_.mutation == NodeMutation::kOfferUnknownAgain &&
      absl::IsDeadlineExceeded(status) && held_ != nullptr && chunks_ == 0) {
    group_ = path_.parts_.leaders.Next().value_or(group_);
    std::vector<raft::Body> again;
    again.push_back(held_);
    status = co_await Propose(EnqueueCommand(facts), std::move(again),
                              path_.parts_.clock.SinceBoot() + path_.parts_.commit_timeout);
  }
  if (replays != nullptr) replays->Decided(queue_id_, status);
  path_.parts_.metrics.commit_seconds.Observe(
      absl::ToDoubleSeconds(path_.parts_.clock.SinceBoot() - start));
  held_.reset();
  if (status.ok()) co_return queue_id_;
  // Nothing happened, for sure: what was sent in chunks is to be freed.
  decided_ = status.code() == absl::StatusCode::kDeadlineExceeded;
  co_return NotOurs(std::move(status));
}

SubmitPath::SubmitPath(const Parts& parts, NodeId node, uint64_t memory_bytes_max, uint64_t seed)
    : parts_(parts), memory_(memory_bytes_max), ids_(node, static_cast<uint32_t>(seed)) {}

void SubmitPath::Confirmed(const std::string& queue_id) {
  if (parts_.replays != nullptr) parts_.replays->Confirmed(queue_id);
}

void SubmitPath::Unconfirmed(const std::string& queue_id) {
  if (parts_.replays != nullptr) parts_.replays->Unconfirmed(queue_id);
}

std::string SubmitPath::NextQueueId() {
  MutexLock lock(mutex_);
  return ids_.Next(parts_.clock.Now()).ToString();
}

absl::StatusOr<std::unique_ptr<smtp::Submission>> SubmitPath::Begin(
    std::shared_ptr<const smtp::Envelope> envelope) {
  const std::optional<GroupId> group = parts_.leaders.Next();
  if (!group) return absl::UnavailableError("no queue group has a leader here");
  std::optional<ByteBudget::Reservation> reservation = memory_.TryReserve(kFirstReservationBytes);
  if (!reservation) {
    return absl::ResourceExhaustedError(
        "memory for messages (sessions.memory_bytes_max) is used up");
  }
  const uint64_t declared = envelope->declared_bytes.value_or(0);
  const uint64_t disk_bytes = declared > 0 ? declared : kUndeclaredBytes;
  std::optional<DiskBudget::Reservation> disk = parts_.health.disk().TryReserve(disk_bytes);
  if (!disk) return NoRoom();
  auto submission =
      std::make_unique<GroupSubmission>(*this, *group, NextQueueId(), std::move(envelope),
                                        *std::move(reservation), disk_bytes, *std::move(disk));
  return submission;
}

}  // namespace holdfast::node
