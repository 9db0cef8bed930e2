// smtp/stream/connector.h
// Connector makes outgoing streams: over TCP (tcp_stream.h), or to what a simulation has.
// Threads: thread-safe, unless it says otherwise; the stream belongs to `executor`.
// Errors:  kUnavailable: no connection came about (refused, unreachable, timeout); nothing was
// sent.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <memory>
#include <optional>

#include "smtp/stream/asio.h"
#include "smtp/stream/ip_address.h"
#include "smtp/stream/stream.h"

namespace holdfast::smtp {

struct ConnectOptions {
  absl::Duration timeout = absl::Seconds(30);
  std::optional<IpAddress> source;  // The address to bind; used only for its own family.
  StreamOptions stream;
};

class Connector {
 public:
  virtual ~Connector() = default;
  virtual asio::awaitable<absl::StatusOr<std::unique_ptr<Stream>>> Connect(
      asio::any_io_executor executor, Endpoint to, ConnectOptions options) = 0;
};

}  // namespace holdfast::smtp
