// raft/transport/grpc_wire.h
// What all parts of the gRPC transport need: statuses in both directions, credentials and channels,
// and the hello that this node says. Private to raft/transport.
// Threads: functions from any; GrpcCredentials is immutable.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "proto/peer.pb.h"
#include "raft/transport/grpc_transport.h"
#include "raft/transport/peer_address.h"
#include "raft/transport/peer_identity.h"

namespace holdfast::raft {

grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

// kInvalidArgument: says what contradicts.
absl::Status CheckOptions(const GrpcTransportOptions& options);
absl::Status CheckPeers(const GrpcTransportOptions& options, const std::vector<PeerAddress>& peers);

class GrpcCredentials {
 public:
  // kInvalidArgument: a file that can't be read, or a certificate that names another node.
  static absl::StatusOr<GrpcCredentials> Make(const GrpcTransportOptions& options);

  // A connection of its own each time. Of `address`, as in PeerAddress.
  std::shared_ptr<grpc::Channel> Connect(const GrpcTransportOptions& options,
                                         const std::string& address) const;
  std::shared_ptr<grpc::ServerCredentials> server() const { return server_; }

 private:
  std::shared_ptr<grpc::ChannelCredentials> client_;
  std::shared_ptr<grpc::ServerCredentials> server_;
};

// Bytes of the largest packet that may come.
int ReceiveBytesMax(const GrpcTransportOptions& options);

peer::Hello MakeHello(const GrpcTransportOptions& options, NodeId to, peer::StreamKind kind,
                      std::string host);

// The identity that the peer's certificate says; nothing in plain text. An error: TLS without one.
absl::StatusOr<std::optional<PeerIdentity>> CertifiedIdentity(const grpc::AuthContext& auth,
                                                              bool plain_text);

// CheckHello() with what `auth` says.
absl::StatusOr<NodeId> CheckHelloOf(const peer::Hello& hello, const grpc::AuthContext& auth,
                                    const GrpcTransportOptions& options,
                                    std::optional<NodeId> expected);

}  // namespace holdfast::raft
