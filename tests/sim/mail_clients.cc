#include "tests/sim/mail_clients.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace holdfast::raft_test {
namespace {

// As sessions hand content on.
constexpr size_t kPieceBytesMax = size_t{1} << 20;

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
      luck_(seed),
      empty_luck_(seed ^ 0x656D707479) {}

void MailClients::Begin() {
  const double share = static_cast<double>(luck_.Below(1000)) / 1000.0;
  shared_.loop.After(weather_.pause_max * share, [this] {
    FindForsaken();
    if (!ended_ && letters_.size() < weather_.open_max) SendOne();
    if (!ended_ || !letters_.empty()) Begin();
  });
}

void MailClients::FindForsaken() {
  for (auto& [token, letter] : letters_) {
    if (letter.node == nullptr) continue;
    if (letter.node->running() && letter.node->life() == letter.life) continue;
    checker_.OnNoAnswer(token);
    OfferLater(token);
  }
}

std::string MailClients::MakeContent(uint64_t token) {
  std::string content =
      format("Message-ID: <t{}@client.test>\r\nSubject: {}\r\n\r\n", token, luck_.Next());
  if (luck_.OneIn(weather_.large_in) && large_ < weather_.large_max) {
    ++large_;
    const uint64_t bytes = luck_.OneIn(weather_.largest_in)
                               ? weather_.large_bytes_max
                               : luck_.Below(weather_.large_bytes_max / 10);
    const std::string line = format("{:x}{:x}\r\n", luck_.Next(), luck_.Next());
    content.reserve(bytes + line.size());
    while (content.size() < bytes) content += line;
  }
  for (uint64_t line = luck_.Below(weather_.lines_max); line > 0; --line) {
    content += format("{}{:x}\r\n", luck_.OneIn(4) ? "." : "", luck_.Next());
  }
  return content;
}

HostNode* MailClients::Choose() {
  HostNode* const node = nodes_[luck_.Below(nodes_.size())];
  if (!node->running() || node->paused_until() > shared_.loop.now()) return nullptr;
  return static_cast<MailNode&>(node->inside()).ready() ? node : nullptr;
}

void MailClients::SendOne() {
  HostNode* const node = Choose();
  if (node == nullptr) return;
  const uint64_t token = ++sent_;
  Letter& letter = letters_[token];
  for (uint64_t number = luck_.Between(1, 4); number > 0; --number) {
    letter.recipients.push_back(RecipientOf(token, number, luck_.Below(destinations_)));
  }
  letter.content = MakeContent(token);
  letter.empty = empty_luck_.OneIn(weather_.empty_in);
  if (letter.empty) letter.content = "Received: from client.test by relay.test\r\n";
  letter.pieces = luck_.OneIn(3) ? luck_.Between(2, 3) : 1;
  letter.pieces += letter.content.size() / kPieceBytesMax;
  checker_.OnSubmit(token, letter.recipients, letter.content);
  Offer(token, *node);
}

void MailClients::Offer(uint64_t token, HostNode& node) {
  Letter& letter = letters_.at(token);
  const std::string& content = letter.content;
  std::vector<std::shared_ptr<const std::string>> pieces;
  for (uint64_t piece = 0; piece < letter.pieces; ++piece) {
    const size_t from = content.size() * piece / letter.pieces;
    const size_t to = content.size() * (piece + 1) / letter.pieces;
    pieces.push_back(std::make_shared<const std::string>(content.substr(from, to - from)));
  }
  smtp::FinalFacts facts;
  facts.bytes = content.size();
  facts.content.bytes = content.size();
  facts.content.ends_with_crlf = true;
  facts.has_date = !letter.empty;
  if (!letter.empty) facts.message_id = format("<t{}@client.test>", token);
  ++letter.offers;
  letter.node = &node;
  letter.life = node.life();
  shared_.trace.Note("submits", {node.id().value(), token, letter.recipients.size(), content.size(),
                                 letter.offers});
  static_cast<MailNode&>(node.inside())
      .Submit(MakeEnvelope(token, letter.recipients, node.clock().Now()), std::move(pieces),
              std::move(facts), [this, token](const absl::StatusOr<std::string>& queue_id) {
                OnAnswer(token, queue_id);
              });
}

void MailClients::OnAnswer(uint64_t token, const absl::StatusOr<std::string>& queue_id) {
  Letter& letter = letters_.at(token);
  shared_.trace.Note("answered", {token, static_cast<uint64_t>(queue_id.status().code())});
  checker_.OnAnswer(token, queue_id);
  empty_ += queue_id.ok() && letter.empty;
  largest_ += queue_id.ok() && letter.content.size() >= weather_.large_bytes_max;
  auto& mail = static_cast<MailNode&>(letter.node->inside());
  if (queue_id.ok() && luck_.OneIn(12)) {
    mail.HangsUp(*queue_id);
    return OfferLater(token);
  }
  if (queue_id.ok()) mail.GoesOn(*queue_id);
  // What was refused for sure is of no interest, unless an earlier offer may have been taken.
  const bool unknown = absl::IsDeadlineExceeded(queue_id.status());
  if (!queue_id.ok() && (unknown || letter.offers > 1)) return OfferLater(token);
  letters_.erase(token);
}

void MailClients::OfferLater(uint64_t token) {
  letters_.at(token).node = nullptr;
  const double share = static_cast<double>(luck_.Below(1000)) / 1000.0;
  const absl::Duration more = weather_.patience_max - weather_.patience_min;
  shared_.loop.After(weather_.patience_min + more * share, [this, token] { OfferAgain(token); });
}

void MailClients::OfferAgain(uint64_t token) {
  const Letter& letter = letters_.at(token);
  if (letter.empty || letter.offers >= weather_.offers_max) {
    letters_.erase(token);
    return;
  }
  HostNode* const node = Choose();
  if (node == nullptr) return OfferLater(token);
  ++offered_again_;
  Offer(token, *node);
}

}  // namespace holdfast::raft_test
