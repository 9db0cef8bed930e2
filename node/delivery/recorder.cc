#include "node/delivery/recorder.h"

#include <algorithm>
#include <set>
#include <utility>
#include <variant>

#include "base/check.h"
#include "base/log.h"
#include "queue/state/command_codec.h"

namespace holdfast::node {
namespace {

constexpr size_t kIntentsPerCommandMax = 200;
constexpr size_t kOutcomesPerCommandMax = 200;
// GroupHostOptions::entry_bodies_max is 64.
constexpr size_t kBodiesPerCommandMax = 48;
// Well below GroupHostOptions::command_bytes_max and entry_bytes_max.
constexpr size_t kOutcomeBytesPerCommandMax = 512 << 10;
constexpr size_t kBodyBytesPerCommandMax = 4 << 20;

// Puts notices into a command whose entry has `bodies` so far.
void AddNotices(std::vector<MadeNotice>& notices, std::vector<raft::Body>& bodies,
                const std::function<command::Notice*()>& add) {
  for (MadeNotice& notice : notices) {
    command::Enqueue& enqueue = *add()->mutable_enqueue();
    enqueue = notice.enqueue;
    enqueue.set_first_body_ordinal(static_cast<uint32_t>(bodies.size()));
    bodies.push_back(notice.body);
  }
}

}  // namespace

void Recorder::OnLeaderChange(bool leads) {
  leads_ = leads;
  // Answers to intents that were proposed in an earlier leadership are nobody's any more.
  ++generation_;
  intents_under_way_ = false;
  if (leads) return;
  std::set<uint64_t> unsent;
  for (const command::Intent& intent : intents_) unsent.insert(intent.attempt_id());
  for (auto& [attempt, done] : std::exchange(intents_waiting_, {})) {
    done(unsent.contains(attempt)
             ? absl::UnavailableError("leadership was lost")
             // In the log, perhaps for good: what comes of the attempt must be recorded.
             : absl::DeadlineExceededError("leadership was lost before the intent was answered"));
  }
  // The new leader finds the open intents; what had none is simply due again.
  intents_.clear();
}

void Recorder::Send(const Proposer& propose, command::Command command,
                    std::vector<raft::Body> bodies, Answered done) {
  command.set_policy_version(policy_.Current()->version());
  absl::StatusOr<std::string> bytes = queue::EncodeCommand(std::move(command));
  HOLDFAST_CHECK(bytes.ok()) << "a command of our own can't be encoded: " << bytes.status();
  auto self = shared_from_this();
  auto answer = [self, done = std::move(done)](const raft::ProposeResult& result) {
    self->apply_.Post([self, done, result] { done(*self, result); });
  };
  propose({*std::move(bytes), std::move(bodies)}, std::move(answer));
}

void Recorder::Propose(command::Command command, std::vector<raft::Body> bodies) {
  Send(propose_, std::move(command), std::move(bodies),
       [](Recorder& self, const raft::ProposeResult& result) {
         if (result.status.ok() || result.index != raft::LogIndex{}) return;
         Log(LogLevel::kWarn, "command_not_recorded",
             {{"group", self.group_.value()}, {"reason", Message(result.status)}});
       });
}

void Recorder::Intent(command::Intent intent, IntentDone done) {
  if (!leads_) {
    done(absl::UnavailableError("this node does not lead the group any more"));
    return;
  }
  intents_waiting_.emplace(intent.attempt_id(), std::move(done));
  intents_.push_back(std::move(intent));
  FlushIntents();
}

void Recorder::FlushIntents() {
  if (intents_under_way_ || intents_.empty()) return;
  intents_under_way_ = true;
  const size_t count = std::min(intents_.size(), kIntentsPerCommandMax);
  command::Command command;
  std::vector<uint64_t> attempts;
  for (size_t i = 0; i < count; ++i) {
    attempts.push_back(intents_[i].attempt_id());
    *command.mutable_intents()->add_intents() = std::move(intents_[i]);
  }
  intents_.erase(intents_.begin(), intents_.begin() + static_cast<ptrdiff_t>(count));
  Send(propose_here_, std::move(command), {},
       [attempts, generation = generation_](Recorder& self, const raft::ProposeResult& result) {
         if (self.generation_ == generation) self.OnIntentsProposed(attempts, result);
       });
}

void Recorder::OnIntentsProposed(const std::vector<uint64_t>& attempts,
                                 const raft::ProposeResult& result) {
  intents_under_way_ = false;
  // Applied: the events have answered each. Not applied, or not known: no dot may follow.
  for (const uint64_t attempt : attempts) {
    auto found = intents_waiting_.find(attempt);
    if (found == intents_waiting_.end()) continue;
    IntentDone done = std::move(found->second);
    intents_waiting_.erase(found);
    done(result.status.ok() ? absl::InternalError("the intent was not answered") : result.status);
  }
  FlushIntents();
}

void Recorder::OnEvents(const std::vector<queue::Event>& events) {
  for (const queue::Event& event : events) {
    uint64_t attempt = 0;
    absl::Status status;
    if (const auto* opened = std::get_if<queue::IntentOpened>(&event)) {
      attempt = opened->attempt.attempt_id;
    } else if (const auto* refused = std::get_if<queue::IntentRefused>(&event)) {
      attempt = refused->attempt.attempt_id;
      status = refused->why;
    } else {
      continue;
    }
    auto found = intents_waiting_.find(attempt);
    if (found == intents_waiting_.end()) continue;
    IntentDone done = std::move(found->second);
    intents_waiting_.erase(found);
    done(std::move(status));
  }
}

void Recorder::Outcome(MadeOutcome outcome, OutcomeDone done) {
  outcomes_.push_back({std::move(outcome), std::move(done)});
  FlushOutcomes();
}

void Recorder::FlushOutcomes() {
  if (outcomes_under_way_ || stuck_ || outcomes_.empty()) return;
  size_t bodies = 0;
  size_t body_bytes = 0;
  size_t bytes = 0;
  while (!outcomes_.empty() && offered_.size() < batch_max_) {
    const MadeOutcome& next = outcomes_.front().made;
    bytes += next.outcome.ByteSizeLong();
    bodies += next.notices.size();
    for (const MadeNotice& notice : next.notices) {
      bytes += notice.enqueue.ByteSizeLong();
      body_bytes += notice.body->size();
    }
    const bool full = bodies > kBodiesPerCommandMax || bytes > kOutcomeBytesPerCommandMax ||
                      body_bytes > kBodyBytesPerCommandMax;
    if (full && !offered_.empty()) break;
    offered_.push_back(std::move(outcomes_.front()));
    outcomes_.pop_front();
  }
  OfferOutcomes();
}

void Recorder::OfferOutcomes() {
  outcomes_under_way_ = true;
  command::Command command;
  std::vector<raft::Body> bodies;
  for (PendingOutcome& one : offered_) {
    command::AttemptOutcome& outcome = *command.mutable_outcomes()->add_attempts();
    outcome = one.made.outcome;
    AddNotices(one.made.notices, bodies, [&outcome] { return outcome.add_notices(); });
  }
  Send(propose_, std::move(command), std::move(bodies),
       [](Recorder& self, const raft::ProposeResult& result) { self.OnOutcomesProposed(result); });
}

void Recorder::OnOutcomesProposed(const raft::ProposeResult& result) {
  outcomes_under_way_ = false;
  // With an index the queue's state has spoken, for good. Without one nothing happened, or it is
  // not known: offered again, the same attempts are recorded once at most.
  if (result.index == raft::LogIndex{}) {
    if (result.status.code() == absl::StatusCode::kInvalidArgument) {
      OfferLess();
      return;
    }
    if (!stuck_) {
      Log(LogLevel::kWarn, "outcomes_not_recorded",
          {{"group", group_.value()},
           {"attempts", offered_.size()},
           {"reason", Message(result.status)}});
    }
    stuck_ = true;
    return;
  }
  stuck_ = false;
  batch_max_ = kOutcomesPerCommandMax;
  for (PendingOutcome& one : std::exchange(offered_, {})) {
    ProposeWarning(one.made);
    one.done();
  }
  FlushOutcomes();
}

// The command was too large, whatever the bounds above say: smaller ones, and in the end one
// outcome without its texts and notices. An attempt that happened must not stop the others from
// being recorded.
void Recorder::OfferLess() {
  if (offered_.size() > 1) {
    batch_max_ = offered_.size() / 2;
    for (size_t i = offered_.size(); i-- > 0;) outcomes_.push_front(std::move(offered_[i]));
    offered_.clear();
    FlushOutcomes();
    return;
  }
  MadeOutcome& made = offered_.front().made;
  Log(LogLevel::kError, "outcome_too_large", {{"queue_id", made.outcome.queue_id()}});
  made.notices.clear();
  for (command::RecipientOutcome& one : *made.outcome.mutable_recipients()) one.clear_text();
  OfferOutcomes();
}

void Recorder::ProposeWarning(MadeOutcome& made) {
  if (!made.delayed) return;
  command::Command command;
  command::Warn& warn = *command.mutable_warn();
  warn.set_queue_id(made.outcome.queue_id());
  warn.set_stamped_us(made.outcome.ended_us());
  std::vector<raft::Body> bodies;
  AddNotices(made.delay_notices, bodies, [&warn] { return warn.add_notices(); });
  Propose(std::move(command), std::move(bodies));
}

void Recorder::Tick() {
  if (stuck_ && !outcomes_under_way_ && !offered_.empty()) OfferOutcomes();
}

}  // namespace holdfast::node
