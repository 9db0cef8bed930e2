// smtp/stream/tcp_stream.h
// Streams over TCP sockets: from one that was accepted, or by connecting. TCP_NODELAY is set, for
// a protocol of short questions and answers must not wait for Nagle; so is keepalive.
// Threads: the io context of the executor.
// Errors:  kUnavailable: no connection came about (refused, unreachable, timeout); nothing was
// sent.
#pragma once

#include <absl/status/statusor.h>

#include <boost/asio/ip/tcp.hpp>
#include <memory>

#include "smtp/stream/asio.h"
#include "smtp/stream/connector.h"
#include "smtp/stream/ip_address.h"
#include "smtp/stream/stream.h"

namespace holdfast::smtp {

// `socket` is connected.
std::unique_ptr<Stream> MakeTcpStream(asio::ip::tcp::socket socket,
                                      const StreamOptions& options = {});

asio::awaitable<absl::StatusOr<std::unique_ptr<Stream>>> ConnectTcp(asio::any_io_executor executor,
                                                                    Endpoint to,
                                                                    ConnectOptions options);

// ConnectTcp() as a Connector. Thread-safe; lives for ever.
Connector& TcpConnector();

// Between our addresses and Asio's.
asio::ip::tcp::endpoint ToAsio(const Endpoint& endpoint);
Endpoint FromAsio(const asio::ip::tcp::endpoint& endpoint);

}  // namespace holdfast::smtp
