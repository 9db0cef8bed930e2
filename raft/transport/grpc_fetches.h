// raft/transport/grpc_fetches.h
// GrpcFetches pulls answers from peers: a few threads, each with one call at a time, and a bounded
// queue before them. Private to raft/transport.
// Threads:  Add() from any; Stop() once. Sinks are called on the threads here, or on `later`'s.
// Lifetime: what the constructor takes outlives it.
#pragma once

#include <grpcpp/grpcpp.h>

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "proto/peer.grpc.pb.h"
#include "raft/transport/grpc_transport.h"
#include "raft/transport/grpc_wire.h"
#include "raft/transport/watchdog.h"

namespace holdfast::raft {

class GrpcFetches {
 public:
  // Runs a task on another thread, soon.
  using Later = std::function<void(std::function<void()>)>;

  GrpcFetches(const GrpcTransportOptions& options, const GrpcCredentials& credentials,
              PeerHandler& handler, Watchdog& watchdog, Later later);
  ~GrpcFetches();  // Stop().

  void Add(PeerAddress peer, std::string request, std::shared_ptr<FetchSink> sink);
  // Ends what runs and what waits with kCancelled. Idempotent.
  void Stop();

 private:
  struct Job {
    PeerAddress peer;
    std::string request;
    std::shared_ptr<FetchSink> sink;
  };

  void Run();
  absl::Status Pull(const Job& job, grpc::ClientContext& context);
  absl::Status CheckPiece(const Job& job, const grpc::ClientContext& context, bool first,
                          const peer::FetchPiece& piece);

  const GrpcTransportOptions& options_;
  const GrpcCredentials& credentials_;
  PeerHandler& handler_;
  Watchdog& watchdog_;
  const Later later_;

  Mutex mutex_;
  CondVar changed_;
  std::deque<Job> waiting_ ABSL_GUARDED_BY(mutex_);
  std::set<grpc::ClientContext*> open_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace holdfast::raft
