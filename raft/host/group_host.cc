#include "raft/host/group_host.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/random.h"
#include "raft/host/body_mender.h"
#include "raft/host/fill_bodies.h"
#include "raft/host/garbage_run.h"
#include "raft/host/group_log.h"
#include "raft/host/offer_room.h"
#include "raft/host/outbox.h"
#include "raft/host/replica.h"
#include "raft/host/snapshot_intake.h"
#include "raft/host/snapshot_source.h"
#include "raft/storage/group_commit.h"

namespace holdfast::raft {
namespace {

absl::Status Stopping() {
  return MakeStatus(absl::StatusCode::kUnavailable, "the node is stopping");
}

}  // namespace

std::vector<GroupSeed> SeedsOfCluster(const std::vector<NodeId>& voters, uint32_t queue_groups) {
  std::vector<GroupSeed> seeds;
  for (uint32_t group = 0; group <= queue_groups; ++group) {
    GroupSeed seed;
    seed.group = GroupId(group);
    seed.conf_state.voters = voters;
    seeds.push_back(std::move(seed));
  }
  return seeds;
}

// Tasks in the contexts hold the Impl, so it outlives the last of them. `closed_` ends their work.
class GroupHost::Impl final : public ReplicaEffects,
                              public IntakeEffects,
                              public std::enable_shared_from_this<GroupHost::Impl> {
 public:
  Impl(const GroupHostOptions& options, GroupHostContexts contexts, raft::Store& store,
       Transport& transport, const Clock& clock, StateMachineSource machine_of);

  absl::Status Start();
  void Stop();
  void Abandon();
  bool manual() const { return contexts_.raft.InContext(); }
  bool stopped() const;

  void Propose(GroupId group, Proposal proposal, ProposeCallback done);
  void ProposeConfChange(GroupId group, const ConfChange& change, ProposeCallback done);
  void Tick();
  void Read(GroupId group, AskedRead read);
  void ReceiveAll(std::vector<GroupMessage> messages);
  std::vector<Acknowledgement> AcknowledgedBy(NodeId peer) const { return promises_.Of(peer); }
  absl::Status Greeted(NodeId peer, const std::vector<Acknowledgement>& promised);
  absl::Status FillBodies(GroupId group, Message& message);
  absl::StatusOr<std::unique_ptr<FetchSource>> OpenFetch(NodeId peer, std::string_view request);
  // Runs `act` for the group's replica in the raft context.
  void WithReplica(GroupId group, std::function<void(Replica&)> act);
  void WithReplicas(std::function<void(Replica&)> act);
  std::optional<GroupStatus> Status(GroupId group) const;
  std::vector<GroupStatus> Statuses() const;
  BodyMender& mender() { return *mender_; }

  void Send(GroupId group, Message message) override;
  void Store(StorageTask task) override;
  void Apply(GroupId group, std::shared_ptr<ApplyJob> job) override;
  void TellLeader(GroupId group, bool leader, Term term) override;
  void WantSnapshot(GroupId group, NodeId from, Term term) override {
    intake_.Want(group, from, term);
  }
  void SnapshotInstalled(GroupId group, LogIndex index) override;
  void SnapshotDropped(GroupId group) override { intake_.Over(group, /*installed=*/false); }
  absl::Duration LastAsked(NodeId peer, GroupId group) const override {
    return sources_->LastAsked(peer, group);
  }

  const StateMachine& MachineOf(GroupId group) override { return Find(group)->machine(); }
  void Later(std::function<void()> act) override { PostToRaft(std::move(act)); }
  void GivePulled(PulledSnapshot pulled) override;
  void Collect(GroupId group) override;

 private:
  struct Refusal {
    ProposeCallback done;
    absl::Status status;
  };
  struct ConfOffer {
    GroupId group;
    ConfChange change;
    Answer answer;
  };
  // What outsiders left for the raft context.
  struct Inbox {
    std::map<GroupId, std::vector<Offer>> offers;
    std::vector<ConfOffer> conf_offers;
    std::map<GroupId, std::vector<AskedRead>> reads;
    std::vector<GroupMessage> messages;
    uint64_t message_bytes = 0;
    std::vector<Refusal> refusals;
  };

  void Wake() ABSL_EXCLUSIVE_LOCKS_REQUIRED(inbox_mutex_);
  void PostToRaft(std::function<void()> act);

  // In the raft context.
  void ReadInbox();
  void TickReplicas();
  void TakeStored(std::vector<StorageTask>& tasks);
  void Publish(const Replica& replica);
  void StopIfIdle(bool force);
  void SendOutbox();
  Replica* Find(GroupId group);
  // Members but this node, the leader first.
  std::vector<NodeId> OthersOf(GroupId group) const;

  const GroupHostOptions options_;
  const GroupHostContexts contexts_;
  raft::Store& store_;
  Transport& transport_;
  const Clock& clock_;
  const StateMachineSource machine_of_;

  OfferRoom room_;

  // Filled by Start(), which sets started_; not changed afterwards.
  std::map<GroupId, std::unique_ptr<Replica>> replicas_;
  // In the raft context: what goes out when its present task is done.
  Outbox outbox_;
  std::shared_ptr<GroupCommit> commits_;
  const std::shared_ptr<BodyMender> mender_;
  const std::shared_ptr<SnapshotSources> sources_;
  std::atomic<bool> started_{false};
  AckMemory promises_;                 // Of others, to this node.
  std::atomic<bool> amnesiac_{false};  // The store forgot a promise: nothing may be said any more.

  Mutex inbox_mutex_;
  Inbox inbox_ ABSL_GUARDED_BY(inbox_mutex_);
  bool inbox_awake_ ABSL_GUARDED_BY(inbox_mutex_) = false;
  bool refusing_ ABSL_GUARDED_BY(inbox_mutex_) = false;  // Stop() began.

  // Owned by the raft context.
  SnapshotIntake intake_;
  bool stopping_ = false;
  int ticks_since_witness_ = 0;
  int heartbeat_phase_ = 0;
  std::atomic<bool> closed_{false};
  std::atomic<bool> tick_waiting_{false};

  mutable Mutex status_mutex_;
  CondVar stopped_changed_;
  std::map<GroupId, GroupStatus> statuses_ ABSL_GUARDED_BY(status_mutex_);
  bool stopped_ ABSL_GUARDED_BY(status_mutex_) = false;
};

GroupHost::Impl::Impl(const GroupHostOptions& options, GroupHostContexts contexts,
                      raft::Store& store, Transport& transport, const Clock& clock,
                      StateMachineSource machine_of)
    : options_(options),
      contexts_(contexts),
      store_(store),
      transport_(transport),
      clock_(clock),
      machine_of_(std::move(machine_of)),
      room_(options),
      mender_(std::make_shared<BodyMender>(
          BodyMender::Parts{store, transport, contexts.apply, clock,
                            [this](GroupId group) { return OthersOf(group); },
                            [this](GroupId group) -> const StateMachine* {
                              Replica* const replica = Find(group);
                              return replica == nullptr ? nullptr : &replica->machine();
                            }},
          options.snapshots)),
      sources_(std::make_shared<SnapshotSources>(
          options.snapshots, store, contexts.apply, clock,
          [mender = mender_](const BodyKey& key) { mender->MendKey(key); })),
      intake_(options.snapshots, store, transport, *this) {
  HOLDFAST_CHECK(options.self == store.identity().node) << "the store is another node's";
  if (options.mutation == HostMutation::kKeepAbandonedBodies) intake_.KeepAbandoned();
  if (options.mutation == HostMutation::kForgetRowsOfSnapshot) intake_.ForgetRows();
}

absl::Status GroupHost::Impl::Start() {
  HOLDFAST_CHECK(!started_) << "started twice";
  Random random = options_.seed != 0 ? Random(options_.seed) : Random::FromKernel();
  for (GroupId group : store_.groups()) {
    absl::StatusOr<std::unique_ptr<GroupLog>> log =
        GroupLog::Open(store_, group, options_.log_cache_bytes_max);
    if (!log.ok()) return Annotate(log.status(), holdfast::format("group {}", group.value()));
    auto replica = std::make_unique<Replica>(options_, random.Next(), *std::move(log), store_,
                                             machine_of_(group), *this);
    Publish(*replica);
    replicas_.emplace(group, std::move(replica));
  }
  // The storage context reports whole batches: one task for the raft context per sync.
  commits_ = std::make_shared<GroupCommit>(
      store_, contexts_.storage, options_.storage_batch_bytes_max,
      [weak = weak_from_this()](std::vector<StorageTask> tasks) {
        std::shared_ptr<Impl> self = weak.lock();
        if (!self) return;
        auto shared = std::make_shared<std::vector<StorageTask>>(std::move(tasks));
        self->PostToRaft([self, shared] { self->TakeStored(*shared); });
      });
  started_.store(true, std::memory_order_release);
  WithReplicas([](Replica& replica) { replica.Start(); });
  return absl::OkStatus();
}

void GroupHost::Impl::PostToRaft(std::function<void()> act) {
  contexts_.raft.Post([self = shared_from_this(), act = std::move(act)] {
    if (self->closed_) return;
    act();
    self->SendOutbox();
    if (self->stopping_) self->StopIfIdle(/*force=*/false);
  });
}

void GroupHost::Impl::Stop() {
  {
    MutexLock lock(inbox_mutex_);
    if (refusing_ || !started_) {
      refusing_ = true;
      return;
    }
    refusing_ = true;
  }
  sources_->Stop();
  mender_->Stop();
  // What was accepted before is in the inbox, and is proposed first.
  PostToRaft([this] {
    ReadInbox();
    intake_.Stop();
    stopping_ = true;
  });
  if (manual()) return;
  const auto wait = [this](absl::Duration limit) {
    const absl::Duration end = clock_.SinceBoot() + limit;
    MutexLock lock(status_mutex_);
    while (!stopped_ && clock_.SinceBoot() < end) {
      stopped_changed_.WaitFor(status_mutex_, std::chrono::milliseconds(100));
    }
    return stopped_;
  };
  if (wait(options_.stop_timeout)) return;
  PostToRaft([this] { StopIfIdle(/*force=*/true); });
  (void)wait(options_.stop_timeout);  // A context that never comes back can't be waited for.
}

void GroupHost::Impl::StopIfIdle(bool force) {
  const bool idle = std::all_of(replicas_.begin(), replicas_.end(),
                                [](const auto& item) { return item.second->idle(); });
  if (!idle && !force) return;
  for (auto& [group, replica] : replicas_) {
    replica->AnswerAll(MakeStatus(absl::StatusCode::kDeadlineExceeded,
                                  "the node stopped before the outcome was known"));
    if (replica->Status().leading) TellLeader(group, false, replica->Status().term);
  }
  closed_ = true;
  if (force) commits_->Abandon();
  // Behind the last work in apply and storage, nobody touches machines and store any more.
  contexts_.apply.Post([self = shared_from_this()] {
    self->contexts_.storage.Post([self] {
      MutexLock lock(self->status_mutex_);
      self->stopped_ = true;
      self->stopped_changed_.NotifyAll();
    });
  });
}

void GroupHost::Impl::Abandon() {
  closed_ = true;
  sources_->Stop();
  mender_->Stop();
  intake_.Stop();
  if (commits_) commits_->Abandon();
}

bool GroupHost::Impl::stopped() const {
  MutexLock lock(status_mutex_);
  return stopped_;
}

void GroupHost::Impl::Propose(GroupId group, Proposal proposal, ProposeCallback done) {
  absl::StatusOr<Offer> offer;
  Replica* replica = Find(group);
  if (replica != nullptr) {
    offer = room_.MakeOffer(*replica, proposal);
  } else {
    offer = MakeStatus(absl::StatusCode::kUnavailable, "no replica of group {}", group.value());
  }
  {
    MutexLock lock(inbox_mutex_);
    if (!refusing_ && started_) {
      if (offer.ok()) {
        offer->answer.done = std::move(done);
        inbox_.offers[group].push_back(*std::move(offer));
      } else {
        inbox_.refusals.push_back(Refusal{std::move(done), offer.status()});
      }
      Wake();
      return;
    }
  }
  done(ProposeResult{Stopping(), 0, 0});
}

void GroupHost::Impl::ProposeConfChange(GroupId group, const ConfChange& change,
                                        ProposeCallback done) {
  Replica* replica = Find(group);
  absl::StatusOr<Answer> answer =
      replica != nullptr
          ? room_.Reserve(*replica, EncodedBytes(EncodeConfChange(change)))
          : MakeStatus(absl::StatusCode::kUnavailable, "no replica of group {}", group.value());
  {
    MutexLock lock(inbox_mutex_);
    if (!refusing_ && started_) {
      if (answer.ok()) {
        answer->done = std::move(done);
        inbox_.conf_offers.push_back({group, change, *std::move(answer)});
      } else {
        inbox_.refusals.push_back(Refusal{std::move(done), answer.status()});
      }
      Wake();
      return;
    }
  }
  done(ProposeResult{Stopping(), 0, 0});
}

void GroupHost::Impl::Wake() {
  if (inbox_awake_) return;
  inbox_awake_ = true;
  inbox_mutex_.Unlock();  // Posting may wait for room; what the context runs may want the inbox.
  PostToRaft([this] { ReadInbox(); });
  inbox_mutex_.Lock();
}

void GroupHost::Impl::ReadInbox() {
  Inbox inbox;
  {
    MutexLock lock(inbox_mutex_);
    std::swap(inbox, inbox_);
    inbox_awake_ = false;
  }
  for (Refusal& refusal : inbox.refusals) {
    refusal.done(ProposeResult{std::move(refusal.status), 0, 0});
  }
  std::set<GroupId> heard;
  for (auto& [group, message] : inbox.messages) {
    Replica* replica = Find(group);
    if (replica == nullptr) continue;
    replica->Receive(std::move(message));
    heard.insert(group);
  }
  const absl::Duration now = clock_.SinceBoot();
  const absl::Duration deadline = now + options_.commit_timeout;
  for (auto& [group, offers] : inbox.offers) Find(group)->Propose(std::move(offers), deadline);
  for (ConfOffer& offer : inbox.conf_offers) {
    Find(offer.group)->ProposeConfChange(offer.change, std::move(offer.answer), deadline);
    heard.insert(offer.group);
  }
  for (auto& [group, reads] : inbox.reads) {
    for (AskedRead& read : reads) Find(group)->Read(std::move(read), now);
  }
  for (const auto& [group, offers] : inbox.offers) Publish(*Find(group));
  for (const GroupId group : heard) Publish(*Find(group));
}

void GroupHost::Impl::Tick() {
  // A raft context that is behind gets one tick for many; elections only come later for it.
  if (!started_ || tick_waiting_.exchange(true)) return;
  PostToRaft([this] { TickReplicas(); });
}

void GroupHost::Impl::TickReplicas() {
  tick_waiting_ = false;
  const absl::Duration now = clock_.SinceBoot();
  intake_.Tick(now);
  heartbeat_phase_ = (heartbeat_phase_ + 1) % options_.heartbeat_ticks;
  for (auto& [group, replica] : replicas_) {
    // Between heartbeats an idle group has nothing to tell.
    if (replica->Tick(now, heartbeat_phase_) || heartbeat_phase_ == 0) Publish(*replica);
  }
  outbox_.ReleaseHeld();
  if (++ticks_since_witness_ * options_.tick < absl::Seconds(1)) return;
  ticks_since_witness_ = 0;
  commits_->AskForWitness();
}

absl::Status GroupHost::Impl::Greeted(NodeId peer, const std::vector<Acknowledgement>& promised) {
  for (const Acknowledgement& given : promised) {
    const absl::StatusOr<GroupRecord> record = store_.LoadGroup(given.group);
    if (!record.ok()) continue;
    absl::Status kept = CheckAcknowledged(*record, given, peer);
    if (kept.ok() || options_.mutation == HostMutation::kVoteWithAmnesia) continue;
    amnesiac_.store(true);
    return kept;
  }
  if (started_) WithReplicas([peer](Replica& replica) { replica.Greeted(peer); });
  return absl::OkStatus();
}

void GroupHost::Impl::ReceiveAll(std::vector<GroupMessage> messages) {
  if (amnesiac_) return;
  MutexLock lock(inbox_mutex_);
  if (refusing_ || !started_) return;
  for (GroupMessage& one : messages) {
    if (inbox_.messages.size() >= options_.inbox_messages_max) break;
    const uint64_t bytes = EncodedBytes(one.message.entries);
    // A lone message goes in whatever its size; the transport bounds that.
    if (inbox_.message_bytes > 0 && inbox_.message_bytes + bytes > options_.inbox_bytes_max) {
      continue;
    }
    inbox_.message_bytes += bytes;
    inbox_.messages.push_back(std::move(one));
  }
  if (!inbox_.messages.empty()) Wake();
}

void GroupHost::Impl::Read(GroupId group, AskedRead read) {
  absl::Status refusal = Stopping();
  {
    MutexLock lock(inbox_mutex_);
    if (!refusing_ && started_) {
      if (Find(group) != nullptr) {
        inbox_.reads[group].push_back(std::move(read));
        Wake();
        return;
      }
      refusal = MakeStatus(absl::StatusCode::kUnavailable, "no replica of group {}", group.value());
    }
  }
  read.done(refusal);
}

absl::Status GroupHost::Impl::FillBodies(GroupId group, Message& message) {
  const BodyLost lost = [weak = weak_from_this()](const BodyKey& key, const absl::Status& why) {
    const std::shared_ptr<Impl> self = weak.lock();
    if (!self) return;
    self->WithReplica(key.group, [key, why](Replica& replica) { replica.BodyLost(key, why); });
  };
  return raft::FillBodies(store_, options_.mutation, *mender_, lost, group, message);
}

void GroupHost::Impl::WithReplica(GroupId group, std::function<void(Replica&)> act) {
  Replica* replica = Find(group);
  if (replica == nullptr) return;
  PostToRaft([this, replica, act = std::move(act)] {
    act(*replica);
    Publish(*replica);
  });
}

void GroupHost::Impl::WithReplicas(std::function<void(Replica&)> act) {
  PostToRaft([this, act = std::move(act)] {
    for (auto& [group, replica] : replicas_) {
      act(*replica);
      Publish(*replica);
    }
  });
}

void GroupHost::Impl::Send(GroupId group, Message message) {
  outbox_.Add(group, std::move(message));
}

void GroupHost::Impl::SendOutbox() {
  for (auto& [to, messages] : outbox_.Take()) {
    if (amnesiac_) continue;
    transport_.SendAll(to, std::move(messages));
  }
}

void GroupHost::Impl::Store(StorageTask task) { commits_->Enqueue(std::move(task)); }

void GroupHost::Impl::TakeStored(std::vector<StorageTask>& tasks) {
  for (StorageTask& task : tasks) {
    Replica& replica = *Find(task.write.group);
    replica.Stored(std::move(task));
    Publish(replica);
  }
}

void GroupHost::Impl::Apply(GroupId group, std::shared_ptr<ApplyJob> job) {
  Replica* replica = Find(group);
  contexts_.apply.Post([self = shared_from_this(), replica, job = std::move(job)] {
    if (self->closed_ || !replica->RunApplyJob(*job)) return;
    self->PostToRaft([self, replica, job] {
      replica->JobDone(*job);
      self->Publish(*replica);
    });
  });
}

void GroupHost::Impl::TellLeader(GroupId group, bool leader, Term term) {
  StateMachine* machine = &Find(group)->machine();
  contexts_.apply.Post([machine, leader, term] { machine->OnLeaderChange(leader, term); });
}

void GroupHost::Impl::SnapshotInstalled(GroupId group, LogIndex index) {
  StateMachine* machine = &Find(group)->machine();
  contexts_.apply.Post([self = shared_from_this(), machine, group, index] {
    if (self->closed_) return;
    machine->OnSnapshotInstalled(index);
    self->PostToRaft([self, group] {
      self->intake_.Over(group, /*installed=*/true);
      self->Publish(*self->Find(group));
    });
  });
}

absl::StatusOr<std::unique_ptr<FetchSource>> GroupHost::Impl::OpenFetch(NodeId peer,
                                                                        std::string_view request) {
  if (!started_.load(std::memory_order_acquire)) {
    return absl::UnavailableError("the node is starting");
  }
  return sources_->Open(peer, request);
}

void GroupHost::Impl::GivePulled(PulledSnapshot pulled) {
  Replica& replica = *Find(pulled.group);
  replica.TakePulled(std::move(pulled));
  Publish(replica);
}

void GroupHost::Impl::Collect(GroupId group) {
  auto done = [self = shared_from_this(), group](bool clean) {
    self->PostToRaft([self, group, clean] { self->intake_.GarbageCollected(group, clean); });
  };
  const GarbageRun::Parts parts{store_, contexts_.apply, contexts_.storage, Find(group)->machine(),
                                [self = shared_from_this()] { return self->closed_.load(); }};
  std::make_shared<GarbageRun>(parts, group, options_.snapshots.garbage_steps, std::move(done))
      ->Start();
}

std::vector<NodeId> GroupHost::Impl::OthersOf(GroupId group) const {
  const std::optional<GroupStatus> status = Status(group);
  std::vector<NodeId> others;
  if (!status) return others;
  if (status->leader != kNoNode) others.push_back(status->leader);
  for (const auto* nodes : {&status->voters, &status->voters_outgoing, &status->learners}) {
    others.insert(others.end(), nodes->begin(), nodes->end());
  }
  std::set<NodeId> seen{options_.self};
  std::erase_if(others, [&seen](NodeId node) { return !seen.insert(node).second; });
  return others;
}

void GroupHost::Impl::Publish(const Replica& replica) {
  GroupStatus status = replica.Status();
  status.receiving_snapshot = intake_.Receives(status.group);
  for (const auto& [node, member] : status.members) {
    if (node != options_.self) promises_.Note(status.group, node, status.term, member.match);
  }
  MutexLock lock(status_mutex_);
  statuses_[status.group] = std::move(status);
}

Replica* GroupHost::Impl::Find(GroupId group) {
  if (!started_.load(std::memory_order_acquire)) return nullptr;
  auto it = replicas_.find(group);
  return it == replicas_.end() ? nullptr : it->second.get();
}

std::optional<GroupStatus> GroupHost::Impl::Status(GroupId group) const {
  MutexLock lock(status_mutex_);
  auto it = statuses_.find(group);
  if (it == statuses_.end()) return std::nullopt;
  return it->second;
}

std::vector<GroupStatus> GroupHost::Impl::Statuses() const {
  MutexLock lock(status_mutex_);
  std::vector<GroupStatus> out;
  for (const auto& [group, status] : statuses_) out.push_back(status);
  return out;
}

GroupHost::GroupHost(const GroupHostOptions& options, GroupHostContexts contexts, Store& store,
                     Transport& transport, const Clock& clock, StateMachineSource machine_of)
    : impl_(std::make_shared<Impl>(options, contexts, store, transport, clock,
                                   std::move(machine_of))) {}

GroupHost::~GroupHost() {
  if (impl_->manual()) {
    impl_->Abandon();
  } else {
    impl_->Stop();
  }
}

absl::Status GroupHost::Start() { return impl_->Start(); }
void GroupHost::Stop() { impl_->Stop(); }
bool GroupHost::stopped() const { return impl_->stopped(); }

void GroupHost::Propose(GroupId group, Proposal proposal, ProposeCallback done) {
  impl_->Propose(group, std::move(proposal), std::move(done));
}

void GroupHost::ProposeConfChange(GroupId group, const ConfChange& change, ProposeCallback done) {
  impl_->ProposeConfChange(group, change, std::move(done));
}

void GroupHost::Tick() { impl_->Tick(); }

std::vector<Acknowledgement> GroupHost::AcknowledgedBy(NodeId peer) const {
  return impl_->AcknowledgedBy(peer);
}

absl::Status GroupHost::Greeted(NodeId peer, const std::vector<Acknowledgement>& promised) {
  return impl_->Greeted(peer, promised);
}

void GroupHost::ReceiveAll(std::vector<GroupMessage> messages) {
  impl_->ReceiveAll(std::move(messages));
}

void GroupHost::Read(GroupId group, ReadCallback done, PointCallback confirmed) {
  impl_->Read(group, {std::move(done), std::move(confirmed)});
}

void GroupHost::PeerUnreachable(NodeId peer) {
  impl_->WithReplicas([peer](Replica& replica) { replica.PeerUnreachable(peer); });
}

absl::Status GroupHost::FillBodies(GroupId group, Message& message) const {
  return impl_->FillBodies(group, message);
}

void GroupHost::MendBody(const BodyRef& ref, std::function<bool()> wanted,
                         std::function<void(const absl::Status&)> done) {
  impl_->mender().Mend(ref, std::move(wanted), std::move(done));
}

MendCounts GroupHost::Mended() const { return impl_->mender().counts(); }

absl::StatusOr<std::unique_ptr<FetchSource>> GroupHost::OpenFetch(NodeId peer,
                                                                  std::string_view request) {
  return impl_->OpenFetch(peer, request);
}

void GroupHost::TransferLeadership(GroupId group, NodeId target) {
  impl_->WithReplica(group, [target](Replica& replica) {
    (void)replica.TransferLeadership(target);  // The status tells who leads.
  });
}

void GroupHost::SetMayCampaign(bool may) {
  impl_->WithReplicas([may](Replica& replica) { replica.SetMayCampaign(may); });
}

std::optional<GroupStatus> GroupHost::Status(GroupId group) const { return impl_->Status(group); }
std::vector<GroupStatus> GroupHost::Statuses() const { return impl_->Statuses(); }

}  // namespace holdfast::raft
