#include "node/delivery/group_duties.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "node/limits/destination_limits.h"
#include "node/submit/envelope_codec.h"
#include "queue/queue_view.h"
#include "queue/state/command_codec.h"
#include "queue/state/rows.h"

namespace holdfast::node {
namespace {

constexpr size_t kInDoubtPerSweep = 1000;
constexpr size_t kStalePerSweep = 1000;
constexpr absl::Duration kSweepInterval = absl::Milliseconds(500);
constexpr absl::Duration kStaleInterval = absl::Minutes(5);
// What an attempt holds at most at a time: one body and its encoding.
constexpr uint64_t kAttemptMemoryMax = 2 << 20;
// A hand-over waits so long for attempts short of their dot to end, and then so long for the other
// node to take over, before this one goes on.
constexpr absl::Duration kHandOverCutMax = absl::Seconds(1);
constexpr absl::Duration kHandOverWait = absl::Seconds(3);
// How often nodes are asked about the attempts behind open intents, and how long their answer
// counts.
constexpr absl::Duration kQuestionInterval = absl::Seconds(2);
constexpr absl::Duration kClaimLifetime = absl::Seconds(10);
// In the suspects' gate all have one destination.
constexpr char kSuspects[] = "suspects";

queue::AttemptEnded::Kind EndOf(const AttemptReport& report) {
  if (report.not_sent) return queue::AttemptEnded::Kind::kNotSent;
  return report.destination_failed ? queue::AttemptEnded::Kind::kUnreachable
                                   : queue::AttemptEnded::Kind::kAnswered;
}

// Of what stays open.
void DueAtOnce(command::AttemptOutcome* outcome) {
  if (outcome->next_due_us() > outcome->ended_us()) outcome->set_next_due_us(outcome->ended_us());
}

bool DecidedAnything(const AttemptReport& report) {
  return report.intent_made ||
         std::any_of(report.outcomes.begin(), report.outcomes.end(), [](const auto& one) {
           return one.outcome != smtp::OutcomeClass::kNotAttempted;
         });
}

}  // namespace

GroupDuties::GroupDuties(GroupId group, const DutyParts& parts, const DutyOptions& options)
    : group_(group),
      parts_(parts),
      options_(options),
      rows_(parts.store.Reader(group)),
      scheduler_(
          options.scheduler,
          [&policy = parts.policy](std::string_view destination) {
            return LimitsOf(*policy.Current(), destination);
          },
          parts.permits, group.value()),
      notices_(parts.store, group, options.hostname, parts.next_queue_id),
      outcomes_(notices_),
      recorder_(std::make_shared<Recorder>(
          group,
          [&host = parts.host, group](raft::Proposal proposal, raft::ProposeCallback done) {
            host.Propose(group, std::move(proposal), std::move(done));
          },
          [propose = parts.propose, group](raft::Proposal proposal, raft::ProposeCallback done) {
            propose(group, std::move(proposal), std::move(done));
          },
          parts.apply, parts.policy)),
      lease_(std::make_shared<LeaderLease>(
          LeaderLease::Parts{[&host = parts.host, group](raft::ReadCallback done) {
                               host.Read(group, std::move(done));
                             },
                             [&host = parts.host, group] {
                               const std::optional<raft::GroupStatus> status = host.Status(group);
                               return status && status->leading && !status->handing_over;
                             },
                             parts.clock},
          options.lease)),
      random_(options.seed),
      claims_(options.node, kClaimLifetime),
      unreadable_(UnreadableParts()) {}

GroupDuties::~GroupDuties() = default;

queue::AttemptKey GroupDuties::KeyOf(uint64_t attempt_id) const {
  return {attempt_id, options_.node.value(), options_.boot_id};
}

absl::StatusOr<queue::MessageView> GroupDuties::Show(const queue::QueueId& id) const {
  const GroupReader reader(*rows_);
  return queue::ShowMessage(reader, id, parts_.clock.Now());
}

void GroupDuties::OnLeaderChange(bool leads) {
  leads_ = leads;
  if (leads) TellFailedHandOver();
  handed_over_ = std::exchange(hand_over_, std::nullopt);
  claims_.Clear();
  next_question_ = absl::ZeroDuration();
  recorder_->OnLeaderChange(leads);
  for (const auto& [attempt, key] : std::exchange(settling_, {})) parts_.notes.Interrupt(key);
  if (!leads) {
    unreadable_.Clear();
    for (const auto& [attempt_id, key] : std::exchange(quarantined_, {})) {
      EndGrant(key, attempt_id, queue::AttemptEnded::Kind::kGone, "");
    }
    scheduler_.OnFollower();
    parts_.runner.AbortShortOfDot(group_);
    return;
  }
  ++leadership_;
  leading_since_ = parts_.clock.SinceBoot();
  next_sweep_ = leading_since_;
  scheduler_.OnLeader(parts_.clock.Now());
  if (!clock_off_) AbandonStale();
  RunScheduler();
}

void GroupDuties::OnEvents(const std::vector<queue::Event>& events) {
  for (const queue::Event& event : events) {
    const auto* released = std::get_if<queue::MessageReleased>(&event);
    if (released != nullptr) parts_.notes.Forget(released->message.queue_id);
    const auto* asked = std::get_if<queue::AttemptsAsked>(&event);
    // Not what this leader proposed itself: two units could drive each other round.
    if (asked != nullptr && asked->by_operator) {
      under_way_.AskAgain(asked->key, asked->destination);
    }
  }
  if (!leads_) return;
  recorder_->OnEvents(events);
  scheduler_.OnEvents(events, parts_.clock.Now());
}

bool GroupDuties::idle() const { return under_way_.empty() && recorder_->outcomes_waiting() == 0; }

void GroupDuties::Drain() {
  draining_ = true;
  scheduler_.SetPaused(true);
}

void GroupDuties::SetClockOff(bool off) {
  if (std::exchange(clock_off_, off) == off || !leads_) return;
  if (off) parts_.runner.AbortShortOfDot(group_);
  RunScheduler();
}

void GroupDuties::HandOver(NodeId target) {
  if (!leads_ || hand_over_) return;
  hand_over_ = HandingOver{target, parts_.clock.SinceBoot(), false};
  scheduler_.SetPaused(true);
  parts_.runner.AbortShortOfDot(group_);
  FollowHandOver();
}

void GroupDuties::FollowHandOver() {
  if (!hand_over_) return;
  const absl::Duration waited = parts_.clock.SinceBoot() - hand_over_->asked;
  if (!hand_over_->transferred && (idle() || waited > kHandOverCutMax)) {
    hand_over_->transferred = true;
    parts_.host.TransferLeadership(group_, hand_over_->target);
  }
  if (waited <= kHandOverCutMax + kHandOverWait) return;
  Log(LogLevel::kWarn, "hand_over_failed",
      {{"group", group_.value()}, {"target", hand_over_->target.value()}});
  hand_over_.reset();
}

// Who leads again so soon had nobody take over, or not for long.
void GroupDuties::TellFailedHandOver() {
  if (!handed_over_) return;
  if (parts_.clock.SinceBoot() - handed_over_->asked > kHandOverCutMax + kHandOverWait) return;
  Log(LogLevel::kWarn, "hand_over_failed",
      {{"group", group_.value()}, {"target", handed_over_->target.value()}});
}

std::vector<uint64_t> GroupDuties::UnderWay(uint64_t boot_id,
                                            const std::vector<uint64_t>& attempts) const {
  std::vector<uint64_t> found;
  if (boot_id != options_.boot_id) return found;
  for (const uint64_t attempt : attempts) {
    if (under_way_.Contains(attempt)) found.push_back(attempt);
  }
  return found;
}

void GroupDuties::Tick() {
  recorder_->Tick();
  if (!leads_) return;
  FollowHandOver();
  const absl::Duration now = parts_.clock.SinceBoot();
  if (clock_off_ || !parts_.policy.known()) return;
  if (now >= next_sweep_) {
    next_sweep_ = now + kSweepInterval;
    SettleInDoubt();
    FollowQuarantine();
    unreadable_.Tick();
    FollowLevel();
  }
  if (now >= next_stale_sweep_) AbandonStale();
  const uint64_t version = parts_.policy.Current()->version();
  if (std::exchange(policy_version_, version) != version) scheduler_.OnPolicy();
  RunScheduler();
}

uint32_t GroupDuties::StateVersion() const {
  const absl::StatusOr<uint32_t> version = queue::ReadStateVersion(GroupReader(*rows_));
  HOLDFAST_CHECK(version.ok()) << "queue rows: " << version.status();
  return *version;
}

// Again with the next sweep where it was lost.
void GroupDuties::FollowLevel() {
  const bool early = options_.mutation == NodeMutation::kRaiseEarly;
  const uint32_t agreed = early ? parts_.level.build().max : parts_.level.agreed();
  if (agreed <= state_version_) return;
  state_version_ = StateVersion();
  if (agreed <= state_version_) return;
  Log(LogLevel::kInfo, "raises_state_version",
      {{"group", group_.value()}, {"from", state_version_}, {"to", agreed}});
  command::Command raise;
  raise.mutable_raise_state_version()->set_version(agreed);
  raise.mutable_raise_state_version()->set_stamped_us(absl::ToUnixMicros(parts_.clock.Now()));
  recorder_->Propose(std::move(raise), {});
}

void GroupDuties::Wake() {
  if (std::exchange(waking_, true)) return;
  parts_.apply.Post([this] {
    waking_ = false;
    RunScheduler(false);
  });
}

void GroupDuties::RunScheduler(bool all_due) {
  scheduler_.SetPaused(!MayAttempt() || recorder_->stuck());
  parts_.permits.Advance(parts_.clock.SinceBoot());
  const GroupReader reader(*rows_);
  const absl::Time now = parts_.clock.Now();
  const std::vector<queue::Grant> grants =
      all_due ? scheduler_.Tick(now, reader) : scheduler_.GoOn(now, reader);
  HOLDFAST_CHECK(reader.status().ok()) << "queue rows: " << reader.status();
  for (const queue::Grant& grant : grants) StartAttempt(grant);
}

void GroupDuties::EndGrant(const queue::UnitKey& key, uint64_t attempt_id,
                           queue::AttemptEnded::Kind kind, std::string text) {
  const std::optional<std::string> asked = under_way_.Remove(attempt_id);
  if (kind == queue::AttemptEnded::Kind::kNotSent) {
    parts_.notes.Interrupt(key);
  } else {
    parts_.notes.End(key);
  }
  scheduler_.OnAttemptEnded({key, attempt_id, kind, std::move(text)}, parts_.clock.Now());
  // What this attempt found is no reason to let the destination rest.
  if (asked) scheduler_.OnEvents({{queue::AttemptsAsked{key, *asked}}}, parts_.clock.Now());
}

void GroupDuties::StartAttempt(const queue::Grant& grant) {
  const absl::StatusOr<queue::MessageView> view = Show(grant.key.queue_id);
  if (!view.ok()) {
    HOLDFAST_CHECK(view.status().code() != absl::StatusCode::kDataLoss) << view.status();
    EndGrant(grant.key, grant.attempt_id, queue::AttemptEnded::Kind::kGone, "");
    return;
  }
  std::shared_ptr<AttemptTask> task = MakeTask(grant, *view);
  if (task == nullptr) {
    EndGrant(grant.key, grant.attempt_id, queue::AttemptEnded::Kind::kGone, "");
    return;
  }
  const Suspicion suspicion = parts_.notes.Of(grant.key);
  if (suspicion == Suspicion::kQuarantine) {
    quarantined_.emplace(grant.attempt_id, grant.key);
    Quarantine(grant.key, *view);
    return;
  }
  under_way_.Add(grant.attempt_id, grant.key);
  parts_.metrics.attempts_running.Add(1);
  const uint64_t memory =
      std::min<uint64_t>(view->row.envelope().content_bytes(), kAttemptMemoryMax);
  task->alone = suspicion == Suspicion::kAttemptAlone;
  if (!task->alone) {
    EnterGate(task, grant, memory);
    return;
  }
  parts_.suspects_gate.Enter(kSuspects, 1, 0, [this, task, grant, memory](ByteBudget::Reservation) {
    EnterGate(task, grant, memory);
  });
}

void GroupDuties::EnterGate(const std::shared_ptr<AttemptTask>& task, const queue::Grant& grant,
                            uint64_t memory_bytes) {
  const std::string failed_already = grant.failed_already;
  const queue::UnitKey key = grant.key;
  parts_.gate.Enter(grant.destination, grant.limits.concurrency_max, memory_bytes,
                    [this, task, key, failed_already](ByteBudget::Reservation reservation) {
                      task->memory = std::move(reservation);
                      task->policy = parts_.policy.Current();  // It may have waited long.
                      parts_.notes.Begin(key);
                      if (!MayStart(*task)) {
                        ReportNotSent(task);
                      } else if (failed_already.empty()) {
                        Launch(task);
                      } else {
                        FailWithoutAttempt(task, failed_already);
                      }
                    });
}

void GroupDuties::ProposeHold(const queue::QueueId& message, std::string actor,
                              std::string reason) {
  command::Command hold;
  hold.mutable_hold()->add_queue_ids(message.ToString());
  hold.mutable_hold()->set_reason(std::move(reason));
  hold.mutable_hold()->set_actor(std::move(actor));
  hold.mutable_hold()->set_stamped_us(absl::ToUnixMicros(parts_.clock.Now()));
  recorder_->Propose(std::move(hold), {});
}

void GroupDuties::Quarantine(const queue::UnitKey& key, const queue::MessageView& view) {
  if (view.row.held()) return;
  const uint32_t crashes = parts_.notes.CrashesOf(key);
  Log(LogLevel::kError, "quarantined",
      {{"group", group_.value()},
       {"queue_id", key.queue_id.text()},
       {"crashes", crashes},
       {"advice", "held; see `holdfast queue show`, and release it when the cause is mended"}});
  ProposeHold(key.queue_id, "quarantine",
              format("node {} crashed {} times in a row while it attempted this message",
                     options_.node.value(), crashes));
}

void GroupDuties::FollowQuarantine() {
  for (auto one = quarantined_.begin(); one != quarantined_.end();) {
    const auto [attempt_id, key] = *one;
    const absl::StatusOr<queue::MessageView> view = Show(key.queue_id);
    if (view.ok() && !view->row.held()) {
      Quarantine(key, *view);
      ++one;
      continue;
    }
    one = quarantined_.erase(one);
    EndGrant(key, attempt_id, queue::AttemptEnded::Kind::kGone, "");
  }
}

std::shared_ptr<AttemptTask> GroupDuties::MakeTask(const queue::Grant& grant,
                                                   const queue::MessageView& view) {
  if (grant.key.unit >= view.units.size()) return nullptr;
  const queue::UnitView& unit = view.units[grant.key.unit];
  if (unit.ended || unit.row.held() || unit.row.has_intent()) return nullptr;
  auto task = std::make_shared<AttemptTask>();
  task->group = group_;
  task->queue_id = grant.key.queue_id.ToString();
  task->unit = grant.key.unit;
  task->attempt_id = grant.attempt_id;
  task->slot = grant.slot;
  task->leadership = leadership_;
  task->destination = unit.row.destination();
  task->attempts_before = unit.row.attempts();
  task->accepted = absl::FromUnixMicros(view.row.accepted_us());
  task->message_id = view.row.envelope().message_id();
  task->transaction = TransactionOf(view.row.envelope());
  task->policy = parts_.policy.Current();
  for (const queue::rows::RecipientRow& recipient : unit.row.recipients()) {
    if (recipient.end() != queue::rows::RecipientRow::OPEN) continue;
    const command::Recipient& row =
        view.row.envelope().recipients(static_cast<int>(recipient.recipient()));
    task->recipients.push_back({recipient.recipient(), RecipientOf(row)});
  }
  if (task->recipients.empty()) return nullptr;
  for (const queue::rows::BodyRefRow& body : view.row.bodies()) {
    task->bodies.push_back(
        {{group_, body.index(), body.term(), body.ordinal()}, body.bytes(), body.crc32c()});
  }
  return task;
}

void GroupDuties::ReportNotSent(const std::shared_ptr<AttemptTask>& task) {
  const absl::Time now = parts_.clock.Now();
  const AttemptReport report = StoppedReport(*task, now, now);
  // Posted: the gate is still in the middle of Enter().
  parts_.apply.Post([this, task, report] { OnAttemptDone(task, report); });
}

void GroupDuties::Launch(std::shared_ptr<AttemptTask> task) {
  Context* const apply = &parts_.apply;
  parts_.runner.Start(std::move(task),
                      [this, apply](std::shared_ptr<AttemptTask> done, AttemptReport report) {
                        auto shared = std::make_shared<AttemptReport>(std::move(report));
                        apply->Post([this, done, shared] { OnAttemptDone(done, *shared); });
                      });
}

// The destination rests, and this unit has no time left to wait for its recovery.
void GroupDuties::FailWithoutAttempt(const std::shared_ptr<AttemptTask>& task,
                                     const std::string& why) {
  AttemptReport report;
  report.started = parts_.clock.Now();
  report.ended = report.started;
  report.destination_failed = true;
  for (size_t i = 0; i < task->recipients.size(); ++i) {
    smtp::RecipientOutcome& outcome = report.outcomes.emplace_back();
    outcome.outcome = smtp::OutcomeClass::kTemporary;
    outcome.phase = smtp::Phase::kConnect;
    outcome.answer.enhanced = {4, 4, 1};
    outcome.answer.lines = {why};
  }
  // Posted: the gate is still in the middle of Enter().
  parts_.apply.Post([this, task, report] { OnAttemptDone(task, report); });
}

void GroupDuties::OnAttemptDone(const std::shared_ptr<AttemptTask>& task,
                                const AttemptReport& report) {
  parts_.metrics.attempts_running.Add(-1);
  task->memory.Release();
  parts_.gate.Leave(task->destination);
  if (task->alone) parts_.suspects_gate.Leave(kSuspects);
  const std::optional<queue::QueueId> id = queue::QueueId::Parse(task->queue_id);
  HOLDFAST_CHECK(id.has_value());
  const queue::UnitKey key{*id, task->unit};
  // Others may use the connection while the outcome is written.
  scheduler_.OnConnectionFree(key, task->attempt_id);
  const queue::AttemptEnded::Kind kind = EndOf(report);
  std::string text;
  if (kind == queue::AttemptEnded::Kind::kUnreachable && !report.outcomes.empty()) {
    text = report.outcomes.front().answer.ToString();
  }
  const absl::StatusOr<queue::MessageView> view = Show(*id);
  // Removed by an operator meanwhile: nothing to record. Led elsewhere, now or in between, and no
  // dot was allowed: the unit is due there, or has gone on without us.
  const bool intended = view.ok() && task->unit < view->units.size() &&
                        queue::IntentOf(view->units[task->unit].row) == KeyOf(task->attempt_id);
  const bool ours = leads_ && task->leadership == leadership_;
  if (!view.ok() || (!ours && !intended && !report.intent_made)) {
    EndGrant(key, task->attempt_id, view.ok() ? kind : queue::AttemptEnded::Kind::kGone, text);
    return;
  }
  if (report.unreadable && !DecidedAnything(report)) {
    (void)under_way_.Remove(task->attempt_id);
    parts_.notes.Interrupt(key);
    unreadable_.Add(key, task->attempt_id, *report.unreadable);
    return;
  }
  MadeOutcome made = outcomes_.Make(*view, task->unit, KeyOf(task->attempt_id), task->recipients,
                                    report, *task->policy, random_.Next());
  if (options_.mutation == NodeMutation::kNoticeTwice && !made.notices.empty()) {
    MadeOutcome again = outcomes_.Make(*view, task->unit, KeyOf(task->attempt_id), task->recipients,
                                       report, *task->policy, random_.Next());
    std::move(again.notices.begin(), again.notices.end(), std::back_inserter(made.notices));
  }
  const uint64_t attempt_id = task->attempt_id;
  // What nobody knows the outcome of waits as the policy has it.
  const bool may_hurry = !made.outcome.in_doubt();
  const bool at_once = may_hurry && under_way_.AskedAgain(attempt_id);
  if (at_once) DueAtOnce(&made.outcome);
  if (options_.mutation == NodeMutation::kForgetOutcomes && !ours) {
    EndGrant(key, attempt_id, kind, text);
    return;
  }
  recorder_->Outcome(std::move(made), [this, key, attempt_id, kind, text, may_hurry, at_once] {
    const bool late = may_hurry && !at_once && under_way_.AskedAgain(attempt_id);
    EndGrant(key, attempt_id, kind, text);
    if (late) ProposeRetry(key.queue_id);
  });
}

// It was asked for while the outcome, with its usual wait, was on its way into the log. Once: if
// the node stops just now, the message waits as usual.
void GroupDuties::ProposeRetry(const queue::QueueId& message) {
  command::Command retry;
  retry.mutable_retry()->add_queue_ids(message.ToString());
  retry.mutable_retry()->set_actor(std::string(queue::kQueueActor));
  retry.mutable_retry()->set_stamped_us(absl::ToUnixMicros(parts_.clock.Now()));
  recorder_->Propose(std::move(retry), {});
}

UnreadableUnits::Parts GroupDuties::UnreadableParts() {
  return {parts_.apply,
          parts_.clock,
          [this](const raft::BodyRef& ref, std::function<bool()> wanted,
                 std::function<void(const absl::Status&)> done) {
            parts_.host.MendBody(ref, std::move(wanted), std::move(done));
          },
          [this](const queue::UnitKey& key) { return StateOf(key); },
          [this](const queue::UnitKey& key, const std::string& reason) {
            ProposeHold(key.queue_id, "store", "its content is lost: " + reason);
          },
          [this](const queue::UnitKey& key, uint64_t attempt) { PutOffUnreadable(key, attempt); },
          [this](const queue::UnitKey& key, uint64_t attempt) {
            EndGrant(key, attempt, queue::AttemptEnded::Kind::kGone, "");
          }};
}

UnreadableUnits::State GroupDuties::StateOf(const queue::UnitKey& key) const {
  const absl::StatusOr<queue::MessageView> view = Show(key.queue_id);
  if (!view.ok() || key.unit >= view->units.size() || view->units[key.unit].ended) {
    return UnreadableUnits::State::kGone;
  }
  return view->row.held() || view->units[key.unit].row.held() ? UnreadableUnits::State::kHeld
                                                              : UnreadableUnits::State::kWaits;
}

void GroupDuties::PutOffUnreadable(const queue::UnitKey& key, uint64_t attempt_id) {
  const auto end = [this, key, attempt_id] {
    EndGrant(key, attempt_id, queue::AttemptEnded::Kind::kGone, "");
  };
  const absl::StatusOr<queue::MessageView> view = Show(key.queue_id);
  if (!view.ok() || StateOf(key) != UnreadableUnits::State::kWaits) return end();
  AttemptReport report;
  report.started = parts_.clock.Now();
  report.ended = report.started;
  // Past its expiry the failure would be final: a bounce for what is not the message's fault.
  if (report.ended >= absl::FromUnixMicros(view->row.expires_us())) {
    ProposeHold(key.queue_id, "store",
                "its content can't be read here, and the nodes that may have it don't answer");
    return end();
  }
  std::vector<AttemptRecipient> recipients;
  for (const queue::rows::RecipientRow& row : view->units[key.unit].row.recipients()) {
    if (row.end() != queue::rows::RecipientRow::OPEN) continue;
    recipients.push_back({row.recipient(), {}});
    smtp::RecipientOutcome& outcome = report.outcomes.emplace_back();
    outcome.outcome = smtp::OutcomeClass::kTemporary;
    outcome.phase = smtp::Phase::kContent;
    outcome.answer.enhanced = {4, 3, 0};
    outcome.answer.lines = {"The stored message can't be read now; the postmaster is told"};
  }
  if (recipients.empty()) return end();
  recorder_->Outcome(outcomes_.Make(*view, key.unit, KeyOf(attempt_id), recipients, report,
                                    *parts_.policy.Current(), random_.Next()),
                     end);
}

void GroupDuties::RecordIntent(const AttemptTask& task, std::function<void(absl::Status)> done) {
  if (options_.mutation == NodeMutation::kNoIntent) return done(absl::OkStatus());
  command::Intent intent;
  intent.set_queue_id(task.queue_id);
  intent.set_unit(task.unit);
  intent.set_attempt_id(task.attempt_id);
  intent.set_node_id(options_.node.value());
  intent.set_boot_id(options_.boot_id);
  intent.set_stamped_us(absl::ToUnixMicros(parts_.clock.Now()));
  const absl::Duration since = parts_.clock.SinceBoot();
  const bool no_lease = options_.mutation == NodeMutation::kNoLease;
  auto recorded = [lease = lease_, since, done, no_lease](const absl::Status& status) {
    if (status.ok() && !no_lease) {
      lease->Confirm(since, done);
    } else {
      done(status);
    }
  };
  parts_.apply.Post([this, intent, recorded] { recorder_->Intent(intent, recorded); });
}

void GroupDuties::ConfirmLeadership(const AttemptTask& /*task*/,
                                    std::function<void(absl::Status)> done) {
  // The intent is old: only a new read point will do.
  lease_->Confirm(-absl::InfiniteDuration(), std::move(done));
}

void GroupDuties::AskAboutIntents(const std::vector<queue::InDoubtUnit>& units) {
  claims_.Keep(units);
  const absl::Duration now = parts_.clock.SinceBoot();
  if (now < next_question_) return;
  next_question_ = now + kQuestionInterval;
  for (auto& [maker, attempts] : claims_.Questions(units)) {
    Context* const apply = &parts_.apply;
    const auto asked = std::make_shared<const std::vector<uint64_t>>(attempts);
    parts_.ask_under_way(
        NodeId{maker.node_id}, group_, maker.boot_id, std::move(attempts),
        [this, apply, maker = maker, asked,
         leadership = leadership_](absl::StatusOr<std::vector<uint64_t>> answer) {
          // Not reached: nobody answers for them.
          auto under_way = answer.ok() ? *std::move(answer) : std::vector<uint64_t>();
          apply->Post([this, maker, asked, leadership, under_way = std::move(under_way)] {
            if (leadership != leadership_) return;
            claims_.OnAnswer(maker, *asked, under_way, parts_.clock.SinceBoot());
          });
        });
  }
}

void GroupDuties::SettleInDoubt() {
  if (recorder_->stuck()) return;
  const GroupReader reader(*rows_);
  const absl::StatusOr<queue::InDoubtPage> page = queue::ListInDoubt(reader, kInDoubtPerSweep);
  HOLDFAST_CHECK(page.ok()) << "queue rows: " << page.status();
  const std::shared_ptr<const PolicySnapshot> policy = parts_.policy.Current();
  const absl::Duration now = parts_.clock.SinceBoot();
  AskAboutIntents(page->units);
  for (const queue::InDoubtUnit& unit : page->units) {
    const bool ours =
        unit.attempt.boot_id == options_.boot_id && unit.attempt.node_id == options_.node.value();
    if (ours && under_way_.Contains(unit.attempt.attempt_id)) continue;
    if (settling_.contains(unit.attempt)) continue;
    // Intents of this leadership are younger than it; how old, only their stamps tell.
    const absl::Duration age = parts_.clock.Now() - unit.since;
    const absl::Duration known_since = std::max(leading_since_, now - age);
    const absl::Duration wait_from = claims_.WaitFrom(unit.attempt, known_since, now);
    const bool waits = wait_from + policy->settings().in_doubt_wait > now;
    if (waits && options_.mutation != NodeMutation::kSettleAtOnce) continue;
    SettleOne(unit, *policy);
  }
}

void GroupDuties::SettleOne(const queue::InDoubtUnit& unit, const PolicySnapshot& policy) {
  const absl::StatusOr<queue::MessageView> view = Show(unit.key.queue_id);
  if (!view.ok()) return;
  // What follows reads the message to make notices of it.
  if (parts_.notes.Of(unit.key) == Suspicion::kQuarantine) {
    Quarantine(unit.key, *view);
    return;
  }
  Log(LogLevel::kWarn, "in_doubt",
      {{"group", group_.value()},
       {"queue_id", unit.key.queue_id.text()},
       {"destination", unit.destination},
       {"attempt_node", unit.attempt.node_id}});
  // First the hold, and the outcome when a later sweep finds it held: the other way round a hold
  // that gets lost would let the unit be sent again.
  if (policy.settings().in_doubt_policy == InDoubtPolicy::kHold && !view->row.held()) {
    ProposeHold(unit.key.queue_id, "policy", "the outcome of an attempt is not known");
    return;
  }
  settling_.emplace(unit.attempt, unit.key);
  const queue::AttemptKey attempt = unit.attempt;
  parts_.notes.Begin(unit.key);
  recorder_->Outcome(outcomes_.MakeUnknown(*view, unit, policy, parts_.clock.Now()),
                     [this, attempt, key = unit.key] {
                       settling_.erase(attempt);
                       parts_.notes.End(key);
                     });
}

// A submission of this node from before its start has lost its session; so has one of another node
// that is older than any session may be. That node says itself when a submission ends without its
// content, unless it crashes.
void GroupDuties::AbandonStale() {
  const GroupReader reader(*rows_);
  const absl::Time now = parts_.clock.Now();
  next_stale_sweep_ = parts_.clock.SinceBoot() + kStaleInterval;
  const absl::StatusOr<std::vector<queue::QueueId>> begun =
      queue::ListStaleSubmissions(reader, now, kStalePerSweep);
  HOLDFAST_CHECK(begun.ok()) << "queue rows: " << begun.status();
  for (const queue::QueueId& id : *begun) {
    const bool ours = id.node_bits() == queue::QueueId::NodeBits(options_.node);
    if (id.time() >= (ours ? options_.started : now - options_.submission_max)) continue;
    command::Command command;
    command.mutable_abandon()->set_queue_id(id.ToString());
    command.mutable_abandon()->set_reason("its node stopped before the submission was complete");
    command.mutable_abandon()->set_stamped_us(absl::ToUnixMicros(now));
    recorder_->Propose(std::move(command), {});
  }
}

}  // namespace holdfast::node
