#include "node/node.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/post.hpp>
#include <chrono>
#include <functional>
#include <future>
#include <thread>
#include <utility>
#include <vector>

#include "base/byte_budget.h"
#include "base/check.h"
#include "base/context.h"
#include "base/log.h"
#include "base/random.h"
#include "node/admin/admin_json.h"
#include "node/admin/admin_service.h"
#include "node/admin/http_server.h"
#include "node/admin/metrics.h"
#include "node/amnesia.h"
#include "node/backend/node_backend.h"
#include "node/cluster/cluster_duties.h"
#include "node/cluster/cluster_verbs.h"
#include "node/cluster/load_watch.h"
#include "node/config/config_reader.h"
#include "node/config/process.h"
#include "node/delivery/attempt_edges.h"
#include "node/delivery/attempt_gate.h"
#include "node/delivery/attempt_notes.h"
#include "node/delivery/attempt_runner.h"
#include "node/delivery/group_duties.h"
#include "node/delivery/intent_router.h"
#include "node/free_space.h"
#include "node/groups/control_machine.h"
#include "node/groups/queue_machine.h"
#include "node/io_pool.h"
#include "node/late_sink.h"
#include "node/leader_table.h"
#include "node/node_metrics.h"
#include "node/node_options.h"
#include "node/node_replays.h"
#include "node/node_shares.h"
#include "node/node_store.h"
#include "node/peer_service.h"
#include "node/peers/peer_room.h"
#include "node/peers/propose_router.h"
#include "node/queue_service.h"
#include "node/replay/replay_guard.h"
#include "node/submit/admission.h"
#include "node/submit/session_log.h"
#include "node/submit/submit_path.h"
#include "proto/admin.pb.h"
#include "raft/host/group_host.h"
#include "raft/host/ticker.h"
#include "smtp/server/listener.h"

namespace holdfast::node {
namespace {

// Values that cross contexts; their makers are bounded (sessions, attempts, undecided proposals),
// so these are safety nets and not throttles.
constexpr size_t kContextTasksMax = 1 << 20;
constexpr absl::Duration kDiskProbeInterval = absl::Seconds(1);
constexpr absl::Duration kStartTimeout = absl::Seconds(60);
constexpr std::chrono::milliseconds kSpaceLookInterval(200);
// A stopping node waits so long for others to take over what it led.
constexpr absl::Duration kHandOverTimeout = absl::Seconds(5);
// And so long for the last confirmations to be in the groups.
constexpr absl::Duration kFlushConfirmsTimeout = absl::Seconds(2);

// What comes next is for another build; to skip it would fork the cluster.
[[noreturn]] void EndForForeignLevel(const absl::Status& foreign) {
  Log(LogLevel::kError, "foreign_level", {{"reason", Message(foreign)}});
  DieOfEnvironment(std::string(Message(foreign)).c_str());
}

}  // namespace

class Node::Impl {
 public:
  Impl(const NodeSettings& settings, const Clock& clock, LevelRange levels);
  ~Impl() { Stop(); }

  absl::Status Bind();
  absl::Status Start(const std::function<bool()>& give_up);
  void Stop();
  absl::Status ReloadCertificates() { return tls_ == nullptr ? absl::OkStatus() : tls_->Reload(); }

 private:
  absl::Status OpenStore(const std::function<bool()>& give_up);
  // Answers 452 until the data directory's disk has that free. kCancelled: `give_up`.
  absl::Status WaitForSpace(const NeededSpace& needed, const std::function<bool()>& give_up);
  // Takes connections from now on. Idempotent.
  void Listen();
  std::function<void(GroupId, raft::Proposal, raft::ProposeCallback)> Proposer();
  // A node that joined and stopped before it heard from a leader knows only the node file's peers.
  absl::Status JoinAgain(const std::function<bool()>& give_up);
  // A cluster's directory without its peers, or a lonely one's with peers.
  absl::Status CheckVoters() const;
  absl::Status StartGroups();
  void StartRouter();
  PeerCaller PeerCalls() {
    return [this](NodeId to, std::string request, absl::Duration timeout, auto done) {
      room_.Call(to, std::move(request), timeout, std::move(done));
    };
  }
  KnownLeader LeaderOf(GroupId group) const;
  void StartReplays();
  peer_call::Beat MakeBeat() const;
  // Peers would take for unconfirmed what this node knows to be confirmed.
  void FlushConfirms();
  // One for each queue group, and its state machine.
  void MakeDuties();
  void MakeLoadWatch();
  // The fullest budget that clients' mail takes memory from, 0 to 1.
  double MemoryUsed() const;
  // Alone, until all groups have their leader and the cluster its policy.
  absl::Status WaitForLeadership();
  absl::Status StartPeople();
  std::string StatusJson();
  void OnTick();
  // Before the ticker starts, and from it.
  void LookAtDisk();
  void DrainAttempts();
  // Other nodes go on with what this one led.
  void HandOverGroups();

  const NodeSettings settings_;
  const Clock& clock_;
  FeatureLevel level_;

  MetricRegistry registry_;
  NodeMetrics metrics_{registry_};
  LeaderTable leaders_{kQueueGroupsDefault};
  NodeHealth health_;
  bool disk_low_ = false;
  PolicyHolder policy_;
  Admission admission_;
  SessionLog session_log_{metrics_};
  LateSink sink_;
  // Attempts that outlive the drain give their memory back when the io contexts are destroyed.
  std::unique_ptr<AttemptGate> gate_;
  AttemptGate suspects_gate_{1, 1};
  std::unique_ptr<AttemptNotes> notes_;
  std::unique_ptr<ShareExchange> shares_;
  IoPool io_;
  std::unique_ptr<smtp::ReloadableTls> tls_;
  std::unique_ptr<smtp::Listener> listener_;

  std::unique_ptr<raft::Store> store_;
  std::string seed_policy_text_;
  absl::Status seed_status_;
  bool restarted_ = false;  // There was a store.
  std::unique_ptr<ReplayGuard> replays_;
  PeerRoom room_;
  std::unique_ptr<ThreadContext> raft_context_;
  std::unique_ptr<ThreadContext> storage_context_;
  std::unique_ptr<ThreadContext> apply_context_;
  std::unique_ptr<raft::GroupHost> host_;
  std::unique_ptr<ProposeRouter> router_;
  std::unique_ptr<SubmitPath> submit_;
  IntentRouter intents_;
  std::unique_ptr<AttemptRunner> runner_;
  std::unique_ptr<ControlMachine> control_;
  std::vector<std::unique_ptr<GroupDuties>> duties_;
  std::vector<std::unique_ptr<QueueMachine>> machines_;
  std::unique_ptr<LoadWatch> load_;
  std::unique_ptr<ClusterDuties> cluster_;
  std::unique_ptr<raft::Ticker> ticker_;
  std::unique_ptr<ClusterVerbs> verbs_;
  std::unique_ptr<NodeBackend> backend_;
  std::unique_ptr<HttpServer> http_;
  std::unique_ptr<AdminService> admin_;
  std::atomic<bool> duty_tick_waits_{false};
  absl::Duration last_disk_probe_ = -absl::Hours(1);
  bool listening_ = false;
  bool stopped_ = false;
};

Node::Impl::Impl(const NodeSettings& settings, const Clock& clock, LevelRange levels)
    : settings_(settings),
      clock_(clock),
      level_(levels, EndForForeignLevel),
      health_(leaders_, settings.storage.disk_reserve_bytes),
      admission_(health_, settings.hostname),
      io_(settings.sessions.io_threads),
      room_(settings_, level_, clock, kQueueGroupsDefault) {}

absl::Status Node::Impl::Bind() {
  if (settings_.tls) {
    tls_ = std::make_unique<smtp::ReloadableTls>(
        smtp::TlsServerOptions{settings_.tls->certificate_file, settings_.tls->key_file});
    HOLDFAST_RETURN_IF_ERROR(tls_->Reload());
  }
  smtp::SessionServices services;
  services.sink = &sink_;
  services.policy = &admission_;
  services.observer = &session_log_;
  services.clock = &clock_;
  smtp::ListenerOptions options = ListenerOptionsOf(settings_);
  options.adjust = [this](smtp::SessionLimits& limits) {
    const std::shared_ptr<const PolicySnapshot> policy = policy_.Current();
    limits.message_bytes_max = policy->settings().limits.message_bytes_max;
    limits.recipients_max = policy->settings().limits.recipients_max;
  };
  listener_ =
      std::make_unique<smtp::Listener>(io_.executors(), services, tls_.get(), std::move(options));
  return Annotate(listener_->Bind(), "listeners");
}

absl::Status Node::Impl::OpenStore(const std::function<bool()>& give_up) {
  // Read at every start: a first start that ended before its policy was replicated must not leave
  // the default one in effect. ClusterDuties proposes it only if there is none yet.
  const auto check_seed = [this]() -> absl::Status {
    if (settings_.policy_file.empty()) return absl::OkStatus();
    FileText file = ReadConfigFile(settings_.policy_file);
    for (const ConfigProblem& problem : file.problems) {
      return absl::InvalidArgumentError(problem.ToString(settings_.policy_file));
    }
    const auto policy = ReadPolicy(file.text, {.beyond_loopback = settings_.BeyondLoopback()});
    if (!policy.ok()) {
      return absl::InvalidArgumentError(policy.ProblemText(settings_.policy_file));
    }
    seed_policy_text_ = std::move(file.text);
    return absl::OkStatus();
  };
  const auto first_nodes = [&]() -> absl::StatusOr<FirstNodes> {
    HOLDFAST_RETURN_IF_ERROR(check_seed());
    const bool join = settings_.cluster && settings_.cluster->join;
    return join ? room_.Join(give_up) : room_.Form(give_up);
  };
  HOLDFAST_ASSIGN_OR_RETURN(const bool exists, NodeStoreExists(settings_, clock_));
  if (exists) HOLDFAST_RETURN_IF_ERROR(WaitForSpace(SpaceToOpen(), give_up));
  HOLDFAST_RETURN_IF_ERROR(room_.Start(exists));
  absl::StatusOr<OpenedStore> opened;
  while (true) {
    opened = OpenNodeStore(settings_, clock_, room_.cluster_id(), first_nodes);
    if (!exists || opened.status().code() != absl::StatusCode::kResourceExhausted) break;
    // It takes more than that: a large log to bring into tables.
    HOLDFAST_ASSIGN_OR_RETURN(const FreeSpace too_little, FreeSpaceOf(settings_.data_dir));
    HOLDFAST_RETURN_IF_ERROR(WaitForSpace(MoreSpaceThan(too_little), give_up));
  }
  HOLDFAST_RETURN_IF_ERROR(opened.status());
  store_ = std::move(opened->store);
  restarted_ = !opened->created || (settings_.cluster && settings_.cluster->join);
  HOLDFAST_RETURN_IF_ERROR(CheckVoters());
  if (!opened->created) HOLDFAST_RETURN_IF_ERROR(JoinAgain(give_up));
  HOLDFAST_RETURN_IF_ERROR(room_.SetFormed());
  if (!opened->created) seed_status_ = check_seed();
  LookAtDisk();
  return absl::OkStatus();
}

absl::Status Node::Impl::WaitForSpace(const NeededSpace& needed,
                                      const std::function<bool()>& give_up) {
  HOLDFAST_ASSIGN_OR_RETURN(FreeSpace free, FreeSpaceOf(settings_.data_dir));
  if (needed.MetBy(free)) return absl::OkStatus();
  Log(LogLevel::kError, "no_space",
      {{"data_dir", settings_.data_dir},
       {"free_bytes", free.bytes},
       {"needed_bytes", needed.least.bytes},
       {"free_files", free.files},
       {"needed_files", needed.least.files},
       {"advice", "make room on this file system; the node goes on by itself"}});
  health_.SetNoSpace(true);
  Listen();
  // Ready to answer, if only with 452: the service manager must not end it.
  (void)NotifySystemd("READY=1\nSTATUS=waiting for free disk space");
  while (!needed.MetBy(free)) {
    if (give_up()) return absl::CancelledError("stopped while it waited for disk space");
    std::this_thread::sleep_for(kSpaceLookInterval);
    HOLDFAST_ASSIGN_OR_RETURN(free, FreeSpaceOf(settings_.data_dir));
  }
  health_.SetNoSpace(false);
  Log(LogLevel::kInfo, "space_back", {{"free_bytes", free.bytes}});
  (void)NotifySystemd("STATUS=");
  return absl::OkStatus();
}

void Node::Impl::Listen() {
  if (std::exchange(listening_, true)) return;
  io_.Start();
  listener_->Start();
}

absl::Status Node::Impl::JoinAgain(const std::function<bool()>& give_up) {
  if (!settings_.cluster || !settings_.cluster->join) return absl::OkStatus();
  HOLDFAST_ASSIGN_OR_RETURN(const raft::GroupRecord record, store_->LoadGroup(kControlGroup));
  if (record.applied != raft::LogIndex{}) return absl::OkStatus();
  return room_.Join(give_up).status();
}

absl::Status Node::Impl::CheckVoters() const {
  if (!room_.alone()) return absl::OkStatus();
  HOLDFAST_ASSIGN_OR_RETURN(const raft::GroupRecord record, store_->LoadGroup(kControlGroup));
  if (record.conf_state.voters == std::vector<NodeId>{settings_.node_id}) return absl::OkStatus();
  return MakeStatus(absl::StatusCode::kFailedPrecondition,
                    "{}: this data directory belongs to a cluster of several nodes; name its peers "
                    "in the node file (cluster {{ peers ... }})",
                    settings_.data_dir);
}

void Node::Impl::LookAtDisk() {
  health_.disk().BeginLook();
  const absl::StatusOr<uint64_t> free_bytes = store_->FreeBytes();
  if (!free_bytes.ok()) return;
  health_.disk().EndLook(*free_bytes, store_->Counters().unflushed_bytes);
  const bool low = health_.disk().Room() < kUndeclaredBytes;
  if (low == disk_low_) return;
  disk_low_ = low;
  Log(low ? LogLevel::kWarn : LogLevel::kInfo, low ? "disk_low" : "disk_ok",
      {{"free_bytes", *free_bytes}, {"reserve_bytes", health_.disk().reserve_bytes()}});
}

std::function<void(GroupId, raft::Proposal, raft::ProposeCallback)> Node::Impl::Proposer() {
  return [this](GroupId group, raft::Proposal proposal, raft::ProposeCallback done) {
    router_->Propose(group, std::move(proposal), std::move(done));
  };
}

void Node::Impl::MakeDuties() {
  shares_ = MakeShares({settings_, *host_, room_, policy_, *apply_context_, clock_, registry_,
                        duties_, kQueueGroupsDefault});
  const DutyParts parts{*host_,
                        Proposer(),
                        UnderWayQuestions(PeerCalls()),
                        *apply_context_,
                        *store_,
                        policy_,
                        level_,
                        clock_,
                        metrics_,
                        *runner_,
                        *gate_,
                        suspects_gate_,
                        *notes_,
                        shares_->permits(),
                        [this] { return submit_->NextQueueId(); }};
  DutyOptions options;
  options.hostname = settings_.hostname;
  options.node = settings_.node_id;
  options.boot_id = shares_->boot_id();
  Random random = Random::FromKernel();
  options.started = clock_.Now();
  // Content may come for as long as message_timeout, and clocks may differ.
  options.submission_max =
      std::max(settings_.sessions.session_timeout, settings_.sessions.message_timeout) +
      kClockDifferenceMax;
  options.lease = room_.alone() ? absl::InfiniteDuration()
                                : settings_.timing.election_min * 0.8 - settings_.timing.tick;
  options.scheduler.attempts_max = settings_.attempts.connections_max;
  for (uint32_t group = 1; group <= kQueueGroupsDefault; ++group) {
    options.scheduler.first_attempt_id = (uint64_t{group} << 40) + 1;
    options.scheduler.seed = random.Next();
    options.seed = random.Next();
    duties_.push_back(std::make_unique<GroupDuties>(GroupId{group}, parts, options));
    machines_.push_back(std::make_unique<QueueMachine>(GroupId{group}, *duties_.back(), leaders_,
                                                       metrics_, level_));
  }
  intents_.Set(&duties_);
}

void Node::Impl::MakeLoadWatch() {
  std::vector<LagProbe::Post> contexts;
  for (Context* context :
       {static_cast<Context*>(raft_context_.get()), static_cast<Context*>(apply_context_.get())}) {
    contexts.push_back([context](auto task) { return context->TryPost(std::move(task)); });
  }
  for (const boost::asio::any_io_executor& executor : io_.executors()) {
    contexts.push_back([executor](auto task) {
      boost::asio::post(executor, std::move(task));
      return true;
    });
  }
  load_ = std::make_unique<LoadWatch>(
      LoadWatch::Parts{clock_, [this] { return store_->Counters(); }, health_, registry_,
                       std::move(contexts), [this] { return MemoryUsed(); },
                       [this] { return gate_->crowded(); }, *apply_context_,
                       [this](std::string why) { listener_->SetTurnedAway(std::move(why)); }},
      LoadWatchOptionsOf(settings_));
}

double Node::Impl::MemoryUsed() const {
  uint64_t undecided_bytes = 0;
  for (const raft::GroupStatus& group : host_->Statuses()) undecided_bytes += group.undecided_bytes;
  const auto share = [](uint64_t used, uint64_t max) {
    return static_cast<double>(used) / static_cast<double>(std::max<uint64_t>(max, 1));
  };
  return std::max(share(submit_->memory_used_bytes(), settings_.sessions.memory_bytes_max),
                  share(undecided_bytes, HostOptionsOf(settings_).undecided_bytes_max));
}

absl::Status Node::Impl::StartGroups() {
  raft_context_ = std::make_unique<ThreadContext>("hf-raft", kContextTasksMax);
  storage_context_ = std::make_unique<ThreadContext>("hf-storage", kContextTasksMax);
  apply_context_ = std::make_unique<ThreadContext>("hf-apply", kContextTasksMax);
  host_ = std::make_unique<raft::GroupHost>(
      HostOptionsOf(settings_),
      raft::GroupHostContexts{*raft_context_, *storage_context_, *apply_context_}, *store_,
      room_.transport(), clock_, [this](GroupId group) -> raft::StateMachine& {
        if (group == kControlGroup) return *control_;
        return *machines_.at(group.value() - 1);
      });
  StartRouter();
  StartReplays();
  submit_ = std::make_unique<SubmitPath>(
      SubmitPath::Parts{std::bind_front(&ProposeRouter::Propose, router_.get()), leaders_, policy_,
                        clock_, metrics_, health_, replays_.get(), settings_.timing.commit_timeout},
      settings_.node_id, settings_.sessions.memory_bytes_max, Random::FromKernel().Next());
  sink_.Set(submit_.get());

  HOLDFAST_ASSIGN_OR_RETURN(AttemptEdges edges, NetworkEdges(io_, settings_.resolver));
  runner_ = std::make_unique<AttemptRunner>(RunnerOptionsOf(settings_), std::move(edges), *store_,
                                            intents_, clock_);
  gate_ = std::make_unique<AttemptGate>(settings_.attempts.connections_max,
                                        settings_.attempts.memory_bytes_max);
  // Twice the attempts: those of this process, and as many suspects that wait for their turn.
  HOLDFAST_ASSIGN_OR_RETURN(
      notes_,
      AttemptNotes::Open(format("{}/attempts.notes", settings_.data_dir),
                         {.units_max = 2 * settings_.attempts.connections_max,
                          .quarantine_after = settings_.attempts.quarantine_after_crashes}));

  control_ =
      std::make_unique<ControlMachine>(store_->Reader(kControlGroup), policy_, admission_, level_,
                                       [this](std::vector<NodeRow> nodes, uint64_t version) {
                                         cluster_->SetNodes(std::move(nodes), version);
                                       });
  MakeDuties();
  MakeLoadWatch();
  cluster_ = std::make_unique<ClusterDuties>(
      ClusterDuties::Parts{*host_, Proposer(), room_, leaders_, health_, *load_, metrics_, policy_,
                           level_, *apply_context_, duties_, kQueueGroupsDefault, clock_},
      ClusterDuties::Options{settings_.node_id, settings_.hostname, seed_policy_text_,
                             settings_.policy_file, SheddingOptionsOf(settings_)});
  verbs_ = std::make_unique<ClusterVerbs>(ClusterVerbs::Parts{
      *cluster_, Proposer(), room_, level_, *host_, *store_, health_, *apply_context_, duties_,
      clock_, settings_.node_id, settings_.timing.drain_deadline,
      [this](bool paused) { listener_->SetPaused(paused); },
      [this] { return listener_->sessions(); }, [this] { return runner_->running(); }});
  HOLDFAST_RETURN_IF_ERROR(control_->Load());
  for (const auto& machine : machines_) HOLDFAST_RETURN_IF_ERROR(machine->Load());
  io_.Start();
  HOLDFAST_RETURN_IF_ERROR(host_->Start());
  ServePeers({*host_, *cluster_, *verbs_, *apply_context_, duties_, *replays_, *shares_},
             room_.gate());
  room_.gate().OnAmnesia(
      [this](const absl::Status& lost) { EndForAmnesia(settings_.data_dir, lost); });
  room_.Open(*host_, [this] { return MakeBeat(); });
  health_.SetPolicyPending(true);  // Until the first tick.
  ticker_ = std::make_unique<raft::Ticker>(settings_.timing.tick, [this] { OnTick(); });
  return absl::OkStatus();
}

KnownLeader Node::Impl::LeaderOf(GroupId group) const {
  // Nobody else could lead: the host's own refusal is the answer.
  if (room_.alone()) return {settings_.node_id, true};
  const std::optional<raft::GroupStatus> status = host_->Status(group);
  if (!status) return {};
  return {status->leader, status->leading && status->leader == settings_.node_id};
}

void Node::Impl::StartReplays() {
  replays_ = MakeReplays({settings_, *host_, room_, *store_, *apply_context_, health_, policy_,
                          clock_, kQueueGroupsDefault, Proposer(),
                          [this](GroupId group) { return LeaderOf(group); }});
  if (restarted_) replays_->SetRestarted();
}

peer_call::Beat Node::Impl::MakeBeat() const {
  peer_call::Beat beat = cluster_->MakeBeat();
  replays_->AddToBeat(beat);
  return beat;
}

void Node::Impl::FlushConfirms() {
  const absl::Duration until = clock_.SinceBoot() + kFlushConfirmsTimeout;
  while (!replays_->FlushConfirms() && clock_.SinceBoot() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void Node::Impl::StartRouter() {
  ProposeRouter::Parts parts{
      [this](GroupId group, raft::Proposal proposal, raft::ProposeCallback done) {
        host_->Propose(group, std::move(proposal), std::move(done));
      },
      [this](GroupId group) { return LeaderOf(group); }, nullptr, clock_, settings_.node_id};
  if (!room_.alone()) {
    parts.call = PeerCalls();
  }
  ProposeRouterOptions options;
  options.timeout = settings_.timing.commit_timeout;
  router_ = std::make_unique<ProposeRouter>(std::move(parts), options);
}

void Node::Impl::OnTick() {
  host_->Tick();
  router_->Tick();
  replays_->Tick();
  load_->Tick();
  cluster_->Tick();
  // At most one waits: a slow apply context must not be buried under ticks.
  if (!duty_tick_waits_.exchange(true)) {
    apply_context_->Post([this] {
      duty_tick_waits_ = false;
      shares_->Tick();
      for (auto& duties : duties_) duties->Tick();
    });
  }
  const absl::Duration now = clock_.SinceBoot();
  if (now - last_disk_probe_ < kDiskProbeInterval) return;
  last_disk_probe_ = now;
  LookAtDisk();
}

absl::Status Node::Impl::WaitForLeadership() {
  if (!room_.alone()) return absl::OkStatus();
  if (control_->PolicyVersion() == 0) HOLDFAST_RETURN_IF_ERROR(seed_status_);
  const absl::Duration until = clock_.SinceBoot() + kStartTimeout;
  while (clock_.SinceBoot() < until) {
    bool all =
        control_->leads() && (seed_policy_text_.empty() || policy_.Current()->version() != 0);
    for (uint32_t group = 1; group <= kQueueGroupsDefault; ++group) {
      all &= leaders_.Leads(GroupId{group});
    }
    if (all) return absl::OkStatus();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return MakeStatus(absl::StatusCode::kInternal,
                    "not all groups have a leader, or the policy is not in effect, after {}",
                    absl::FormatDuration(kStartTimeout));
}

std::string Node::Impl::StatusJson() {
  admin::StatusResponse status;
  (void)backend_->GetStatus({}, &status);  // What could be read is shown.
  return AdminJson(status);
}

absl::Status Node::Impl::StartPeople() {
  backend_ = std::make_unique<NodeBackend>(NodeBackend::Parts{
      *host_, Proposer(), *verbs_, *store_, *control_, policy_, health_, metrics_, clock_,
      kQueueGroupsDefault, settings_.node_id, settings_.hostname, settings_.BeyondLoopback(),
      [this] { return submit_->NextQueueId(); }, [this] { return listener_->sessions(); }, *shares_,
      *apply_context_,
      FreshRows::Of(settings_.node_id, *host_, std::bind_front(&Impl::LeaderOf, this),
                    room_.alone() ? nullptr : PeerCalls(), clock_)});
  registry_.AddGaugeFunction("holdfast_disk_free_bytes", "Free bytes of the data directory's disk.",
                             [this] { return static_cast<double>(health_.disk().free_bytes()); });
  registry_.AddGaugeFunction("holdfast_smtp_sessions", "SMTP sessions now.",
                             [this] { return static_cast<double>(listener_->sessions()); });
  registry_.AddGaugeFunction("holdfast_submission_memory_bytes", "Content held by submissions.",
                             [this] { return static_cast<double>(submit_->memory_used_bytes()); });
  registry_.AddGaugeFunction("holdfast_feature_level", "What the cluster has agreed to speak.",
                             [this] { return static_cast<double>(level_.agreed()); });
  registry_.AddGaugeFunction("holdfast_ready", "1 while mail is accepted.",
                             [this] { return health_.MayAccept().ok() ? 1.0 : 0.0; });
  backend_->AddGauges(registry_);
  if (settings_.http_address) {
    HttpOptions options;
    options.address = *settings_.http_address;
    options.connections_max = settings_.admin.http_connections_max;
    options.timeout = settings_.admin.http_timeout;
    HttpSources sources;
    sources.metrics_text = [this] { return registry_.Render(); };
    sources.status_json = [this] { return StatusJson(); };
    sources.ready = [this] { return health_.MayAccept(); };
    auto http = HttpServer::Start(io_.first(), options, std::move(sources));
    if (!http.ok()) return Annotate(http.status(), "http_address");
    http_ = *std::move(http);
  }
  HOLDFAST_ASSIGN_OR_RETURN(admin_, AdminService::Start(settings_.admin, *backend_));
  admin_->SetServing(true);
  return absl::OkStatus();
}

absl::Status Node::Impl::Start(const std::function<bool()>& give_up) {
  HOLDFAST_RETURN_IF_ERROR(OpenStore(give_up));
  HOLDFAST_RETURN_IF_ERROR(StartGroups());
  HOLDFAST_RETURN_IF_ERROR(WaitForLeadership());
  HOLDFAST_RETURN_IF_ERROR(StartPeople());
  Listen();
  std::string smtp_text;
  for (const smtp::Endpoint& endpoint : listener_->bound()) {
    if (!smtp_text.empty()) smtp_text += ",";
    smtp_text += endpoint.ToString();
  }
  const std::string http_text =
      http_ == nullptr ? "off" : format("{}:{}", settings_.http_address->ip, http_->port());
  Log(LogLevel::kInfo, "ready",
      {{"smtp", smtp_text},
       {"http", http_text},
       {"admin", settings_.admin.socket},
       {"data_dir", settings_.data_dir},
       {"policy_version", policy_.Current()->version()}});
  return absl::OkStatus();
}

// Attempts that haven't reached their dot end as not sent; the others get until the deadline.
void Node::Impl::DrainAttempts() {
  auto drained = std::make_shared<std::promise<void>>();
  apply_context_->Post([this, drained] {
    for (auto& duties : duties_) duties->Drain();
    runner_->Drain();
    drained->set_value();
  });
  drained->get_future().wait();
  const absl::Duration until = clock_.SinceBoot() + settings_.timing.drain_deadline;
  while (clock_.SinceBoot() < until) {
    auto idle = std::make_shared<std::promise<bool>>();
    apply_context_->Post([this, idle] {
      idle->set_value(std::all_of(duties_.begin(), duties_.end(),
                                  [](const auto& duties) { return duties->idle(); }));
    });
    if (idle->get_future().get()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  Log(LogLevel::kWarn, "drain_deadline",
      {{"attempts", runner_->running()},
       {"advice", "those past their final dot are in doubt until the next start"}});
}

void Node::Impl::HandOverGroups() {
  if (room_.alone()) return;
  cluster_->HandOverAll();
  const absl::Duration until = clock_.SinceBoot() + kHandOverTimeout;
  while (clock_.SinceBoot() < until && cluster_->LeadsAnything()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void Node::Impl::Stop() {
  if (std::exchange(stopped_, true)) return;
  if (admin_ != nullptr) admin_->SetServing(false);
  if (verbs_ != nullptr) verbs_->SetStopping();
  if (ticker_ != nullptr) HandOverGroups();
  if (listening_) {
    auto ended = std::make_shared<std::promise<void>>();
    listener_->Stop(settings_.timing.drain_deadline, [ended] { ended->set_value(); });
    health_.SetStopping();
    ended->get_future().wait();
  }
  if (ticker_ != nullptr) {
    FlushConfirms();
    DrainAttempts();
  }
  if (admin_ != nullptr) admin_->Stop();
  if (http_ != nullptr) {
    auto closed = std::make_shared<std::promise<void>>();
    boost::asio::post(io_.first(), [this, closed] {
      http_->Stop();
      closed->set_value();
    });
    closed->get_future().wait();
  }
  if (ticker_ != nullptr) ticker_->Stop();
  if (replays_ != nullptr) replays_->Stop();
  if (router_ != nullptr) router_->Stop();
  if (host_ != nullptr) host_->Stop();
  room_.Stop();
  if (raft_context_ != nullptr) raft_context_->Stop();
  if (storage_context_ != nullptr) storage_context_->Stop();
  io_.Stop();
  if (apply_context_ != nullptr) apply_context_->Stop();
  listener_.reset();
  runner_.reset();
  if (notes_ != nullptr) notes_->Close();
  if (store_ != nullptr) {
    if (absl::Status status = store_->Close(); !status.ok()) {
      Log(LogLevel::kError, "close_failed", {{"reason", Message(status)}});
    }
  }
}

Node::Node(const NodeSettings& settings, const Clock& clock, LevelRange levels)
    : impl_(std::make_unique<Impl>(settings, clock, levels)) {}
Node::~Node() = default;

absl::Status Node::Bind() { return impl_->Bind(); }
absl::Status Node::Start(const std::function<bool()>& give_up) { return impl_->Start(give_up); }
void Node::Stop() { impl_->Stop(); }
absl::Status Node::ReloadCertificates() { return impl_->ReloadCertificates(); }

}  // namespace holdfast::node
