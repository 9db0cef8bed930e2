#include "smtp/server/session_core.h"

#include "base/check.h"
#include "base/text.h"
#include "smtp/protocol/esmtp_params.h"

namespace holdfast::smtp {
namespace {

constexpr size_t kEhloNameBytesMax = 255;

// A line that no command can be made of. Bytes beyond ASCII are left to the command's grammar.
bool HasControls(std::string_view line) {
  for (char c : line) {
    if ((c >= 0 && c < 0x20 && c != '\t') || c == 0x7F) return true;
  }
  return false;
}

}  // namespace

SessionCore::SessionCore(const SessionOptions& options, ClientFacts client, AdmissionPolicy& policy,
                         SessionObserver& observer, bool tls_available)
    : options_(options),
      client_(std::move(client)),
      policy_(policy),
      observer_(observer),
      tls_available_(tls_available),
      lines_(options.limits.command_line_bytes_max) {}

void SessionCore::Greet() {
  Say(Reply::Plain(220, format("{} ESMTP Holdfast", options_.hostname)));
}

SessionCore::Wants SessionCore::Advance(std::string_view bytes, size_t* used) {
  *used = 0;
  for (;;) {
    if (abandon_) {
      abandon_ = false;
      return Wants::kAbandon;
    }
    if (output_.size() > options_.limits.output_bytes_max) return Wants::kFlush;
    const std::string_view rest = bytes.substr(*used);
    switch (phase_) {
      case Phase::kCommand:
        if (stopping_ && !transaction_) {
          CloseWith421({4, 3, 2}, "Service is shutting down");
          break;
        }
        if (lines_.state() != LineAssembler::State::kMore) lines_.Next();
        *used += lines_.Feed(rest);
        if (lines_.state() == LineAssembler::State::kMore) return Wants::kInput;
        OnLine();
        break;
      case Phase::kData:
      case Phase::kChunk:
        if (ended_) return gathered_.empty() ? Wants::kCommit : Wants::kWrite;
        if (WantsWrite()) return Wants::kWrite;
        if (rest.empty() && !(phase_ == Phase::kChunk && chunk_.done())) return Wants::kInput;
        *used += phase_ == Phase::kData ? OnContent(rest) : OnPayload(rest);
        break;
      case Phase::kBeginning:
        return Wants::kBegin;
      case Phase::kHandshake:
        return Wants::kStartTls;
      case Phase::kClosed:
        *used = bytes.size();
        return Wants::kClose;
    }
  }
}

void SessionCore::OnLine() {
  verb_ = "";
  switch (lines_.state()) {
    case LineAssembler::State::kTooLong:
      return Fail(Reply(500, {5, 5, 2}, "Line too long"));
    case LineAssembler::State::kBareLf:
      Refuse(Reply(500, {5, 5, 2}, "Lines must end in CRLF; closing connection"));
      phase_ = Phase::kClosed;
      return;
    default:
      break;
  }
  if (HasControls(lines_.line())) return Fail(Reply(500, {5, 5, 2}, "Bad character in command"));
  const CommandLine command = ParseCommandLine(lines_.line());
  verb_ = VerbName(command.verb);
  Dispatch(command);
}

void SessionCore::Dispatch(const CommandLine& command) {
  switch (command.verb) {
    case Verb::kEhlo:
    case Verb::kHelo:
      return OnHello(command);
    case Verb::kMail:
      return OnMail(command.arguments);
    case Verb::kRcpt:
      return OnRcpt(command.arguments);
    case Verb::kData:
      return OnData(command.arguments);
    case Verb::kBdat:
      return OnBdat(command.arguments);
    case Verb::kRset:
      if (!command.arguments.empty()) return Fail(Reply(501, {5, 5, 4}, "RSET takes no argument"));
      Forget();
      return Say(Reply(250, {2, 0, 0}, "Ok"));
    case Verb::kNoop:
      return Say(Reply(250, {2, 0, 0}, "Ok"));
    case Verb::kQuit:
      if (!command.arguments.empty()) return Fail(Reply(501, {5, 5, 4}, "QUIT takes no argument"));
      return Close(Reply(221, {2, 0, 0}, "Bye"));
    case Verb::kVrfy:
      return OnVrfy(command.arguments);
    case Verb::kHelp:
      return Say(Reply(214, {2, 0, 0}, "See RFC 5321"));
    case Verb::kStartTls:
      return OnStartTls(command.arguments);
    case Verb::kExpn:
    case Verb::kAuth:
    case Verb::kEtrn:
    case Verb::kAtrn:
    case Verb::kTurn:
      return Fail(Reply(502, {5, 5, 1}, "Command not implemented"));
    case Verb::kForeign:
      Refuse(Reply(500, {5, 5, 1}, "This is not that kind of server; closing connection"));
      phase_ = Phase::kClosed;
      return;
    case Verb::kUnknown:
      return Fail(Reply(500, {5, 5, 1}, "Command unrecognized"));
  }
}

// Also in mid-session, where it means RSET (RFC 5321 4.1.4). No name is refused for what it claims.
void SessionCore::OnHello(const CommandLine& command) {
  if (command.arguments.empty()) {
    return Fail(Reply(501, {5, 5, 4}, format("{} needs your host name", verb_)));
  }
  Forget();
  client_.ehlo_name = Printable(command.arguments, kEhloNameBytesMax);
  client_.esmtp = command.verb == Verb::kEhlo;
  Say(client_.esmtp ? EhloReply() : Reply::Plain(250, options_.hostname));
}

Reply SessionCore::EhloReply() const {
  Reply reply = Reply::Plain(250, options_.hostname);
  reply.AddLine("PIPELINING");
  reply.AddLine(format("SIZE {}", options_.limits.message_bytes_max));
  if (tls_available_ && options_.starttls_offered && !client_.tls.active) reply.AddLine("STARTTLS");
  reply.AddLine("ENHANCEDSTATUSCODES");
  reply.AddLine("8BITMIME");
  reply.AddLine("DSN");
  reply.AddLine("SMTPUTF8");
  reply.AddLine("CHUNKING");
  return reply;
}

void SessionCore::OnStartTls(std::string_view arguments) {
  if (client_.tls.active) return Fail(Reply(503, {5, 5, 1}, "TLS is already active"));
  if (!tls_available_ || !options_.starttls_offered) {
    return Fail(Reply(502, {5, 5, 1}, "Command not implemented"));
  }
  if (!arguments.empty()) return Fail(Reply(501, {5, 5, 4}, "STARTTLS takes no argument"));
  Say(Reply(220, {2, 0, 0}, "Ready to start TLS"));
  phase_ = Phase::kHandshake;
}

// Everything learnt in clear is forgotten, the EHLO too (RFC 3207 4.2). The caller dropped what it
// had received; here goes the unfinished line.
void SessionCore::OnTls(const SessionTls& tls) {
  if (phase_ == Phase::kHandshake) phase_ = Phase::kCommand;
  Forget();
  lines_.Clear();
  client_.tls = tls;
  client_.ehlo_name.clear();
  client_.esmtp = false;
}

void SessionCore::OnVrfy(std::string_view arguments) {
  if (arguments.empty()) return Fail(Reply(501, {5, 5, 4}, "VRFY needs a name"));
  Say(Reply(252, {2, 0, 0}, "Cannot verify; send some mail and see"));
}

void SessionCore::Fail(const Reply& reply) {
  if (++errors_ > options_.limits.errors_max) {
    return CloseWith421({4, 7, 0}, "Too many errors");
  }
  Refuse(reply);
}

void SessionCore::Refuse(const Reply& reply, std::string to) {
  Say(reply);
  Rejection rejection;
  rejection.command = verb_;
  if (transaction_) rejection.from = Printable(transaction_->mail.reverse_path.mailbox(), 1024);
  rejection.to = std::move(to);
  rejection.queue_id = queue_id_;
  observer_.OnRejected(client_, rejection, reply);
}

void SessionCore::Close(const Reply& reply) {
  Forget();
  Say(reply);
  phase_ = Phase::kClosed;
}

void SessionCore::CloseWith421(EnhancedCode enhanced, std::string_view text) {
  const Reply reply(421, enhanced, format("{} {}; closing connection", options_.hostname, text));
  Refuse(reply);
  Forget();
  phase_ = Phase::kClosed;
}

void SessionCore::Forget() {
  transaction_.reset();
  if (std::exchange(submission_open_, false)) abandon_ = true;
  queue_id_.clear();
  envelope_.reset();
  gathered_ = std::string();
}

void SessionCore::OnTimeout() {
  verb_ = "";
  CloseWith421({4, 4, 2}, "Timeout exceeded");
}

bool SessionCore::between_transactions() const {
  return phase_ == Phase::kCommand && !transaction_;
}

bool SessionCore::receiving_content() const {
  return phase_ == Phase::kData || phase_ == Phase::kChunk;
}

}  // namespace holdfast::smtp
