#include "node/submit/session_log.h"

#include "base/text.h"
#include "node/admin/events.h"

namespace holdfast::node {
namespace {

std::string ClientText(const smtp::ClientFacts& client) {
  return smtp::Endpoint{client.address, client.port}.ToString();
}

MailEvent Rejected(const smtp::ClientFacts& client, const smtp::Reply& reply) {
  MailEvent event;
  event.kind = MailEventKind::kRejected;
  event.client = ClientText(client);
  if (reply.enhanced()) event.status = reply.enhanced()->ToString();
  event.reply = reply.ToString();
  return event;
}

}  // namespace

void SessionLog::OnConnect(const smtp::ClientFacts& /*client*/) {
  metrics_.connections.Increment();
}

void SessionLog::OnTurnedAway(const smtp::ClientFacts& client, const smtp::Reply& reply) {
  metrics_.turned_away.Increment();
  LogMailEvent(Rejected(client, reply));
}

void SessionLog::OnRejected(const smtp::ClientFacts& client, const smtp::Rejection& rejection,
                            const smtp::Reply& reply) {
  metrics_.rejected.Increment();
  MailEvent event = Rejected(client, reply);
  event.queue_id = rejection.queue_id;
  if (!rejection.from.empty() || !rejection.to.empty()) event.from = rejection.from;
  event.to = rejection.to;
  LogMailEvent(event);
}

void SessionLog::OnAccepted(const smtp::Envelope& envelope, const smtp::FinalFacts& facts,
                            const std::string& queue_id) {
  metrics_.accepted.Increment();
  metrics_.accepted_bytes.Increment(facts.bytes);
  MailEvent event;
  event.kind = MailEventKind::kAccepted;
  event.queue_id = queue_id;
  event.message_id = facts.message_id;
  event.client = ClientText(envelope.client);
  event.from = envelope.reverse_path;
  event.to = envelope.recipients.empty() ? std::string() : envelope.recipients.front().mailbox;
  if (envelope.recipients.size() > 1) {
    event.to += format(" and {} more", envelope.recipients.size() - 1);
  }
  event.bytes = facts.bytes;
  if (envelope.client.tls.active) {
    event.tls = format("{} {}", envelope.client.tls.version, envelope.client.tls.cipher);
  }
  event.status = "2.0.0";
  LogMailEvent(event);
}

}  // namespace holdfast::node
