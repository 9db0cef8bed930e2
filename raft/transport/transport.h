// raft/transport/transport.h
// Transport carries what nodes say to each other: Raft messages of all groups; fetches, by which a
// replica that lags pulls the contents of a snapshot or a body; and calls, one request and one
// answer. It may lose, repeat, delay and reorder messages (Raft mends all of that) but never
// changes one and never blocks its caller. It never repeats a call.
//
// It knows groups and messages, but not what bodies, hellos, fetches and calls mean: for those it
// asks its PeerHandler, which the host is.
// Threads:  Send() on the raft context only; it must not wait. Fetch() and Call() from anywhere.
// Lifetime: Send(), Fetch() and Call() may be called until Stop(). The handler outlives the
//   transport.
#pragma once

#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "base/strong_id.h"
#include "raft/core/raft_types.h"

namespace holdfast::raft {

// One piece of an answer to a fetch is at most this long.
inline constexpr uint64_t kFetchPieceBytesMax = uint64_t{1} << 20;

// A message and the group that it belongs to.
struct GroupMessage {
  GroupId group{};
  Message message;
};

// The answer to one fetch, given piece by piece as the peer takes them.
// Threads: one call at a time, on a transport thread; may read the disk.
class FetchSource {
 public:
  virtual ~FetchSource() = default;
  // The next piece, an empty string at the end, or why there is no more.
  virtual absl::StatusOr<std::string> Next() = 0;
};

// Answers one call: exactly once, from any thread, perhaps before OnCall() returns. It may be kept
// for longer than the transport lives: nobody hears what comes too late. Dropped without a word it
// answers kDeadlineExceeded.
using CallReply = std::function<void(absl::StatusOr<std::string>)>;

// What a transport asks of the node that it serves.
// Threads: any, several at a time; may read the disk, must not wait for the network.
class PeerHandler {
 public:
  virtual ~PeerHandler() = default;

  // What the peer is told when a connection opens, besides cluster, node and versions; opaque.
  virtual std::string Hello(NodeId peer) = 0;
  // What a peer told. An error refuses the connection, and is logged on both sides.
  virtual absl::Status OnHello(NodeId peer, std::string_view hello) = 0;

  virtual void OnMessage(NodeId from, GroupId group, Message message) = 0;
  // Messages that came together, in their order.
  virtual void OnMessages(NodeId from, std::vector<GroupMessage> messages) {
    for (GroupMessage& one : messages) OnMessage(from, one.group, std::move(one.message));
  }
  // Messages to `peer` were lost: the connection broke, can't be made, or its queue is full.
  virtual void OnUnreachable(NodeId peer) = 0;

  // Puts in the bytes of the bodies (or says that they are elided) that `message` came without.
  // Called when the message is about to be sent. An error drops it.
  virtual absl::Status FillBodies(GroupId group, Message& message) = 0;

  // `request` is what Fetch() of the peer was given.
  virtual absl::StatusOr<std::unique_ptr<FetchSource>> OpenFetch(NodeId peer,
                                                                 std::string_view request) = 0;

  // `request` is what Call() of the peer was given. Must not block. An error is passed on with its
  // code and message.
  virtual void OnCall(NodeId peer, std::string request, CallReply reply) = 0;
};

// Takes the answer to a fetch.
// Threads: one call at a time, on a transport thread.
class FetchSink {
 public:
  virtual ~FetchSink() = default;
  // The next piece is asked for when this returns; an error cancels the fetch. May write to disk.
  virtual absl::Status OnPiece(std::string piece) = 0;
  // Last call, exactly once, also when the transport stops. OK: every piece was given.
  virtual void OnDone(const absl::Status& status) = 0;
};

class Transport {
 public:
  virtual ~Transport() = default;

  // Queues `message` for the node `to`, or drops it and calls OnUnreachable() later. Entries may
  // come without the bytes of their bodies; see PeerHandler::FillBodies().
  virtual void Send(NodeId to, GroupId group, Message message) = 0;
  // The same for several, which travel together as far as they fit: each frame wakes four threads,
  // so a hundred heartbeats of a hundred groups should be one.
  virtual void SendAll(NodeId to, std::vector<GroupMessage> messages) {
    for (GroupMessage& one : messages) Send(to, one.group, std::move(one.message));
  }

  // Pulls an answer from `peer`; gives up when no piece comes for the transport's fetch timeout.
  virtual void Fetch(NodeId peer, std::string request, std::shared_ptr<FetchSink> sink) = 0;

  // Asks `to`; `done` runs exactly once, on a transport thread or in this call, and must not block.
  // kUnavailable: certainly did not and will not reach the peer's handler: no such peer, no
  // connection, or refused before. kDeadlineExceeded: no answer in time, or the connection broke
  // after the request was sent: UNKNOWN whether it was done, or still will be.
  // kResourceExhausted: over a bound, not done. kCancelled: stopped, or the peer left: unknown.
  // Any other: what the peer's handler said, which may be one of these too.
  virtual void Call(NodeId to, std::string request, absl::Duration timeout, CallReply done) = 0;
};

// For groups with one voter: there is nobody to talk to, and being asked to is our own mistake.
class NullTransport final : public Transport {
 public:
  // All CHECK-fail.
  void Send(NodeId to, GroupId group, Message message) override;
  void Fetch(NodeId peer, std::string request, std::shared_ptr<FetchSink> sink) override;
  void Call(NodeId to, std::string request, absl::Duration timeout, CallReply done) override;
};

}  // namespace holdfast::raft
