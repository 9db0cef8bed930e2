#include "node/submit/envelope_codec.h"

#include <string>

#include "base/text.h"

namespace holdfast::node {
namespace {

uint32_t NotifyBits(const std::optional<smtp::NotifySet>& notify) {
  if (!notify) return command::NOTIFY_ABSENT;
  uint32_t bits = 0;
  if (notify->never) bits |= command::NOTIFY_NEVER;
  if (notify->success) bits |= command::NOTIFY_SUCCESS;
  if (notify->failure) bits |= command::NOTIFY_FAILURE;
  if (notify->delay) bits |= command::NOTIFY_DELAY;
  return bits;
}

}  // namespace

void EncodeEnvelope(const smtp::Envelope& envelope, const smtp::FinalFacts& facts,
                    uint64_t header_bytes, command::Envelope* out) {
  out->set_sender(envelope.reverse_path);
  for (const smtp::EnvelopeRecipient& recipient : envelope.recipients) {
    command::Recipient& row = *out->add_recipients();
    // Where it goes: the mailbox as received unless policy redirected it (postmaster).
    row.set_address(recipient.domain.empty()
                        ? recipient.local_part
                        : format("{}@{}", recipient.local_part, recipient.domain));
    row.set_destination(recipient.destination);
    row.set_notify(NotifyBits(recipient.notify));
    row.set_orcpt(recipient.orcpt.value_or(""));
  }
  if (envelope.ret) {
    out->set_ret(*envelope.ret == smtp::DsnReturn::kFull ? command::RETURN_FULL
                                                         : command::RETURN_HEADERS);
  }
  out->set_envid(envelope.envid.value_or(""));
  if (envelope.body == smtp::BodyType::k8BitMime) out->set_body_kind(command::BODY_8BITMIME);
  out->set_smtputf8(envelope.smtputf8);
  out->set_utf8_headers(facts.utf8_headers);
  out->set_has_8bit(facts.needs_8bit);
  out->set_client(smtp::Endpoint{envelope.client.address, envelope.client.port}.ToString());
  out->set_ehlo(envelope.client.ehlo_name);
  out->set_auth_user(envelope.client.auth_user);
  out->set_message_id(facts.message_id);
  out->set_content_bytes(facts.bytes);
  out->set_header_bytes(header_bytes);
}

smtp::Transaction TransactionOf(const command::Envelope& envelope) {
  smtp::Transaction transaction;
  transaction.reverse_path = envelope.sender();
  transaction.content_bytes = envelope.content_bytes();
  if (envelope.body_kind() == command::BODY_8BITMIME) transaction.body = smtp::BodyType::k8BitMime;
  transaction.smtputf8 = envelope.smtputf8();
  transaction.needs_8bit = envelope.has_8bit();
  transaction.utf8_headers = envelope.utf8_headers();
  if (envelope.ret() == command::RETURN_FULL) transaction.ret = smtp::DsnReturn::kFull;
  if (envelope.ret() == command::RETURN_HEADERS) transaction.ret = smtp::DsnReturn::kHeaders;
  if (!envelope.envid().empty()) transaction.envid = envelope.envid();
  return transaction;
}

smtp::TransactionRecipient RecipientOf(const command::Recipient& recipient) {
  smtp::TransactionRecipient out;
  out.mailbox = recipient.address();
  if (recipient.notify() != command::NOTIFY_ABSENT) {
    smtp::NotifySet notify;
    notify.never = (recipient.notify() & command::NOTIFY_NEVER) != 0;
    notify.success = (recipient.notify() & command::NOTIFY_SUCCESS) != 0;
    notify.failure = (recipient.notify() & command::NOTIFY_FAILURE) != 0;
    notify.delay = (recipient.notify() & command::NOTIFY_DELAY) != 0;
    out.notify = notify;
  }
  if (!recipient.orcpt().empty()) out.orcpt = recipient.orcpt();
  return out;
}

}  // namespace holdfast::node
