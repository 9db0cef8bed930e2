// smtp/client/connection_pool.h
// ConnectionPool keeps outgoing connections that may carry another message, for a short while. A
// connection goes back only to whoever wants the same host, port, TLS policy and source.
// Threads: owned by one io context.
// Limits:  options.idle_max connections in all; the longest idle goes first. Each stays at most
//          options.idle_lifetime, and is closed with QUIT.
#pragma once

#include <absl/time/time.h>

#include <compare>
#include <cstddef>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "smtp/client/client.h"
#include "smtp/stream/asio.h"

namespace holdfast::smtp {

struct ConnectionPoolOptions {
  size_t idle_max = 100;
  absl::Duration idle_lifetime = absl::Seconds(5);
};

// What must be equal for a connection to be used again.
struct ConnectionKey {
  std::string host;
  uint16_t port = 25;
  TlsPolicy tls = TlsPolicy::kMay;
  std::string source;  // Source addresses or whatever else tells egresses apart.

  friend auto operator<=>(const ConnectionKey&, const ConnectionKey&) = default;
};

class ConnectionPool {
 public:
  ConnectionPool(asio::any_io_executor executor, const ConnectionPoolOptions& options);
  ~ConnectionPool();  // Closes all, without QUIT.
  ConnectionPool(const ConnectionPool&) = delete;
  ConnectionPool& operator=(const ConnectionPool&) = delete;

  // One that is idle and still quiet, or null.
  std::unique_ptr<Connection> Take(const ConnectionKey& key);
  // Keeps `connection` if it is reusable, else ends it.
  void Give(const ConnectionKey& key, std::unique_ptr<Connection> connection);
  // Ends all of them, with QUIT. For a drain.
  void Clear();

  size_t idle() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace holdfast::smtp
