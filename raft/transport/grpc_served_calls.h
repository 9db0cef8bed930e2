// raft/transport/grpc_served_calls.h
// ServedCalls gives the calls of peers to the handler, and its answers back, whenever they come: no
// thread is held between. Private to raft/transport.
//
// A call ends by what comes first: the handler's answer, or the end of the RPC (the peer gave up or
// is gone, or the server stops). The other finds it ended and does nothing. An answer may come when
// all else is gone.
// Threads:  thread-safe; Serve() on a thread of gRPC.
// Lifetime: what the constructor takes outlives it; it outlives the server.
// Limits:   calls_served_per_peer_max, call_bytes_served_per_peer_max. A call counts until the
// handler has answered it, also when
//   nobody waits any more.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "proto/peer.pb.h"
#include "raft/transport/grpc_transport.h"

namespace holdfast::raft {

// An error of a call is cut to this length.
inline constexpr size_t kCallErrorBytesMax = 4096;

class ServedCalls {
 public:
  ServedCalls(const GrpcTransportOptions& options, PeerHandler& handler);

  // Gives `request` to the handler unless that is over the bound. `answer` has its hello, and is
  // gRPC's like the reactor that comes back.
  grpc::ServerUnaryReactor* Serve(grpc::CallbackServerContext& context, NodeId peer,
                                  std::string request, peer::CallAnswer* answer);

 private:
  class Counts;
  class Answering;
  class Reactor;
  class Ticket;

  const GrpcTransportOptions& options_;
  PeerHandler& handler_;
  const std::shared_ptr<Counts> counts_;
};

// Puts `error` into an answer.
void SetCallError(const absl::Status& error, peer::CallAnswer* answer);
// Ends the RPC with the answer as it is.
grpc::ServerUnaryReactor* FinishNow(grpc::CallbackServerContext& context);

}  // namespace holdfast::raft
