// smtp/client/client.h
// Connection is an outgoing SMTP connection: it connects to the first of some next hops that is
// willing to talk, and carries transactions. ClientCore decides what is said; this moves bytes and
// keeps the deadlines of RFC 5321 4.5.3.2.
//
// The final dot is fenced: it is a write of its own, made only after everything before it has left
// the kernel's send queue and the caller's Fence has said OK. Without that OK the connection is
// closed, and the remote has half a message, which is none.
//
// Threads:  owned by the io context of `executor`; one operation at a time.
// Lifetime: body, fence and the connection outlive Send().
// Errors:   none is a Status but what the caller's own fence and body say; outcomes tell the rest.
// Limits:   memory is one chunk of the body and its encoding, besides the stream's buffer.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "smtp/client/client_core.h"
#include "smtp/client/transaction.h"
#include "smtp/dns/next_hop.h"
#include "smtp/stream/asio.h"
#include "smtp/stream/connector.h"
#include "smtp/stream/ip_address.h"
#include "smtp/stream/stream.h"
#include "smtp/stream/tls_context.h"

namespace holdfast::smtp {

// The content of a message, before dot-stuffing, in pieces of any size.
class BodySource {
 public:
  virtual ~BodySource() = default;
  // The next piece; null at the end. An error ends the attempt before the dot. Called from the
  // beginning of the content to its end once for each Send().
  virtual asio::awaitable<absl::StatusOr<std::shared_ptr<const std::string>>> Next() = 0;
};

// Whether the final dot may go out, decided at the last moment.
class Fence {
 public:
  virtual ~Fence() = default;
  virtual asio::awaitable<absl::Status> BeforeFinalDot() = 0;
};

struct ClientTimeouts {
  absl::Duration connect = absl::Seconds(30);
  absl::Duration greeting = absl::Minutes(5);
  absl::Duration command = absl::Minutes(5);  // EHLO, STARTTLS, MAIL, RCPT, RSET
  absl::Duration tls_handshake = absl::Seconds(30);
  absl::Duration data = absl::Minutes(2);
  absl::Duration block = absl::Minutes(3);
  absl::Duration final_dot = absl::Minutes(10);
  absl::Duration quit = absl::Seconds(5);
};

struct ConnectionOptions {
  ClientCoreOptions core;
  ClientTimeouts timeouts;
  // At most one of each family is used; nothing: the kernel's choice.
  std::optional<IpAddress> source_ipv4;
  std::optional<IpAddress> source_ipv6;
  // For kMay and kEncrypt, and for kVerify. The one that the policy needs must be there (CHECK).
  std::shared_ptr<const TlsContext> tls_opportunistic;
  std::shared_ptr<const TlsContext> tls_verify;
  ReplyParserLimits reply;
  // Content is encoded and written in pieces of about this size.
  size_t block_bytes = 64 * 1024;
  // The fence waits until the remote's kernel has acknowledged the content, not only until ours has
  // sent it. That narrows the window in which a cut network can delay a dot, and costs up to the
  // remote's delayed-acknowledgement time (40 ms) for each message.
  bool dot_waits_for_acknowledgement = false;
  // Outlives Open(). Null: TCP.
  Connector* connector = nullptr;
};

// A next hop that was tried in vain.
struct HopFailure {
  RemoteFacts remote;
  SessionFailure failure;
};

class Connection {
 public:
  // What Open() came to: a connection, or why not; `failures` are in the order of attempts and may
  // be there in both cases.
  struct Opened {
    std::unique_ptr<Connection> connection;
    std::vector<HopFailure> failures;
  };

  // Tries the hops in order. A hop that talks TLS badly under kMay is tried once more in clear, one
  // that hangs up at EHLO once more with HELO.
  static asio::awaitable<Opened> Open(asio::any_io_executor executor, std::vector<NextHop> hops,
                                      ConnectionOptions options);
  // Over a stream that is connected already (tests, the simulation).
  static asio::awaitable<Opened> OpenOver(std::unique_ptr<Stream> stream, NextHop hop,
                                          ConnectionOptions options);
  ~Connection();  // Closes.

  asio::awaitable<TransactionResult> Send(Transaction transaction, BodySource& body, Fence& fence);

  // Ends a Send() in progress if its final dot has not been sent; its result then says not sent.
  // One past the dot goes on. Returns whether it will end.
  bool AbortBeforeDot();

  // Says QUIT, does not care for the answer, and closes.
  asio::awaitable<void> Quit();
  void Close();

  // Another transaction may follow.
  bool reusable() const;
  // Nothing has arrived unasked, such as the remote's 421 or its close. For idle connections.
  bool quiet() const;
  size_t messages() const;
  const RemoteFacts& remote() const;
  const Capabilities& capabilities() const;

 private:
  struct Impl;
  explicit Connection(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The answer that a message's recipients get when no hop worked: permanent only if every hop said
// so (RFC 7504 521), else the last failure. `failures` is not empty (CHECK).
const HopFailure& DecidingFailure(const std::vector<HopFailure>& failures);

}  // namespace holdfast::smtp
