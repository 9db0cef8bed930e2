#include "tests/sim/mail_node.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "node/peers/peer_book.h"
#include "node/peers/peer_calls.h"
#include "node/peers/peers.h"
#include "node/queue_service.h"
#include "node/replay/find_replay.h"
#include "proto/command.pb.h"
#include "queue/state/command_codec.h"
#include "smtp/stream/timer.h"

namespace holdfast::raft_test {

using node::GroupDuties;

// Tells the checker what a machine was given and answered.
class MailNode::Watched final : public raft::StateMachine {
 public:
  Watched(HostNode& node, MailNode& inside, MailChecker& checker, GroupId group,
          raft::StateMachine& machine)
      : node_(node), inside_(inside), checker_(checker), group_(group), machine_(machine) {}

  absl::Status Apply(const raft::CommittedEntry& entry, raft::StateBatch& batch) override {
    absl::Status verdict = machine_.Apply(entry, batch);
    if (inside_.meets_foreign_) return verdict;  // It will not be written.
    node_.shared().trace.Note(
        "applies", {node_.id().value(), group_.value(), entry.index, entry.command.size(),
                    static_cast<uint64_t>(verdict.code())});
    if (group_ == kControlGroup) {
      if (verdict.ok()) NoteLevel(entry);
    } else {
      checker_.OnApplied(node_.id(), group_, entry, verdict);
      CheckBuild(entry.index);
    }
    return verdict;
  }
  void OnCommitted(raft::LogIndex last) override { machine_.OnCommitted(last); }
  void OnLeaderChange(bool leader, raft::Term term) override {
    node_.shared().trace.Note(leader ? "leads" : "led", {node_.id().value(), group_.value(), term});
    if (leader && !node_.dying()) checker_.OnLeading(node_.id(), group_, term);
    machine_.OnLeaderChange(leader, term);
  }
  absl::Status LiveBodies(const raft::StateReader& rows, const BodyVisitor& visit) const override {
    return machine_.LiveBodies(rows, visit);
  }
  void OnSnapshotInstalled(raft::LogIndex last) override {
    node_.shared().trace.Note("installed", {node_.id().value(), group_.value(), last});
    machine_.OnSnapshotInstalled(last);
    if (group_ != kControlGroup && !inside_.meets_foreign_) CheckBuild(last);
  }

 private:
  void NoteLevel(const raft::CommittedEntry& entry) {
    command::Command command;
    const bool parsed =
        command.ParseFromArray(entry.command.data(), static_cast<int>(entry.command.size()));
    if (parsed && command.has_raise_feature_level()) {
      checker_.OnLevel(command.raise_feature_level().level());
    }
  }
  void CheckBuild(raft::LogIndex index) {
    const uint32_t version = checker_.VersionAt(group_, index);
    if (inside_.level().build().Has(version)) return;
    node_.shared().checker.Fail(
        format("node {}, whose build speaks up to {}, applies entry {} of group {}, which is at {}",
               node_.id().value(), inside_.level().build().max, index, group_.value(), version));
  }

  HostNode& node_;
  MailNode& inside_;
  MailChecker& checker_;
  const GroupId group_;
  raft::StateMachine& machine_;
};

// Tells the checker when a dot is allowed.
class MailNode::WatchedFence final : public node::IntentRecorder {
 public:
  WatchedFence(HostNode& node, const MailNode& inside, const MailCluster& cluster,
               node::IntentRecorder& fence)
      : node_(node), inside_(inside), cluster_(cluster), fence_(fence) {}

  void RecordIntent(const node::AttemptTask& task,
                    std::function<void(absl::Status)> done) override {
    cluster_.on_intent(node_, task.group);
    if (inside_.policy_version() == 0) {
      node_.shared().checker.Fail(format("node {} attempts mail of group {} without a policy",
                                         node_.id().value(), task.group.value()));
    }
    fence_.RecordIntent(task, Watch(task, std::move(done)));
  }
  void ConfirmLeadership(const node::AttemptTask& task,
                         std::function<void(absl::Status)> done) override {
    fence_.ConfirmLeadership(task, Watch(task, std::move(done)));
  }

 private:
  std::function<void(absl::Status)> Watch(const node::AttemptTask& task,
                                          std::function<void(absl::Status)> done) {
    return [this, life = node_.life(), group = task.group,
            done = std::move(done)](const absl::Status& status) {
      if (status.ok() && node_.life() == life && !node_.dying()) {
        const std::optional<raft::GroupStatus> now = node_.host().Status(group);
        cluster_.checker.OnFenceOpens(node_.id(), group,
                                      now && now->leading ? now->term : raft::Term{});
      }
      done(status);
    };
  }

  HostNode& node_;
  const MailNode& inside_;
  const MailCluster& cluster_;
  node::IntentRecorder& fence_;
};

// Beats go through the simulated network, as PeerRoom sends them.
class MailNode::SimPeers final : public node::Peers {
 public:
  SimPeers(HostNode& node, const std::vector<NodeId>& peers)
      : node_(node), book_(node.id(), FilePeers(node.id(), peers)) {}

  void Open(node::PeerGate& gate, std::function<peer_call::Beat()> make_beat) {
    make_beat_ = std::move(make_beat);
    gate.Serve(peer_call::Request::kBeat,
               [this, &gate](NodeId peer, peer_call::Request request, auto reply) {
                 if (gate.listener() != nullptr) gate.listener()->OnBeat(peer, request.beat());
                 (void)book_.OnTold(peer, request.beat().address());
                 beats_.Put(peer, std::move(*request.mutable_beat()), node_.clock().SinceBoot());
                 reply(peer_call::Answer());
               });
  }
  void BeatSoon() { next_beat_ = -absl::InfiniteDuration(); }
  bool alone() const override { return false; }
  void SetNodes(const std::vector<node::PeerChange>& changes) override { book_.SetNodes(changes); }
  std::vector<NodeId> nodes() const override {
    std::vector<NodeId> all = peers();
    all.insert(std::lower_bound(all.begin(), all.end(), node_.id()), node_.id());
    return all;
  }
  std::vector<NodeId> peers() const {
    std::vector<NodeId> all;
    for (const auto& [peer, address] : book_.peers()) all.push_back(peer);
    return all;
  }
  const node::PeerBook& book() const { return book_; }
  const node::BeatTable& beats() const override { return beats_; }
  void Tick() override {
    if (node_.clock().SinceBoot() < next_beat_) return;
    next_beat_ = node_.clock().SinceBoot() + absl::Seconds(1);
    peer_call::Request question;
    *question.mutable_beat() = make_beat_();
    const std::string request = node::EncodeRequest(std::move(question));
    for (const NodeId peer : peers()) {
      node_.wire().Call(peer, request, absl::Seconds(3), [](const absl::StatusOr<std::string>&) {});
    }
  }

 private:
  static node::PeerBook::Addresses FilePeers(NodeId self, const std::vector<NodeId>& peers) {
    node::PeerBook::Addresses addresses;
    for (const NodeId peer : peers) {
      if (peer != self) addresses[peer] = format("node{}.test:7026", peer.value());
    }
    return addresses;
  }

  HostNode& node_;
  node::PeerBook book_;
  std::function<peer_call::Beat()> make_beat_;
  node::BeatTable beats_;
  absl::Duration next_beat_ = -absl::InfiniteDuration();
};

MailNode::MailNode(HostNode& node, const MailCluster& cluster, const std::vector<NodeId>& peers,
                   uint64_t seed)
    : node_(node),
      cluster_(cluster),
      boot_id_(seed),
      hostname_(format("node{}.test", node.id().value())),
      leaders_(cluster.queue_groups),
      health_(leaders_, 0),
      admission_(health_, hostname_),
      level_(cluster.speaks(node.id()), [this](const absl::Status&) { OnForeignLevel(); }),
      gate_(cluster.timing, level_, node.clock()),
      attempts_gate_(cluster.attempts.connections_max, cluster.attempts.memory_bytes_max) {
  Random luck(seed);
  // A crash here is a loss of power, which notes need not survive.
  const std::string notes = format("{}/{}.notes", cluster.notes_directory, node.id().value());
  auto opened =
      node::AttemptNotes::Open(notes, {.units_max = 2 * cluster.attempts.connections_max});
  HOLDFAST_CHECK(opened.ok()) << opened.status();
  notes_ = *std::move(opened);
  unlink(notes.c_str());
  router_ = std::make_unique<node::ProposeRouter>(
      RouterParts(), node::ProposeRouterOptions{.timeout = cluster.timing.commit_timeout});
  peers_ = std::make_unique<SimPeers>(node, peers);
  MakeReplays();
  submit_ = std::make_unique<node::SubmitPath>(
      node::SubmitPath::Parts{[this](GroupId group, raft::Proposal proposal,
                                     raft::ProposeCallback done, absl::Duration until) {
                                if (ended_) return;
                                router_->Propose(group, std::move(proposal), std::move(done),
                                                 until);
                              },
                              leaders_, policy_, node.clock(), metrics_, health_, replays_.get(),
                              cluster.timing.commit_timeout, cluster.mutation},
      node.id(), cluster.submission_memory_bytes, luck.Next());

  const RemoteClient client{node.id(), boot_id_,
                            [&node, life = node.life()] { return node.life() == life; },
                            [this] { WakeIo(); }};
  connector_ = cluster.remotes.MakeConnector(client);
  node::AttemptEdges edges;
  edges.lanes.push_back({io_.get_executor(), cluster.remotes.MakeResolver()});
  edges.connector = connector_.get();
  edges.tls_opportunistic = cluster.tls;
  edges.seed = luck.Next();
  node::AttemptRunnerOptions runner;
  runner.hostname = hostname_;
  runner.attempts = cluster.attempts;
  fence_ = std::make_unique<WatchedFence>(node, *this, cluster, intents_);
  runner_ = std::make_unique<node::AttemptRunner>(runner, std::move(edges), node.store(), *fence_,
                                                  node.clock());
  control_ = std::make_unique<node::ControlMachine>(
      node.store().Reader(kControlGroup), policy_, admission_, level_,
      [this](std::vector<node::NodeRow> nodes, uint64_t version) {
        cluster_duties_->SetNodes(std::move(nodes), version);
      });
  MakeShares();
  MakeDuties(luck);
  // It is never ticked: what it measures are threads and disks of a real machine.
  load_ = std::make_unique<node::LoadWatch>(
      node::LoadWatch::Parts{node.clock(),
                             [&node] { return node.store().Counters(); },
                             health_,
                             registry_,
                             {},
                             [] { return 0.0; },
                             [] { return false; },
                             node.apply_context(),
                             [](const std::string&) {}},
      node::LoadWatch::Options{node.id(), cluster.timing.tick, {}, {}});
  // Of the first nodes those with an even number have no policy file, nor has who joins.
  const bool has_file = !node.voters().empty() && node.id().value() % 2 == 1;
  const std::string seed_text = has_file ? cluster.policy_text : "";
  cluster_duties_ = std::make_unique<node::ClusterDuties>(
      node::ClusterDuties::Parts{node.host(), Proposer(), *peers_, leaders_, health_, *load_,
                                 metrics_, policy_, level_, node.apply_context(), duties_,
                                 cluster.queue_groups, node.clock()},
      node::ClusterDuties::Options{node.id(), hostname_, seed_text, "policy", {}});
  intents_.Set(&duties_);
  absl::Status loaded = control_->Load();
  for (const auto& machine : machines_) {
    if (loaded.ok()) loaded = machine->Load();
  }
  HOLDFAST_CHECK(loaded.ok() || absl::IsUnimplemented(loaded)) << loaded;
  may_begin_ = loaded.ok();
  watched_[kControlGroup] =
      std::make_unique<Watched>(node, *this, cluster.checker, kControlGroup, *control_);
}

MailNode::~MailNode() = default;

// The process ends: the next thing that it would write is not written.
void MailNode::OnForeignLevel() {
  if (cluster_.mutation == node::NodeMutation::kSkipForeign) return;
  node_.shared().trace.Note("meets a foreign level", {node_.id().value(), level_.build().max});
  meets_foreign_ = true;
  node_.disk().FailAt(0, /*takes_effect=*/false);
}

std::vector<NodeId> MailNode::AllMembers() const {
  return node::AllMembers(*peers_, cluster_duties_->nodes(), node_.host().Statuses());
}

std::vector<node::SpokenLevels> MailNode::WhatMembersSpeak() const {
  return node::WhatMembersSpeak(AllMembers(), peers_->beats(), node_.id(), level_.build(),
                                node_.clock().SinceBoot());
}

void MailNode::MakeReplays() {
  for (uint32_t group = 1; group <= cluster_.queue_groups; ++group) {
    queue_rows_.push_back(node_.store().Reader(GroupId{group}));
  }
  node::ProposeRouter::Parts router = RouterParts();
  node::ReplayGuard::Parts parts{
      Proposer(),
      router.leader_of,
      [this](GroupId group, raft::ReadCallback done, raft::PointCallback confirmed) {
        if (ended_) return;
        node_.host().Read(
            group,
            [this, done = std::move(done)](const auto& point) {
              if (!ended_) node_.apply_context().Post([done, point] { done(point); });
            },
            std::move(confirmed));
      },
      [this] { return health_.MayStamp().ok(); },
      [this](GroupId group, std::string_view sha256) {
        return node::FindReplay(queue_rows_, group, sha256, node_.clock().Now());
      },
      [this](GroupId group) {
        const std::optional<raft::GroupStatus> status = node_.host().Status(group);
        return status ? status->applied : raft::LogIndex{};
      },
      [this](std::function<void()> look) {
        if (!ended_) node_.apply_context().Post(std::move(look));
      },
      router.call,
      [this] { return peers_->peers(); },
      [this] { peers_->BeatSoon(); },
      policy_,
      node_.clock()};
  node::ReplayGuardOptions options;
  options.questions.self = node_.id();
  options.questions.queue_groups = cluster_.queue_groups;
  options.questions.timeout = cluster_.timing.commit_timeout / 2;
  replays_ = std::make_unique<node::ReplayGuard>(std::move(parts), options);
  const bool forgets = cluster_.mutation == node::NodeMutation::kForgetReplays;
  const bool joined = node_.voters().empty();  // It knows nothing of what was before, either.
  if ((node_.life() > 1 || joined) && !forgets) replays_->SetRestarted();
  gate_.Listen(*replays_);
}

void MailNode::MakeShares() {
  node::ShareExchange::Options options;
  options.self = node_.id();
  options.boot_id = boot_id_;
  options.alone = false;
  options.queue_groups = cluster_.queue_groups;
  options.permits.idle_lifetime = node::OpenAfterAttempt(cluster_.attempts);
  shares_ = std::make_unique<node::ShareExchange>(
      node::ShareExchange::Parts{
          [this] { return node_.host().Statuses(); },
          [this](GroupId group) { return node_.host().Status(group); },
          [this](NodeId to, std::string request, absl::Duration timeout, auto done) {
            if (!ended_) node_.wire().Call(to, std::move(request), timeout, std::move(done));
          },
          [this](NodeId peer) -> std::optional<absl::Duration> {
            const std::optional<node::HeardBeat> beat = peers_->beats().Of(peer);
            if (!beat) return std::nullopt;
            return beat->heard;
          },
          policy_, node_.apply_context(), node_.clock(),
          [this](uint32_t group) { duties_.at(group - 1)->Wake(); }},
      options);
}

void MailNode::MakeDuties(Random& luck) {
  auto call = [this](NodeId to, std::string request, absl::Duration timeout, auto done) {
    node_.wire().Call(to, std::move(request), timeout, std::move(done));
  };
  const node::DutyParts parts{node_.host(),
                              Proposer(),
                              node::UnderWayQuestions(call),
                              node_.apply_context(),
                              node_.store(),
                              policy_,
                              level_,
                              node_.clock(),
                              metrics_,
                              *runner_,
                              attempts_gate_,
                              suspects_gate_,
                              *notes_,
                              shares_->permits(),
                              [this] { return submit_->NextQueueId(); }};
  node::DutyOptions options;
  options.hostname = hostname_;
  options.node = node_.id();
  options.boot_id = boot_id_;
  options.started = node_.clock().Now();
  options.lease = cluster_.timing.election_min * 0.8 - cluster_.timing.tick;
  options.mutation = cluster_.mutation;
  options.scheduler.attempts_max = cluster_.attempts.connections_max;
  for (uint32_t number = 1; number <= cluster_.queue_groups; ++number) {
    const GroupId group{number};
    options.scheduler.first_attempt_id = (uint64_t{number} << 40) + 1;
    options.scheduler.seed = luck.Next();
    options.seed = luck.Next();
    duties_.push_back(std::make_unique<GroupDuties>(group, parts, options));
    machines_.push_back(
        std::make_unique<node::QueueMachine>(group, *duties_.back(), leaders_, metrics_, level_));
    watched_[group] =
        std::make_unique<Watched>(node_, *this, cluster_.checker, group, *machines_.back());
  }
}

// What dies with a life may still want to propose.
MailNode::ProposeCall MailNode::Proposer() {
  return [this](GroupId group, raft::Proposal proposal, raft::ProposeCallback done) {
    if (!ended_) router_->Propose(group, std::move(proposal), std::move(done));
  };
}

node::ProposeRouter::Parts MailNode::RouterParts() {
  return {[this](GroupId group, raft::Proposal proposal, raft::ProposeCallback done) {
            if (!ended_) node_.host().Propose(group, std::move(proposal), std::move(done));
          },
          [this](GroupId group) -> node::KnownLeader {
            const std::optional<raft::GroupStatus> status = node_.host().Status(group);
            if (!status) return {};
            return {status->leader, status->leading && status->leader == node_.id()};
          },
          [this](NodeId to, std::string request, absl::Duration timeout, auto done) {
            if (!ended_) node_.wire().Call(to, std::move(request), timeout, std::move(done));
          },
          node_.clock(), node_.id()};
}

raft::StateMachine& MailNode::Machine(GroupId group) { return *watched_.at(group); }

void MailNode::Begin() {
  node::ServeQueue({node_.host(), node_.apply_context(), duties_}, gate_);
  gate_.Serve(peer_call::Request::kShares,
              [this](NodeId peer, peer_call::Request request, auto reply) {
                shares_->OnAsks(peer, std::move(*request.mutable_shares()), std::move(reply));
              });
  gate_.Serve(peer_call::Request::kDidYouSee, [this](NodeId, peer_call::Request request,
                                                     auto reply) {
    replays_->Answer(std::move(*request.mutable_did_you_see()), [reply](peer_call::DidYouSee said) {
      peer_call::Answer answer;
      *answer.mutable_did_you_see() = std::move(said);
      reply(std::move(answer));
    });
  });
  peers_->Open(gate_, [this] {
    peer_call::Beat beat = cluster_duties_->MakeBeat();
    replays_->AddToBeat(beat);
    return beat;
  });
  gate_.Open(node_.host());
}

// What configuration bounds.
void MailNode::CheckBounds() {
  const node::AttemptSettings& attempts = cluster_.attempts;
  const auto bound = [this](const char* what, uint64_t is, uint64_t most) {
    if (is <= most) return;
    node_.shared().checker.Fail(
        format("node {}: {} {}, at most {} may be", node_.id().value(), is, what, most));
  };
  bound("bytes of submissions", submit_->memory_used_bytes(), cluster_.submission_memory_bytes);
  bound("attempts under way", attempts_gate_.running(), attempts.connections_max);
  // The runner lets go of an attempt a moment after the gate.
  bound("attempts at the runner", runner_->running(), 2 * attempts.connections_max);
  bound("proposals at the router", router_->waiting(), node::ProposeRouterOptions().waiting_max);
}

void MailNode::ApplyPolicy(const std::string& text) {
  command::Command command;
  command::SetPolicy& set = *command.mutable_set_policy();
  set.set_expected_version(policy_version());
  set.set_policy_text(text);
  set.set_actor("operator");
  set.set_stamped_us(absl::ToUnixMicros(node_.clock().Now()));
  Decide(std::move(command), [](const absl::Status&) {});
}

void MailNode::Decide(command::Command command, std::function<void(const absl::Status&)> done) {
  if (absl::Status may = health_.MayStamp(); !may.ok()) return done(may);
  absl::StatusOr<std::string> bytes = queue::EncodeCommand(std::move(command));
  HOLDFAST_CHECK(bytes.ok()) << bytes.status();
  Proposer()(kControlGroup, {*std::move(bytes), {}},
             [done = std::move(done)](const raft::ProposeResult& result) { done(result.status); });
}

std::vector<NodeId> MailNode::nodes() const { return peers_->nodes(); }

bool MailNode::Knows(NodeId peer) const { return peers_->book().peers().contains(peer); }

bool MailNode::Refuses(NodeId peer) const { return peers_->book().removed().contains(peer); }

void MailNode::SetFreeBytes(uint64_t bytes) {
  health_.disk().BeginLook();
  health_.disk().EndLook(bytes, 0);
}

void MailNode::Tick() {
  CheckBounds();
  router_->Tick();
  replays_->Tick();
  cluster_duties_->Tick();
  WakeIo();
  if (std::exchange(tick_waits_, true)) return;
  node_.apply_context().Post([this] {
    tick_waits_ = false;
    shares_->Tick();
    for (const auto& duties : duties_) duties->Tick();
  });
}

void MailNode::End() { ended_ = true; }

void MailNode::OnCall(NodeId peer, std::string request, raft::CallReply reply) {
  gate_.OnCall(peer, std::move(request), std::move(reply));
}

void MailNode::WakeIo() {
  if (ended_ || std::exchange(io_waits_, true)) return;
  node_.io_context().Post([this] {
    io_waits_ = false;
    io_.restart();
    if (cluster_.timers != nullptr) smtp::TimerClock::Simulate(&node_.clock());
    io_.poll();
    if (cluster_.timers != nullptr) smtp::TimerClock::Simulate(cluster_.timers);
  });
}

namespace {

boost::asio::awaitable<absl::StatusOr<std::string>> Carry(
    std::unique_ptr<smtp::Submission> submission,
    std::vector<std::shared_ptr<const std::string>> pieces, smtp::FinalFacts facts) {
  for (const auto& piece : pieces) {
    absl::Status written = co_await submission->Write(piece);
    if (!written.ok()) co_return written;
  }
  co_return co_await submission->Commit(std::move(facts));
}

}  // namespace

void MailNode::Submit(std::shared_ptr<const smtp::Envelope> envelope,
                      std::vector<std::shared_ptr<const std::string>> pieces,
                      smtp::FinalFacts facts,
                      std::function<void(absl::StatusOr<std::string>)> done) {
  auto submission = submit_->Begin(std::move(envelope));
  if (!submission.ok()) return done(submission.status());
  auto finish = [done = std::move(done)](std::exception_ptr error, absl::StatusOr<std::string> id) {
    HOLDFAST_CHECK(error == nullptr) << "a submission threw an exception";
    done(std::move(id));
  };
  boost::asio::co_spawn(io_, Carry(*std::move(submission), std::move(pieces), std::move(facts)),
                        std::move(finish));
  WakeIo();
}

void MailNode::HandOver(GroupId group, NodeId target) {
  GroupDuties* const duties = duties_.at(group.value() - 1).get();
  node_.apply_context().Post([duties, target] { duties->HandOver(target); });
}

std::string MailNode::Shares() {
  std::string all;
  for (const node::ShareExchange::View& view : shares_->Views(16)) {
    all += format("\n  node {}, {}: {} attempts, {} open of {:.0f}, {:.0f} wanted",
                  node_.id().value(), view.destination, view.running, view.demand.open,
                  view.allowed.connections, view.demand.wanted.connections);
  }
  return all;
}

std::string MailNode::Leftovers() const {
  std::string all;
  if (submit_->memory_used_bytes() > 0) {
    all += format(" {} bytes of submissions,", submit_->memory_used_bytes());
  }
  if (attempts_gate_.running() + attempts_gate_.waiting() + runner_->running() > 0) {
    all += format(" {} attempts at the gate and {} beyond it,", attempts_gate_.waiting(),
                  runner_->running());
  }
  if (router_->waiting() > 0) all += format(" {} proposals at the router,", router_->waiting());
  for (const auto& duties : duties_) {
    if (!duties->idle()) all += " duties that are not idle,";
  }
  return all.empty() ? "" : format("\n  node {}:{}", node_.id().value(), all);
}

}  // namespace holdfast::raft_test
