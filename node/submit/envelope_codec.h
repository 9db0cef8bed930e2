// node/submit/envelope_codec.h
// The meeting point of smtp's envelopes and queue's: one translation each way.
// Threads: pure functions.
#pragma once

#include <cstdint>

#include "proto/command.pb.h"
#include "smtp/client/transaction.h"
#include "smtp/server/envelope.h"

namespace holdfast::node {

// `header_bytes`: up to and including the empty line; 0 when it was not found.
void EncodeEnvelope(const smtp::Envelope& envelope, const smtp::FinalFacts& facts,
                    uint64_t header_bytes, command::Envelope* out);

// Everything of an outgoing transaction but its recipients.
smtp::Transaction TransactionOf(const command::Envelope& envelope);
smtp::TransactionRecipient RecipientOf(const command::Recipient& recipient);

}  // namespace holdfast::node
