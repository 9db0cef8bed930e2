// raft/transport/transport.h
// Transport carries messages between the replicas of a group. It may lose, repeat, delay and
// reorder them (Raft mends all of that) but never changes one and never blocks its caller.
//
// What arrives from a peer goes to GroupHost::Receive(). What is lost for good (a full queue, a
// broken connection) may be told with GroupHost::PeerUnreachable(), so that the core probes that
// peer instead of streaming to it.
// Threads:  Send() is called on the raft context only; it must not wait.
// Lifetime: outlives the host.
#pragma once

#include "base/strong_id.h"
#include "raft/core/raft_types.h"

namespace holdfast::raft {

class Transport {
 public:
  virtual ~Transport() = default;

  // Queues `message` for the node `to`, or drops it. Entries may come without the bytes of their
  // bodies (see Payload); the transport reads those from the store when it sends.
  virtual void Send(NodeId to, GroupId group, Message message) = 0;
};

// For groups with one voter: there is nobody to talk to, and being asked to is our own mistake.
class NullTransport final : public Transport {
 public:
  // CHECK-fails.
  void Send(NodeId to, GroupId group, Message message) override;
};

}  // namespace holdfast::raft
