// smtp/client/scripted_remote.h
// ScriptedRemote plays SMTP servers on a loopback port, one script for each connection in turn:
//
//   S: 220 hello    writes the line          C: DATA      reads a line, which must be this one
//   S+ 250-mx       writes it with the next  content      reads up to the dot, and keeps it
//   tls             handshakes               cut          closes at once
//   quiet           reads until the client closes, and keeps what it read
//
// The script's end closes the connection. Mismatches are gtest failures.
// Threads:  the test's io context.
// Lifetime: outlives the run of the io context that serves it.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <string>
#include <vector>

#include "smtp/stream/asio.h"
#include "smtp/stream/ip_address.h"
#include "smtp/stream/stream.h"
#include "smtp/stream/tls_context.h"

namespace holdfast::smtp {

class ScriptedRemote {
 public:
  using Script = std::vector<std::string>;

  ScriptedRemote(asio::io_context& io, std::vector<Script> scripts,
                 std::shared_ptr<const TlsContext> tls = nullptr);

  Endpoint endpoint() const { return endpoint_; }
  // Scripts that were played to their end.
  size_t finished() const { return finished_; }
  // What `content` and `quiet` read, in order.
  const std::vector<std::string>& contents() const { return contents_; }

 private:
  asio::awaitable<void> Serve();
  asio::awaitable<void> Play(std::unique_ptr<Stream> stream, Script script);
  asio::awaitable<void> ReadContent(Stream& stream);
  asio::awaitable<void> ReadToEnd(Stream& stream);

  asio::ip::tcp::acceptor acceptor_;
  const std::vector<Script> scripts_;
  const std::shared_ptr<const TlsContext> tls_;
  Endpoint endpoint_;
  size_t finished_ = 0;
  std::vector<std::string> contents_;
};

}  // namespace holdfast::smtp
