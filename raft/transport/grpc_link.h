// raft/transport/grpc_link.h
// GrpcLink is one outgoing stream to one peer, of one kind: its queue, its connection and its
// thread, which connects, says hello, writes frames and begins again when that fails. Private to
// raft/transport.
// Threads:  Send(), RequestStop() and counts() from any, Join() from one. The handler is called on
// the link's thread. Lifetime: environment's parts outlive it.
#pragma once

#include <grpcpp/grpcpp.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/random.h"
#include "proto/peer.grpc.pb.h"
#include "raft/transport/grpc_transport.h"
#include "raft/transport/grpc_wire.h"
#include "raft/transport/peer_codec.h"
#include "raft/transport/watchdog.h"

namespace holdfast::raft {

// What the links of a transport share.
struct LinkEnvironment {
  const GrpcTransportOptions& options;
  const GrpcCredentials& credentials;
  PeerHandler& handler;
  Watchdog& watchdog;
  // Tells the handler later, on another thread. From any thread, never waits.
  std::function<void(NodeId)> unreachable;
};

class GrpcLink {
 public:
  GrpcLink(const LinkEnvironment& environment, PeerAddress peer, peer::StreamKind kind,
           uint64_t seed);
  ~GrpcLink();  // Join().

  // Queues or drops; never waits.
  void Send(GroupId group, Message message);
  void SendAll(std::vector<GroupMessage> messages);
  // The peer has connected to this node: if the last try to reach it failed, or hangs, the next is
  // made now, though no two tries begin within kHurriedAfter. A stream that broke keeps to its
  // pause.
  void PeerCame();
  // The thread ends soon; what waits is dropped.
  void RequestStop();
  // RequestStop(), and waits for the thread. Idempotent, from one thread at a time.
  void Join();
  StreamCounts counts() const;

 private:
  using Stream = grpc::ClientReaderWriter<peer::Packet, peer::Packet>;
  // One life of the connection. The stream goes before what it uses.
  struct Connection {
    std::shared_ptr<grpc::Channel> channel;
    std::unique_ptr<peer::Peer::Stub> stub;
    grpc::ClientContext context;
    std::unique_ptr<Stream> stream;
  };
  struct Waiting {
    GroupId group;
    Message message;
    uint64_t bytes = 0;
  };
  enum class State { kConnecting, kUp, kDown };

  bool control() const { return kind_ == peer::STREAM_CONTROL; }
  void Run();
  // One connection, from the first try to its end; why it ended.
  absl::Status RunOnce(Connection& connection);
  absl::Status Open(Connection& connection);
  // Reads the peer's hello and checks it.
  absl::Status Greet(Connection& connection);
  absl::Status Pump(Connection& connection);
  // False: stopped, or nothing came for idle_check_interval (then `batch` is empty and it is true).
  bool TakeBatch(std::vector<Waiting>* batch);
  // The messages of `batch` that can be sent.
  void Fill(std::vector<Waiting>* batch, peer::Frame* frame);
  // What the server said when it ended the stream, or `otherwise`.
  absl::Status EndOf(Connection& connection, const absl::Status& otherwise);
  // Drops what waits, tells of it, and pauses. False: stopped.
  bool Pause(const absl::Status& why);
  void CountDropped(uint64_t messages);
  bool stopping() const;

  const LinkEnvironment environment_;
  const PeerAddress peer_;
  const peer::StreamKind kind_;
  const uint64_t messages_max_;
  const uint64_t bytes_max_;
  // Of the thread.
  Random random_;
  int failures_ = 0;
  std::string last_error_;

  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<Waiting> queue_ ABSL_GUARDED_BY(mutex_);
  StreamCounts counts_ ABSL_GUARDED_BY(mutex_);
  State state_ ABSL_GUARDED_BY(mutex_) = State::kConnecting;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // The stream stood and broke, and nothing was tried since.
  bool broke_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Duration began_ ABSL_GUARDED_BY(mutex_);  // The last try; Clock::SinceBoot().
  bool peer_came_ ABSL_GUARDED_BY(mutex_) = false;
  bool opening_ ABSL_GUARDED_BY(mutex_) = false;  // Nothing has come of the connect yet.
  // A connect was given up since the stream stood last: once is enough.
  bool gave_up_ ABSL_GUARDED_BY(mutex_) = false;
  // The call that is open, for RequestStop() to cancel.
  grpc::ClientContext* open_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::thread thread_;
};

}  // namespace holdfast::raft
