#include "smtp/stream/stream.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "smtp/stream/timer.h"

namespace holdfast::smtp {
namespace {

constexpr absl::Duration kDeadlineMax = absl::Hours(24 * 365);

// How often WaitUntilSent() looks. The kernel tells nobody when its queue is empty.
constexpr absl::Duration kSentPollFirst = absl::Microseconds(500);
constexpr absl::Duration kSentPollMax = absl::Milliseconds(20);

constexpr std::chrono::milliseconds kCancelAgainAfter(20);

auto NoThrow() { return asio::as_tuple(asio::use_awaitable); }

}  // namespace

// The deadline is a value; the timer only looks at it. Moving a deadline further away, which is
// what nearly every call does, costs no timer operation: when the timer fires it sees the new
// value and sleeps again.
struct Stream::Watchdog : std::enable_shared_from_this<Stream::Watchdog> {
  explicit Watchdog(asio::any_io_executor executor) : timer(std::move(executor)) {}

  void MoveTo(TimerClock::time_point to) {
    deadline = to;
    if (deadline == TimerClock::time_point::max()) return;
    if (armed && timer.expiry() <= deadline) return;
    Arm();
  }

  void Arm() { ArmAt(deadline); }

  void ArmAt(TimerClock::time_point when) {
    timer.expires_at(when);  // Cancels the former wait.
    armed = true;
    const uint64_t wait = ++waits;
    timer.async_wait([self = shared_from_this(), wait](const boost::system::error_code&) {
      self->OnTimer(wait);
    });
  }

  void OnTimer(uint64_t wait) {
    if (wait != waits || stream == nullptr) return;  // Replaced, or nobody left to wake.
    armed = false;
    if (deadline == TimerClock::time_point::max()) return;
    if (TimerClock::now() < deadline) {
      Arm();
    } else {
      stream->OnDeadline();
      // What is made of several steps (a long write, a handshake) doesn't notice that it was
      // cancelled between two of them.
      if (stream->in_operation_) ArmAt(TimerClock::now() + kCancelAgainAfter);
    }
  }

  Timer timer;
  TimerClock::time_point deadline = TimerClock::time_point::max();
  uint64_t waits = 0;
  bool armed = false;
  Stream* stream = nullptr;
};

Stream::Stream(std::unique_ptr<Transport> transport, const StreamOptions& options)
    : options_(options),
      transport_(std::move(transport)),
      watchdog_(std::make_shared<Watchdog>(transport_->executor())) {
  watchdog_->stream = this;
}

Stream::~Stream() {
  watchdog_->stream = nullptr;
  Close();
}

void Stream::ExpireAfter(absl::Duration timeout) {
  expired_ = false;
  if (closed_) return;
  if (timeout > kDeadlineMax) {
    watchdog_->MoveTo(TimerClock::time_point::max());
    return;
  }
  timeout = std::max(timeout, absl::ZeroDuration());
  watchdog_->MoveTo(TimerClock::now() + absl::ToChronoNanoseconds(timeout));
}

void Stream::OnDeadline() {
  expired_ = true;
  if (in_operation_) transport_->Cancel();
}

absl::Status Stream::BeforeOperation(bool reading) const {
  HOLDFAST_CHECK(!in_operation_) << "two operations at a time on one stream";
  if (closed_) return absl::CancelledError("the stream is closed");
  if (reading && stopped_reading_) return absl::CancelledError("reading was stopped");
  if (expired_ || watchdog_->deadline <= TimerClock::now()) {
    return absl::DeadlineExceededError("the deadline passed");
  }
  if (!reading && write_failed_) return absl::AbortedError("an earlier write failed");
  return absl::OkStatus();
}

absl::Status Stream::Explain(absl::Status status, bool reading) const {
  if (status.ok()) return status;
  if (closed_) return absl::CancelledError("the stream is closed");
  if (reading && stopped_reading_) return absl::CancelledError("reading was stopped");
  if (expired_) return absl::DeadlineExceededError("the deadline passed");
  return status;
}

// --- reading ---

void Stream::Consume(size_t bytes) {
  HOLDFAST_CHECK(bytes <= input_.size() - input_begin_) << "consuming what is not there";
  input_begin_ += bytes;
  if (input_begin_ == input_.size()) {
    input_.clear();
    input_begin_ = 0;
  }
}

asio::awaitable<absl::Status> Stream::Fill() {
  absl::Status filled = co_await FillUpTo(options_.buffer_bytes_max);
  co_return filled;
}

asio::awaitable<absl::Status> Stream::FillUpTo(size_t held_bytes_max) {
  absl::Status ready = BeforeOperation(/*reading=*/true);
  if (!ready.ok()) co_return ready;
  if (input_begin_ > 0) {  // Consumed bytes go now, when at most a piece of a line moves.
    input_.erase(0, input_begin_);
    input_begin_ = 0;
  }
  const size_t held = input_.size();
  if (held >= held_bytes_max) co_return absl::ResourceExhaustedError("the read buffer is full");
  const size_t wanted = std::min(options_.read_bytes, held_bytes_max - held);
  input_.resize(held + wanted);
  in_operation_ = true;
  reading_ = true;
  absl::StatusOr<size_t> got = co_await transport_->ReadSome(input_.data() + held, wanted);
  in_operation_ = false;
  reading_ = false;
  input_.resize(held + (got.ok() ? *got : 0));
  co_return Explain(got.status(), /*reading=*/true);
}

asio::awaitable<absl::StatusOr<std::string>> Stream::ReadSome(size_t bytes_max) {
  if (Buffered().empty()) {
    absl::Status filled = co_await Fill();
    if (!filled.ok()) co_return filled;
  }
  std::string bytes(Buffered().substr(0, bytes_max));
  Consume(bytes.size());
  co_return bytes;
}

asio::awaitable<absl::StatusOr<std::string>> Stream::ReadLine(size_t line_bytes_max) {
  size_t searched = 0;
  while (true) {
    const std::string_view held = Buffered();
    const size_t newline = held.find('\n', searched);
    if (newline != std::string_view::npos && newline < line_bytes_max) {
      std::string line(held.substr(0, newline + 1));
      Consume(newline + 1);
      co_return line;
    }
    if (newline != std::string_view::npos || held.size() >= line_bytes_max) {
      absl::Status skipped = co_await SkipLine();
      if (!skipped.ok()) co_return skipped;
      co_return MakeStatus(absl::StatusCode::kResourceExhausted, "a line over {} bytes",
                           line_bytes_max);
    }
    searched = held.size();
    absl::Status filled = co_await FillUpTo(std::max(options_.buffer_bytes_max, line_bytes_max));
    if (!filled.ok()) co_return filled;
  }
}

asio::awaitable<absl::Status> Stream::SkipLine() {
  size_t skipped = 0;
  while (true) {
    const std::string_view held = Buffered();
    const size_t newline = held.find('\n');
    if (newline != std::string_view::npos) {
      Consume(newline + 1);
      co_return absl::OkStatus();
    }
    skipped += held.size();
    Consume(held.size());
    if (skipped > options_.skip_bytes_max) {
      co_return MakeStatus(absl::StatusCode::kAborted, "a line without end: {} bytes skipped",
                           skipped);
    }
    absl::Status filled = co_await Fill();
    if (!filled.ok()) co_return filled;
  }
}

void Stream::StopReading() {
  stopped_reading_ = true;
  if (reading_) transport_->Cancel();
}

// --- writing ---

asio::awaitable<absl::Status> Stream::Write(std::string bytes) {
  absl::Status ready = BeforeOperation(/*reading=*/false);
  if (!ready.ok()) co_return ready;
  if (bytes.empty()) co_return absl::OkStatus();
  in_operation_ = true;
  absl::Status written = co_await transport_->WriteAll(bytes);
  in_operation_ = false;
  // A write that was cut may have left half a command behind; nothing sensible can follow it.
  if (!written.ok()) write_failed_ = true;
  co_return Explain(std::move(written), /*reading=*/false);
}

asio::awaitable<absl::Status> Stream::Write(std::vector<std::string> parts) {
  size_t size = 0;
  for (const std::string& part : parts) size += part.size();
  std::string bytes;
  bytes.reserve(size);
  // One TLS record or segment train costs less than many; copying what is hot in the cache is
  // cheap.
  for (const std::string& part : parts) bytes += part;
  absl::Status written = co_await Write(std::move(bytes));
  co_return written;
}

asio::awaitable<absl::Status> Stream::WaitUntilSent(bool acknowledged) {
  Timer timer(executor());
  absl::Duration pause = kSentPollFirst;
  while (true) {
    absl::Status ready = BeforeOperation(/*reading=*/false);
    if (!ready.ok()) co_return ready;
    absl::StatusOr<size_t> queued =
        acknowledged ? transport_->UnacknowledgedBytes() : transport_->UnsentBytes();
    if (!queued.ok()) co_return queued.status();
    if (*queued == 0) co_return absl::OkStatus();
    timer.expires_after(absl::ToChronoNanoseconds(pause));
    // Deadline and Close() are seen at the next look, at most kSentPollMax later.
    in_operation_ = true;
    auto [error] = co_await timer.async_wait(NoThrow());
    in_operation_ = false;
    if (error) co_return absl::CancelledError("the wait was cancelled");
    pause = std::min(pause * 2, kSentPollMax);
  }
}

// --- TLS ---

asio::awaitable<absl::Status> Stream::StartTlsServer(std::shared_ptr<const TlsContext> context) {
  absl::Status ready = BeforeOperation(/*reading=*/true);
  if (!ready.ok()) co_return ready;
  Consume(Buffered().size());
  in_operation_ = true;
  absl::Status done = co_await transport_->HandshakeServer(std::move(context));
  in_operation_ = false;
  if (!done.ok()) write_failed_ = true;
  co_return Explain(std::move(done), /*reading=*/true);
}

asio::awaitable<absl::Status> Stream::StartTlsClient(std::shared_ptr<const TlsContext> context,
                                                     std::string server_name) {
  absl::Status ready = BeforeOperation(/*reading=*/true);
  if (!ready.ok()) co_return ready;
  Consume(Buffered().size());
  in_operation_ = true;
  absl::Status done =
      co_await transport_->HandshakeClient(std::move(context), std::move(server_name));
  in_operation_ = false;
  if (!done.ok()) write_failed_ = true;
  co_return Explain(std::move(done), /*reading=*/true);
}

std::optional<std::string> Stream::ChannelBinding(std::string_view type) const {
  return transport_->ChannelBinding(type);
}

// --- end ---

asio::awaitable<void> Stream::CloseGracefully(absl::Duration linger) {
  ExpireAfter(linger);
  stopped_reading_ = false;
  absl::Status ready = BeforeOperation(/*reading=*/false);
  if (ready.ok()) {
    in_operation_ = true;
    absl::Status ended = co_await transport_->ShutdownSend();
    in_operation_ = false;
    write_failed_ = true;
    size_t dropped = Buffered().size();
    Consume(dropped);
    while (ended.ok() && dropped <= options_.skip_bytes_max) {
      ended = co_await Fill();
      dropped += Buffered().size();
      Consume(Buffered().size());
    }
  }
  Close();
}

void Stream::Close() {
  if (closed_) return;
  closed_ = true;
  watchdog_->deadline = TimerClock::time_point::max();
  watchdog_->timer.cancel();
  transport_->Close();
}

}  // namespace holdfast::smtp
