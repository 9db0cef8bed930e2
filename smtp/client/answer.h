// smtp/client/answer.h
// Answers made from a remote's reply, or by ourselves where no reply is to be had.
// Threads: pure functions.
#pragma once

#include <string_view>

#include "smtp/client/transaction.h"
#include "smtp/protocol/reply.h"

namespace holdfast::smtp {

// The reply as it came; without an enhanced code of its own it gets X.0.0 of its class.
Answer RemoteAnswer(const ReceivedReply& reply);
// `text` may hold foreign bytes; it is made printable.
Answer OwnAnswer(int code, EnhancedCode enhanced, std::string_view text);

}  // namespace holdfast::smtp
