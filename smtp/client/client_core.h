// smtp/client/client_core.h
// ClientCore is the sending side's half of an SMTP conversation (RFC 5321 section 3, client), from
// greeting to QUIT, over one connection and any number of transactions. It decides and never acts:
// it is given replies and says which bytes to send and what to wait for. It opens nothing, reads no
// clock, and equal replies give equal bytes, so dialogue files test all of it.
//
//   step = core.Begin();
//   for (;;) { send step.send; switch (step.next) { kReply: step = core.OnReply(...); ... } }
//
// It promises: nothing is used that this connection did not offer; every reply is checked, also in
// a pipelined group; no content is sent without an accepted recipient; every recipient gets exactly
// one outcome; and after OnContentSent() a lost connection means in doubt, before it never.
// Threads: thread-compatible.
// Errors:  nonsense from the remote ends the conversation as a temporary failure. Calls in a wrong
//          order are ours, and CHECKed.
// Limits:  options.pipelined_commands_max commands wait for replies; replies are bounded by the
//          parser.
#pragma once

#include <absl/status/status.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "smtp/client/capabilities.h"
#include "smtp/client/transaction.h"
#include "smtp/protocol/reply.h"

namespace holdfast::smtp {

enum class TlsPolicy {
  kNone,     // Never STARTTLS.
  kMay,      // If offered; any certificate; else in clear.
  kEncrypt,  // TLS or no mail; any certificate.
  kVerify,   // TLS with a certificate that is trusted for the host's name, or no mail.
};

struct ClientCredentials {
  std::string user;
  std::string password;
};

struct ClientCoreOptions {
  std::string ehlo_name;  // Our FQDN, or an address literal (RFC 5321 4.1.4).
  TlsPolicy tls = TlsPolicy::kMay;
  bool helo_only = false;  // The last connection ended when we said EHLO.
  // For a smarthost, bound to that host: sent only under TLS (RFC 4954 section 4).
  std::optional<ClientCredentials> credentials;
  // Recipients beyond it wait for another transaction.
  size_t recipients_max = 50;
  // Transactions on this connection.
  size_t messages_max = 100;
  // Commands sent together. Their replies fit any socket buffer, so neither side can block the
  // other (RFC 2920 3.1).
  size_t pipelined_commands_max = 60;
};

// What the shell is to do after sending `send`.
struct ClientStep {
  enum class Next {
    kReply,      // Read one reply; wait as long as core.phase() allows.
    kHandshake,  // Do the TLS handshake, then OnTls().
    kReady,      // Connected; Start() a transaction or Quit().
    kContent,    // Send the content, then OnContentSent() (or OnNotSent()).
    kDone,       // TakeResult(). Ready again if result.reusable, else close.
    kFailed,     // The session could not be set up: failure(). Close.
    kClosed,     // After QUIT. Close.
  };
  std::string send;
  Next next = Next::kReply;
};

// Why a session could not be set up.
struct SessionFailure {
  OutcomeClass outcome = OutcomeClass::kTemporary;
  Phase phase = Phase::kConnect;
  Answer answer;
  // What a new connection to the same host may leave out and then work.
  bool retry_without_tls = false;
  bool retry_with_helo = false;
};

class ClientCore {
 public:
  explicit ClientCore(const ClientCoreOptions& options);

  ClientStep Begin();  // First; waits for the greeting.
  ClientStep OnReply(const ReceivedReply& reply);
  ClientStep OnTls();  // The handshake succeeded. Offers are forgotten; EHLO again.

  // After kReady or a reusable kDone. At least one recipient (CHECK).
  ClientStep Start(Transaction transaction);
  // All content has left, and the fence allows the dot. The dot is step.send, and from now on a
  // loss means in doubt.
  ClientStep OnContentSent();
  // The remote answered before the content ended, which ended its taking of it.
  ClientStep OnEarlyReply(const ReceivedReply& reply);
  // Instead: the dot must not be sent. Not reusable.
  ClientStep OnNotSent(absl::Status why);
  // The connection is lost, timed out, or talked garbage; `why` is for people. kDone with a
  // transaction in progress, else kFailed.
  ClientStep OnLost(std::string_view why);

  TransactionResult TakeResult();  // After kDone. The shell adds remote and bytes_sent.
  ClientStep Quit();               // Replies after it do not matter.

  const SessionFailure& failure() const { return failure_; }
  // What is awaited now; it says how long to wait.
  Phase phase() const;
  const Capabilities& capabilities() const { return capabilities_; }
  bool tls_active() const { return tls_active_; }
  bool dot_sent() const { return dot_sent_; }
  size_t messages() const { return messages_; }

 private:
  enum class Expect {
    kGreeting,
    kEhlo,
    kHelo,
    kStartTls,
    kAuth,
    kReset,
    kMail,
    kRcpt,
    kData,
    kDot
  };
  struct Pending {
    Expect expect;
    size_t recipient = 0;
  };

  // --- session (client_session.cc) ---
  ClientStep OnGreeting(const ReceivedReply& reply);
  ClientStep SayHello();
  ClientStep OnHello(const ReceivedReply& reply, bool ehlo);
  ClientStep AfterHello();
  ClientStep OnStartTls(const ReceivedReply& reply);
  ClientStep OnAuth(const ReceivedReply& reply);
  ClientStep FailSession(OutcomeClass outcome, Answer answer);
  ClientStep Await(Expect expect, std::string send);

  // --- transaction (client_core.cc) ---
  // Decides recipients that this remote can't be given. What is left goes into rcpt_to_.
  void CheckAgainstOffers();
  void PrepareRecipient(size_t index);
  size_t RecipientsMax() const;
  std::string MailCommand() const;
  std::string RcptCommand(size_t index) const;
  void AppendCommand(ClientStep& step, Pending pending, std::string command) {
    step.send += command;
    pending_.push_back(pending);
  }
  ClientStep SendCommands();
  void SkipDecided();
  ClientStep OnTransactionReply(Pending pending, const ReceivedReply& reply);
  void OnMail(const ReceivedReply& reply);
  void OnRcpt(size_t index, const ReceivedReply& reply);
  ClientStep OnData(const ReceivedReply& reply);
  ClientStep OnDot(const ReceivedReply& reply);
  ClientStep Finish(bool reusable);
  bool IsRepliedByNobody() const { return messages_ > 1 && !answered_; }

  bool open(size_t index) const { return !decided_[index]; }
  void Decide(size_t index, OutcomeClass outcome, Answer answer, bool retry_now = false);
  void DecideOpen(OutcomeClass outcome, const Answer& answer, bool retry_now = false);

  const ClientCoreOptions options_;
  Phase phase_ = Phase::kGreeting;
  SessionFailure failure_;
  Capabilities capabilities_;
  bool tls_active_ = false;
  bool tls_refused_ = false;
  bool authenticated_ = false;
  bool ready_ = false;
  size_t messages_ = 0;  // Transactions begun.

  std::deque<Pending> pending_;  // Commands whose reply is still to come, in order.
  bool in_transaction_ = false;
  bool needs_reset_ = false;  // The last transaction may still stand open at the remote.
  Transaction transaction_;
  std::string mail_from_;             // As it goes out.
  std::vector<std::string> rcpt_to_;  // The same; empty: never sent.
  std::vector<bool> decided_;
  bool send_smtputf8_ = false;
  bool mail_sent_ = false;
  bool mail_refused_ = false;
  bool rcpt_limit_hit_ = false;  // 452 after accepted ones: no more of them in this transaction.
  bool data_sent_ = false;
  bool answered_ = false;  // Any reply in this transaction yet.
  bool dot_sent_ = false;
  size_t next_rcpt_ = 0;
  size_t accepted_ = 0;
  TransactionResult result_;
};

}  // namespace holdfast::smtp
