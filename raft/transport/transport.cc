#include "raft/transport/transport.h"

#include "base/check.h"

namespace holdfast::raft {

void NullTransport::Send(NodeId to, GroupId group, Message message) {
  (void)message;
  HOLDFAST_CHECK(false) << "group " << group << " of one voter wants to send to node " << to;
}

void NullTransport::Fetch(NodeId peer, std::string request, std::shared_ptr<FetchSink> sink) {
  (void)request;
  (void)sink;
  HOLDFAST_CHECK(false) << "a node alone wants to fetch from node " << peer;
}

void NullTransport::Call(NodeId to, std::string request, absl::Duration timeout, CallReply done) {
  (void)request;
  (void)timeout;
  (void)done;
  HOLDFAST_CHECK(false) << "a node alone wants to call node " << to;
}

}  // namespace holdfast::raft
