#include "smtp/client/client.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "smtp/client/answer.h"
#include "smtp/protocol/data_framing.h"
#include "smtp/stream/tcp_stream.h"

namespace holdfast::smtp {
namespace {

// A hop is tried as it is, without TLS, and with HELO: each at most once.
constexpr int kVariantsMax = 3;

ConnectOptions ConnectOptionsFor(const NextHop& hop, const ConnectionOptions& options) {
  ConnectOptions connect;
  connect.timeout = options.timeouts.connect;
  connect.source = hop.endpoint.address.is_v4() ? options.source_ipv4 : options.source_ipv6;
  return connect;
}

HopFailure NoConnection(const NextHop& hop, const absl::Status& why) {
  HopFailure failure;
  failure.remote = {hop.host, hop.endpoint, {}};
  failure.failure.phase = Phase::kConnect;
  failure.failure.answer = OwnAnswer(451, {4, 4, 1}, Message(why));
  return failure;
}

}  // namespace

struct Connection::Impl {
  Impl(std::unique_ptr<Stream> connected, NextHop to, ConnectionOptions with)
      : options(std::move(with)),
        stream(std::move(connected)),
        core(options.core),
        parser(options.reply),
        remote{std::move(to.host), to.endpoint, {}} {
    using enum TlsPolicy;
    const TlsPolicy tls = options.core.tls;
    HOLDFAST_CHECK(tls == kNone || TlsFor(tls) != nullptr) << "a TLS policy without a context";
  }

  std::shared_ptr<const TlsContext> TlsFor(TlsPolicy policy) const {
    return policy == TlsPolicy::kVerify ? options.tls_verify : options.tls_opportunistic;
  }

  asio::awaitable<ClientStep> Converse(ClientStep step);
  asio::awaitable<absl::StatusOr<ReceivedReply>> ReadReply();
  asio::awaitable<ClientStep> Handshake();
  asio::awaitable<ClientStep> SendContent(BodySource& body, Fence& fence);
  asio::awaitable<absl::Status> WriteBlock(std::string block);
  asio::awaitable<ClientStep> OnWriteFailed(absl::Status why);
  ClientStep OnFailure(const absl::Status& why);
  absl::Duration ReplyTimeout() const;

  const ConnectionOptions options;
  std::unique_ptr<Stream> stream;
  ClientCore core;
  ReplyParser parser;
  RemoteFacts remote;
  bool ready = false;
  bool sending = false;   // Send() is in progress.
  bool aborting = false;  // AbortBeforeDot() was called.
  uint64_t content_bytes_sent = 0;
};

absl::Duration Connection::Impl::ReplyTimeout() const {
  switch (core.phase()) {
    case Phase::kGreeting:
      return options.timeouts.greeting;
    case Phase::kData:
      return options.timeouts.data;
    case Phase::kFinalDot:
      return options.timeouts.final_dot;
    default:
      return options.timeouts.command;
  }
}

ClientStep Connection::Impl::OnFailure(const absl::Status& why) {
  if (aborting && sending && !core.dot_sent()) {
    return core.OnNotSent(absl::AbortedError("the attempt was ended by ourselves"));
  }
  return core.OnLost(Message(why));
}

// Sends and reads until the core wants something else than replies.
asio::awaitable<ClientStep> Connection::Impl::Converse(ClientStep step) {
  while (true) {
    if (!step.send.empty()) {
      // What is written here is short; the time is that for a block of content.
      stream->ExpireAfter(options.timeouts.block);
      absl::Status written = co_await stream->Write(std::move(step.send));
      if (!written.ok()) co_return OnFailure(written);
    }
    if (step.next == ClientStep::Next::kReply) {
      stream->ExpireAfter(ReplyTimeout());
      absl::StatusOr<ReceivedReply> reply = co_await ReadReply();
      step = reply.ok() ? core.OnReply(*reply) : OnFailure(reply.status());
    } else if (step.next == ClientStep::Next::kHandshake) {
      step = co_await Handshake();
    } else {
      co_return step;
    }
  }
}

// The deadline covers the whole reply: a remote that drips one line a minute gains nothing.
asio::awaitable<absl::StatusOr<ReceivedReply>> Connection::Impl::ReadReply() {
  while (true) {
    const size_t used = parser.Feed(stream->Buffered());
    stream->Consume(used);
    if (parser.state() == ReplyParser::State::kReply) co_return parser.Take();
    if (parser.state() == ReplyParser::State::kGarbage) {
      co_return MakeStatus(absl::StatusCode::kInvalidArgument, "not a reply: {}",
                           parser.garbage_reason());
    }
    absl::Status filled = co_await stream->Fill();
    if (!filled.ok()) co_return filled;
  }
}

asio::awaitable<ClientStep> Connection::Impl::Handshake() {
  stream->ExpireAfter(options.timeouts.tls_handshake);
  // An address as host is written in brackets; certificates know it without.
  std::string name = remote.host;
  if (name.empty() || name.front() == '[') name = remote.endpoint.address.ToString();
  absl::Status done = co_await stream->StartTlsClient(TlsFor(options.core.tls), std::move(name));
  remote.tls = stream->tls();
  if (!done.ok()) co_return OnFailure(done);
  co_return core.OnTls();
}

asio::awaitable<absl::Status> Connection::Impl::WriteBlock(std::string block) {
  stream->ExpireAfter(options.timeouts.block);
  const size_t bytes = block.size();
  absl::Status written = co_await stream->Write(std::move(block));
  if (written.ok()) content_bytes_sent += bytes;
  co_return written;
}

// A remote that hangs up in the middle of content often said why before.
asio::awaitable<ClientStep> Connection::Impl::OnWriteFailed(absl::Status why) {
  if (!aborting && absl::IsAborted(why)) {
    stream->ExpireAfter(options.timeouts.quit);
    absl::StatusOr<ReceivedReply> reply = co_await ReadReply();
    if (reply.ok() && !aborting) co_return core.OnEarlyReply(*reply);
  }
  co_return OnFailure(why);
}

asio::awaitable<ClientStep> Connection::Impl::SendContent(BodySource& body, Fence& fence) {
  DataEncoder encoder;
  std::string block;
  while (true) {
    absl::StatusOr<std::shared_ptr<const std::string>> piece = co_await body.Next();
    if (!piece.ok()) co_return core.OnNotSent(Annotate(piece.status(), "reading the body"));
    if (*piece == nullptr) break;
    std::string_view left = **piece;
    while (!left.empty()) {
      const size_t count = std::min(left.size(), options.block_bytes);
      encoder.Encode(left.substr(0, count), block);
      left.remove_prefix(count);
      if (block.size() < options.block_bytes) continue;
      absl::Status written = co_await WriteBlock(std::exchange(block, std::string()));
      if (!written.ok()) {
        ClientStep failed = co_await OnWriteFailed(std::move(written));
        co_return failed;
      }
    }
  }
  encoder.Finish(block);
  absl::Status written = co_await WriteBlock(std::move(block));
  if (written.ok()) {
    written = co_await stream->WaitUntilSent(options.dot_waits_for_acknowledgement);
  }
  if (!written.ok()) {
    ClientStep failed = co_await OnWriteFailed(std::move(written));
    co_return failed;
  }
  absl::Status allowed = co_await fence.BeforeFinalDot();
  if (!allowed.ok()) co_return core.OnNotSent(std::move(allowed));
  if (aborting) co_return OnFailure(absl::OkStatus());
  // The caller writes the dot at once: nothing may be awaited between the fence's word and it.
  co_return core.OnContentSent();
}

// --- opening ---

Connection::Connection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Connection::~Connection() = default;

asio::awaitable<Connection::Opened> Connection::OpenOver(std::unique_ptr<Stream> stream,
                                                         NextHop hop, ConnectionOptions options) {
  auto impl = std::make_unique<Impl>(std::move(stream), std::move(hop), std::move(options));
  ClientStep step = co_await impl->Converse(impl->core.Begin());
  Opened opened;
  if (step.next == ClientStep::Next::kReady) {
    impl->ready = true;
    opened.connection.reset(new Connection(std::move(impl)));
  } else {
    impl->stream->Close();
    opened.failures.push_back({impl->remote, impl->core.failure()});
  }
  co_return opened;
}

asio::awaitable<Connection::Opened> Connection::Open(asio::any_io_executor executor,
                                                     std::vector<NextHop> hops,
                                                     ConnectionOptions options) {
  Opened result;
  Connector& connector = options.connector == nullptr ? TcpConnector() : *options.connector;
  for (const NextHop& hop : hops) {
    ConnectionOptions variant = options;
    for (int i = 0; i < kVariantsMax; ++i) {
      const bool last = i + 1 == kVariantsMax;
      absl::StatusOr<std::unique_ptr<Stream>> stream =
          co_await connector.Connect(executor, hop.endpoint, ConnectOptionsFor(hop, options));
      if (!stream.ok()) {
        result.failures.push_back(NoConnection(hop, stream.status()));
        break;
      }
      Opened opened = co_await OpenOver(*std::move(stream), hop, variant);
      if (opened.connection != nullptr) {
        result.connection = std::move(opened.connection);
        co_return result;
      }
      const SessionFailure& failure = opened.failures.back().failure;
      if (failure.retry_without_tls && !last) {
        variant.core.tls = TlsPolicy::kNone;
      } else if (failure.retry_with_helo && !last) {
        variant.core.helo_only = true;
      } else {
        result.failures.push_back(std::move(opened.failures.back()));
        break;
      }
    }
  }
  co_return result;
}

// --- mail ---

asio::awaitable<TransactionResult> Connection::Send(Transaction transaction, BodySource& body,
                                                    Fence& fence) {
  Impl& impl = *impl_;
  HOLDFAST_CHECK(impl.ready && !impl.sending);
  impl.sending = true;
  impl.content_bytes_sent = 0;
  ClientStep step = co_await impl.Converse(impl.core.Start(std::move(transaction)));
  if (step.next == ClientStep::Next::kContent) {
    step = co_await impl.SendContent(body, fence);
    step = co_await impl.Converse(std::move(step));
  }
  HOLDFAST_CHECK(step.next == ClientStep::Next::kDone);
  TransactionResult result = impl.core.TakeResult();
  result.remote = impl.remote;
  result.bytes_sent = impl.content_bytes_sent;
  impl.sending = false;
  if (impl.aborting) result.reusable = false;
  impl.ready = result.reusable;
  if (!result.reusable) impl.stream->Close();
  co_return result;
}

bool Connection::AbortBeforeDot() {
  if (impl_->sending && impl_->core.dot_sent()) return false;
  impl_->aborting = true;
  impl_->ready = false;
  impl_->stream->Close();
  return true;
}

asio::awaitable<void> Connection::Quit() {
  Impl& impl = *impl_;
  HOLDFAST_CHECK(!impl.sending);
  if (impl.ready) {
    impl.ready = false;
    ClientStep step = impl.core.Quit();
    impl.stream->ExpireAfter(impl.options.timeouts.quit);
    absl::Status written = co_await impl.stream->Write(std::move(step.send));
    if (written.ok()) {
      absl::StatusOr<ReceivedReply> ignored = co_await impl.ReadReply();
      (void)ignored;  // RFC 5321 4.1.1.10: every message had its answer already.
    }
  }
  impl.stream->Close();
}

void Connection::Close() {
  impl_->ready = false;
  impl_->stream->Close();
}

bool Connection::reusable() const { return impl_->ready && !impl_->sending; }
bool Connection::quiet() const { return impl_->stream->Quiet(); }
size_t Connection::messages() const { return impl_->core.messages(); }
const RemoteFacts& Connection::remote() const { return impl_->remote; }
const Capabilities& Connection::capabilities() const { return impl_->core.capabilities(); }

const HopFailure& DecidingFailure(const std::vector<HopFailure>& failures) {
  HOLDFAST_CHECK(!failures.empty());
  const auto temporary = std::find_if(failures.rbegin(), failures.rend(), [](const auto& hop) {
    return hop.failure.outcome != OutcomeClass::kPermanent;
  });
  return temporary != failures.rend() ? *temporary : failures.back();
}

}  // namespace holdfast::smtp
