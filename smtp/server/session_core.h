// smtp/server/session_core.h
// SessionCore decides what a server says and does in one SMTP conversation, from greeting to close
// (RFC 5321 as receiver, with PIPELINING, SIZE, 8BITMIME, SMTPUTF8, CHUNKING, DSN, STARTTLS,
// ENHANCEDSTATUSCODES). It does no I/O: bytes come in through Advance(), replies pile up in
// output(), and what it returns says what the caller must do next. Equal inputs, however they were
// cut, give equal outputs.
//
//   core.Greet();
//   for (;;) {
//     switch (core.Advance(received, &used)) {
//       case Wants::kInput:    write output(); read more; OnTimeout() and Stop() belong here
//       case Wants::kFlush:    write output(), then go on
//       case Wants::kBegin:    sink.Begin(core.TakeEnvelope(now)), then core.OnBegun(...)
//       case Wants::kWrite:    submission.Write(core.TakeChunk()), then core.OnWritten(...)
//       case Wants::kCommit:   submission.Commit(core.final_facts()), then core.OnCommitted(...)
//       case Wants::kAbandon:  destroy the submission
//       case Wants::kStartTls: write output(), drop what was received, handshake, core.OnTls(...)
//       case Wants::kClose:    write output(), close
//     }
//   }
//
// Promises: exactly one reply to each command, in order; 250 to the end of a message only after
//           OnCommitted() brought OK; content of a message that will be refused is read to its end.
// Threads:  owned by the session's io context; unsynchronised.
// Limits:   SessionLimits. It holds one command line and one piece of a message (about
//           gather_bytes_max), besides recipients_max recipients of envelope_bytes_max.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "smtp/mime/header_scan.h"
#include "smtp/protocol/command_parser.h"
#include "smtp/protocol/data_framing.h"
#include "smtp/protocol/reply.h"
#include "smtp/server/envelope.h"
#include "smtp/server/relay_policy.h"
#include "smtp/server/session_limits.h"
#include "smtp/server/session_observer.h"

namespace holdfast::smtp {

class SessionCore {
 public:
  enum class Wants { kInput, kFlush, kBegin, kWrite, kCommit, kAbandon, kStartTls, kClose };

  // `policy` and `observer` outlive it. `tls_available`: there is a certificate, so that STARTTLS
  // can be offered (if options say so too).
  SessionCore(const SessionOptions& options, ClientFacts client, AdmissionPolicy& policy,
              SessionObserver& observer, bool tls_available);

  // The greeting; once, first (behind the handshake on a port with implicit TLS).
  void Greet();

  // Uses bytes from the front of `bytes` (`used` says how many) until something is wanted. kInput
  // comes only when all were used. Not to be called between a want and its answer.
  Wants Advance(std::string_view bytes, size_t* used);

  // --- answers to what was wanted ---

  std::shared_ptr<const Envelope> TakeEnvelope(absl::Time now);
  void OnBegun(const absl::StatusOr<std::string>& queue_id);
  // How many bytes of our own stand before the client's content; known after OnBegun().
  size_t trace_header_bytes() const { return final_.trace_header_bytes; }
  std::shared_ptr<const std::string> TakeChunk();
  void OnWritten(const absl::Status& status);
  const FinalFacts& final_facts() const { return final_; }
  void OnCommitted(const absl::StatusOr<std::string>& queue_id);
  void OnTls(const SessionTls& tls);

  // --- events from outside, while kInput is wanted ---

  // The client was silent for too long, or the session is too old: 421, then kClose.
  void OnTimeout();
  // Stop as soon as no transaction is open: 421 then, or to the next command. At any time.
  void Stop() { stopping_ = true; }
  // Stop() would end it at once: no transaction is open.
  bool between_transactions() const;

  // --- output ---

  const std::string& output() const { return output_; }
  std::string TakeOutput() { return std::exchange(output_, std::string()); }

  // Content is expected, so that data_block_timeout counts rather than command_timeout.
  bool receiving_content() const;
  const ClientFacts& client() const { return client_; }

 private:
  enum class Phase {
    kCommand,    // Lines.
    kBeginning,  // Waiting for OnBegun().
    kData,       // Content behind 354.
    kChunk,      // Payload of BDAT.
    kHandshake,  // Waiting for OnTls().
    kClosed,
  };

  // MAIL was accepted and the message isn't answered yet.
  struct Transaction {
    MailCommand mail;
    bool trusted = false;
    std::vector<EnvelopeRecipient> recipients;
    std::set<std::string> known;  // Local part and destination of each, to merge repeats.
    size_t envelope_bytes = 0;    // Of `recipients`; see envelope_bytes_max.
    bool chunking = false;        // A BDAT was accepted.
  };

  // session_core.cc: lines, and commands that belong to no transaction.
  void OnLine();
  void Dispatch(const CommandLine& command);
  void OnHello(const CommandLine& command);
  Reply EhloReply() const;
  void OnStartTls(std::string_view arguments);
  void OnVrfy(std::string_view arguments);
  void Say(const Reply& reply) { reply.AppendTo(output_); }
  // A refusal that counts towards errors_max.
  void Fail(const Reply& reply);
  // A refusal that doesn't. `to` is the recipient, for RCPT.
  void Refuse(const Reply& reply, std::string to = {});
  // The last reply.
  void Close(const Reply& reply);
  void CloseWith421(EnhancedCode enhanced, std::string_view text);
  // Ends the transaction, and with it the submission of an unfinished one.
  void Forget();

  // session_transaction.cc: MAIL and RCPT.
  void OnMail(std::string_view arguments);
  void OnRcpt(std::string_view arguments);
  bool ReadMail(std::string_view arguments, MailCommand& mail);
  bool ReadRcpt(std::string_view arguments, RcptCommand& rcpt);
  bool ReadPath(std::string_view text, const PathRules& rules, PathResult& result);
  void FailParameters(const ParameterResult& result);
  void RefuseRecipient(const Reply& reply, const Path& recipient);
  void AddRecipient(const RcptCommand& rcpt, const RcptDecision& decision);
  std::string ProtocolName() const;

  // session_content.cc: DATA, BDAT and what becomes of the content.
  void OnData(std::string_view arguments);
  void OnBdat(std::string_view arguments);
  std::optional<Reply> BdatRefusal() const;
  void BeginContent(bool chunking);
  std::string TraceHeader() const;
  size_t OnContent(std::string_view bytes);
  size_t OnPayload(std::string_view bytes);
  void InspectContent(size_t new_from);
  void EndPayload();
  void EndContent();
  // To the end of a message, or of a chunk that fails it: the transaction is over.
  void Answer(const Reply& reply);
  void DropContent();
  std::string* content_out() { return dropping_ ? nullptr : &gathered_; }
  const ContentFacts& content_facts() const;
  // Why the content so far can't be accepted, whatever follows.
  std::optional<Reply> ContentRefusal() const;
  bool WantsWrite() const;

  const SessionOptions options_;
  ClientFacts client_;
  AdmissionPolicy& policy_;
  SessionObserver& observer_;
  const bool tls_available_;

  Phase phase_ = Phase::kCommand;
  LineAssembler lines_;
  std::string output_;
  std::string_view verb_;  // Of the command in progress; for the observer.
  int errors_ = 0;
  int refused_recipients_ = 0;
  bool stopping_ = false;
  bool abandon_ = false;  // kAbandon is owed.
  std::optional<Transaction> transaction_;

  // The message in progress; BeginContent() resets all of it.
  std::shared_ptr<const Envelope> envelope_;
  std::string queue_id_;
  bool submission_open_ = false;           // Begun, and neither committed nor abandoned.
  std::optional<DataDecoder> decoder_;     // DATA has one,
  std::optional<ContentScanner> scanner_;  // BDAT the other.
  HeaderScan headers_;
  std::string gathered_;
  bool written_ = false;   // At least one chunk was taken.
  bool dropping_ = false;  // The message is refused; its content goes nowhere.
  bool ended_ = false;     // All content was seen.
  std::optional<Reply> sink_refusal_;
  FinalFacts final_;

  // The BDAT command in progress.
  BdatArgument bdat_;
  ChunkCounter chunk_;
  std::optional<Reply> bdat_refusal_;  // The payload is swallowed, then this is said.
};

}  // namespace holdfast::smtp
