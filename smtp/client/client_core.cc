#include "smtp/client/client_core.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "base/text.h"
#include "smtp/client/answer.h"
#include "smtp/protocol/address.h"
#include "smtp/protocol/data_framing.h"

namespace holdfast::smtp {
namespace {

constexpr int kServiceClosing = 421;

// No byte that would end a command or a parameter. All of these strings were parsed when the
// message came in; a line break here would be a second command in somebody else's name.
bool IsSafeText(std::string_view text, bool spaces_allowed) {
  return std::none_of(text.begin(), text.end(), [&](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f || (byte == ' ' && !spaces_allowed);
  });
}

// The mailbox for a next hop without SMTPUTF8, if it has such a form.
std::optional<std::string> ToAscii(const std::string& mailbox) {
  if (IsAscii(mailbox)) return mailbox;
  PathRules rules;
  rules.allow_utf8 = true;
  const PathResult parsed = ParseMailbox(mailbox, rules);
  if (!parsed.path) return std::nullopt;
  return AsciiMailbox(*parsed.path);
}

}  // namespace

ClientCore::ClientCore(const ClientCoreOptions& options) : options_(options) {
  HOLDFAST_CHECK(!options_.ehlo_name.empty() && IsSafeText(options_.ehlo_name, false));
  HOLDFAST_CHECK(options_.pipelined_commands_max > 0 && options_.recipients_max > 0);
}

Phase ClientCore::phase() const {
  if (pending_.empty()) return phase_;
  switch (pending_.front().expect) {
    case Expect::kReset:
    case Expect::kMail:
      return Phase::kMail;
    case Expect::kRcpt:
      return Phase::kRcpt;
    case Expect::kData:
      return Phase::kData;
    case Expect::kDot:
      return Phase::kFinalDot;
    default:
      return phase_;
  }
}

ClientStep ClientCore::OnReply(const ReceivedReply& reply) {
  HOLDFAST_CHECK(!pending_.empty()) << "a reply to nothing";
  phase_ = phase();
  const Pending pending = pending_.front();
  if (reply.code == kServiceClosing && !in_transaction_) {
    return FailSession(OutcomeClass::kTemporary, RemoteAnswer(reply));
  }
  pending_.pop_front();
  switch (pending.expect) {
    case Expect::kGreeting:
      return OnGreeting(reply);
    case Expect::kEhlo:
      return OnHello(reply, /*ehlo=*/true);
    case Expect::kHelo:
      return OnHello(reply, /*ehlo=*/false);
    case Expect::kStartTls:
      return OnStartTls(reply);
    case Expect::kAuth:
      return OnAuth(reply);
    case Expect::kReset:
    case Expect::kMail:
    case Expect::kRcpt:
    case Expect::kData:
    case Expect::kDot:
      return OnTransactionReply(pending, reply);
  }
  return OnLost("unexpected reply");
}

// --- what this remote can be given ---

ClientStep ClientCore::Start(Transaction transaction) {
  HOLDFAST_CHECK(ready_ && !in_transaction_ && pending_.empty());
  HOLDFAST_CHECK(!transaction.recipients.empty());
  transaction_ = std::move(transaction);
  const size_t count = transaction_.recipients.size();
  result_ = TransactionResult{};
  result_.recipients.resize(count);
  decided_.assign(count, false);
  rcpt_to_.assign(count, std::string());
  in_transaction_ = true;
  mail_sent_ = mail_refused_ = rcpt_limit_hit_ = data_sent_ = answered_ = dot_sent_ = false;
  next_rcpt_ = accepted_ = 0;
  ++messages_;
  phase_ = Phase::kMail;
  CheckAgainstOffers();
  if (std::find(decided_.begin(), decided_.end(), false) == decided_.end()) return Finish(true);
  return SendCommands();
}

size_t ClientCore::RecipientsMax() const {
  const uint64_t offered = capabilities_.recipients_max.value_or(options_.recipients_max);
  return static_cast<size_t>(std::min<uint64_t>(offered, options_.recipients_max));
}

void ClientCore::CheckAgainstOffers() {
  const Transaction& mail = transaction_;
  if (capabilities_.size_bytes_max && mail.content_bytes > *capabilities_.size_bytes_max) {
    DecideOpen(OutcomeClass::kPermanent,
               OwnAnswer(552, {5, 3, 4},
                         format("the message has {} bytes, the next hop takes {}",
                                mail.content_bytes, *capabilities_.size_bytes_max)));
    return;
  }
  if (mail.needs_8bit && !capabilities_.eight_bit_mime) {
    DecideOpen(OutcomeClass::kPermanent,
               OwnAnswer(554, {5, 6, 3}, "the next hop takes no 8-bit content (8BITMIME)"));
    return;
  }
  send_smtputf8_ = mail.smtputf8 && capabilities_.smtputf8;
  std::optional<std::string> mail_from = mail.reverse_path;
  if (!send_smtputf8_) mail_from = ToAscii(mail.reverse_path);
  // RFC 6531 3.2: without SMTPUTF8 at the next hop, mail that needs it comes back. What needs it
  // is seen by looking, for clients ask for SMTPUTF8 also when all is ASCII.
  if (!mail_from || (!send_smtputf8_ && mail.smtputf8 && mail.utf8_headers)) {
    DecideOpen(
        OutcomeClass::kPermanent,
        OwnAnswer(553, {5, 6, 7}, "the next hop takes no internationalised mail (SMTPUTF8)"));
    return;
  }
  if (!IsSafeText(*mail_from, /*spaces_allowed=*/true)) {
    DecideOpen(OutcomeClass::kPermanent, OwnAnswer(553, {5, 1, 7}, "unusable sender address"));
    return;
  }
  mail_from_ = *std::move(mail_from);
  size_t left = 0;
  for (size_t i = 0; i < mail.recipients.size(); ++i) {
    PrepareRecipient(i);
    if (!open(i) || ++left <= RecipientsMax()) continue;
    Decide(i, OutcomeClass::kNotAttempted,
           OwnAnswer(452, {4, 5, 3}, "left for another transaction"), /*retry_now=*/true);
  }
}

void ClientCore::PrepareRecipient(size_t index) {
  const std::string& mailbox = transaction_.recipients[index].mailbox;
  if (mailbox.empty() || !IsSafeText(mailbox, /*spaces_allowed=*/true)) {
    Decide(index, OutcomeClass::kPermanent,
           OwnAnswer(553, {5, 1, 3}, "unusable recipient address"));
    return;
  }
  std::optional<std::string> rcpt_to = mailbox;
  if (!send_smtputf8_) rcpt_to = ToAscii(mailbox);
  if (!rcpt_to) {
    Decide(index, OutcomeClass::kPermanent,
           OwnAnswer(553, {5, 6, 7}, "the next hop takes no internationalised address (SMTPUTF8)"));
    return;
  }
  rcpt_to_[index] = *std::move(rcpt_to);
}

// --- commands ---

std::string ClientCore::MailCommand() const {
  const Transaction& mail = transaction_;
  std::string command = format("MAIL FROM:<{}>", mail_from_);
  if (capabilities_.size) command += format(" SIZE={}", mail.content_bytes);
  if (capabilities_.eight_bit_mime && (mail.needs_8bit || mail.body)) {
    const bool eight_bit = mail.needs_8bit || mail.body == BodyType::k8BitMime;
    command += eight_bit ? " BODY=8BITMIME" : " BODY=7BIT";
  }
  if (send_smtputf8_) command += " SMTPUTF8";
  if (capabilities_.dsn) {
    if (mail.ret) command += *mail.ret == DsnReturn::kFull ? " RET=FULL" : " RET=HDRS";
    if (mail.envid && IsAscii(*mail.envid) && IsSafeText(*mail.envid, false)) {
      command += format(" ENVID={}", *mail.envid);
    }
  }
  command += "\r\n";
  return command;
}

std::string ClientCore::RcptCommand(size_t index) const {
  const TransactionRecipient& recipient = transaction_.recipients[index];
  std::string command = format("RCPT TO:<{}>", rcpt_to_[index]);
  if (capabilities_.dsn) {
    if (recipient.notify) command += format(" NOTIFY={}", recipient.notify->ToString());
    const std::optional<std::string>& orcpt = recipient.orcpt;
    // A UTF-8 original recipient has an ASCII form only if it was given in that form (RFC 6533 3).
    if (orcpt && IsSafeText(*orcpt, false) && (send_smtputf8_ || IsAscii(*orcpt))) {
      command += format(" ORCPT={}", *orcpt);
    }
  }
  command += "\r\n";
  return command;
}

void ClientCore::SkipDecided() {
  while (next_rcpt_ < decided_.size() && !open(next_rcpt_)) ++next_rcpt_;
}

// Sends the next group: everything up to DATA if pipelining was offered and the bound allows, else
// one command. Called when no reply is outstanding.
ClientStep ClientCore::SendCommands() {
  const size_t group_max = capabilities_.pipelining ? options_.pipelined_commands_max : 1;
  ClientStep step;
  if (needs_reset_) {
    needs_reset_ = false;
    AppendCommand(step, {Expect::kReset}, "RSET\r\n");
  }
  if (!mail_sent_ && pending_.size() < group_max) {
    mail_sent_ = true;
    AppendCommand(step, {Expect::kMail}, MailCommand());
  }
  SkipDecided();
  while (mail_sent_ && next_rcpt_ < decided_.size() && pending_.size() < group_max) {
    AppendCommand(step, {Expect::kRcpt, next_rcpt_}, RcptCommand(next_rcpt_));
    ++next_rcpt_;
    SkipDecided();
  }
  const bool all_sent = mail_sent_ && next_rcpt_ == decided_.size();
  if (all_sent && pending_.empty() && accepted_ == 0) {
    needs_reset_ = true;  // MAIL stands open at the remote.
    return Finish(true);
  }
  if (all_sent && pending_.size() < group_max) {
    data_sent_ = true;
    AppendCommand(step, {Expect::kData}, "DATA\r\n");
  }
  return step;
}

// --- replies ---

ClientStep ClientCore::OnTransactionReply(Pending pending, const ReceivedReply& reply) {
  const bool first = !answered_;
  const bool refused_reset = pending.expect == Expect::kReset && !reply.positive();
  if (reply.code == kServiceClosing || refused_reset) {
    // On a reused connection the first answer may say no more than "I was just leaving".
    const bool leaving = first && messages_ > 1;
    DecideOpen(leaving ? OutcomeClass::kNotAttempted : OutcomeClass::kTemporary,
               RemoteAnswer(reply), /*retry_now=*/leaving);
    return Finish(false);
  }
  answered_ = true;
  if (reply.intermediate() && pending.expect != Expect::kData) {
    return OnLost(format("a reply out of place: {}", reply.ToString()));
  }
  switch (pending.expect) {
    case Expect::kMail:
      OnMail(reply);
      break;
    case Expect::kRcpt:
      OnRcpt(pending.recipient, reply);
      break;
    case Expect::kData:
      return OnData(reply);
    case Expect::kDot:
      return OnDot(reply);
    default:  // RSET was accepted.
      break;
  }
  if (!pending_.empty()) return {};
  if (mail_refused_) {
    needs_reset_ = true;  // Harmless if the remote agrees that there is nothing to reset.
    return Finish(true);
  }
  return SendCommands();
}

void ClientCore::OnMail(const ReceivedReply& reply) {
  if (reply.positive()) return;
  mail_refused_ = true;
  DecideOpen(reply.permanent() ? OutcomeClass::kPermanent : OutcomeClass::kTemporary,
             RemoteAnswer(reply));
}

void ClientCore::OnRcpt(size_t index, const ReceivedReply& reply) {
  if (mail_refused_) return;  // Its answer repeats, in one way or another, that of MAIL.
  if (reply.positive()) {
    ++accepted_;
    return;
  }
  // RFC 5321 4.5.3.1.10: 452 behind accepted recipients means "send those, then come again", and
  // so does 552 from old servers.
  if ((reply.code == 452 || reply.code == 552) && accepted_ > 0) {
    rcpt_limit_hit_ = true;
    Decide(index, OutcomeClass::kNotAttempted, RemoteAnswer(reply), /*retry_now=*/true);
    for (size_t i = next_rcpt_; i < decided_.size(); ++i) {  // Those not even sent yet.
      if (open(i)) Decide(i, OutcomeClass::kNotAttempted, RemoteAnswer(reply), true);
    }
    return;
  }
  Decide(index, reply.permanent() ? OutcomeClass::kPermanent : OutcomeClass::kTemporary,
         RemoteAnswer(reply));
}

ClientStep ClientCore::OnData(const ReceivedReply& reply) {
  if (reply.intermediate()) {
    if (accepted_ > 0) {
      phase_ = Phase::kContent;
      return {"", ClientStep::Next::kContent};
    }
    // RFC 2920 3.1: DATA went out before its recipients were refused, and was accepted all the
    // same. An empty message ends it; there is nobody to whom it could be delivered.
    phase_ = Phase::kFinalDot;
    return Await(Expect::kDot, std::string(DataEncoder::kFinalDot));
  }
  if (reply.positive()) return OnLost(format("a reply out of place: {}", reply.ToString()));
  DecideOpen(reply.permanent() ? OutcomeClass::kPermanent : OutcomeClass::kTemporary,
             RemoteAnswer(reply));
  needs_reset_ = true;
  return Finish(true);
}

ClientStep ClientCore::OnContentSent() {
  HOLDFAST_CHECK(in_transaction_ && phase_ == Phase::kContent && accepted_ > 0);
  phase_ = Phase::kFinalDot;
  dot_sent_ = true;
  return Await(Expect::kDot, std::string(DataEncoder::kFinalDot));
}

ClientStep ClientCore::OnEarlyReply(const ReceivedReply& reply) {
  HOLDFAST_CHECK(in_transaction_ && phase_ == Phase::kContent);
  // A server should read on to the dot, but some say "552 too big" and hang up. It is an answer,
  // unless it claims success for half a message.
  if (!reply.temporary() && !reply.permanent()) {
    return OnLost(format("a reply out of place: {}", reply.ToString()));
  }
  DecideOpen(reply.permanent() ? OutcomeClass::kPermanent : OutcomeClass::kTemporary,
             RemoteAnswer(reply));
  return Finish(false);
}

ClientStep ClientCore::OnDot(const ReceivedReply& reply) {
  OutcomeClass outcome = OutcomeClass::kTemporary;
  if (reply.positive()) outcome = OutcomeClass::kDelivered;
  if (reply.permanent()) outcome = OutcomeClass::kPermanent;
  if (accepted_ > 0) DecideOpen(outcome, RemoteAnswer(reply));
  return Finish(true);
}

ClientStep ClientCore::OnNotSent(absl::Status why) {
  HOLDFAST_CHECK(in_transaction_ && !dot_sent_);
  phase_ = phase();
  DecideOpen(OutcomeClass::kNotAttempted,
             OwnAnswer(451, {4, 3, 0}, format("ended before the final dot: {}", Message(why))));
  result_.own_failure = std::move(why);
  return Finish(false);
}

ClientStep ClientCore::OnLost(std::string_view why) {
  phase_ = phase();
  if (!in_transaction_) {
    const bool may = options_.tls == TlsPolicy::kMay;
    failure_.retry_without_tls = may && (phase_ == Phase::kStartTls || tls_active_);
    failure_.retry_with_helo = phase_ == Phase::kEhlo && !tls_active_ && !options_.helo_only &&
                               (may || options_.tls == TlsPolicy::kNone);
    return FailSession(OutcomeClass::kTemporary,
                       OwnAnswer(451, {4, 4, 2}, format("{}: {}", ToString(phase_), why)));
  }
  OutcomeClass outcome = OutcomeClass::kTemporary;
  if (dot_sent_) outcome = OutcomeClass::kInDoubt;
  const bool retry_now = IsRepliedByNobody();
  if (retry_now) outcome = OutcomeClass::kNotAttempted;
  DecideOpen(outcome, OwnAnswer(451, {4, 4, 2}, format("{}: {}", ToString(phase_), why)),
             retry_now);
  return Finish(false);
}

// --- results ---

void ClientCore::Decide(size_t index, OutcomeClass outcome, Answer answer, bool retry_now) {
  HOLDFAST_CHECK(open(index)) << "two outcomes for one recipient";
  decided_[index] = true;
  result_.recipients[index] = {outcome, phase_, std::move(answer), retry_now};
}

void ClientCore::DecideOpen(OutcomeClass outcome, const Answer& answer, bool retry_now) {
  for (size_t i = 0; i < decided_.size(); ++i) {
    if (open(i)) Decide(i, outcome, answer, retry_now);
  }
}

ClientStep ClientCore::Finish(bool reusable) {
  const uint64_t offered = capabilities_.messages_max.value_or(options_.messages_max);
  result_.reusable = reusable && messages_ < std::min<uint64_t>(offered, options_.messages_max);
  result_.phase = phase_;
  result_.dot_sent = dot_sent_;
  result_.dsn_passed_on = capabilities_.dsn;
  ready_ = result_.reusable;
  in_transaction_ = false;
  pending_.clear();
  return {"", ClientStep::Next::kDone};
}

TransactionResult ClientCore::TakeResult() {
  HOLDFAST_CHECK(!in_transaction_);
  return std::exchange(result_, TransactionResult{});
}

ClientStep ClientCore::Quit() {
  HOLDFAST_CHECK(!in_transaction_);
  ready_ = false;
  return {"QUIT\r\n", ClientStep::Next::kClosed};
}

}  // namespace holdfast::smtp
