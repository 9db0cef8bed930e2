// MAIL and RCPT: from the words of the client to an envelope (RFC 5321 4.1.1.2, 4.1.1.3).
#include "base/text.h"
#include "smtp/mime/trace_header.h"
#include "smtp/server/session_core.h"

namespace holdfast::smtp {
namespace {

Reply PathReply(PathError error, bool recipient) {
  const int detail = recipient ? 3 : 7;  // RFC 3463 3.2: bad destination, bad sender's syntax.
  switch (error) {
    case PathError::kNeedsSmtpUtf8:
      return Reply(553, {5, 6, 7}, "This address needs SMTPUTF8");
    case PathError::kInvalidUtf8:
      return Reply(553, {5, 6, 7}, "This address is not valid UTF-8");
    case PathError::kTooLong:
      return Reply(501, {5, 1, detail}, "Address too long");
    case PathError::kDomainSyntax:
      return Reply(501, {5, 1, detail}, "Bad domain syntax");
    default:
      return Reply(501, {5, 1, detail}, "Bad address syntax");
  }
}

const Path& Target(const RcptCommand& rcpt, const RcptDecision& decision) {
  return decision.redirect ? *decision.redirect : rcpt.recipient;
}

// What a recipient adds to its envelope, framing and numbers included.
size_t BytesOf(const RcptCommand& rcpt, const RcptDecision& decision) {
  constexpr size_t kFramingBytes = 32;
  const Path& to = Target(rcpt, decision);
  return to.local_part.size() + to.domain.size() + to.domain_key.size() +
         rcpt.parameters.orcpt.value_or("").size() + kFramingBytes;
}

}  // namespace

void SessionCore::OnMail(std::string_view arguments) {
  if (client_.ehlo_name.empty()) return Fail(Reply(503, {5, 5, 1}, "Send EHLO or HELO first"));
  if (transaction_) return Fail(Reply(503, {5, 5, 1}, "Nested MAIL command"));
  MailCommand mail;
  if (!ReadMail(arguments, mail)) return;

  const uint64_t bytes_max = options_.limits.message_bytes_max;
  if (mail.parameters.size_bytes.value_or(0) > bytes_max) {
    return Refuse(Reply(552, {5, 3, 4}, format("Message size exceeds the limit of {}", bytes_max)));
  }
  MailDecision decision = policy_.OnMail(client_, mail);
  if (decision.refusal) {
    Transaction refused;  // Only for the observer, which wants to know who it was.
    refused.mail = std::move(mail);
    transaction_ = std::move(refused);
    Refuse(*decision.refusal);
    transaction_.reset();
    // RFC 5321, 3.8: 421 to any command announces the end of the session.
    if (decision.refusal->code() == 421) phase_ = Phase::kClosed;
    return;
  }
  transaction_ = Transaction();
  transaction_->mail = std::move(mail);
  transaction_->trusted = decision.trusted;
  Say(Reply(250, {2, 1, 0}, "Ok"));
}

bool SessionCore::ReadMail(std::string_view arguments, MailCommand& mail) {
  const std::optional<std::string_view> text = PathArgument(arguments, "FROM:");
  if (!text) {
    Fail(Reply(501, {5, 5, 4}, "Syntax: MAIL FROM:<address>"));
    return false;
  }
  // Whether UTF-8 is allowed stands behind the path, so the path is read with UTF-8 allowed first.
  PathRules rules;
  rules.allow_null = true;
  rules.allow_utf8 = true;
  rules.limits = options_.limits.address;
  PathResult result = ParsePath(*text, rules);
  if (!result.path) {
    Fail(PathReply(result.error, /*recipient=*/false));
    return false;
  }
  const ParameterResult read = ParseMailParameters(text->substr(result.consumed), mail.parameters);
  if (read.error != ParameterError::kNone) {
    FailParameters(read);
    return false;
  }
  if (result.path->needs_smtputf8() && !mail.parameters.smtputf8) {
    Fail(PathReply(PathError::kNeedsSmtpUtf8, /*recipient=*/false));
    return false;
  }
  mail.reverse_path = *std::move(result.path);
  return true;
}

void SessionCore::OnRcpt(std::string_view arguments) {
  if (!transaction_) return Fail(Reply(503, {5, 5, 1}, "Send MAIL first"));
  if (transaction_->chunking) return Fail(Reply(503, {5, 5, 1}, "BDAT in progress"));
  RcptCommand rcpt;
  if (!ReadRcpt(arguments, rcpt)) return;

  const Path& to = rcpt.recipient;
  rcpt.accepted = transaction_->recipients.size();
  const RcptDecision decision = policy_.OnRcpt(client_, transaction_->mail, rcpt);
  if (decision.refusal) return RefuseRecipient(*decision.refusal, to);
  const size_t bytes = transaction_->envelope_bytes + BytesOf(rcpt, decision);
  if (rcpt.accepted >= options_.limits.recipients_max ||
      bytes > options_.limits.envelope_bytes_max) {
    return Refuse(Reply(452, {4, 5, 3}, "Too many recipients; send the others another time"),
                  Printable(to.mailbox(), 1024));
  }
  AddRecipient(rcpt, decision);
  Say(Reply(250, {2, 1, 5}, "Ok"));
}

bool SessionCore::ReadRcpt(std::string_view arguments, RcptCommand& rcpt) {
  const std::optional<std::string_view> text = PathArgument(arguments, "TO:");
  if (!text) {
    Fail(Reply(501, {5, 5, 4}, "Syntax: RCPT TO:<address>"));
    return false;
  }
  const bool smtputf8 = transaction_->mail.parameters.smtputf8;
  PathRules rules;
  rules.allow_bare_postmaster = true;
  rules.allow_utf8 = smtputf8;
  rules.limits = options_.limits.address;
  PathResult result = ParsePath(*text, rules);
  if (!result.path) {
    Fail(PathReply(result.error, /*recipient=*/true));
    return false;
  }
  const ParameterResult read =
      ParseRcptParameters(text->substr(result.consumed), smtputf8, rcpt.parameters);
  if (read.error != ParameterError::kNone) {
    FailParameters(read);
    return false;
  }
  rcpt.recipient = *std::move(result.path);
  return true;
}

void SessionCore::FailParameters(const ParameterResult& result) {
  switch (result.error) {
    case ParameterError::kUnknown:
      return Fail(Reply(555, {5, 5, 4}, "Parameter not recognized or not implemented"));
    case ParameterError::kValueNotImplemented:
      return Fail(Reply(504, {5, 5, 4}, format("Value of {} not implemented", result.name)));
    default:
      return Fail(Reply(501, {5, 5, 4},
                        result.name.empty() ? std::string("Bad parameter syntax")
                                            : format("Bad value of {}", result.name)));
  }
}

// Whoever guesses addresses gets tired of us before we of him (backscatter and harvesting).
void SessionCore::RefuseRecipient(const Reply& reply, const Path& recipient) {
  Refuse(reply, Printable(recipient.mailbox(), 1024));
  if (transaction_->trusted || !reply.permanent()) return;
  if (++refused_recipients_ <= options_.limits.refused_recipients_max) return;
  output_.resize(output_.size() - reply.Format().size());  // One reply to one command.
  CloseWith421({4, 7, 0}, "Too many refused recipients");
}

// The same mailbox twice is one recipient, with the parameters that it first had.
void SessionCore::AddRecipient(const RcptCommand& rcpt, const RcptDecision& decision) {
  const Path& to = Target(rcpt, decision);
  if (!transaction_->known.insert(to.local_part + "@" + to.domain_key).second) return;
  EnvelopeRecipient recipient;
  recipient.mailbox = rcpt.recipient.mailbox();
  recipient.local_part = to.local_part;
  recipient.domain = to.domain;
  recipient.destination = to.domain_key;
  recipient.notify = rcpt.parameters.notify;
  recipient.orcpt = rcpt.parameters.orcpt;
  transaction_->recipients.push_back(std::move(recipient));
  transaction_->envelope_bytes += BytesOf(rcpt, decision);
}

std::string SessionCore::ProtocolName() const {
  ProtocolFacts facts;
  facts.esmtp = client_.esmtp;
  facts.tls = client_.tls.active;
  facts.authenticated = !client_.auth_user.empty();
  facts.smtputf8 = transaction_->mail.parameters.smtputf8;
  return std::string(TransmissionType(facts));
}

std::shared_ptr<const Envelope> SessionCore::TakeEnvelope(absl::Time now) {
  auto envelope = std::make_shared<Envelope>();
  const MailCommand& mail = transaction_->mail;
  envelope->client = client_;
  envelope->trusted = transaction_->trusted;
  envelope->protocol = ProtocolName();
  envelope->received = now;
  envelope->reverse_path = mail.reverse_path.mailbox();
  envelope->reverse_path_key = mail.reverse_path.domain_key;
  envelope->ret = mail.parameters.ret;
  envelope->envid = mail.parameters.envid;
  envelope->body = mail.parameters.body;
  envelope->smtputf8 = mail.parameters.smtputf8;
  envelope->declared_bytes = mail.parameters.size_bytes;
  envelope->recipients = transaction_->recipients;
  envelope_ = envelope;
  return envelope;
}

}  // namespace holdfast::smtp
