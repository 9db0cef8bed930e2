#include "raft/transport/transport.h"

#include "base/check.h"

namespace holdfast::raft {

void NullTransport::Send(NodeId to, GroupId group, Message message) {
  (void)message;
  HOLDFAST_CHECK(false) << "group " << group << " of one voter wants to send to node " << to;
}

}  // namespace holdfast::raft
