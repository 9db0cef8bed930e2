#include "node/replay/replay_guard.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/log.h"
#include "node/peers/peer_calls.h"
#include "proto/command.pb.h"
#include "queue/state/command_codec.h"
#include "queue/state/queue_state.h"

namespace holdfast::node {
namespace {

// The state machine has not spoken; it will be asked again, which does no harm if it has after all.
bool ConfirmAgain(const raft::ProposeResult& result) {
  return result.index == raft::LogIndex{} && !result.status.ok() &&
         result.status.code() != absl::StatusCode::kInvalidArgument;
}

}  // namespace

ReplayGuard::ReplayGuard(Parts parts, const ReplayGuardOptions& options)
    : parts_(std::move(parts)),
      options_(options),
      answers_{[this](const std::string& sha256) {
                 MutexLock lock(mutex_);
                 return recent_.About(sha256);
               },
               parts_.read, parts_.find},
      watch_(options.silence_max),
      recent_(options.linger, options.recent_max),
      confirms_(options.confirm_interval, queue::kConfirmedPerCommandMax,
                options.confirms_waiting_max),
      questions_(QuestionParts(), options.questions) {}

ReplayGuard::~ReplayGuard() { Stop(); }

ReplayQuestions::Parts ReplayGuard::QuestionParts() {
  return {parts_.leader_of,
          [this] {
            const absl::Duration now = parts_.clock.SinceBoot();
            MutexLock lock(mutex_);
            return watch_.Heard(now);
          },
          [this](NodeId node, peer_call::DidYouSee asked, absl::Duration timeout, auto done) {
            AskNode(node, std::move(asked), timeout, std::move(done));
          },
          parts_.applied,
          parts_.find,
          parts_.look,
          parts_.clock};
}

void ReplayGuard::AskNode(NodeId node, peer_call::DidYouSee asked, absl::Duration timeout,
                          std::function<void(absl::StatusOr<peer_call::DidYouSee>)> done) {
  if (node == options_.questions.self) {
    return Answer(std::move(asked),
                  [done](peer_call::DidYouSee answer) { done(std::move(answer)); });
  }
  peer_call::Request request;
  *request.mutable_did_you_see() = std::move(asked);
  parts_.call(node, EncodeRequest(std::move(request)), timeout,
              [done = std::move(done)](const absl::StatusOr<std::string>& bytes) {
                if (!bytes.ok()) return done(bytes.status());
                absl::StatusOr<peer_call::Answer> answer = DecodeAnswer(*bytes);
                if (!answer.ok()) return done(answer.status());
                if (!answer->has_did_you_see()) {
                  return done(absl::InternalError("a node answers something else"));
                }
                done(std::move(*answer->mutable_did_you_see()));
              });
}

void ReplayGuard::Answer(peer_call::DidYouSee asked,
                         std::function<void(peer_call::DidYouSee)> done) {
  const absl::Duration now = parts_.clock.SinceBoot();
  HurryReplays hurry = AnswerReplays(answers_, std::move(asked), std::move(done));
  MutexLock lock(mutex_);
  answering_.push_back({now, std::move(hurry)});
}

void ReplayGuard::HurryAnswers(absl::Duration now) {
  std::deque<Answering> late;
  {
    MutexLock lock(mutex_);
    while (!answering_.empty() && now - answering_.front().since >= options_.apply_max) {
      late.push_back(std::move(answering_.front()));
      answering_.pop_front();
    }
  }
  std::erase_if(late, [&](const Answering& one) {
    return one.hurry(now - one.since < options_.answer_max ? ReplayHurry::kConfirmed
                                                           : ReplayHurry::kNow);
  });
  if (late.empty()) return;
  MutexLock lock(mutex_);
  answering_.insert(answering_.begin(), std::make_move_iterator(late.begin()),
                    std::make_move_iterator(late.end()));
}

void ReplayGuard::SetRestarted() {
  const absl::Duration now = parts_.clock.SinceBoot();
  MutexLock lock(mutex_);
  watch_.OnRestart(now);
}

absl::Duration ReplayGuard::window() const {
  return parts_.policy.Current()->settings().replays.remember_for;
}

bool ReplayGuard::MustAsk() const {
  const absl::Duration longest = window();
  const absl::Duration now = parts_.clock.SinceBoot();
  MutexLock lock(mutex_);
  return watch_.MustAsk(now, longest);
}

void ReplayGuard::Ask(const std::string& sha256, ReplayQuestions::SeenCallback done) {
  questions_.Ask(sha256, std::move(done));
}

void ReplayGuard::Proposing(const SeenMessage& message, const std::string& sha256) {
  MutexLock lock(mutex_);
  recent_.Propose(message, sha256);
}

void ReplayGuard::Decided(const std::string& queue_id, const absl::Status& status) {
  {
    const absl::Duration now = parts_.clock.SinceBoot();
    MutexLock lock(mutex_);
    if (status.ok()) return recent_.Answer(queue_id);
    if (status.code() != absl::StatusCode::kDeadlineExceeded) return recent_.Refuse(queue_id);
    recent_.LoseSight(queue_id, now);
  }
  Unsettled();
}

void ReplayGuard::Repeated(const SeenMessage& message, const std::string& sha256) {
  MutexLock lock(mutex_);
  recent_.Accept(message, sha256);
}

void ReplayGuard::Confirmed(const std::string& queue_id) {
  MutexLock lock(mutex_);
  std::optional<RecentSubmissions::Confirmation> confirmation = recent_.Confirm(queue_id);
  if (!confirmation) return;
  confirms_.Add(confirmation->group, {queue_id, std::move(confirmation->sha256)});
}

void ReplayGuard::Unconfirmed(const std::string& queue_id) {
  {
    const absl::Duration now = parts_.clock.SinceBoot();
    MutexLock lock(mutex_);
    if (!recent_.Leave(queue_id, now)) return;
  }
  Unsettled();
}

void ReplayGuard::Unsettled() {
  bool is_news = false;
  {
    const absl::Duration longest = window();
    const absl::Duration now = parts_.clock.SinceBoot();
    MutexLock lock(mutex_);
    // While peers ask anyway, the next beat is early enough. A few seconds of theirs are left.
    const std::optional<absl::Duration> before = watch_.UnsettledAgo(now);
    is_news = !before || *before > longest - 2 * options_.silence_max;
    watch_.OnUnsettled(now);
  }
  if (is_news) parts_.beat_soon();
}

void ReplayGuard::AddToBeat(peer_call::Beat& beat) const {
  const absl::Duration now = parts_.clock.SinceBoot();
  MutexLock lock(mutex_);
  const std::optional<absl::Duration> ago = watch_.UnsettledAgo(now);
  if (ago) beat.set_unsettled_ago_us(std::max<int64_t>(absl::ToInt64Microseconds(*ago), 1));
}

void ReplayGuard::OnBeat(NodeId peer, const peer_call::Beat& beat) {
  std::optional<absl::Duration> ago;
  if (beat.unsettled_ago_us() != 0) {
    ago = absl::Microseconds(std::min<uint64_t>(beat.unsettled_ago_us(), INT64_MAX));
  }
  const absl::Duration now = parts_.clock.SinceBoot();
  MutexLock lock(mutex_);
  watch_.OnBeat(peer, beat.started_us(), ago, now);
}

void ReplayGuard::OnUnreachable(NodeId peer) {
  const absl::Duration now = parts_.clock.SinceBoot();
  MutexLock lock(mutex_);
  watch_.OnUnreachable(peer, now);
}

void ReplayGuard::Tick() {
  const std::vector<NodeId> peers = parts_.peers();
  const absl::Duration now = parts_.clock.SinceBoot();
  std::vector<ConfirmBatch::Command> commands;
  {
    MutexLock lock(mutex_);
    watch_.KeepOnly({peers.begin(), peers.end()}, now);
    recent_.ForgetOld(now);
    commands = confirms_.Take(now);
  }
  HurryAnswers(now);
  ProposeConfirms(std::move(commands));
  questions_.Tick();
}

bool ReplayGuard::FlushConfirms() {
  std::vector<ConfirmBatch::Command> commands;
  bool done = false;
  {
    MutexLock lock(mutex_);
    commands = confirms_.Take(parts_.clock.SinceBoot(), true);
    done = confirms_.empty();
  }
  ProposeConfirms(std::move(commands));
  return done;
}

void ReplayGuard::ProposeConfirms(std::vector<ConfirmBatch::Command> commands) {
  for (ConfirmBatch::Command& one : commands) {
    command::Command command;
    command::Confirm& confirm = *command.mutable_confirm();
    for (const ToConfirm& item : one.items) {
      command::Confirmed& message = *confirm.add_messages();
      message.set_queue_id(item.queue_id);
      message.set_sha256(item.sha256);
    }
    // Without a stamp nothing is forgotten by time.
    if (parts_.may_stamp()) confirm.set_stamped_us(absl::ToUnixMicros(parts_.clock.Now()));
    command.set_policy_version(parts_.policy.Current()->version());
    absl::StatusOr<std::string> bytes = queue::EncodeCommand(std::move(command));
    if (!bytes.ok()) {  // Ids and hashes of our own making.
      Log(LogLevel::kError, "confirm_failed", {{"reason", Message(bytes.status())}});
      raft::ProposeResult refused;
      refused.status = bytes.status();
      OnConfirmAnswer(std::move(one), refused);
      continue;
    }
    const GroupId group = one.group;
    auto shared = std::make_shared<ConfirmBatch::Command>(std::move(one));
    parts_.propose(group, {*std::move(bytes), {}}, [this, shared](const auto& result) {
      OnConfirmAnswer(std::move(*shared), result);
    });
  }
}

void ReplayGuard::OnConfirmAnswer(ConfirmBatch::Command command,
                                  const raft::ProposeResult& result) {
  const bool again = ConfirmAgain(result);
  const absl::Duration now = parts_.clock.SinceBoot();
  MutexLock lock(mutex_);
  if (!again) {
    for (const ToConfirm& item : command.items) recent_.EndConfirm(item.queue_id, now);
  }
  confirms_.OnAnswer(std::move(command), again);
}

void ReplayGuard::Stop() { questions_.Stop(); }

}  // namespace holdfast::node
