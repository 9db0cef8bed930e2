#include "tests/sim/host_node.h"

#include <utility>

#include "base/check.h"

namespace holdfast::raft_test {

class HostNode::Wire final : public raft::Transport {
 public:
  explicit Wire(HostNode& node) : node_(node) {}

  void Send(NodeId to, GroupId group, raft::Message message) override {
    if (node_.dying()) return;
    if (node_.forgetful_) return node_.CheckForgetful(message);
    node_.shared_.checker.OnSend(node_.id(), group, message);
    node_.links_.send(node_, to, group, std::move(message));
  }
  void Fetch(NodeId peer, std::string request, std::shared_ptr<raft::FetchSink> sink) override {
    node_.links_.fetch(node_, peer, std::move(request), std::move(sink));
  }
  void Call(NodeId to, std::string request, absl::Duration timeout, raft::CallReply done) override {
    if (!node_.links_.call) return done(absl::UnavailableError("this network carries no calls"));
    node_.links_.call(node_, to, std::move(request), timeout, std::move(done));
  }

 private:
  HostNode& node_;
};

// No more than a SimMachine for each group.
class HostNode::MachinesOnly final : public NodeInside {
 public:
  explicit MachinesOnly(HostNode& node) {
    for (const GroupId group : node.groups()) {
      machines_[group] = std::make_unique<SimMachine>(group, node.watcher_);
      if (node.forgetful_) continue;
      node.shared_.checker.OnOpened(node.id(), *node.store_->LoadGroup(group));
    }
  }
  raft::StateMachine& Machine(GroupId group) override { return *machines_.at(group); }

 private:
  std::map<GroupId, std::unique_ptr<SimMachine>> machines_;
};

HostNode::HostNode(const SimShared& shared, const raft::GroupHostOptions& options,
                   const std::vector<NodeId>& voters, uint32_t queue_groups, Links links,
                   MakeInside make_inside, absl::Time began)
    : shared_(shared),
      options_(options),
      voters_(voters),
      queue_groups_(queue_groups),
      links_(std::move(links)),
      make_inside_(std::move(make_inside)),
      clock_(shared.loop, absl::Seconds(static_cast<int64_t>(1000 * options.self.value())),
             began + absl::Seconds(static_cast<int64_t>(
                         make_inside_ ? options.self.value() : 1000 * options.self.value()))),
      luck_(shared.luck.Next()),
      contexts_{SimContext([this] { Wake(kRaft); }), SimContext([this] { Wake(kStorage); }),
                SimContext([this] { Wake(kApply); }), SimContext([this] { Wake(kIo); })} {
  // A node that has forgotten lives in the past: what it says there is heard by nobody.
  watcher_.applied = [this](const SimApplied& applied) {
    if (forgetful_) return;
    shared_.checker.OnApplied(id(), applied);
  };
  watcher_.committed = [this](GroupId group, raft::LogIndex last) {
    if (forgetful_) return;
    shared_.checker.OnCommitted(id(), group, last);
  };
  watcher_.leader = [this](GroupId group, bool leader, raft::Term term) {
    shared_.trace.Note(leader ? "leads" : "led", {id().value(), group.value(), term});
    if (leader && !dying()) shared_.checker.OnLeading(id(), group, term);
  };
  watcher_.installed = [this](GroupId group, raft::LogIndex last) {
    shared_.trace.Note("installed", {id().value(), group.value(), last});
    if (!dying()) shared_.checker.OnInstalled(id(), group, last);
  };
  raft::SimStoreOptions store_options = StoreOptions();
  auto created = raft::CreateSimStore(disk_, store_options, {"simulated", id()},
                                      raft::SeedsOfCluster(voters_, queue_groups_));
  HOLDFAST_CHECK(created.ok()) << created.status();
}

raft::Transport& HostNode::wire() { return *wire_; }

HostNode::~HostNode() {
  if (running()) End(/*cut_power=*/true);
}

std::vector<GroupId> HostNode::groups() const {
  std::vector<GroupId> all;
  for (uint32_t group = 0; group <= queue_groups_; ++group) all.push_back(GroupId(group));
  return all;
}

raft::SimStoreOptions HostNode::StoreOptions() {
  raft::SimStoreOptions options;
  options.clock = &clock_;
  options.written = [this](const std::vector<raft::LogWrite>& writes) {
    if (!forgetful_) shared_.checker.OnStored(id(), writes);
  };
  return options;
}

bool HostNode::Start() {
  HOLDFAST_CHECK(may_start()) << "node " << id() << " can't start";
  ++life_;
  stopping_ = false;
  auto store = raft::OpenSimStore(disk_, StoreOptions());
  if (!store.ok()) {
    shared_.trace.Note("refused", {id().value(), static_cast<uint64_t>(store.status().code())});
    if (!lost_image_ && !store_damaged_) {
      shared_.checker.Fail(format("node {}: a store that lost nothing does not open: {}",
                                  id().value(), Message(store.status())));
    }
    if (!lost_image_) lost_image_ = disk_.durable();
    lost_ = true;
    return false;
  }
  if (store_damaged_) {
    shared_.checker.Fail(format("node {}: a damaged store opens", id().value()));
  }
  if (lost_image_ && !forgetful_) {
    shared_.checker.Fail(format("node {}: a store that lost synced writes opens", id().value()));
  }
  for (SimContext& context : contexts_) context.Revive();
  store_ = *std::move(store);
  wire_ = std::make_unique<Wire>(*this);
  raft::GroupHostOptions options = options_;
  options.seed = luck_.Next() | 1;
  host_ = std::make_unique<raft::GroupHost>(
      options, raft::GroupHostContexts{contexts_[kRaft], contexts_[kStorage], contexts_[kApply]},
      *store_, *wire_, clock_,
      [this](GroupId group) -> raft::StateMachine& { return inside_->Machine(group); });
  inside_ = make_inside_ ? make_inside_(*this) : std::make_unique<MachinesOnly>(*this);
  if (!inside_->MayBegin()) {
    shared_.trace.Note("refuses to begin", {id().value()});
    End(/*cut_power=*/true);
    return false;
  }
  const absl::Status started = host_->Start();
  HOLDFAST_CHECK(started.ok()) << started;
  inside_->Begin();
  shared_.trace.Note("starts", {id().value(), life_});
  const absl::Duration phase = options_.tick * (static_cast<double>(luck_.Below(1000)) / 1000.0);
  shared_.loop.After(phase, [this, life = life_] { Tick(life); });
  if (links_.greet) links_.greet(*this);
  return true;
}

// Members in the order in which the process would lose them: nothing of it acts any more.
void HostNode::End(bool cut_power) {
  ++life_;
  inside_->End();
  links_.forget(id());
  host_.reset();
  for (SimContext& context : contexts_) context.Kill();
  inside_.reset();
  store_.reset();
  wire_.reset();
  paused_until_ = absl::ZeroDuration();
  if (cut_power) disk_.CutPower(luck_);
}

void HostNode::Crash() {
  shared_.trace.Note("crashes", {id().value(), disk_.unsynced(), dying()});
  ++crashes_;
  End(/*cut_power=*/true);
  // The state of a moment that a later witness has overtaken.
  if (!old_image_ && luck_.OneIn(3)) old_image_ = disk_.durable();
}

void HostNode::LoseDisk() {
  HOLDFAST_CHECK(!running()) << "node " << id() << " runs";
  if (lost_image_ || !old_image_ || !disk_.witness() ||
      old_image_->write_number >= *disk_.witness())
    return;
  shared_.trace.Note("loses writes", {id().value()});
  lost_image_ = disk_.durable();
  disk_.LoseSynced(*old_image_);
}

void HostNode::LoseDiskAndWitness() {
  const bool before = lost_image_.has_value();
  LoseDisk();
  if (before || !lost_image_ || !disk_.PutWitness(old_image_->write_number).ok()) return;
  forgetful_ = true;
}

void HostNode::Wipe() {
  if (running()) Crash();
  shared_.trace.Note("is wiped", {id().value()});
  if (!lost_image_) lost_image_ = disk_.durable();
  lost_ = true;
}

void HostNode::GoBackTo(const raft::SimImage& image) {
  HOLDFAST_CHECK(!running()) << "node " << id() << " runs";
  const std::optional<uint64_t> witness = disk_.witness();
  const bool loses = witness && image.write_number < disk_.durable().write_number;
  if (lost_image_ || !loses) return;
  shared_.trace.Note("goes back", {id().value(), image.write_number});
  lost_image_ = disk_.durable();
  disk_.LoseSynced(image);
  forgetful_ = *witness <= image.write_number || disk_.PutWitness(image.write_number).ok();
}

bool HostNode::DamageBody(Random& luck) {
  std::vector<std::pair<uint64_t, raft::BodyKey>> bodies;
  for (const auto& [group, image] : disk_.durable().groups) {
    for (const auto& [place, body] : image.bodies) bodies.push_back(place);
  }
  if (bodies.empty()) return false;
  const auto& [incarnation, key] = bodies[luck.Below(bodies.size())];
  shared_.trace.Note("flips a body", {id().value(), key.group.value(), key.index});
  flipped_ = true;
  return disk_.DamageBody(incarnation, key).ok();
}

void HostNode::DamageStore(GroupId group) {
  shared_.trace.Note("flips its log", {id().value(), group.value()});
  store_damaged_ = true;
  disk_.DamageGroup(group);
}

void HostNode::SpoilSyncs() {
  shared_.trace.Note("can't sync", {id().value()});
  syncs_spoiled_ = true;
  disk_.FailSyncs(/*for_good=*/true);
}

void HostNode::EndDoomed() {
  if (lost_ || retired_) return;
  if (syncs_spoiled_) return GiveUp();
  if (running()) Crash();
  Start();
}

void HostNode::GiveUp() {
  shared_.trace.Note("gives up", {id().value()});
  lost_ = true;
  if (running()) End(/*cut_power=*/true);
}

// What others would rely on.
void HostNode::CheckForgetful(const raft::Message& message) {
  const bool promises = (message.type == raft::MessageType::kAppendResponse ||
                         message.type == raft::MessageType::kVoteResponse ||
                         message.type == raft::MessageType::kHeartbeatResponse) &&
                        !message.reject;
  if (!promises) return;
  shared_.checker.Fail(format("node {}, whose store has forgotten, promises something (message {})",
                              id().value(), static_cast<int>(message.type)));
}

void HostNode::StopInOrder() {
  if (!running() || stopping_) return;
  shared_.trace.Note("stops", {id().value()});
  stopping_ = true;
  host_->Stop();
}

void HostNode::Retire() {
  shared_.trace.Note("retires", {id().value()});
  retired_ = true;
  if (running()) StopInOrder();
}

void HostNode::FinishStop() {
  const absl::Status closed = store_->Close();
  shared_.trace.Note("stopped", {id().value(), closed.ok()});
  End(/*cut_power=*/true);
}

void HostNode::PauseUntil(absl::Duration time) {
  shared_.trace.Note("pauses", {id().value()});
  paused_until_ = time;
}

void HostNode::Wake(Lane lane) {
  const absl::Duration most = lane == kRaft      ? pace_.raft_max
                              : lane == kStorage ? pace_.disk_max
                              : lane == kApply   ? pace_.apply_max
                                                 : pace_.io_max;
  const absl::Duration takes = most * (static_cast<double>(luck_.Below(1000)) / 1000.0);
  shared_.loop.After(takes, [this, lane, life = life_] { Turn(lane, life); });
}

void HostNode::Turn(Lane lane, uint64_t life) {
  if (life != life_ || !running()) return;
  if (paused_until_ > shared_.loop.now()) {
    return shared_.loop.At(paused_until_, [this, lane, life] { Turn(lane, life); });
  }
  contexts_[lane].RunOne();
  if (lane == kApply) inside_->AfterApply();
  AfterCall();
  if (life != life_) return;
  if (stopping_ && host_->stopped()) return FinishStop();
  contexts_[lane].Rest();
}

void HostNode::Tick(uint64_t life) {
  if (life != life_ || !running()) return;
  if (paused_until_ <= shared_.loop.now()) {
    host_->Tick();
    inside_->Tick();
  }
  shared_.loop.After(clock_.LoopTime(options_.tick), [this, life] { Tick(life); });
}

void HostNode::AfterCall() {
  if (!running()) return;
  if (dying()) return Crash();
  Look();
}

void HostNode::Look() {
  if (forgetful_) return;
  for (const raft::GroupStatus& status : host_->Statuses()) {
    shared_.checker.OnStatus(id(), status);
  }
}

}  // namespace holdfast::raft_test
