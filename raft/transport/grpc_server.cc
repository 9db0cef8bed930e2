#include "raft/transport/grpc_server.h"

#include <grpcpp/resource_quota.h>

#include <chrono>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/mutex.h"
#include "proto/peer.grpc.pb.h"
#include "raft/transport/grpc_served_calls.h"
#include "raft/transport/peer_codec.h"

namespace holdfast::raft {
namespace {

std::string_view KindName(peer::StreamKind kind) {
  switch (kind) {
    case peer::STREAM_CONTROL:
      return "control";
    case peer::STREAM_BULK:
      return "bulk";
    case peer::STREAM_FETCH:
      return "fetch";
    case peer::STREAM_CALL:
      return "call";
    default:
      return "unknown";
  }
}

constexpr int kStreamsSpare = 64;

using TalkStream = grpc::ServerReaderWriter<peer::Packet, peer::Packet>;

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

}  // namespace

class GrpcServer::Service final : public peer::Peer::WithCallbackMethod_Call<peer::Peer::Service> {
 public:
  Service(const GrpcTransportOptions& options, PeerHandler& handler, Watchdog& watchdog,
          std::function<void(NodeId)> came)
      : options_(options),
        handler_(handler),
        watchdog_(watchdog),
        came_(std::move(came)),
        calls_(options, handler) {}

  grpc::Status Talk(grpc::ServerContext* context, TalkStream* stream) override;
  grpc::Status Fetch(grpc::ServerContext* context, const peer::FetchRequest* request,
                     grpc::ServerWriter<peer::FetchPiece>* writer) override;
  grpc::ServerUnaryReactor* Call(grpc::CallbackServerContext* context,
                                 const peer::CallRequest* request,
                                 peer::CallAnswer* answer) override;

 private:
  using StreamKey = std::pair<NodeId, peer::StreamKind>;

  // The peer that `hello` is of, once the handler agrees too.
  absl::StatusOr<NodeId> Admit(const grpc::ServerContext& context, const peer::Hello& hello);
  // Of a call. Only a greeting is shown to the handler: what it says holds for the connection.
  absl::StatusOr<NodeId> AdmitCall(const grpc::CallbackServerContext& context,
                                   const peer::CallRequest& request);
  absl::StatusOr<NodeId> Greet(grpc::ServerContext& context, TalkStream& stream,
                               peer::StreamKind* kind);
  absl::Status Read(grpc::ServerContext& context, TalkStream& stream, NodeId peer);
  absl::Status Serve(grpc::ServerContext& context, const peer::FetchRequest& request,
                     grpc::ServerWriter<peer::FetchPiece>& writer, NodeId peer);
  bool Write(grpc::ServerContext& context, grpc::ServerWriter<peer::FetchPiece>& writer,
             const peer::FetchPiece& piece);
  peer::Hello Answer(NodeId peer, peer::StreamKind kind) {
    return MakeHello(options_, peer, kind, handler_.Hello(peer));
  }
  absl::Status Refuse(const grpc::ServerContextBase& context, std::string_view stream,
                      const absl::Status& status) const;

  // A peer has one stream of a kind: a new one means that the old is dead, whether we know or not.
  void Register(const StreamKey& key, grpc::ServerContext* context);
  void Unregister(const StreamKey& key, grpc::ServerContext* context);

  const GrpcTransportOptions& options_;
  PeerHandler& handler_;
  Watchdog& watchdog_;
  const std::function<void(NodeId)> came_;
  Mutex mutex_;
  std::map<StreamKey, grpc::ServerContext*> streams_ ABSL_GUARDED_BY(mutex_);
  std::map<NodeId, uint32_t> fetches_ ABSL_GUARDED_BY(mutex_);
  ServedCalls calls_;
};

absl::StatusOr<NodeId> GrpcServer::Service::Admit(const grpc::ServerContext& context,
                                                  const peer::Hello& hello) {
  HOLDFAST_ASSIGN_OR_RETURN(NodeId peer,
                            CheckHelloOf(hello, *context.auth_context(), options_, std::nullopt));
  HOLDFAST_RETURN_IF_ERROR(handler_.OnHello(peer, hello.host()));
  return peer;
}

absl::Status GrpcServer::Service::Refuse(const grpc::ServerContextBase& context,
                                         std::string_view stream,
                                         const absl::Status& status) const {
  Log(LogLevel::kWarn, "peer_refused",
      {{"address", context.peer()}, {"stream", stream}, {"reason", status.ToString()}});
  return Annotate(status, fmt::format("node {} of cluster {} refused", options_.self.value(),
                                      options_.cluster_id));
}

void GrpcServer::Service::Register(const StreamKey& key, grpc::ServerContext* context) {
  MutexLock lock(mutex_);
  grpc::ServerContext*& registered = streams_[key];
  if (registered != nullptr) registered->TryCancel();
  registered = context;
}

void GrpcServer::Service::Unregister(const StreamKey& key, grpc::ServerContext* context) {
  MutexLock lock(mutex_);
  const auto found = streams_.find(key);
  if (found != streams_.end() && found->second == context) streams_.erase(found);
}

absl::StatusOr<NodeId> GrpcServer::Service::Greet(grpc::ServerContext& context, TalkStream& stream,
                                                  peer::StreamKind* kind) {
  peer::Packet packet;
  Watchdog::Guard guard =
      watchdog_.Arm(options_.hello_timeout, [&context] { context.TryCancel(); });
  const bool read = stream.Read(&packet);
  if (guard.Disarm()) return absl::DeadlineExceededError("no hello in time");
  if (!read) return absl::UnavailableError("closed instead of a hello");
  if (!packet.has_hello()) return absl::InvalidArgumentError("not a hello");
  *kind = packet.hello().kind();
  if (*kind != peer::STREAM_CONTROL && *kind != peer::STREAM_BULK) {
    return absl::InvalidArgumentError("neither a control nor a bulk stream");
  }
  return Admit(context, packet.hello());
}

absl::Status GrpcServer::Service::Read(grpc::ServerContext& context, TalkStream& stream,
                                       NodeId peer) {
  // No deadline here: an idle stream is a good one, and keepalive finds the dead.
  peer::Packet packet;
  while (stream.Read(&packet)) {
    if (!packet.has_frame()) return absl::InvalidArgumentError("not a frame");
    absl::StatusOr<std::vector<GroupMessage>> messages = DecodeFrame(packet.mutable_frame());
    if (!messages.ok()) return messages.status();
    // The node that replaced this stream, or Stop(), waits for us.
    if (context.IsCancelled()) return absl::CancelledError("cancelled");
    handler_.OnMessages(peer, *std::move(messages));
  }
  return absl::OkStatus();
}

grpc::Status GrpcServer::Service::Talk(grpc::ServerContext* context, TalkStream* stream) {
  peer::StreamKind kind = peer::STREAM_UNSET;
  absl::StatusOr<NodeId> peer = Greet(*context, *stream, &kind);
  if (!peer.ok()) return ToGrpc(Refuse(*context, KindName(kind), peer.status()));
  const StreamKey key(*peer, kind);
  Register(key, context);
  Log(LogLevel::kInfo, "peer_accepted",
      {{"peer", peer->value()}, {"address", context->peer()}, {"stream", KindName(kind)}});
  came_(*peer);
  peer::Packet hello;
  *hello.mutable_hello() = Answer(*peer, kind);
  absl::Status end = absl::UnavailableError("connection lost");
  // The first write of a stream finds room in its window: it can't wait for the peer.
  if (stream->Write(hello)) end = Read(*context, *stream, *peer);
  Unregister(key, context);
  Log(end.ok() ? LogLevel::kInfo : LogLevel::kWarn, "peer_closed",
      {{"peer", peer->value()},
       {"address", context->peer()},
       {"stream", KindName(kind)},
       {"reason", end.ToString()}});
  return ToGrpc(end);
}

bool GrpcServer::Service::Write(grpc::ServerContext& context,
                                grpc::ServerWriter<peer::FetchPiece>& writer,
                                const peer::FetchPiece& piece) {
  Watchdog::Guard guard =
      watchdog_.Arm(options_.fetch_write_timeout, [&context] { context.TryCancel(); });
  return writer.Write(piece) && !guard.Disarm();
}

absl::Status GrpcServer::Service::Serve(grpc::ServerContext& context,
                                        const peer::FetchRequest& request,
                                        grpc::ServerWriter<peer::FetchPiece>& writer, NodeId peer) {
  HOLDFAST_ASSIGN_OR_RETURN(std::unique_ptr<FetchSource> source,
                            handler_.OpenFetch(peer, request.request()));
  const absl::Status lost = absl::CancelledError("the peer cancelled or didn't read");
  peer::FetchPiece piece;
  piece.set_format(kPeerFormat);
  *piece.mutable_hello() = Answer(peer, peer::STREAM_FETCH);
  if (!Write(context, writer, piece)) return lost;
  piece.clear_hello();
  while (!context.IsCancelled()) {
    HOLDFAST_ASSIGN_OR_RETURN(*piece.mutable_bytes(), source->Next());
    if (piece.bytes().empty()) return absl::OkStatus();
    if (piece.bytes().size() > kFetchPieceBytesMax) {
      return absl::InternalError("a piece of more than kFetchPieceBytesMax");
    }
    if (!Write(context, writer, piece)) return lost;
  }
  return lost;
}

grpc::Status GrpcServer::Service::Fetch(grpc::ServerContext* context,
                                        const peer::FetchRequest* request,
                                        grpc::ServerWriter<peer::FetchPiece>* writer) {
  absl::StatusOr<NodeId> peer = absl::InvalidArgumentError("malformed fetch");
  if (request->format() == kPeerFormat && request->hello().kind() == peer::STREAM_FETCH &&
      request->request().size() <= options_.fetch_request_bytes_max) {
    peer = Admit(*context, request->hello());
  }
  if (!peer.ok()) return ToGrpc(Refuse(*context, "fetch", peer.status()));
  {
    MutexLock lock(mutex_);
    uint32_t& running = fetches_[*peer];
    if (running >= options_.fetches_served_per_peer_max) {
      return ToGrpc(absl::ResourceExhaustedError("fetches_served_per_peer_max reached"));
    }
    ++running;
  }
  const absl::Status status = Serve(*context, *request, *writer, *peer);
  MutexLock lock(mutex_);
  if (--fetches_[*peer] == 0) fetches_.erase(*peer);
  return ToGrpc(status);
}

absl::StatusOr<NodeId> GrpcServer::Service::AdmitCall(const grpc::CallbackServerContext& context,
                                                      const peer::CallRequest& request) {
  if (request.format() != kPeerFormat || request.hello().kind() != peer::STREAM_CALL) {
    return absl::InvalidArgumentError("malformed call");
  }
  HOLDFAST_ASSIGN_OR_RETURN(NodeId peer, CheckHelloOf(request.hello(), *context.auth_context(),
                                                      options_, /*expected=*/std::nullopt));
  if (request.greeting()) {
    HOLDFAST_RETURN_IF_ERROR(handler_.OnHello(peer, request.hello().host()));
  }
  return peer;
}

grpc::ServerUnaryReactor* GrpcServer::Service::Call(grpc::CallbackServerContext* context,
                                                    const peer::CallRequest* request,
                                                    peer::CallAnswer* answer) {
  answer->set_format(kPeerFormat);
  absl::StatusOr<NodeId> peer = AdmitCall(*context, *request);
  // Whoever is refused is told by whom.
  *answer->mutable_hello() = MakeHello(options_, NodeId(request->hello().node_id()),
                                       peer::STREAM_CALL, /*host=*/std::string());
  if (!peer.ok()) {
    SetCallError(Refuse(*context, KindName(peer::STREAM_CALL), peer.status()), answer);
    return FinishNow(*context);
  }
  if (request->greeting()) {
    answer->mutable_hello()->set_host(handler_.Hello(*peer));
    return FinishNow(*context);
  }
  if (request->request().size() > options_.call_bytes_max) {
    SetCallError(absl::ResourceExhaustedError("call_bytes_max reached"), answer);
    return FinishNow(*context);
  }
  // gRPC made the request for this call alone and looks at it no more: megabytes are not copied.
  auto* taken = const_cast<peer::CallRequest*>(request);
  return calls_.Serve(*context, *peer, std::move(*taken->mutable_request()), answer);
}

GrpcServer::GrpcServer() = default;
GrpcServer::~GrpcServer() { Stop(); }

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const GrpcTransportOptions& options,
                                                              const GrpcCredentials& credentials,
                                                              PeerHandler& handler,
                                                              Watchdog& watchdog,
                                                              std::function<void(NodeId)> came) {
  std::unique_ptr<GrpcServer> server(new GrpcServer());
  server->service_ = std::make_unique<Service>(options, handler, watchdog, std::move(came));
  grpc::ServerBuilder builder;
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             Milliseconds(options.connect_timeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(options.keepalive_interval));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             Milliseconds(options.keepalive_timeout));
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Peers may be configured to ping more often than we do, and theirs is no attack.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 100);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
  // Some more than are served, so that what is over the bound is refused and doesn't wait.
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             static_cast<int>(options.calls_served_per_peer_max) + kStreamsSpare);
  builder.SetMaxReceiveMessageSize(ReceiveBytesMax(options));
  builder.SetMaxSendMessageSize(ReceiveBytesMax(options));
  grpc::ResourceQuota quota("peer");
  quota.SetMaxThreads(static_cast<int>(options.server_threads_max));
  builder.SetResourceQuota(quota);
  builder.AddListeningPort(options.listen, credentials.server(), &server->port_);
  builder.RegisterService(server->service_.get());
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr || server->port_ == 0) {
    return MakeStatus(absl::StatusCode::kUnavailable, "can't listen on {}", options.listen);
  }
  return server;
}

void GrpcServer::Stop() {
  if (server_ == nullptr) return;
  // A deadline in the past: calls are cancelled at once, and their threads awaited.
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  server_.reset();
}

uint16_t GrpcServer::bound_port() const { return static_cast<uint16_t>(port_); }

}  // namespace holdfast::raft
