#include "ops/bench/sink.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <optional>
#include <string>
#include <utility>

#include "base/crc32c.h"
#include "base/status.h"
#include "base/text.h"
#include "ops/bench/content.h"
#include "ops/bench/notice.h"
#include "smtp/stream/tcp_stream.h"

namespace holdfast::bench {
namespace {

using boost::system::error_code;
using tcp = asio::ip::tcp;

constexpr size_t kNoticeBytesMax = 2 * 1024 * 1024;
constexpr uint64_t kMessageBytesMax = uint64_t{1} << 31;
constexpr absl::Duration kAcceptPause = absl::Milliseconds(100);

auto NoThrow() { return asio::as_tuple(asio::use_awaitable); }

smtp::SessionOptions OptionsOfSessions() {
  smtp::SessionOptions options;
  options.hostname = "sink.test";
  options.starttls_offered = false;
  options.limits.message_bytes_max = kMessageBytesMax;
  options.limits.recipients_max = 10000;
  options.limits.session_timeout = absl::Hours(24 * 365);
  return options;
}

}  // namespace

// One message on its way in. Only what names it is kept, and of a notice the beginning.
class Sink::Arriving final : public smtp::Submission {
 public:
  Arriving(Sink& sink, std::shared_ptr<const smtp::Envelope> envelope, uint64_t connection,
           uint64_t number)
      : sink_(sink),
        envelope_(std::move(envelope)),
        connection_(connection),
        queue_id_(format("sink{:012}", number)) {}

  const std::string& queue_id() const override { return queue_id_; }
  void SetTraceHeaderBytes(size_t bytes) override { trace_header_bytes_ = bytes; }

  asio::awaitable<absl::Status> Write(std::shared_ptr<const std::string> chunk) override {
    std::string_view bytes = *chunk;
    if (!begun_) {
      begun_ = true;
      bytes.remove_prefix(std::min(trace_header_bytes_, bytes.size()));
      // Above our first field are the trace fields of hops, which differ.
      if (std::optional<FoundId> found = FindId(bytes)) {
        id_ = std::move(found->id);
        compared_ = true;
        crc_ = Crc32c(bytes.substr(found->offset));
      }
    } else {
      crc_ = Crc32c(bytes, crc_);
    }
    if (envelope_->reverse_path.empty()) {
      notice_ += bytes.substr(0, kNoticeBytesMax - std::min(kNoticeBytesMax, notice_.size()));
    }
    co_return absl::OkStatus();
  }

  asio::awaitable<absl::StatusOr<std::string>> Commit(smtp::FinalFacts facts) override {
    // Whoever sent other mail than ours finds it by its Message-ID.
    if (id_.empty()) id_ = facts.message_id;
    absl::Status answer = co_await sink_.Answer(*envelope_, facts.bytes, Records());
    if (!answer.ok()) co_return answer;
    co_return queue_id_;
  }

 private:
  std::vector<Record> Records() const {
    const int64_t now_us = absl::ToUnixMicros(sink_.clock_.Now());
    std::vector<Record> records;
    if (envelope_->reverse_path.empty()) {
      const NoticeContent notice = ReadNotice(notice_);
      for (const NoticeRecipient& one : notice.recipients) {
        records.push_back(Notice{id_, one.recipient, now_us, connection_, one.action, one.status,
                                 notice.message_id});
      }
    }
    if (!records.empty()) return records;
    for (const smtp::EnvelopeRecipient& recipient : envelope_->recipients) {
      records.push_back(Copy{id_, recipient.mailbox, now_us, connection_, CopyEnd::kAccepted,
                             compared_ ? DigestText(crc_) : std::string()});
    }
    return records;
  }

  Sink& sink_;
  const std::shared_ptr<const smtp::Envelope> envelope_;
  const uint64_t connection_;
  const std::string queue_id_;
  size_t trace_header_bytes_ = 0;
  bool begun_ = false;
  bool compared_ = false;
  std::string id_;
  uint32_t crc_ = 0;
  std::string notice_;
};

Sink::Sink(asio::any_io_executor executor, const SinkOptions& options, const Clock& clock,
           RecordWriter* record, std::function<void()> on_expected)
    : executor_(std::move(executor)),
      options_(options),
      clock_(clock),
      record_(record),
      on_expected_(std::move(on_expected)),
      rules_(options.reject_percent, options.defer_percent, options.defer_for,
             options.silent_percent),
      begun_(clock.SinceBoot()),
      acceptor_(executor_),
      deadline_(executor_),
      room_(executor_) {}

Sink::~Sink() = default;

absl::StatusOr<smtp::Endpoint> Sink::Start(const smtp::Endpoint& listen) {
  const tcp::endpoint address = smtp::ToAsio(listen);
  error_code error;
  acceptor_.open(address.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(address, error);
  if (!error) acceptor_.listen(tcp::acceptor::max_listen_connections, error);
  if (error) {
    return MakeStatus(absl::StatusCode::kUnavailable, "{}: {}", listen.ToString(), error.message());
  }
  const smtp::Endpoint bound = smtp::FromAsio(acceptor_.local_endpoint(error));
  // The kernel takes connections, and nobody greets them.
  if (options_.stall != Stall::kGreeting) {
    asio::co_spawn(executor_, Accept(), [](std::exception_ptr failed) {
      if (failed != nullptr) std::rethrow_exception(failed);
    });
  }
  return bound;
}

asio::awaitable<void> Sink::Accept() {
  while (!stopping_) {
    if (sessions_.size() >= options_.connections_max) {
      room_.expires_at(asio::steady_timer::time_point::max());
      auto [waited] = co_await room_.async_wait(NoThrow());
      (void)waited;  // The loop looks.
      continue;
    }
    auto [error, socket] = co_await acceptor_.async_accept(NoThrow());
    if (!error) {
      OnConnection(std::move(socket));
    } else if (!stopping_ && error != asio::error::connection_aborted) {
      co_await Wait(kAcceptPause);  // Out of descriptors: others must end first.
    }
  }
}

void Sink::OnConnection(tcp::socket socket) {
  error_code error;
  const tcp::endpoint peer = socket.remote_endpoint(error);
  if (error || stopping_) return;  // Gone again, or we are.
  ++counts_.connections;
  smtp::ClientFacts client;
  const smtp::Endpoint endpoint = smtp::FromAsio(peer);
  client.address = endpoint.address;
  client.port = endpoint.port;
  client.roles.trusted = true;
  const smtp::SessionServices services{this, this, this, &clock_};
  auto session = std::make_shared<smtp::Session>(
      smtp::MakeTcpStream(std::move(socket), smtp::SessionStreamOptions()), services,
      OptionsOfSessions(), std::move(client), nullptr);
  sessions_[endpoint] = {counts_.connections, session};
  asio::co_spawn(executor_, Serve(endpoint, std::move(session)), [](std::exception_ptr failed) {
    if (failed != nullptr) std::rethrow_exception(failed);
  });
}

asio::awaitable<void> Sink::Serve(smtp::Endpoint client, std::shared_ptr<smtp::Session> session) {
  const absl::Status ended = co_await session->Run();
  (void)ended;  // However it ended, what was accepted is recorded.
  // The client may have come again from the same port before we noticed its end.
  const auto found = sessions_.find(client);
  if (found != sessions_.end() && found->second.session == session) sessions_.erase(found);
  room_.cancel();
  if (stopping_ && sessions_.empty()) deadline_.cancel();
}

void Sink::Stop(absl::Duration deadline) {
  if (std::exchange(stopping_, true)) return;
  error_code error;
  acceptor_.close(error);
  room_.cancel();
  for (asio::steady_timer* wait : waits_) wait->cancel();
  for (auto& [client, entry] : sessions_) entry.session->Stop();
  if (sessions_.empty()) return;
  deadline_.expires_after(absl::ToChronoNanoseconds(deadline));
  deadline_.async_wait([this](const error_code& cancelled) {
    if (!cancelled) AbortAll();
  });
}

void Sink::AbortAll() {
  for (auto& [client, entry] : sessions_) entry.session->Abort();
}

absl::StatusOr<std::unique_ptr<smtp::Submission>> Sink::Begin(
    std::shared_ptr<const smtp::Envelope> envelope) {
  const auto found = sessions_.find({envelope->client.address, envelope->client.port});
  const uint64_t connection = found == sessions_.end() ? 0 : found->second.number;
  return std::make_unique<Arriving>(*this, std::move(envelope), connection, ++transactions_);
}

smtp::MailDecision Sink::OnMail(const smtp::ClientFacts&, const smtp::MailCommand&) {
  smtp::MailDecision decision;
  decision.trusted = true;
  return decision;
}

smtp::RcptDecision Sink::OnRcpt(const smtp::ClientFacts&, const smtp::MailCommand& mail,
                                const smtp::RcptCommand& command) {
  smtp::RcptDecision decision;
  const RecipientAnswer answer = rules_.OnRecipient(
      mail.reverse_path.is_null(), command.recipient.mailbox(), clock_.SinceBoot() - begun_);
  if (answer == RecipientAnswer::kReject) {
    ++counts_.rejected;
    decision.refusal = smtp::Reply(550, {5, 1, 1}, "no such user here");
  } else if (answer == RecipientAnswer::kDefer) {
    ++counts_.deferred;
    decision.refusal = smtp::Reply(451, {4, 7, 1}, "not now, come again");
  }
  return decision;
}

asio::awaitable<void> Sink::Wait(absl::Duration time) {
  if (stopping_) co_return;
  asio::steady_timer timer(executor_);
  if (time == absl::InfiniteDuration()) {
    timer.expires_at(asio::steady_timer::time_point::max());
  } else {
    timer.expires_after(absl::ToChronoNanoseconds(time));
  }
  waits_.insert(&timer);
  auto [error] = co_await timer.async_wait(NoThrow());
  (void)error;  // Cancelled: we stop, and the caller goes on at once.
  waits_.erase(&timer);
}

asio::awaitable<absl::Status> Sink::Answer(const smtp::Envelope& envelope, uint64_t bytes,
                                           std::vector<Record> records) {
  const bool null_sender = envelope.reverse_path.empty();
  const bool stalls = options_.stall == Stall::kDot;
  if (stalls || rules_.VanishesAfterDot(null_sender, ++dots_)) {
    ++counts_.silent;
    for (Record& record : records) {
      if (auto* copy = std::get_if<Copy>(&record)) copy->end = CopyEnd::kSilent;
    }
    // A notice that stalls is as if it had not come: it will come again.
    if (!null_sender) Write(records);
    if (stalls) co_await Wait(absl::InfiniteDuration());
    const auto found = sessions_.find({envelope.client.address, envelope.client.port});
    if (found != sessions_.end()) found->second.session->Abort();
    co_return absl::CancelledError("left without an answer");
  }
  // Recorded before the answer: from here on the client may believe either.
  Write(records);
  if (!record_failure_.ok()) co_return record_failure_;
  ++counts_.messages;
  counts_.bytes += bytes;
  for (const Record& record : records) {
    ++(std::holds_alternative<Notice>(record) ? counts_.notices : counts_.copies);
  }
  if (options_.delay > absl::ZeroDuration()) co_await Wait(options_.delay);
  if (options_.expected && counts_.arrived() >= *options_.expected && on_expected_) {
    std::exchange(on_expected_, nullptr)();
  }
  co_return absl::OkStatus();
}

void Sink::Write(const std::vector<Record>& records) {
  if (record_ == nullptr || !record_failure_.ok()) return;
  for (const Record& record : records) record_->Append(record);
  record_failure_ = record_->Flush();
  if (!record_failure_.ok()) Stop(absl::ZeroDuration());
}

}  // namespace holdfast::bench
