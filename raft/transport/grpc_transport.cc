#include "raft/transport/grpc_transport.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "base/context.h"
#include "base/mutex.h"
#include "base/random.h"
#include "raft/transport/grpc_calls.h"
#include "raft/transport/grpc_fetches.h"
#include "raft/transport/grpc_link.h"
#include "raft/transport/grpc_server.h"
#include "raft/transport/grpc_wire.h"
#include "raft/transport/watchdog.h"

namespace holdfast::raft {
namespace {

// Notices that wait: one for each peer, refused fetches, links to be ended.
constexpr size_t kNoticesMax = 4096;

}  // namespace

class GrpcTransport::Impl {
 public:
  Impl(const GrpcTransportOptions& options, GrpcCredentials credentials, PeerHandler& handler)
      : options_(options),
        credentials_(std::move(credentials)),
        handler_(handler),
        notices_("peer-notices", kNoticesMax),
        random_(options.seed != 0 ? Random(options.seed) : Random::FromKernel()),
        fetches_(options_, credentials_, handler_, watchdog_,
                 [this](std::function<void()> task) { notices_.Post(std::move(task)); }) {}
  ~Impl() { Stop(); }

  absl::Status Start() {
    absl::StatusOr<std::unique_ptr<GrpcServer>> server = GrpcServer::Start(
        options_, credentials_, handler_, watchdog_, [this](NodeId peer) { PeerCame(peer); });
    if (!server.ok()) return server.status();
    server_ = *std::move(server);
    port_ = server_->bound_port();
    return UpdatePeers(options_.peers);
  }

  void Send(NodeId to, GroupId group, Message message);
  void SendAll(NodeId to, std::vector<GroupMessage> messages);
  void Fetch(NodeId peer, std::string request, std::shared_ptr<FetchSink> sink);
  void Call(NodeId to, std::string request, absl::Duration timeout, CallReply done);
  absl::Status UpdatePeers(const std::vector<PeerAddress>& peers);
  void Stop();
  uint16_t bound_port() const { return port_; }
  std::vector<PeerCounts> Counts() const;

 private:
  struct Peer {
    Peer(const LinkEnvironment& environment, const PeerAddress& to, uint64_t seed)
        : address(to),
          control(environment, to, peer::STREAM_CONTROL, seed),
          bulk(environment, to, peer::STREAM_BULK, seed + 1),
          calls(std::make_shared<GrpcCallLink>(environment.options, environment.credentials,
                                               environment.handler, to)) {}
    void RequestStop() {
      control.RequestStop();
      bulk.RequestStop();
      calls->RequestStop();
    }
    void Join() {
      control.Join();
      bulk.Join();
      calls->Join();
    }
    const PeerAddress address;
    GrpcLink control;
    GrpcLink bulk;
    const std::shared_ptr<GrpcCallLink> calls;
  };
  // Shared with those who send just now. Whoever takes a peer out of the book joins it, so that the
  // last to let go of it, perhaps a sender, doesn't wait.
  using Peers = std::map<NodeId, std::shared_ptr<Peer>>;

  std::shared_ptr<Peer> Find(NodeId node) const {
    MutexLock lock(mutex_);
    const auto found = peers_.find(node);
    return found == peers_.end() ? nullptr : found->second;
  }
  void Unreachable(NodeId peer);
  void PeerCame(NodeId peer);

  const GrpcTransportOptions options_;
  const GrpcCredentials credentials_;
  PeerHandler& handler_;
  Watchdog watchdog_;
  // Ends links and tells the handler, so that neither Send() nor UpdatePeers() waits.
  ThreadContext notices_;

  mutable Mutex mutex_;
  Peers peers_ ABSL_GUARDED_BY(mutex_);
  Random random_ ABSL_GUARDED_BY(mutex_);
  // Peers whose notice waits already: one says as much as many.
  std::set<NodeId> unreachable_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;

  GrpcFetches fetches_;
  std::unique_ptr<GrpcServer> server_;
  uint16_t port_ = 0;
};

void GrpcTransport::Impl::Send(NodeId to, GroupId group, Message message) {
  const std::shared_ptr<Peer> peer = Find(to);
  if (peer == nullptr) return;
  GrpcLink& link = IsBulk(message) ? peer->bulk : peer->control;
  link.Send(group, std::move(message));
}

void GrpcTransport::Impl::SendAll(NodeId to, std::vector<GroupMessage> messages) {
  const std::shared_ptr<Peer> peer = Find(to);
  if (peer == nullptr) return;
  const auto bulk =
      std::stable_partition(messages.begin(), messages.end(),
                            [](const GroupMessage& one) { return !IsBulk(one.message); });
  std::vector<GroupMessage> entries(std::make_move_iterator(bulk),
                                    std::make_move_iterator(messages.end()));
  messages.erase(bulk, messages.end());
  if (!messages.empty()) peer->control.SendAll(std::move(messages));
  if (!entries.empty()) peer->bulk.SendAll(std::move(entries));
}

void GrpcTransport::Impl::Unreachable(NodeId peer) {
  {
    MutexLock lock(mutex_);
    if (stopped_ || !unreachable_.insert(peer).second) return;
  }
  // Room is certain but for thousands of refused fetches; then the next loss tells.
  const bool posted = notices_.TryPost([this, peer] {
    {
      MutexLock lock(mutex_);
      unreachable_.erase(peer);
    }
    handler_.OnUnreachable(peer);
  });
  if (posted) return;
  MutexLock lock(mutex_);
  unreachable_.erase(peer);
}

void GrpcTransport::Impl::PeerCame(NodeId node) {
  const std::shared_ptr<Peer> peer = Find(node);
  if (peer == nullptr) return;
  peer->control.PeerCame();
  peer->bulk.PeerCame();
  peer->calls->PeerCame();
}

void GrpcTransport::Impl::Fetch(NodeId peer, std::string request, std::shared_ptr<FetchSink> sink) {
  const std::shared_ptr<Peer> found = Find(peer);
  if (found != nullptr) {
    fetches_.Add(found->address, std::move(request), std::move(sink));
    return;
  }
  notices_.Post([sink = std::move(sink), peer] {
    sink->OnDone(
        MakeStatus(absl::StatusCode::kNotFound, "node {} is no peer of this node", peer.value()));
  });
}

void GrpcTransport::Impl::Call(NodeId to, std::string request, absl::Duration timeout,
                               CallReply done) {
  absl::Status refused;
  std::shared_ptr<Peer> peer;
  {
    MutexLock lock(mutex_);
    const auto found = peers_.find(to);
    if (found != peers_.end()) {
      peer = found->second;
    } else if (stopped_) {
      refused = absl::CancelledError("the transport stops");
    } else {
      refused =
          MakeStatus(absl::StatusCode::kUnavailable, "node {} is no peer of this node", to.value());
    }
  }
  if (peer == nullptr) return done(refused);
  peer->calls->Call(std::move(request), timeout, std::move(done));
}

absl::Status GrpcTransport::Impl::UpdatePeers(const std::vector<PeerAddress>& peers) {
  HOLDFAST_RETURN_IF_ERROR(CheckPeers(options_, peers));
  Peers gone;
  {
    MutexLock lock(mutex_);
    if (stopped_) return absl::OkStatus();
    const LinkEnvironment environment{options_, credentials_, handler_, watchdog_,
                                      [this](NodeId peer) { Unreachable(peer); }};
    Peers now;
    for (const PeerAddress& address : peers) {
      const auto found = peers_.find(address.node);
      if (found != peers_.end() && found->second->address == address) {
        now[address.node] = found->second;
        peers_.erase(found);
      } else {
        now[address.node] = std::make_shared<Peer>(environment, address, random_.Next());
      }
    }
    gone = std::exchange(peers_, std::move(now));
  }
  for (const auto& [node, peer] : gone) peer->RequestStop();
  // Waits for the links' threads, elsewhere.
  if (gone.empty()) return absl::OkStatus();
  notices_.Post([gone = std::move(gone)] {
    for (const auto& [node, peer] : gone) peer->Join();
  });
  return absl::OkStatus();
}

void GrpcTransport::Impl::Stop() {
  Peers peers;
  {
    MutexLock lock(mutex_);
    if (stopped_) return;
    stopped_ = true;
    peers.swap(peers_);
  }
  for (const auto& [node, peer] : peers) peer->RequestStop();
  if (server_ != nullptr) server_->Stop();
  fetches_.Stop();
  for (const auto& [node, peer] : peers) peer->Join();
  notices_.Stop();
}

std::vector<PeerCounts> GrpcTransport::Impl::Counts() const {
  MutexLock lock(mutex_);
  std::vector<PeerCounts> counts;
  for (const auto& [node, peer] : peers_) {
    counts.push_back({node, peer->control.counts(), peer->bulk.counts()});
  }
  return counts;
}

absl::StatusOr<std::unique_ptr<GrpcTransport>> GrpcTransport::Start(
    const GrpcTransportOptions& options, PeerHandler& handler) {
  HOLDFAST_RETURN_IF_ERROR(CheckOptions(options));
  HOLDFAST_ASSIGN_OR_RETURN(GrpcCredentials credentials, GrpcCredentials::Make(options));
  auto impl = std::make_unique<Impl>(options, std::move(credentials), handler);
  HOLDFAST_RETURN_IF_ERROR(impl->Start());
  return std::unique_ptr<GrpcTransport>(new GrpcTransport(std::move(impl)));
}

GrpcTransport::GrpcTransport(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GrpcTransport::~GrpcTransport() = default;

void GrpcTransport::Send(NodeId to, GroupId group, Message message) {
  impl_->Send(to, group, std::move(message));
}

void GrpcTransport::SendAll(NodeId to, std::vector<GroupMessage> messages) {
  impl_->SendAll(to, std::move(messages));
}

void GrpcTransport::Fetch(NodeId peer, std::string request, std::shared_ptr<FetchSink> sink) {
  impl_->Fetch(peer, std::move(request), std::move(sink));
}

void GrpcTransport::Call(NodeId to, std::string request, absl::Duration timeout, CallReply done) {
  impl_->Call(to, std::move(request), timeout, std::move(done));
}

absl::Status GrpcTransport::UpdatePeers(const std::vector<PeerAddress>& peers) {
  return impl_->UpdatePeers(peers);
}

void GrpcTransport::Stop() { impl_->Stop(); }

uint16_t GrpcTransport::bound_port() const { return impl_->bound_port(); }

std::vector<PeerCounts> GrpcTransport::Counts() const { return impl_->Counts(); }

}  // namespace holdfast::raft
