// smtp/stream/tls_stream.h
// TlsLayer is the TLS over one connected socket, of either side, for the TCP transport alone.
// Threads:  owned by the socket's io context; one operation at a time.
// Lifetime: the socket outlives it.
// Errors:   kAborted, with OpenSSL's reason; a connection cut without close_notify is kAborted too,
//           and says so: truncated content must never look like the end of it.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "smtp/stream/asio.h"
#include "smtp/stream/tls_context.h"

namespace holdfast::smtp {

class TlsLayer {
 public:
  TlsLayer(asio::ip::tcp::socket& socket, std::shared_ptr<const TlsContext> context);
  ~TlsLayer();

  asio::awaitable<absl::Status> HandshakeServer();
  asio::awaitable<absl::Status> HandshakeClient(std::string server_name);
  asio::awaitable<absl::StatusOr<size_t>> ReadSome(char* to, size_t size);
  asio::awaitable<absl::Status> WriteAll(std::string_view bytes);
  // Sends close_notify and waits for the peer's. Never OK: nothing can be read afterwards.
  asio::awaitable<absl::Status> ShutdownSend();

  const TlsFacts& facts() const { return facts_; }
  std::optional<std::string> ChannelBinding(std::string_view type) const;

 private:
  struct Impl;

  absl::Status Prepare(const std::string& server_name);
  void LearnFacts(bool is_server);

  std::unique_ptr<Impl> impl_;
  TlsFacts facts_;
};

}  // namespace holdfast::smtp
