// DATA and BDAT: the content, and what becomes of it (RFC 5321 4.1.1.4, RFC 3030).
#include <algorithm>

#include "base/check.h"
#include "base/text.h"
#include "smtp/mime/trace_header.h"
#include "smtp/server/session_core.h"

namespace holdfast::smtp {

void SessionCore::OnData(std::string_view arguments) {
  if (!arguments.empty()) return Fail(Reply(501, {5, 5, 4}, "DATA takes no argument"));
  if (!transaction_) return Fail(Reply(503, {5, 5, 1}, "Send MAIL and RCPT first"));
  if (transaction_->chunking) return Fail(Reply(503, {5, 5, 1}, "BDAT in progress"));
  if (transaction_->recipients.empty()) {
    return Fail(Reply(503, {5, 5, 1}, "No valid recipients"));
  }
  BeginContent(/*chunking=*/false);
}

// The payload comes whatever we think of the command, and must never be taken for commands.
void SessionCore::OnBdat(std::string_view arguments) {
  bdat_ = ParseBdatArgument(arguments);
  switch (bdat_.kind) {
    case BdatArgument::Kind::kNoSize:
      return Fail(Reply(501, {5, 5, 4}, "Syntax: BDAT size [LAST]"));
    case BdatArgument::Kind::kBrokenSize:
      Refuse(Reply(501, {5, 5, 4}, "Bad chunk size; closing connection"));
      Forget();
      phase_ = Phase::kClosed;
      return;
    default:
      break;
  }
  chunk_.Begin(bdat_.bytes);
  bdat_refusal_ = BdatRefusal();
  if (!bdat_refusal_ && !transaction_->chunking) return BeginContent(/*chunking=*/true);
  phase_ = Phase::kChunk;
}

std::optional<Reply> SessionCore::BdatRefusal() const {
  if (bdat_.kind == BdatArgument::Kind::kSizeKnown) {
    return Reply(501, {5, 5, 4}, "Syntax: BDAT size [LAST]");
  }
  if (!transaction_) return Reply(503, {5, 5, 1}, "Send MAIL and RCPT first");
  if (transaction_->recipients.empty()) return Reply(503, {5, 5, 1}, "No valid recipients");
  return std::nullopt;
}

void SessionCore::BeginContent(bool chunking) {
  const BareLineEnds bare = transaction_->trusted ? BareLineEnds::kNormalise : BareLineEnds::kKeep;
  transaction_->chunking = chunking;
  decoder_.reset();
  scanner_.reset();
  if (chunking) {
    scanner_.emplace(bare);
  } else {
    decoder_.emplace(bare);
  }
  headers_ = HeaderScan();
  gathered_ = std::string();
  written_ = dropping_ = ended_ = false;
  sink_refusal_.reset();
  final_ = FinalFacts();
  phase_ = Phase::kBeginning;
}

void SessionCore::OnBegun(const absl::StatusOr<std::string>& queue_id) {
  HOLDFAST_CHECK(phase_ == Phase::kBeginning && transaction_) << "nothing to begin";
  const bool chunking = transaction_->chunking;
  phase_ = chunking ? Phase::kChunk : Phase::kData;
  if (!queue_id.ok()) {
    const Reply reply = ReplyForSubmission(queue_id.status(), "");
    if (chunking) {  // Said when the payload is gone.
      bdat_refusal_ = reply;
    } else {
      Answer(reply);
    }
    return;
  }
  queue_id_ = *queue_id;
  submission_open_ = true;
  const uint64_t declared = envelope_->declared_bytes.value_or(0);
  const std::string trace = TraceHeader();
  gathered_.reserve(
      std::min<uint64_t>(declared + trace.size() + 1024, options_.limits.gather_bytes_max));
  gathered_ = trace;
  final_.trace_header_bytes = trace.size();
  if (!chunking) Say(Reply::Plain(354, "End data with <CR><LF>.<CR><LF>"));
}

std::string SessionCore::TraceHeader() const {
  TraceFacts facts;
  facts.client_name = client_.ehlo_name;
  facts.client_literal = client_.address.ToLiteral();
  facts.reverse_name = client_.reverse_name;
  facts.host = options_.hostname;
  facts.protocol = envelope_->protocol;
  facts.tls_cipher = client_.tls.cipher;
  facts.queue_id = queue_id_;
  if (envelope_->recipients.size() == 1) facts.only_recipient = envelope_->recipients[0].mailbox;
  facts.received = envelope_->received;
  return ReceivedField(facts);
}

// One piece of DATA. Pieces end where a chunk is full, so that what is gathered stays bounded.
size_t SessionCore::OnContent(std::string_view bytes) {
  const size_t new_from = gathered_.size();
  const size_t used = decoder_->Feed(bytes.substr(0, options_.limits.chunk_bytes), content_out());
  InspectContent(new_from);
  if (decoder_->done()) EndContent();
  return used;
}

size_t SessionCore::OnPayload(std::string_view bytes) {
  const size_t used = chunk_.Take(std::min(bytes.size(), options_.limits.chunk_bytes));
  if (!bdat_refusal_) {
    const size_t new_from = gathered_.size();
    scanner_->Feed(bytes.substr(0, used), content_out());
    if (chunk_.done() && bdat_.last) scanner_->Finish(content_out());
    InspectContent(new_from);
  }
  if (chunk_.done()) EndPayload();
  return used;
}

void SessionCore::InspectContent(size_t new_from) {
  if (dropping_) return;
  if (!headers_.done()) headers_.Feed(std::string_view(gathered_).substr(new_from));
  if (ContentRefusal()) DropContent();
}

const ContentFacts& SessionCore::content_facts() const {
  return decoder_ ? decoder_->facts() : scanner_->facts();
}

std::optional<Reply> SessionCore::ContentRefusal() const {
  const SessionLimits& limits = options_.limits;
  const ContentFacts& content = content_facts();
  if (content.bytes > limits.message_bytes_max) {
    return Reply(552, {5, 3, 4},
                 format("Message size exceeds the limit of {}", limits.message_bytes_max));
  }
  if (content.nul) return Reply(550, {5, 6, 0}, "Message contains NUL characters");
  if ((content.bare_cr || content.bare_lf) && !transaction_->trusted) {
    return Reply(550, {5, 6, 0}, "Message contains bare CR or LF; lines must end in CRLF");
  }
  if (content.longest_line_bytes > limits.text_line_bytes_max) {
    return Reply(550, {5, 6, 0}, "Message contains a line that is too long");
  }
  if (headers_.received_fields() > limits.received_fields_max) {
    return Reply(554, {5, 4, 6}, "Too many Received fields; this message is in a loop");
  }
  if (headers_.bytes() > limits.header_bytes_max) {
    return Reply(552, {5, 3, 4}, "Message header section is too large");
  }
  return std::nullopt;
}

// The content comes to its end all the same, since nothing else keeps the session in step.
void SessionCore::DropContent() {
  dropping_ = true;
  gathered_ = std::string();
  if (std::exchange(submission_open_, false)) abandon_ = true;
}

bool SessionCore::WantsWrite() const {
  const size_t full = written_ ? options_.limits.chunk_bytes : options_.limits.gather_bytes_max;
  return gathered_.size() >= full;
}

std::shared_ptr<const std::string> SessionCore::TakeChunk() {
  auto chunk = std::make_shared<const std::string>(std::move(gathered_));
  gathered_ = std::string();
  if (!ended_) gathered_.reserve(options_.limits.chunk_bytes + options_.limits.chunk_bytes / 8);
  written_ = true;
  final_.bytes += chunk->size();
  return chunk;
}

void SessionCore::OnWritten(const absl::Status& status) {
  if (status.ok()) return;
  sink_refusal_ = ReplyForSubmission(status, "");
  DropContent();
  if (ended_) Answer(*sink_refusal_);
}

// The end of one BDAT's payload. A failed one ends the transaction (RFC 3030 2, at the end).
void SessionCore::EndPayload() {
  if (bdat_refusal_) {
    const Reply reply = *std::exchange(bdat_refusal_, std::nullopt);
    const bool failed_transaction = transaction_ && transaction_->chunking;
    if (failed_transaction) return Answer(reply);
    phase_ = Phase::kCommand;
    // The rest of a pipelined message whose first chunk failed is no fault of the client's.
    return transaction_ ? Fail(reply) : Refuse(reply);
  }
  if (const std::optional<Reply> refusal = ContentRefusal()) return Answer(*refusal);
  if (sink_refusal_) return Answer(*sink_refusal_);
  if (bdat_.last) return EndContent();
  phase_ = Phase::kCommand;
  Say(Reply(250, {2, 0, 0}, format("{} octets received", bdat_.bytes)));
}

void SessionCore::EndContent() {
  headers_.Finish();
  if (const std::optional<Reply> refusal = ContentRefusal()) return Answer(*refusal);
  if (sink_refusal_) return Answer(*sink_refusal_);
  ended_ = true;
  final_.content = content_facts();
  final_.needs_8bit = final_.content.eight_bit;
  final_.utf8_headers = headers_.non_ascii();
  final_.has_date = headers_.has_date();
  final_.message_id = Printable(headers_.message_id(), 998);
  final_.received_fields = headers_.received_fields();
}

void SessionCore::OnCommitted(const absl::StatusOr<std::string>& queue_id) {
  HOLDFAST_CHECK(ended_ && submission_open_) << "nothing to commit";
  const std::string id = queue_id.ok() ? *queue_id : queue_id_;
  const Reply reply = ReplyForSubmission(queue_id.status(), id);
  if (reply.positive()) {
    observer_.OnAccepted(*envelope_, final_, id);
    errors_ = 0;
    submission_open_ = false;  // There is nothing left to abandon.
  }
  Answer(reply);
}

void SessionCore::Answer(const Reply& reply) {
  ended_ = false;
  phase_ = Phase::kCommand;
  if (reply.positive()) {
    Say(reply);
  } else {
    Refuse(reply);
  }
  Forget();
}

}  // namespace holdfast::smtp
