// raft/transport/grpc_server.h
// GrpcServer takes the streams, fetches and calls of peers: checks who they are, decodes, and gives
// messages to the handler. Private to raft/transport. Threads:  a thread of gRPC for each stream
// and fetch, on which the handler is called, and a few for all calls. Lifetime: what Start() takes
// outlives it.
#pragma once

#include <functional>
#include <memory>

#include "raft/transport/grpc_transport.h"
#include "raft/transport/grpc_wire.h"
#include "raft/transport/watchdog.h"

namespace holdfast::raft {

class GrpcServer {
 public:
  // `came` hears of each peer whose stream was accepted, on the stream's thread; it doesn't wait.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(const GrpcTransportOptions& options,
                                                           const GrpcCredentials& credentials,
                                                           PeerHandler& handler, Watchdog& watchdog,
                                                           std::function<void(NodeId)> came);
  ~GrpcServer();  // Stop().

  // Cancels all calls and waits for their threads. Idempotent.
  void Stop();
  uint16_t bound_port() const;

 private:
  class Service;
  GrpcServer();

  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

}  // namespace holdfast::raft
