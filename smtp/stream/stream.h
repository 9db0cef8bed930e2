// smtp/stream/stream.h
// Stream is one connection, in clear or under TLS, with a deadline, a read buffer and lines. A
// session and an outgoing client see only this class; tcp_stream.h and memory_stream.h make it.
//
//   stream.ExpireAfter(limits.command_timeout);
//   absl::StatusOr<std::string> line = co_await stream.ReadLine(limits.line_bytes_max);
//
// Threads:  owned by the io context of executor(); one operation at a time, of either direction.
//           Not moved and not destroyed while an operation is in progress.
// Errors:   kDeadlineExceeded   the deadline passed (of ExpireAfter)
//           kAborted            the peer closed or reset the connection, or TLS broke
//           kCancelled          StopReading() or Close() of our own
//           kResourceExhausted  a line or the buffer is over its bound
// Limits:   the read buffer holds at most max(options.buffer_bytes_max, line_bytes_max) bytes.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "smtp/stream/asio.h"
#include "smtp/stream/ip_address.h"
#include "smtp/stream/tls_context.h"
#include "smtp/stream/transport.h"

namespace holdfast::smtp {

struct StreamOptions {
  size_t read_bytes = 16 * 1024;         // Asked of the kernel at once.
  size_t buffer_bytes_max = 256 * 1024;  // Fill() refuses to read ahead beyond this.
  size_t skip_bytes_max = 1024 * 1024;   // An overlong line is skipped up to this, then kAborted.
};

class Stream {
 public:
  Stream(std::unique_ptr<Transport> transport, const StreamOptions& options = {});
  ~Stream();  // Closes.
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  asio::any_io_executor executor() const { return transport_->executor(); }

  // From now on every operation ends by `now + timeout`, also the one in progress. It holds until
  // the next call, however many operations there are. After it passed, operations answer
  // kDeadlineExceeded at once until ExpireAfter() gives new time: a last "421" can then still be
  // written if the operation that expired was a read. absl::InfiniteDuration() means never.
  void ExpireAfter(absl::Duration timeout);

  // --- reading ---

  // Bytes received and not consumed. The view ends with the next operation or Consume().
  std::string_view Buffered() const { return std::string_view(input_).substr(input_begin_); }
  void Consume(size_t bytes);
  // Waits until the buffer has grown by at least one byte.
  asio::awaitable<absl::Status> Fill();
  // The buffer if it is not empty, else what arrives next; at most `bytes_max`, never empty.
  asio::awaitable<absl::StatusOr<std::string>> ReadSome(size_t bytes_max);
  // One line as received, its LF or CRLF included: whoever cares about bare LF can see it. Over
  // `line_bytes_max` (terminator included): skips to the end of the line, so that the stream is in
  // step, then answers kResourceExhausted.
  asio::awaitable<absl::StatusOr<std::string>> ReadLine(size_t line_bytes_max);
  // The read in progress and all later ones end with kCancelled; writing still works. For stopping
  // a session between two commands.
  void StopReading();

  // --- writing ---

  // Returns when the kernel has taken every byte. After an error nothing more can be written.
  asio::awaitable<absl::Status> Write(std::string bytes);
  asio::awaitable<absl::Status> Write(std::vector<std::string> parts);
  // Waits until all written bytes were sent (`acknowledged`: and acknowledged by the peer's
  // kernel), so that the next byte has no queue in front of it.
  asio::awaitable<absl::Status> WaitUntilSent(bool acknowledged);

  // --- TLS ---

  // Bytes read ahead in clear are dropped first: nothing sent before the handshake may count as
  // sent inside it (RFC 3207 4.2, CVE-2011-0411). On failure the stream can only be closed.
  asio::awaitable<absl::Status> StartTlsServer(std::shared_ptr<const TlsContext> context);
  // `server_name` goes out as SNI unless it is an address, and is what the certificate must name.
  asio::awaitable<absl::Status> StartTlsClient(std::shared_ptr<const TlsContext> context,
                                               std::string server_name);
  const TlsFacts& tls() const { return transport_->tls(); }
  // Channel binding bytes for "tls-exporter" (RFC 9266) or "tls-server-end-point" (RFC 5929);
  // nothing without TLS or for another type.
  std::optional<std::string> ChannelBinding(std::string_view type) const;

  // --- end ---

  // Ends our direction politely, then reads and drops until the peer ends too, so that a reset
  // cannot overtake our last reply; at most `linger` and options.skip_bytes_max. Then closes.
  asio::awaitable<void> CloseGracefully(absl::Duration linger);
  // At once; an operation in progress ends with kCancelled.
  void Close();
  bool closed() const { return closed_; }

  // Nothing waits to be read, not even the peer's close: how an idle SMTP connection should be.
  bool Quiet() const { return !closed_ && Buffered().empty() && transport_->Quiet(); }

  Endpoint local() const { return transport_->local(); }
  Endpoint peer() const { return transport_->peer(); }

 private:
  struct Watchdog;  // The one timer; outlives this object while its wait is being cancelled.

  void OnDeadline();
  absl::Status BeforeOperation(bool reading) const;
  // Gives `status` the reason that this object knows: deadline, StopReading() or Close().
  absl::Status Explain(absl::Status status, bool reading) const;
  asio::awaitable<absl::Status> FillUpTo(size_t held_bytes_max);
  asio::awaitable<absl::Status> SkipLine();

  const StreamOptions options_;
  std::unique_ptr<Transport> transport_;
  std::shared_ptr<Watchdog> watchdog_;
  std::string input_;
  size_t input_begin_ = 0;
  bool reading_ = false;
  bool in_operation_ = false;
  bool expired_ = false;
  bool stopped_reading_ = false;
  bool closed_ = false;
  bool write_failed_ = false;
};

}  // namespace holdfast::smtp
