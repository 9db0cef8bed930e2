// The conversation up to the point where mail can be sent: greeting, EHLO, STARTTLS, AUTH.
#include <absl/strings/escaping.h>

#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "smtp/client/answer.h"
#include "smtp/client/client_core.h"

namespace holdfast::smtp {
namespace {

// RFC 7504: the host never accepts mail, and says so in its greeting.
constexpr int kNoMailHere = 521;

bool RequiresTls(TlsPolicy policy) {
  return policy == TlsPolicy::kEncrypt || policy == TlsPolicy::kVerify;
}

}  // namespace

ClientStep ClientCore::Await(Expect expect, std::string send) {
  pending_.push_back({expect});
  return {std::move(send), ClientStep::Next::kReply};
}

ClientStep ClientCore::FailSession(OutcomeClass outcome, Answer answer) {
  failure_.outcome = outcome;
  failure_.phase = phase_;
  failure_.answer = std::move(answer);
  pending_.clear();
  ready_ = false;
  return {"", ClientStep::Next::kFailed};
}

ClientStep ClientCore::Begin() {
  HOLDFAST_CHECK(pending_.empty() && !ready_);
  phase_ = Phase::kGreeting;
  return Await(Expect::kGreeting, "");
}

ClientStep ClientCore::OnGreeting(const ReceivedReply& reply) {
  if (reply.positive()) return SayHello();
  // RFC 5321 3.1 lets the server greet with 554 when it has no service for us. That may be a bad
  // day or a block list, neither of which is about the recipient: other hosts first, then later.
  const OutcomeClass outcome =
      reply.code == kNoMailHere ? OutcomeClass::kPermanent : OutcomeClass::kTemporary;
  return FailSession(outcome, RemoteAnswer(reply));
}

ClientStep ClientCore::SayHello() {
  phase_ = Phase::kEhlo;
  capabilities_ = Capabilities{};
  if (options_.helo_only && !tls_active_) {
    return Await(Expect::kHelo, format("HELO {}\r\n", options_.ehlo_name));
  }
  return Await(Expect::kEhlo, format("EHLO {}\r\n", options_.ehlo_name));
}

ClientStep ClientCore::OnHello(const ReceivedReply& reply, bool ehlo) {
  if (reply.positive()) {
    if (ehlo) capabilities_ = ParseCapabilities(reply);
    return AfterHello();
  }
  // RFC 5321 3.2: an old server knows only HELO. Which 5yz it chose to say so does not matter.
  if (ehlo && reply.permanent() && !RequiresTls(options_.tls)) {
    return Await(Expect::kHelo, format("HELO {}\r\n", options_.ehlo_name));
  }
  return FailSession(OutcomeClass::kTemporary, RemoteAnswer(reply));
}

ClientStep ClientCore::AfterHello() {
  if (!tls_active_ && !tls_refused_ && options_.tls != TlsPolicy::kNone) {
    if (capabilities_.starttls) {
      phase_ = Phase::kStartTls;
      return Await(Expect::kStartTls, "STARTTLS\r\n");
    }
  }
  if (!tls_active_ && RequiresTls(options_.tls)) {
    phase_ = Phase::kStartTls;
    return FailSession(OutcomeClass::kTemporary,
                       OwnAnswer(451, {4, 7, 4}, "TLS is required, but was not offered"));
  }
  if (options_.credentials && !authenticated_) {
    if (!tls_active_) {
      return FailSession(OutcomeClass::kTemporary,
                         OwnAnswer(451, {4, 7, 4}, "credentials are not sent without TLS"));
    }
    const std::string plain =
        format("{0}{1}{0}{2}", '\0', options_.credentials->user, options_.credentials->password);
    const std::string encoded = absl::Base64Escape(ToAbsl(plain));
    for (const std::string& mechanism : capabilities_.auth_mechanisms) {
      if (mechanism != "PLAIN") continue;
      return Await(Expect::kAuth, format("AUTH PLAIN {}\r\n", encoded));
    }
    return FailSession(OutcomeClass::kTemporary,
                       OwnAnswer(451, {4, 7, 4}, "AUTH PLAIN was not offered"));
  }
  ready_ = true;
  phase_ = Phase::kMail;
  return {"", ClientStep::Next::kReady};
}

ClientStep ClientCore::OnStartTls(const ReceivedReply& reply) {
  if (reply.positive()) return {"", ClientStep::Next::kHandshake};
  // 454 "TLS not available due to temporary reason" (RFC 3207 section 4), or whatever else: the
  // session goes on in clear if the policy allows it.
  if (RequiresTls(options_.tls) || reply.intermediate()) {
    return FailSession(OutcomeClass::kTemporary, RemoteAnswer(reply));
  }
  tls_refused_ = true;
  return AfterHello();
}

ClientStep ClientCore::OnTls() {
  HOLDFAST_CHECK(phase_ == Phase::kStartTls && pending_.empty() && !tls_active_);
  tls_active_ = true;
  // RFC 3207 4.2: whatever was learnt before the handshake is forgotten.
  return SayHello();
}

ClientStep ClientCore::OnAuth(const ReceivedReply& reply) {
  // Wrong credentials are our configuration's fault and must not bounce anybody's mail.
  if (!reply.positive()) return FailSession(OutcomeClass::kTemporary, RemoteAnswer(reply));
  authenticated_ = true;
  return AfterHello();
}

}  // namespace holdfast::smtp
