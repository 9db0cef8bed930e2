// raft/transport/grpc_calls.h
// GrpcCallLink asks one peer: all outstanding calls to it, over a connection of their own. Private
// to raft/transport.
//
// What matters is to know whether a request may have reached the peer's handler. gRPC's statuses
// don't say: UNAVAILABLE is a connection that was never made as well as one that broke under the
// answer. So nothing is asked before a *greeting*, a call without a request, was answered over the
// connection, and nothing over a connection that isn't ready. Before that point all failures are
// kUnavailable; past it, all that isn't an answer in the peer's own words is kDeadlineExceeded.
//
//   Call() -> waits for the greeting -> asked -> done.
//               |  refused, no connection, too late: kUnavailable
//
// Threads:  Call() and RequestStop() from any; Join() from one, which isn't gRPC's. The handler's
//   hellos and `done` run on threads of gRPC, which no call holds while it waits.
// Lifetime: shared, for timers of gRPC may find it late. Join() before what the constructor takes
//   ends.
// Limits:   calls_per_peer_max, call_bytes_max, call_bytes_in_flight_max. A call in progress has
//   its request twice in memory, once as sent.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "proto/peer.grpc.pb.h"
#include "raft/transport/grpc_transport.h"
#include "raft/transport/grpc_wire.h"

namespace holdfast::raft {

class GrpcCallLink : public std::enable_shared_from_this<GrpcCallLink> {
 public:
  GrpcCallLink(const GrpcTransportOptions& options, const GrpcCredentials& credentials,
               PeerHandler& handler, PeerAddress peer);

  // As Transport::Call().
  void Call(std::string request, absl::Duration timeout, CallReply done);
  // The peer has connected to this node: gRPC's pause before it tries to reach it again ends. Not
  // so a try that hangs.
  void PeerCame();
  // All calls end soon, with kCancelled. Doesn't wait, and runs no callback of a call.
  void RequestStop();
  // RequestStop(), and waits until no callback runs any more. Idempotent.
  void Join();

 private:
  // One RPC. Kept alive by gRPC's callback; a greeting is one without `done`.
  struct Asked {
    // Holds the channel, and must go before the call is counted out: the last channel of a process
    // ends gRPC's callback threads and waits for them, which one of those can't do.
    std::unique_ptr<grpc::ClientContext> context = std::make_unique<grpc::ClientContext>();
    peer::CallRequest request;
    peer::CallAnswer answer;
    gpr_timespec deadline;
    uint64_t id = 0;
    uint64_t bytes = 0;
    CallReply done;
    bool waiting = false;  // Under the link's mutex: not yet sent.
    grpc::Alarm alarm;     // Of the deadline, while it waits.
  };

  absl::Status CheckRoom(uint64_t bytes) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Remove(const Asked& asked) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Ends a call that was removed while running_ was counted up.
  void End(Asked& asked, absl::StatusOr<std::string> result);

  void Greet(const std::shared_ptr<Asked>& greeting);
  void OnGreeted(Asked& greeting, const grpc::Status& status);
  absl::Status CheckGreeting(Asked& greeting, const grpc::Status& status);
  void Ask(const std::shared_ptr<Asked>& asked);
  void OnAnswered(Asked& asked, const grpc::Status& status);
  absl::StatusOr<std::string> ResultOf(Asked& asked, const grpc::Status& status);
  void OnExpired(uint64_t id);
  // Logs `why` unless it did already since the last connection.
  void LogDown(const absl::Status& why);

  const GrpcTransportOptions& options_;
  PeerHandler& handler_;
  const PeerAddress peer_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<peer::Peer::Stub> stub_;

  Mutex mutex_;
  CondVar changed_;
  std::map<uint64_t, std::shared_ptr<Asked>> calls_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<Asked> greeting_ ABSL_GUARDED_BY(mutex_);  // While it is under way.
  uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint32_t running_ ABSL_GUARDED_BY(mutex_) = 0;  // Callbacks that Join() waits for.
  bool greeted_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::string last_error_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::raft
