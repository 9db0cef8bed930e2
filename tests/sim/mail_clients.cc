#include "tests/sim/mail_clients.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace holdfast::raft_test {
namespace {

std::shared_ptr<const smtp::Envelope> MakeEnvelope(uint64_t token,
                                                   const std::vector<std::string>& recipients,
                                                   absl::Time now) {
  auto envelope = std::make_shared<smtp::Envelope>();
  envelope->client.address = smtp::IpAddress::V4({192, 0, 2, 1});
  envelope->client.ehlo_name = "client.test";
  envelope->client.esmtp = true;
  envelope->protocol = "ESMTP";
  envelope->received = now;
  envelope->reverse_path = SenderOf(token);
  envelope->reverse_path_key = std::string(kSendersDomain);
  for (const std::string& address : recipients) {
    smtp::EnvelopeRecipient recipient;
    recipient.mailbox = address;
    recipient.local_part = address.substr(0, address.find('@'));
    recipient.domain = address.substr(address.find('@') + 1);
    recipient.destination = recipient.domain;
    envelope->recipients.push_back(std::move(recipient));
  }
  return envelope;
}

}  // namespace

MailClients::MailClients(const SimShared& shared, MailChecker& checker,
                         std::vector<HostNode*> nodes, size_t destinations, uint64_t seed)
    : shared_(shared),
      checker_(checker),
      nodes_(std::move(nodes)),
      destinations_(destinations),
      luck_(seed) {}

void MailClients::Begin() {
  const double share = static_cast<double>(luck_.Below(1000)) / 1000.0;
  shared_.loop.After(weather_.pause_max * share, [this] {
    if (ended_) return;
    if (Unanswered() < weather_.open_max) SendOne();
    Begin();
  });
}

uint64_t MailClients::Unanswered() const {
  return static_cast<uint64_t>(std::count_if(asked_.begin(), asked_.end(), [](const auto& one) {
    return one.second.node->running() && one.second.node->life() == one.second.life;
  }));
}

std::string MailClients::MakeContent(uint64_t token) {
  std::string content =
      format("Message-ID: <t{}@client.test>\r\nSubject: {}\r\n\r\n", token, luck_.Next());
  for (uint64_t line = luck_.Below(weather_.lines_max); line > 0; --line) {
    content += format("{}{:x}\r\n", luck_.OneIn(4) ? "." : "", luck_.Next());
  }
  return content;
}

void MailClients::SendOne() {
  HostNode& node = *nodes_[luck_.Below(nodes_.size())];
  if (!node.running() || node.paused_until() > shared_.loop.now()) return;
  auto& mail = static_cast<MailNode&>(node.inside());
  if (!mail.ready()) return;
  const uint64_t token = ++sent_;
  std::vector<std::string> recipients;
  for (uint64_t number = luck_.Between(1, 4); number > 0; --number) {
    recipients.push_back(RecipientOf(token, number, luck_.Below(destinations_)));
  }
  const std::string content = MakeContent(token);
  std::vector<std::shared_ptr<const std::string>> pieces;
  const uint64_t count = luck_.OneIn(3) ? luck_.Between(2, 3) : 1;
  for (uint64_t piece = 0; piece < count; ++piece) {
    const size_t from = content.size() * piece / count;
    const size_t to = content.size() * (piece + 1) / count;
    pieces.push_back(std::make_shared<const std::string>(content.substr(from, to - from)));
  }
  smtp::FinalFacts facts;
  facts.bytes = content.size();
  facts.content.bytes = content.size();
  facts.content.ends_with_crlf = true;
  facts.message_id = format("<t{}@client.test>", token);
  shared_.trace.Note("submits", {node.id().value(), token, recipients.size(), content.size()});
  asked_[token] = {&node, node.life()};
  auto envelope = MakeEnvelope(token, recipients, node.clock().Now());
  checker_.OnSubmit(token, std::move(recipients), content);
  mail.Submit(std::move(envelope), std::move(pieces), std::move(facts),
              [this, token](const absl::Status& status) {
                asked_.erase(token);
                shared_.trace.Note("answered", {token, static_cast<uint64_t>(status.code())});
                checker_.OnAnswer(token, status);
              });
}

}  // namespace holdfast::raft_test
