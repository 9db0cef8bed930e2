// What a replica does about snapshots: offers, installs, and a leader's patience.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "raft/host/replica.h"

namespace holdfast::raft {

// A replica made empty, to be filled by a leader, does not know who belongs to the group: that is
// not in the log but with whoever was there at its beginning. It can't begin with the first entry,
// so it refuses what no other replica ever refuses, an append to the empty log. A leader that hears
// that (HeedUnborn) lets go of its first entry, and so has to send a snapshot.
bool Replica::RefuseAppendUnborn(const Message& message) {
  const bool unborn = conf_state_.empty() && applied_ == 0;
  if (!unborn || message.type != MessageType::kAppend || message.index != 0) return false;
  if (message.term < core_.term()) return false;
  Message refusal;
  refusal.type = MessageType::kAppendResponse;
  refusal.to = message.from;
  refusal.from = options_.self;
  refusal.term = message.term;
  refusal.reject = true;
  Send(std::move(refusal));
  return true;
}

bool Replica::HeedUnborn(const Message& message) {
  if (message.type != MessageType::kAppendResponse || !message.reject || message.index != 0) {
    return false;
  }
  if (core_.role() != Role::kLeader || message.term != core_.term()) return false;
  if (core_applied_ == 0)
    return true;  // Nothing to send yet; a heartbeat's answer makes us try again.
  if (log_->FirstIndex() == 1) TruncateBefore(2);
  return false;
}

bool Replica::ReceiveSnapshotOffer(const Message& message) {
  if (message.type != MessageType::kSnapshot || message.snapshot == nullptr) return false;
  const Snapshot& offered = *message.snapshot;
  // Old, impossible or not needed: the core answers, or drops it.
  if (message.term < core_.term() || offered.term > message.term) return false;
  if (offered.index <= core_.commit()) return false;
  // An entry that is stored may be about to be replaced by one that is not.
  const bool stable = offered.index < core_.Status().unstable_from;
  if (stable && log_->TermAt(offered.index) == offered.term) return false;
  // For the core the leader is just alive, until the contents are here.
  Message heartbeat;
  heartbeat.type = MessageType::kHeartbeat;
  heartbeat.to = message.to;
  heartbeat.from = message.from;
  heartbeat.term = message.term;
  const bool heard = core_.Step(std::move(heartbeat)).ok();
  PayDebts();
  if (pulled_ && !installing_) TryInstall();
  if (heard && !pulled_) effects_.WantSnapshot(group_, message.from, message.term);
  return true;
}

void Replica::TakePulled(PulledSnapshot pulled) {
  HOLDFAST_CHECK(!pulled_) << "group " << group_ << ": two snapshots at once";
  pulled_ = std::move(pulled);
  pulled_ticks_left_ = static_cast<int>(absl::ToDoubleSeconds(options_.snapshots.patience) /
                                        absl::ToDoubleSeconds(options_.tick));
  TryInstall();
}

// The acknowledgement that follows goes to the leader. It says that this replica holds what the
// leader has up to the snapshot's end. That is certain only of a leader that is the source itself:
// another one of an older term might have other entries there, and count ours for them.
void Replica::TryInstall() {
  const StateView::Mark& mark = pulled_->mark;
  if (core_.role() == Role::kLeader || mark.index <= core_.commit()) {
    DropPulled();
    return;
  }
  const NodeId leader = core_.leader();
  if (core_.role() != Role::kFollower || leader == kNoNode || mark.term > core_.term()) return;
  if (leader != pulled_->source && options_.mutation != HostMutation::kInstallFromAnySource) {
    DropPulled();
    return;
  }
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->index = mark.index;
  snapshot->term = mark.term;
  snapshot->conf_state = mark.conf_state;
  Message message;
  message.type = MessageType::kSnapshot;
  message.to = options_.self;
  message.from = leader;
  message.term = core_.term();
  message.snapshot = std::move(snapshot);
  (void)core_.Step(std::move(message));
  PayDebts();
  if (pulled_ && !installing_) DropPulled();  // The core found that it has all that.
}

void Replica::DropPulled() {
  pulled_.reset();
  effects_.SnapshotDropped(group_);
}

LogWrite::Install Replica::InstallOf(const Snapshot& snapshot) {
  HOLDFAST_CHECK(pulled_ && !installing_ && pulled_->mark.index == snapshot.index &&
                 pulled_->mark.term == snapshot.term)
      << "group " << group_ << ": a snapshot that was not pulled";
  installing_ = true;
  // All of it is below the snapshot's end, which was not known to be committed here.
  for (ToApply& waiting : to_apply_) {
    HOLDFAST_CHECK(waiting.entry.index <= snapshot.index);
    if (waiting.done) dropped_.push_back(*waiting.done);
  }
  to_apply_.clear();
  if (options_.mutation == HostMutation::kForgetElidedOfSnapshot) pulled_->elided_through = 0;
  const bool forgetful = options_.mutation == HostMutation::kForgetMembersOfSnapshot;
  return LogWrite::Install{pulled_->install->generation(), snapshot.index, snapshot.term,
                           forgetful ? conf_state_ : snapshot.conf_state, pulled_->elided_through};
}

void Replica::ReleaseHeld() {
  for (StorageTask& task : std::exchange(held_, {})) effects_.Store(std::move(task));
}

void Replica::Installed(const LogWrite::Install& install) {
  log_->Installed(install.index, install.term, install.conf_state);
  applied_ = core_applied_ = install.index;
  applied_term_ = install.term;
  conf_state_ = install.conf_state;
  single_voter_ = false;  // There is a leader, and it is not this node.
  installing_ = false;
  pulled_.reset();
  effects_.SnapshotInstalled(group_, install.index);
  // They may be part of what was installed, or not.
  std::vector<Undecided<Answer>::Pending> overtaken;
  std::optional<Undecided<Answer>::Pending> last =
      undecided_.Decide(install.index, install.term, overtaken);
  if (last) overtaken.push_back(*std::move(last));
  for (Undecided<Answer>::Pending& pending : overtaken) {
    AnswerOnce(
        pending.answer,
        MakeStatus(absl::StatusCode::kDeadlineExceeded,
                   "group {}: a snapshot overtook it; the outcome is unknown", group_.value()),
        0, pending.term);
  }
}

void Replica::OfferAgain(NodeId peer) {
  const CoreStatus status = core_.Status();
  const auto found = status.progress.find(peer);
  if (found == status.progress.end() || found->second.state != ProgressState::kSnapshot) return;
  if (found->second.match < found->second.pending_snapshot) return;
  core_.ReportSnapshot(peer, /*arrived=*/false);
  offered_since_.erase(peer);
}

void Replica::WatchSnapshots(const CoreStatus& leader, absl::Duration now) {
  std::erase_if(offered_since_, [&](const auto& item) {
    const auto found = leader.progress.find(item.first);
    return found == leader.progress.end() || found->second.state != ProgressState::kSnapshot;
  });
  for (const auto& [node, progress] : leader.progress) {
    if (progress.state != ProgressState::kSnapshot) continue;
    const absl::Duration since = offered_since_.try_emplace(node, now).first->second;
    const absl::Duration last = std::max(since, effects_.LastAsked(node, group_));
    if (now - last <= options_.snapshots.patience) continue;
    Log(LogLevel::kWarn, "snapshot_given_up", {{"group", group_.value()}, {"peer", node.value()}});
    core_.ReportSnapshot(node, /*arrived=*/false);
    offered_since_.erase(node);
  }
}

}  // namespace holdfast::raft
