// smtp/stream/transport.h
// Transport moves bytes for a Stream and nothing more: no buffer, no deadline, no lines. There are
// two: a TCP socket, in clear or under TLS (tcp_stream.cc), and memory (memory_stream.h).
// Threads: owned by the io context of executor(); one operation at a time.
// Errors:  kAborted when the peer has gone or broke TLS; also what Cancel() and Close() cause,
//          which Stream then renames, because it knows why it called them.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "smtp/stream/asio.h"
#include "smtp/stream/ip_address.h"
#include "smtp/stream/tls_context.h"

namespace holdfast::smtp {

class Transport {
 public:
  virtual ~Transport() = default;

  virtual asio::any_io_executor executor() = 0;

  // Waits for at least one byte, stores at most `size` at `to`, returns the count (never 0).
  // `to` must stay valid until the operation ends.
  virtual asio::awaitable<absl::StatusOr<size_t>> ReadSome(char* to, size_t size) = 0;
  // Hands all of `bytes` to the kernel. `bytes` must stay valid until the operation ends.
  virtual asio::awaitable<absl::Status> WriteAll(std::string_view bytes) = 0;

  virtual asio::awaitable<absl::Status> HandshakeServer(
      std::shared_ptr<const TlsContext> context) = 0;
  virtual asio::awaitable<absl::Status> HandshakeClient(std::shared_ptr<const TlsContext> context,
                                                        std::string server_name) = 0;
  // Says goodbye: close_notify under TLS, then the end of our direction of TCP. OK when the peer
  // may still send.
  virtual asio::awaitable<absl::Status> ShutdownSend() = 0;

  // Ends the operation in progress, if any; the transport stays usable for a read that was waiting.
  virtual void Cancel() = 0;
  virtual void Close() = 0;

  // Bytes written that the kernel has not sent yet, and those that the peer has not acknowledged.
  virtual absl::StatusOr<size_t> UnsentBytes() const = 0;
  virtual absl::StatusOr<size_t> UnacknowledgedBytes() const = 0;

  // No bytes and no close have arrived that nobody read. Never waits.
  virtual bool Quiet() const = 0;

  virtual Endpoint local() const = 0;
  virtual Endpoint peer() const = 0;
  virtual const TlsFacts& tls() const = 0;
  virtual std::optional<std::string> ChannelBinding(std::string_view type) const = 0;
};

}  // namespace holdfast::smtp
