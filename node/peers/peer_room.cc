#include "node/peers/peer_room.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/random.h"
#include "node/config/process.h"
#include "node/peers/forming_file.h"
#include "raft/transport/peer_address.h"

namespace holdfast::node {
namespace {

constexpr absl::Duration kBeatInterval = absl::Seconds(1);
constexpr absl::Duration kBeatTimeout = absl::Seconds(3);
constexpr absl::Duration kFormingTimeout = absl::Seconds(2);
constexpr absl::Duration kJoiningTimeout = absl::Seconds(6);  // It is a proposal.
constexpr absl::Duration kFormingPause = absl::Milliseconds(200);
constexpr absl::Duration kFormingNotice = absl::Seconds(10);

std::string NewToken() {
  Random random = Random::FromKernel();
  return format("{:016x}{:016x}", random.Next(), random.Next());
}

std::string PeerText(const PeerSettings& peer) {
  return raft::HostAndPort{peer.host, peer.port}.ToString();
}

PeerBook::Addresses FilePeers(const NodeSettings& settings) {
  PeerBook::Addresses peers;
  if (!settings.cluster) return peers;
  for (const PeerSettings& peer : settings.cluster->peers) peers[peer.node_id] = PeerText(peer);
  return peers;
}

// Answers of one round of questions.
class Round {
 public:
  explicit Round(size_t expected) : missing_(expected) {}
  void Set(NodeId peer, absl::StatusOr<std::string> answer) {
    MutexLock lock(mutex_);
    answers_.insert_or_assign(peer, std::move(answer));
    if (--missing_ == 0) changed_.NotifyAll();
  }
  std::map<NodeId, absl::StatusOr<std::string>> Wait() {
    MutexLock lock(mutex_);
    while (missing_ > 0) changed_.Wait(mutex_);
    return answers_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  size_t missing_ ABSL_GUARDED_BY(mutex_);
  std::map<NodeId, absl::StatusOr<std::string>> answers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

PeerRoom::PeerRoom(const NodeSettings& settings, const FeatureLevel& level, const Clock& clock,
                   uint32_t queue_groups)
    : settings_(settings),
      clock_(clock),
      queue_groups_(queue_groups),
      gate_(settings.timing, level, clock),
      book_(settings.node_id, FilePeers(settings)) {}

PeerRoom::~PeerRoom() { Stop(); }

std::vector<NodeId> PeerRoom::PeersNow() const {
  std::vector<NodeId> all;
  MutexLock lock(mutex_);
  for (const auto& [node, address] : book_.peers()) all.push_back(node);
  return all;
}

std::vector<NodeId> PeerRoom::nodes() const {
  std::vector<NodeId> nodes = PeersNow();
  nodes.insert(std::lower_bound(nodes.begin(), nodes.end(), settings_.node_id), settings_.node_id);
  return nodes;
}

std::string PeerRoom::incarnation() const {
  MutexLock lock(mutex_);
  return forming_ == nullptr ? "" : forming_->record().incarnation;
}

std::string PeerRoom::AddressOf(NodeId node) const {
  if (!settings_.cluster) return "";
  if (node == settings_.node_id) return settings_.cluster->address.ToString();
  MutexLock lock(mutex_);
  const auto found = book_.peers().find(node);
  return found == book_.peers().end() ? "" : found->second;
}

void PeerRoom::SetNodes(const std::vector<PeerChange>& changes) {
  if (transport_ == nullptr) return;
  std::set<NodeId> removed;
  bool changed = false;
  {
    MutexLock lock(mutex_);
    const PeerBook::Addresses before = book_.peers();
    book_.SetNodes(changes);
    removed = book_.removed();
    changed = book_.peers() != before;
  }
  gate_.SetRemoved(std::move(removed));
  if (changed) UpdatePeers();
}

void PeerRoom::OnTold(NodeId peer, const std::string& address) {
  // Who is only forming begins with those of its node file, whoever else speaks to it.
  if (!opened_.load(std::memory_order_acquire)) return;
  const std::optional<raft::HostAndPort> parsed = raft::ReadHostAndPort(address);
  if (!parsed || parsed->port == 0 || !CheckAddress(address).ok()) return;
  MutexLock lock(mutex_);
  if (book_.OnTold(peer, address)) told_.store(true, std::memory_order_release);
}

void PeerRoom::UpdatePeers() {
  std::vector<raft::PeerAddress> addresses;
  {
    MutexLock lock(mutex_);
    for (const auto& [node, address] : book_.peers()) addresses.push_back({node, address});
  }
  if (absl::Status status = transport_->UpdatePeers(addresses); !status.ok()) {
    // It was checked before it was proposed, or when it was told.
    Log(LogLevel::kError, "peers_not_changed", {{"reason", Message(status)}});
  }
}

absl::Status PeerRoom::CheckAddress(const std::string& address) const {
  if (!settings_.cluster || settings_.cluster->tls) return absl::OkStatus();
  const std::optional<raft::HostAndPort> parsed = raft::ReadHostAndPort(address);
  if (parsed && parsed->IsLoopback()) return absl::OkStatus();
  return MakeStatus(absl::StatusCode::kInvalidArgument,
                    "without TLS a peer needs a loopback address, as 127.0.0.1:7026; not `{}`",
                    address);
}

absl::Status PeerRoom::LoadRecord(bool formed) {
  HOLDFAST_ASSIGN_OR_RETURN(std::optional<FormingRecord> kept,
                            ReadFormingRecord(settings_.data_dir));
  FormingRecord record;
  if (kept) {
    record = *std::move(kept);
    if (record.formed && !formed) {
      return MakeStatus(
          absl::StatusCode::kFailedPrecondition,
          "{}: this node took part in its cluster, and its store is gone: it must not "
          "vote as if it had never been there. Bring the store back, or remove node {} "
          "from the cluster and let it join under a new id with an empty directory",
          settings_.data_dir, settings_.node_id.value());
    }
    recorded_formed_ = record.formed;
  } else {
    record.token = NewToken();
    HOLDFAST_RETURN_IF_ERROR(WriteFormingRecord(settings_.data_dir, record));
  }
  gate_.SetLife(formed, record.incarnation);
  auto forming = std::make_unique<Forming>(settings_.node_id, nodes(), queue_groups_,
                                           std::move(record), formed);
  MutexLock lock(mutex_);
  forming_ = std::move(forming);
  return absl::OkStatus();
}

peer_call::Forming PeerRoom::SayForming() {
  MutexLock lock(mutex_);
  return forming_->Say();
}

absl::Status PeerRoom::Start(bool formed) {
  if (alone()) return absl::OkStatus();
  const ClusterSettings& cluster = *settings_.cluster;
  raft::GrpcTransportOptions options;
  options.self = settings_.node_id;
  options.listen = cluster.address.ToString();
  options.cluster_id = cluster.cluster_id;
  options.plain_text_on_loopback = !cluster.tls.has_value();
  if (cluster.tls) {
    options.tls = {cluster.tls->certificate_file, cluster.tls->key_file,
                   cluster.tls->authority_file};
    HOLDFAST_ASSIGN_OR_RETURN(const raft::PeerIdentity identity,
                              raft::IdentityOfCertificateFile(options.tls.certificate_file));
    options.cluster_id = identity.cluster_id;
  }
  for (const PeerSettings& peer : cluster.peers) {
    options.peers.push_back({peer.node_id, PeerText(peer)});
  }
  cluster_id_ = options.cluster_id;
  HOLDFAST_RETURN_IF_ERROR(LoadRecord(formed));
  gate_.Serve(peer_call::Request::kForming, [this](NodeId, peer_call::Request, auto reply) {
    peer_call::Answer answer;
    *answer.mutable_forming() = SayForming();
    reply(std::move(answer));
  });
  gate_.Serve(peer_call::Request::kBeat,
              [this](NodeId peer, peer_call::Request request, auto reply) {
                if (gate_.listener() != nullptr) gate_.listener()->OnBeat(peer, request.beat());
                if (!request.beat().address().empty()) OnTold(peer, request.beat().address());
                beats_.Put(peer, std::move(*request.mutable_beat()), clock_.SinceBoot());
                reply(peer_call::Answer());
              });
  absl::StatusOr<std::unique_ptr<raft::GrpcTransport>> transport =
      raft::GrpcTransport::Start(options, gate_);
  if (!transport.ok()) return Annotate(transport.status(), "cluster.address");
  transport_ = *std::move(transport);
  return absl::OkStatus();
}

absl::Status PeerRoom::FormingRound() {
  std::string request;
  {
    peer_call::Request question;
    MutexLock lock(mutex_);
    forming_->StartRound();
    *question.mutable_forming() = forming_->Say();
    request = EncodeRequest(std::move(question));
  }
  auto round = std::make_shared<Round>(settings_.cluster->peers.size());
  for (const PeerSettings& peer : settings_.cluster->peers) {
    Call(peer.node_id, request, kFormingTimeout,
         [round, id = peer.node_id](absl::StatusOr<std::string> answer) {
           round->Set(id, std::move(answer));
         });
  }
  for (auto& [peer, bytes] : round->Wait()) {
    if (!bytes.ok()) continue;  // Asked again in the next round.
    const absl::StatusOr<peer_call::Answer> answer = DecodeAnswer(*bytes);
    if (!answer.ok() || !answer->has_forming()) continue;
    MutexLock lock(mutex_);
    HOLDFAST_RETURN_IF_ERROR(forming_->OnSaid(peer, answer->forming()));
  }
  return absl::OkStatus();
}

absl::StatusOr<FirstNodes> PeerRoom::Form(const std::function<bool()>& give_up) {
  if (alone()) return FirstNodes{"", {settings_.node_id}};
  absl::Duration next_notice = clock_.SinceBoot();
  while (true) {
    HOLDFAST_RETURN_IF_ERROR(FormingRound());
    std::string missing;
    FormingRecord record;
    {
      MutexLock lock(mutex_);
      for (const NodeId node : forming_->Missing()) {
        missing += format("{}{}", missing.empty() ? "" : ",", node.value());
      }
      record = forming_->record();
    }
    if (missing.empty()) {
      HOLDFAST_RETURN_IF_ERROR(WriteFormingRecord(settings_.data_dir, record));
      gate_.SetLife(/*begun=*/true, record.incarnation);
      return FirstNodes{cluster_id_, nodes()};
    }
    if (clock_.SinceBoot() >= next_notice) {
      next_notice = clock_.SinceBoot() + kFormingNotice;
      Log(LogLevel::kInfo, "forming",
          {{"waiting_for_nodes", missing},
           {"advice", "a new cluster begins when all its nodes have been started"}});
      // Others may be installed much later; systemd is to wait for them. Nobody may be listening.
      (void)NotifySystemd(
          format("STATUS=waiting for nodes {}\nEXTEND_TIMEOUT_USEC=60000000", missing));
    }
    if (give_up()) return absl::CancelledError("stopped while it waited for the other nodes");
    std::this_thread::sleep_for(absl::ToChronoMilliseconds(kFormingPause));
  }
}

absl::Status PeerRoom::JoiningRound() {
  peer_call::Request question;
  {
    MutexLock lock(mutex_);
    question.mutable_join()->set_token(forming_->record().token);
  }
  const std::string request = EncodeRequest(std::move(question));
  auto round = std::make_shared<Round>(settings_.cluster->peers.size());
  for (const PeerSettings& peer : settings_.cluster->peers) {
    Call(peer.node_id, request, kJoiningTimeout,
         [round, id = peer.node_id](absl::StatusOr<std::string> answer) {
           round->Set(id, std::move(answer));
         });
  }
  absl::Status why = absl::UnavailableError("no member of the cluster answers");
  for (auto& [peer, bytes] : round->Wait()) {
    const absl::StatusOr<peer_call::Answer> answer =
        bytes.ok() ? DecodeAnswer(*bytes) : absl::StatusOr<peer_call::Answer>(bytes.status());
    if (!answer.ok()) {
      const absl::StatusCode code = answer.status().code();
      const bool says_no = code == absl::StatusCode::kFailedPrecondition ||
                           code == absl::StatusCode::kNotFound ||
                           code == absl::StatusCode::kUnimplemented;
      if (says_no) why = Annotate(answer.status(), format("node {}", peer.value()));
      continue;
    }
    if (!answer->has_join()) continue;
    std::vector<PeerChange> changes;
    for (const peer_call::KnownNode& node : answer->join().nodes()) {
      changes.push_back({NodeId{node.node_id()}, false, node.address()});
    }
    SetNodes(changes);
    // Before the store is there: whoever has one never speaks for another incarnation.
    FormingRecord record;
    {
      MutexLock lock(mutex_);
      forming_->SetIncarnation(answer->join().incarnation());
      record = forming_->record();
    }
    HOLDFAST_RETURN_IF_ERROR(WriteFormingRecord(settings_.data_dir, record));
    gate_.SetLife(/*begun=*/true, record.incarnation);
    return absl::OkStatus();
  }
  return why;
}

absl::StatusOr<FirstNodes> PeerRoom::Join(const std::function<bool()>& give_up) {
  absl::Duration next_notice = clock_.SinceBoot();
  while (true) {
    const absl::Status begun = JoiningRound();
    // No voters: the leaders of the groups say who they are.
    if (begun.ok()) return FirstNodes{cluster_id_, {}};
    if (begun.code() == absl::StatusCode::kFailedPrecondition) return begun;
    if (clock_.SinceBoot() >= next_notice) {
      next_notice = clock_.SinceBoot() + kFormingNotice;
      Log(LogLevel::kInfo, "joining",
          {{"waiting_because", Message(begun)},
           {"advice",
            format("on a member run: holdfast cluster join --node {} --address HOST:PORT; "
                   "`peers` here must name nodes that are members now",
                   settings_.node_id.value())}});
      (void)NotifySystemd("STATUS=waiting to join the cluster\nEXTEND_TIMEOUT_USEC=60000000");
    }
    if (give_up()) return absl::CancelledError("stopped while it waited to join");
    std::this_thread::sleep_for(absl::ToChronoMilliseconds(kFormingPause));
  }
}

absl::Status PeerRoom::SetFormed() {
  FormingRecord record;
  {
    MutexLock lock(mutex_);
    if (forming_ == nullptr) return absl::OkStatus();
    forming_->SetFormed();
    record = forming_->record();
  }
  if (recorded_formed_) return absl::OkStatus();
  recorded_formed_ = true;
  return WriteFormingRecord(settings_.data_dir, record);
}

void PeerRoom::Open(raft::GroupHost& host, std::function<peer_call::Beat()> make_beat) {
  make_beat_ = std::move(make_beat);
  gate_.Open(host);
  opened_.store(true, std::memory_order_release);
}

void PeerRoom::Tick() {
  if (transport_ == nullptr || make_beat_ == nullptr) return;
  if (told_.exchange(false, std::memory_order_acq_rel)) UpdatePeers();
  const bool soon = beat_soon_.exchange(false, std::memory_order_acq_rel);
  if (!soon && clock_.SinceBoot() < next_beat_) return;
  next_beat_ = clock_.SinceBoot() + kBeatInterval;
  peer_call::Request question;
  *question.mutable_beat() = make_beat_();
  const std::string request = EncodeRequest(std::move(question));
  for (const NodeId peer : PeersNow()) {
    // Silence shows in the age of the last beat.
    Call(peer, request, kBeatTimeout, [](const absl::StatusOr<std::string>&) {});
  }
}

void PeerRoom::Call(NodeId to, std::string request, absl::Duration timeout,
                    std::function<void(absl::StatusOr<std::string>)> done) {
  if (transport_ == nullptr) {
    done(absl::UnavailableError("this node has no peers"));
    return;
  }
  transport_->Call(to, std::move(request), timeout, std::move(done));
}

raft::Transport& PeerRoom::transport() {
  if (transport_ == nullptr) return nobody_;
  return *transport_;
}

std::vector<raft::PeerCounts> PeerRoom::Counts() const {
  if (transport_ == nullptr) return {};
  return transport_->Counts();
}

void PeerRoom::Stop() {
  if (transport_ != nullptr) transport_->Stop();
}

}  // namespace holdfast::node
