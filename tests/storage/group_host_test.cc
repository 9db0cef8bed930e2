// GroupHost over a real store: on threads as in production, and by hand as one of three voters.
#include "raft/host/group_host.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <optional>

#include "base/context.h"
#include "base/mutex.h"
#include "raft/host/ticker.h"
#include "tests/storage/fault_file_system.h"
#include "tests/storage/rocksdb_world.h"

namespace holdfast::raft {
namespace {

constexpr NodeId kSelf{7};
constexpr GroupId kGroup{1};

// A row for each command, named by it; the same command again is refused. The command "end N"
// deletes the first body of entry N in the same term.
class TestMachine final : public StateMachine {
 public:
  explicit TestMachine(GroupId group) : group_(group) {}

  absl::Status Apply(const CommittedEntry& entry, StateBatch& batch) override {
    MutexLock lock(mutex_);
    const std::string command(entry.command);
    EXPECT_GT(entry.index, applied_.empty() ? LogIndex{0} : applied_.back());
    applied_.push_back(entry.index);
    batch.Put("last", command);
    if (command.rfind("end ", 0) == 0) {
      batch.DeleteBody(BodyKey{group_, std::stoull(command.substr(4)), entry.term, 0});
    }
    auto known = batch.Get("command " + command);
    EXPECT_TRUE(known.ok());
    if (known->has_value()) return absl::AlreadyExistsError("known");
    batch.Put("command " + command, std::to_string(entry.index));
    for (const BodyRef& body : entry.bodies) EXPECT_EQ(body.key.index, entry.index);
    return absl::OkStatus();
  }
  void OnCommitted(LogIndex last) override {
    MutexLock lock(mutex_);
    committed_ = last;
  }
  void OnLeaderChange(bool leader, Term term) override {
    MutexLock lock(mutex_);
    leaderships_.push_back(holdfast::format("{} {}", leader ? "leads" : "led", term));
    changed_.NotifyAll();
  }
  absl::Status LiveBodies(const StateReader&, const BodyVisitor&) const override {
    return absl::OkStatus();  // Nobody here is sent a snapshot; see tests/raft_host.
  }
  void OnSnapshotInstalled(LogIndex) override { ADD_FAILURE() << "a snapshot from nowhere"; }

  std::vector<std::string> leaderships() const {
    MutexLock lock(mutex_);
    return leaderships_;
  }
  LogIndex committed() const {
    MutexLock lock(mutex_);
    return committed_;
  }
  bool WaitForLeadership() {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    MutexLock lock(mutex_);
    while (leaderships_.empty() || leaderships_.back().rfind("leads", 0) != 0) {
      if (std::chrono::steady_clock::now() > end) return false;
      changed_.WaitFor(mutex_, std::chrono::milliseconds(50));
    }
    return true;
  }

 private:
  const GroupId group_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::vector<LogIndex> applied_ ABSL_GUARDED_BY(mutex_);
  LogIndex committed_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::string> leaderships_ ABSL_GUARDED_BY(mutex_);
};

class RecordingTransport final : public Transport {
 public:
  void Send(NodeId, GroupId, Message message) override { sent.push_back(std::move(message)); }
  void Fetch(NodeId, std::string, std::shared_ptr<FetchSink> sink) override {
    sink->OnDone(absl::UnavailableError("nobody to fetch from"));
  }
  void Call(NodeId, std::string, absl::Duration, CallReply done) override {
    done(absl::UnavailableError("nobody to call"));
  }
  std::vector<Message> sent;
};

Proposal MakeProposal(std::string command, std::vector<std::string> bodies = {}) {
  Proposal proposal;
  proposal.command = std::move(command);
  for (std::string& body : bodies) {
    proposal.bodies.push_back(std::make_shared<const std::string>(std::move(body)));
  }
  return proposal;
}

// Answers of many proposals, by name.
class Answers {
 public:
  ProposeCallback For(const std::string& name) {
    return [this, name](const ProposeResult& result) {
      MutexLock lock(mutex_);
      EXPECT_EQ(results_.count(name), 0u) << name << " was answered twice";
      results_[name] = result;
      changed_.NotifyAll();
    };
  }
  bool WaitFor(size_t count) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    MutexLock lock(mutex_);
    while (results_.size() < count) {
      if (std::chrono::steady_clock::now() > end) return false;
      changed_.WaitFor(mutex_, std::chrono::milliseconds(50));
    }
    return true;
  }
  size_t size() const {
    MutexLock lock(mutex_);
    return results_.size();
  }
  ProposeResult Of(const std::string& name) const {
    MutexLock lock(mutex_);
    auto it = results_.find(name);
    return it == results_.end() ? ProposeResult{absl::UnknownError("not answered"), 0, 0}
                                : it->second;
  }
  std::string CodeOf(const std::string& name) const {
    return absl::StatusCodeToString(Of(name).status.code());
  }

 private:
  mutable Mutex mutex_;
  CondVar changed_;
  std::map<std::string, ProposeResult> results_ ABSL_GUARDED_BY(mutex_);
};

std::vector<GroupSeed> Seeds(const std::vector<NodeId>& voters, uint32_t queue_groups) {
  std::vector<GroupSeed> seeds = SeedsOfCluster({kSelf}, queue_groups);
  for (GroupSeed& seed : seeds) seed.conf_state.voters = voters;
  return seeds;
}

// One node on real threads.
class ThreadedNode {
 public:
  explicit ThreadedNode(RocksDbWorld& world, GroupHostOptions options = {}) {
    auto store = world.Open();
    if (absl::IsNotFound(store.status())) {
      store = world.Create({NewClusterId(), kSelf}, Seeds({kSelf}, 2));
    }
    EXPECT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    options.self = kSelf;
    host_ = std::make_unique<GroupHost>(
        options, GroupHostContexts{raft_, storage_, apply_}, *store_, transport_, clock_,
        [this](GroupId group) -> StateMachine& {
          return *(machines_[group] = std::make_unique<TestMachine>(group));
        });
    EXPECT_TRUE(host_->Start().ok());
    ticker_ = std::make_unique<Ticker>(options.tick, [this] { host_->Tick(); });
  }
  ~ThreadedNode() { Stop(); }

  void Stop() {
    ticker_->Stop();
    host_->Stop();
    raft_.Stop();
    apply_.Stop();
    storage_.Stop();
  }
  GroupHost& host() { return *host_; }
  Store& store() { return *store_; }
  TestMachine& machine(GroupId group) { return *machines_.at(group); }
  std::string Row(const std::string& key) {
    auto value = store_->Reader(kGroup)->Get(key);
    return value.ok() ? value->value_or("") : value.status().ToString();
  }

 private:
  SystemClock clock_;
  std::unique_ptr<Store> store_;
  std::map<GroupId, std::unique_ptr<TestMachine>> machines_;
  NullTransport transport_;
  ThreadContext raft_{"raft", 1024};
  ThreadContext storage_{"storage", 1024};
  ThreadContext apply_{"apply", 1024};
  std::unique_ptr<GroupHost> host_;
  std::unique_ptr<Ticker> ticker_;
};

TEST(GroupHostTest, AProposalIsStoredAppliedAndAnswered) {
  RocksDbWorld world;
  ThreadedNode node(world);
  ASSERT_TRUE(node.machine(kGroup).WaitForLeadership());
  Answers answers;
  node.host().Propose(kGroup, MakeProposal("hello", {"body one", std::string(600'000, 'x')}),
                      answers.For("hello"));
  ASSERT_TRUE(answers.WaitFor(1));
  const ProposeResult result = answers.Of("hello");
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(node.Row("command hello"), std::to_string(result.index));
  EXPECT_EQ(**node.store().ReadBody(BodyKey{kGroup, result.index, result.term, 0}), "body one");
  EXPECT_EQ((*node.store().ReadBody(BodyKey{kGroup, result.index, result.term, 1}))->size(),
            600'000u);
  EXPECT_GE(node.machine(kGroup).committed(), result.index);
  const GroupStatus status = *node.host().Status(kGroup);
  EXPECT_EQ(status.role, Role::kLeader);
  EXPECT_TRUE(status.leading);
  EXPECT_EQ(status.leader, kSelf);
  EXPECT_EQ(node.host().Statuses().size(), 3u);
}

TEST(GroupHostTest, TheMachinesRefusalIsTheAnswer) {
  RocksDbWorld world;
  ThreadedNode node(world);
  ASSERT_TRUE(node.machine(kGroup).WaitForLeadership());
  Answers answers;
  node.host().Propose(kGroup, MakeProposal("same"), answers.For("first"));
  node.host().Propose(kGroup, MakeProposal("same"), answers.For("second"));
  ASSERT_TRUE(answers.WaitFor(2));
  EXPECT_EQ(answers.CodeOf("first"), "OK");
  EXPECT_EQ(answers.CodeOf("second"), "ALREADY_EXISTS");
  EXPECT_GT(answers.Of("second").index, answers.Of("first").index);
}

TEST(GroupHostTest, ProposalsOfAllGroupsShareSyncs) {
  RocksDbWorld world;
  ThreadedNode node(world);
  for (uint32_t group = 0; group <= 2; ++group) {
    ASSERT_TRUE(node.machine(GroupId(group)).WaitForLeadership());
  }
  const uint64_t syncs = node.store().Counters().syncs;
  Answers answers;
  constexpr int kCount = 3000;
  for (int i = 0; i < kCount; ++i) {
    const std::string name = std::to_string(i);
    node.host().Propose(GroupId(i % 3), MakeProposal(name, {"body " + name}), answers.For(name));
  }
  ASSERT_TRUE(answers.WaitFor(kCount));
  for (int i = 0; i < kCount; ++i) {
    ASSERT_TRUE(answers.Of(std::to_string(i)).status.ok()) << answers.Of(std::to_string(i)).status;
  }
  EXPECT_LT(node.store().Counters().syncs - syncs, kCount / 10);
}

TEST(GroupHostTest, AcknowledgedProposalsSurviveAPowerCutWithoutAStop) {
  RocksDbWorld world;
  std::map<std::string, ProposeResult> acknowledged;
  {
    // The disk dies under the node, then the node.
    ThreadedNode node(world, [] {
      GroupHostOptions options;
      options.stop_timeout = absl::Milliseconds(100);
      options.commit_timeout = absl::Milliseconds(500);
      return options;
    }());
    ASSERT_TRUE(node.machine(kGroup).WaitForLeadership());
    world.files().CrashAt(world.files().operations() + 40);
    Answers answers;
    int count = 0;
    while (world.fatal_errors().empty() && count < 10'000) {
      const std::string name = std::to_string(count++);
      node.host().Propose(kGroup, MakeProposal(name, {"body " + name}), answers.For(name));
      if (count % 10 == 0) {
        ASSERT_TRUE(answers.WaitFor(count));
      }
    }
    node.host().Propose(kGroup, MakeProposal("after"), answers.For("after"));
    ASSERT_TRUE(answers.WaitFor(count + 1));
    EXPECT_EQ(answers.CodeOf("after"), "DEADLINE_EXCEEDED");
    ASSERT_EQ(world.fatal_errors().size(), 1u);
    for (int i = 0; i < count; ++i) {
      const ProposeResult result = answers.Of(std::to_string(i));
      if (result.status.ok()) acknowledged[std::to_string(i)] = result;
    }
    EXPECT_FALSE(acknowledged.empty());
  }
  world.files().Heal();
  world.CutPower();
  ThreadedNode node(world);
  ASSERT_TRUE(node.machine(kGroup).WaitForLeadership());
  for (const auto& [name, result] : acknowledged) {
    EXPECT_EQ(node.Row("command " + name), std::to_string(result.index)) << name;
    auto body = node.store().ReadBody(BodyKey{kGroup, result.index, result.term, 0});
    ASSERT_TRUE(body.ok()) << body.status();
    EXPECT_EQ(**body, "body " + name);
  }
}

TEST(GroupHostTest, AStoppedNodeLosesNothingAndGoesOnInAHigherTerm) {
  RocksDbWorld world;
  Term term = 0;
  for (int round = 0; round < 3; ++round) {
    {
      ThreadedNode node(world);
      ASSERT_TRUE(node.machine(kGroup).WaitForLeadership());
      Answers answers;
      for (int i = 0; i < 50; ++i) {
        const std::string name = holdfast::format("{}-{}", round, i);
        node.host().Propose(kGroup, MakeProposal(name, {"b"}), answers.For(name));
      }
      node.Stop();
      // Accepted before the stop: decided by it.
      ASSERT_EQ(answers.size(), 50u);
      for (int i = 0; i < 50; ++i) {
        const ProposeResult result = answers.Of(holdfast::format("{}-{}", round, i));
        ASSERT_TRUE(result.status.ok()) << result.status;
        EXPECT_GT(result.term, term);
      }
      term = answers.Of(holdfast::format("{}-0", round)).term;
      EXPECT_EQ(node.machine(kGroup).leaderships().size(), 2u);
      node.host().Propose(kGroup, MakeProposal("late"), answers.For("late"));
      EXPECT_EQ(answers.CodeOf("late"), "UNAVAILABLE");
    }
    world.CutPower();
  }
  ThreadedNode node(world);
  ASSERT_TRUE(node.machine(kGroup).WaitForLeadership());
  for (int round = 0; round < 3; ++round) {
    EXPECT_NE(node.Row(holdfast::format("command {}-49", round)), "");
  }
}

TEST(GroupHostTest, BoundsAreRefusedAndGivenBack) {
  RocksDbWorld world;
  GroupHostOptions options;
  options.group_undecided_bytes_max = 1000;
  options.entry_bytes_max = 2000;
  options.command_bytes_max = 100;
  ThreadedNode node(world, options);
  ASSERT_TRUE(node.machine(kGroup).WaitForLeadership());
  Answers answers;
  GroupHost& host = node.host();
  host.Propose(kGroup, MakeProposal(""), answers.For("empty"));
  host.Propose(kGroup, MakeProposal(std::string(101, 'c')), answers.For("long"));
  host.Propose(kGroup, MakeProposal("big", {std::string(2000, 'b')}), answers.For("big"));
  host.Propose(kGroup, MakeProposal("full", {std::string(1000, 'b')}), answers.For("full"));
  host.Propose(GroupId(99), MakeProposal("nowhere"), answers.For("nowhere"));
  ASSERT_TRUE(answers.WaitFor(5));
  EXPECT_EQ(answers.CodeOf("empty"), "INVALID_ARGUMENT");
  EXPECT_EQ(answers.CodeOf("long"), "INVALID_ARGUMENT");
  EXPECT_EQ(answers.CodeOf("big"), "INVALID_ARGUMENT");
  EXPECT_EQ(answers.CodeOf("full"), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(answers.CodeOf("nowhere"), "UNAVAILABLE");
  // Room comes back with every answer.
  for (int i = 0; i < 20; ++i) {
    const std::string name = "fits " + std::to_string(i);
    host.Propose(kGroup, MakeProposal(name, {std::string(900, 'b')}), answers.For(name));
    ASSERT_TRUE(answers.WaitFor(6 + i));
    EXPECT_EQ(answers.CodeOf(name), "OK");
  }
}

TEST(GroupHostTest, HeadersAreTruncatedAndLiveBodiesStay) {
  RocksDbWorld world;
  GroupHostOptions options;
  options.log_entries_kept = 20;
  LogIndex first_index = 0;
  Term first_term = 0;
  {
    ThreadedNode node(world, options);
    ASSERT_TRUE(node.machine(kGroup).WaitForLeadership());
    Answers answers;
    for (int i = 0; i < 100; ++i) {
      const std::string name = std::to_string(i);
      node.host().Propose(kGroup, MakeProposal(name, {"body " + name}), answers.For(name));
      ASSERT_TRUE(answers.WaitFor(i + 1));
    }
    first_index = answers.Of("0").index;
    first_term = answers.Of("0").term;
    node.host().Propose(kGroup, MakeProposal(holdfast::format("end {}", answers.Of("1").index)),
                        answers.For("end"));
    ASSERT_TRUE(answers.WaitFor(101));
    EXPECT_EQ(node.store()
                  .ReadBody(BodyKey{kGroup, answers.Of("1").index, first_term, 0})
                  .status()
                  .code(),
              absl::StatusCode::kNotFound);
    node.Stop();
    const GroupStatus status = *node.host().Status(kGroup);
    EXPECT_LE(status.last - status.first, 26u);
    EXPECT_GT(status.first, 70u);
  }
  ThreadedNode node(world, options);
  ASSERT_TRUE(node.machine(kGroup).WaitForLeadership());
  EXPECT_EQ(**node.store().ReadBody(BodyKey{kGroup, first_index, first_term, 0}), "body 0");
  EXPECT_EQ(node.Row("command 0"), std::to_string(first_index));
}

// One node of a larger group, everything on one thread and run when told.
class ManualNode {
 public:
  ManualNode(RocksDbWorld& world, const std::vector<NodeId>& voters) {
    store_ = *world.Create({NewClusterId(), kSelf}, Seeds(voters, 1));
    GroupHostOptions options;
    options.self = kSelf;
    options.seed = 1;
    host_ = std::make_unique<GroupHost>(options, GroupHostContexts{raft, storage, apply}, *store_,
                                        transport, clock, [this](GroupId group) -> StateMachine& {
                                          return group == kGroup ? machine : control_machine_;
                                        });
    EXPECT_TRUE(host_->Start().ok());
  }
  void RunAll() {
    while (raft.RunOne() || storage.RunOne() || apply.RunOne()) {
    }
  }
  void Tick() {
    clock.Advance(absl::Milliseconds(50));
    host_->Tick();
    RunAll();
  }
  // The newest message of this type that the group sent.
  std::optional<Message> Sent(MessageType type) {
    for (auto it = transport.sent.rbegin(); it != transport.sent.rend(); ++it) {
      if (it->type == type) return *it;
    }
    return std::nullopt;
  }
  void Receive(Message message) {
    message.to = kSelf;
    host_->Receive(kGroup, std::move(message));
    RunAll();
  }
  // A peer answers the newest request of `type` with `answer`.
  void Answer(MessageType type, MessageType answer, NodeId from) {
    for (int ticks = 0; ticks < 100 && !Sent(type); ++ticks) Tick();
    std::optional<Message> request = Sent(type);
    ASSERT_TRUE(request.has_value());
    Message response;
    response.type = answer;
    response.from = from;
    response.term = request->term;
    Receive(std::move(response));
  }
  GroupHost& host() { return *host_; }
  Store& store() { return *store_; }

  ManualClock clock{absl::UnixEpoch()};
  ManualContext raft, storage, apply;
  RecordingTransport transport;
  TestMachine machine{kGroup};

 private:
  TestMachine control_machine_{GroupId(0)};
  std::unique_ptr<Store> store_;
  std::unique_ptr<GroupHost> host_;
};

constexpr NodeId kPeer{8};

// Makes the node the leader of kGroup (of three voters).
void Elect(ManualNode& node) {
  node.RunAll();
  node.Answer(MessageType::kPreVote, MessageType::kPreVoteResponse, kPeer);
  node.Answer(MessageType::kVote, MessageType::kVoteResponse, kPeer);
  ASSERT_EQ(node.host().Status(kGroup)->role, Role::kLeader);
}

Message AppendResponse(Term term, LogIndex index) {
  Message message;
  message.type = MessageType::kAppendResponse;
  message.from = kPeer;
  message.term = term;
  message.index = index;
  return message;
}

TEST(GroupHostManualTest, AFollowerRefusesAndNothingHappened) {
  RocksDbWorld world;
  ManualNode node(world, {kSelf, kPeer, NodeId(9)});
  node.RunAll();
  Answers answers;
  node.host().Propose(kGroup, MakeProposal("x"), answers.For("x"));
  node.RunAll();
  EXPECT_EQ(answers.CodeOf("x"), "FAILED_PRECONDITION");
  EXPECT_EQ(answers.Of("x").index, 0u);
}

TEST(GroupHostManualTest, LeadershipIsAnnouncedOnceTheFirstEntryOfTheTermIsApplied) {
  RocksDbWorld world;
  ManualNode node(world, {kSelf, kPeer, NodeId(9)});
  Elect(node);
  EXPECT_TRUE(node.machine.leaderships().empty());
  EXPECT_FALSE(node.host().Status(kGroup)->leading);
  const Term term = node.host().Status(kGroup)->term;
  node.Receive(AppendResponse(term, 1));
  EXPECT_EQ(node.machine.leaderships(),
            std::vector<std::string>{holdfast::format("leads {}", term)});
  Message heartbeat;
  heartbeat.type = MessageType::kHeartbeat;
  heartbeat.from = kPeer;
  heartbeat.term = term + 1;
  node.Receive(std::move(heartbeat));
  EXPECT_EQ(node.machine.leaderships().back(), holdfast::format("led {}", term));
  EXPECT_EQ(node.host().Status(kGroup)->leader, kPeer);
}

TEST(GroupHostManualTest, NothingIsAcknowledgedBeforeAMajorityHasIt) {
  RocksDbWorld world;
  ManualNode node(world, {kSelf, kPeer, NodeId(9)});
  Elect(node);
  const Term term = node.host().Status(kGroup)->term;
  node.Receive(AppendResponse(term, 1));
  Answers answers;
  node.host().Propose(kGroup, MakeProposal("x", {"body"}), answers.For("x"));
  node.RunAll();
  EXPECT_EQ(answers.size(), 0u);
  std::optional<Message> append = node.Sent(MessageType::kAppend);
  ASSERT_TRUE(append.has_value());
  ASSERT_EQ(append->entries.size(), 1u);
  EXPECT_EQ(*append->entries[0].bodies[0].bytes, "body");
  node.Receive(AppendResponse(term, 2));
  EXPECT_EQ(answers.CodeOf("x"), "OK");
  EXPECT_EQ(answers.Of("x").index, 2u);
}

TEST(GroupHostManualTest, AnOverwrittenProposalIsAborted) {
  RocksDbWorld world;
  ManualNode node(world, {kSelf, kPeer, NodeId(9)});
  Elect(node);
  const Term term = node.host().Status(kGroup)->term;
  node.Receive(AppendResponse(term, 1));
  Answers answers;
  node.host().Propose(kGroup, MakeProposal("mine", {"my body"}), answers.For("mine"));
  node.RunAll();
  Message append;
  append.type = MessageType::kAppend;
  append.from = kPeer;
  append.term = term + 1;
  append.index = 1;
  append.log_term = term;
  append.entries.resize(1);
  append.entries[0].index = 2;
  append.entries[0].term = term + 1;
  append.commit = 1;
  node.Receive(append);
  // Overwritten here, but another node may still have it: nothing is known yet.
  EXPECT_EQ(answers.size(), 0u);
  EXPECT_EQ(node.store().ReadBody(BodyKey{kGroup, 2, term, 0}).status().code(),
            absl::StatusCode::kNotFound);
  append.index = 2;
  append.log_term = term + 1;
  append.entries.clear();
  append.commit = 2;
  node.Receive(append);
  EXPECT_EQ(answers.CodeOf("mine"), "ABORTED");
  EXPECT_EQ(node.host().Status(kGroup)->undecided_bytes, 0u);
}

TEST(GroupHostManualTest, SilencePastTheDeadlineIsAnUnknownOutcome) {
  RocksDbWorld world;
  ManualNode node(world, {kSelf, kPeer, NodeId(9)});
  Elect(node);
  const Term term = node.host().Status(kGroup)->term;
  Answers answers;
  node.host().Propose(kGroup, MakeProposal("x", {"body"}), answers.For("x"));
  node.RunAll();
  node.clock.Advance(absl::Milliseconds(4940));
  node.Tick();
  EXPECT_EQ(answers.size(), 0u);
  node.Tick();
  EXPECT_EQ(answers.CodeOf("x"), "DEADLINE_EXCEEDED");
  // It is decided later all the same, and its memory is held until then.
  EXPECT_GT(node.host().Status(kGroup)->undecided_bytes, 0u);
  node.Receive(AppendResponse(term, 2));
  EXPECT_EQ(node.store().Reader(kGroup)->Get("command x")->value_or(""), "2");
  EXPECT_EQ(node.host().Status(kGroup)->undecided_bytes, 0u);
}

TEST(GroupHostManualTest, StoppingAnswersWhatIsUndecidedWithUnknown) {
  RocksDbWorld world;
  ManualNode node(world, {kSelf, kPeer, NodeId(9)});
  Elect(node);
  Answers answers;
  node.host().Propose(kGroup, MakeProposal("x"), answers.For("x"));
  node.host().Stop();
  EXPECT_FALSE(node.host().stopped());
  node.RunAll();
  EXPECT_TRUE(node.host().stopped());
  EXPECT_EQ(answers.CodeOf("x"), "DEADLINE_EXCEEDED");
}

TEST(GroupHostManualTest, ALoneVoterLeadsAtOnceAndAFailedRowWriteIsAnUnknownOutcome) {
  RocksDbWorld world;
  ManualNode node(world, {kSelf});
  node.RunAll();
  EXPECT_EQ(node.machine.leaderships().size(), 1u);
  Answers answers;
  node.host().Propose(kGroup, MakeProposal("x"), answers.For("x"));
  while (node.raft.RunOne() || node.storage.RunOne()) {
  }
  world.files().FailOnce(FaultKind::kAppend, ".log");
  node.RunAll();
  EXPECT_EQ(answers.CodeOf("x"), "DEADLINE_EXCEEDED");
}

}  // namespace
}  // namespace holdfast::raft
