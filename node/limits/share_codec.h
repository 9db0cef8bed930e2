// node/limits/share_codec.h
// Asks and grants as peer_call::Shares carries them. Parts of a thousandth of a message are lost:
// what is enforced is rounded up, what is granted down, so that the sum stays within the limit.
// Threads: pure functions.
#pragma once

#include "node/limits/share_types.h"
#include "proto/peer_call.pb.h"

namespace holdfast::node {

void PutAsk(const ShareAsk& ask, peer_call::ShareAsk* to);
ShareAsk AskOf(const peer_call::ShareAsk& ask);
void PutGrant(const ShareGrant& grant, peer_call::ShareGrant* to);
ShareGrant GrantOf(const peer_call::ShareGrant& grant);

}  // namespace holdfast::node
