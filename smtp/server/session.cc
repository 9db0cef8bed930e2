#include "smtp/server/session.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace holdfast::smtp {
namespace {

constexpr size_t kReadBytes = 64 * 1024;

SessionTls Summary(const TlsFacts& facts) { return {facts.active, facts.version, facts.cipher}; }

}  // namespace

StreamOptions SessionStreamOptions() {
  StreamOptions options;
  options.read_bytes = kReadBytes;
  options.buffer_bytes_max = kReadBytes;
  return options;
}

Session::Session(std::unique_ptr<Stream> stream, const SessionServices& services,
                 const SessionOptions& options, ClientFacts client,
                 std::shared_ptr<const TlsContext> tls)
    : stream_(std::move(stream)),
      services_(services),
      options_(options),
      tls_(std::move(tls)),
      core_(options, std::move(client), *services.policy, *services.observer, tls_ != nullptr),
      session_end_(services.clock->SinceBoot() + options.limits.session_timeout) {}

Session::~Session() = default;

asio::awaitable<absl::Status> Session::Run() {
  services_.observer->OnConnect(core_.client());
  absl::Status why = co_await Converse();
  for (const std::string& queue_id : unconfirmed_) services_.sink->Unconfirmed(queue_id);
  unconfirmed_.clear();
  submission_.reset();
  if (!stream_->closed()) co_await stream_->CloseGracefully(options_.limits.linger);
  stream_->Close();
  services_.observer->OnDisconnect(core_.client(), why);
  co_return why;
}

asio::awaitable<absl::Status> Session::Converse() {
  if (options_.implicit_tls) {
    absl::Status shaken = co_await Handshake();
    if (!shaken.ok()) co_return shaken;
  }
  core_.Greet();
  absl::Status io;
  while (io.ok()) {
    const std::string_view received = stream_->Buffered();
    size_t used = 0;
    const SessionCore::Wants wants = core_.Advance(received, &used);
    stream_->Consume(used);
    switch (wants) {
      case SessionCore::Wants::kInput:
        io = co_await ReadMore();
        break;
      case SessionCore::Wants::kFlush:
        io = co_await Flush();
        break;
      case SessionCore::Wants::kBegin:
        Begin();
        break;
      case SessionCore::Wants::kWrite:
        io = co_await WriteChunk();
        break;
      case SessionCore::Wants::kCommit:
        io = co_await Commit();
        break;
      case SessionCore::Wants::kAbandon:
        submission_.reset();
        break;
      case SessionCore::Wants::kStartTls:
        io = co_await Handshake();
        break;
      case SessionCore::Wants::kClose:
        io = co_await Flush();
        co_return io.ok() ? end_ : io;
    }
  }
  co_return io;
}

asio::awaitable<absl::Status> Session::Flush() {
  if (core_.output().empty()) co_return absl::OkStatus();
  stream_->ExpireAfter(options_.limits.write_timeout);
  absl::Status written = co_await stream_->Write(core_.TakeOutput());
  co_return written;
}

// Only here are replies written that nobody waited for before: a pipelined group costs one write.
asio::awaitable<absl::Status> Session::ReadMore() {
  absl::Status io = co_await Flush();
  if (!io.ok()) co_return io;
  stream_->ExpireAfter(ReadTimeout());
  io = co_await stream_->Fill();
  if (io.ok()) {
    for (const std::string& queue_id : unconfirmed_) services_.sink->Confirmed(queue_id);
    unconfirmed_.clear();
    co_return io;
  }
  // The client hears why, if it is still there.
  if (io.code() == absl::StatusCode::kDeadlineExceeded) {
    end_ = io;
    core_.OnTimeout();
    co_return absl::OkStatus();
  }
  if (io.code() == absl::StatusCode::kCancelled && !stream_->closed()) {
    end_ = io;
    co_return absl::OkStatus();  // Stop() was called, and the core knows.
  }
  co_return io;
}

absl::Duration Session::ReadTimeout() {
  const absl::Duration now = services_.clock->SinceBoot();
  const SessionLimits& limits = options_.limits;
  if (core_.between_transactions()) {
    content_end_ = absl::InfiniteDuration();
    return std::min(limits.command_timeout, session_end_ - now);
  }
  if (!core_.receiving_content()) {  // A session that is too old may still finish its transaction.
    return std::min(limits.command_timeout, session_end_ + limits.data_timeout - now);
  }
  if (content_end_ == absl::InfiniteDuration()) content_end_ = now + limits.data_timeout;
  return std::min(limits.data_block_timeout, content_end_ - now);
}

void Session::Begin() {
  content_end_ = absl::InfiniteDuration();
  absl::StatusOr<std::unique_ptr<Submission>> begun =
      services_.sink->Begin(core_.TakeEnvelope(services_.clock->Now()));
  if (!begun.ok()) {
    core_.OnBegun(begun.status());
    return;
  }
  submission_ = *std::move(begun);
  core_.OnBegun(submission_->queue_id());
  submission_->SetTraceHeaderBytes(core_.trace_header_bytes());
}

asio::awaitable<absl::Status> Session::WriteChunk() {
  HOLDFAST_CHECK(submission_ != nullptr) << "content without a submission";
  absl::Status written = co_await submission_->Write(core_.TakeChunk());
  core_.OnWritten(written);
  co_return stream_->closed() ? absl::CancelledError("the session was cut") : absl::OkStatus();
}

asio::awaitable<absl::Status> Session::Commit() {
  HOLDFAST_CHECK(submission_ != nullptr) << "commit without a submission";
  // A commit takes a while; what was said before it shouldn't wait with it.
  absl::Status io = co_await Flush();
  if (!io.ok()) co_return io;
  absl::StatusOr<std::string> queue_id = co_await submission_->Commit(core_.final_facts());
  core_.OnCommitted(queue_id);
  if (queue_id.ok()) {
    unconfirmed_.push_back(*queue_id);
    submission_.reset();
  }
  co_return stream_->closed() ? absl::CancelledError("the session was cut") : absl::OkStatus();
}

asio::awaitable<absl::Status> Session::Handshake() {
  absl::Status io = co_await Flush();
  if (!io.ok()) co_return io;
  stream_->ExpireAfter(options_.limits.tls_timeout);
  io = co_await stream_->StartTlsServer(tls_);
  if (!io.ok()) {
    stream_->Close();  // There is no way back to clear text, and no reply that would be read.
    co_return io;
  }
  core_.OnTls(Summary(stream_->tls()));
  co_return io;
}

void Session::Stop() {
  core_.Stop();
  if (core_.between_transactions()) stream_->StopReading();
}

void Session::Abort() { stream_->Close(); }

}  // namespace holdfast::smtp
