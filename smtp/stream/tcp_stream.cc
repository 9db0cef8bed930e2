#include "smtp/stream/tcp_stream.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "smtp/stream/timer.h"
#include "smtp/stream/tls_context.h"
#include "smtp/stream/tls_stream.h"
#include "smtp/stream/transport.h"

namespace holdfast::smtp {
namespace {

using asio::ip::tcp;

auto NoThrow() { return asio::as_tuple(asio::use_awaitable); }

absl::Status PeerGone(std::string_view what, const boost::system::error_code& error) {
  if (error == asio::error::eof) {
    return MakeStatus(absl::StatusCode::kAborted, "{}: the peer closed the connection", what);
  }
  return MakeStatus(absl::StatusCode::kAborted, "{}: {}", what, error.message());
}

class TcpTransport final : public Transport {
 public:
  explicit TcpTransport(tcp::socket socket) : socket_(std::move(socket)) {
    // Failures here mean that the peer has gone already; the first operation will say so.
    boost::system::error_code error;
    socket_.set_option(tcp::no_delay(true), error);
    socket_.set_option(asio::socket_base::keep_alive(true), error);
    const tcp::endpoint local = socket_.local_endpoint(error);
    if (!error) local_ = FromAsio(local);
    const tcp::endpoint peer = socket_.remote_endpoint(error);
    if (!error) peer_ = FromAsio(peer);
  }

  asio::any_io_executor executor() override { return socket_.get_executor(); }

  asio::awaitable<absl::StatusOr<size_t>> ReadSome(char* to, size_t size) override {
    if (tls_) {
      absl::StatusOr<size_t> got = co_await tls_->ReadSome(to, size);
      co_return got;
    }
    auto [error, count] = co_await socket_.async_read_some(asio::buffer(to, size), NoThrow());
    if (count > 0) co_return count;
    co_return PeerGone("read", error);
  }

  asio::awaitable<absl::Status> WriteAll(std::string_view bytes) override {
    if (tls_) {
      absl::Status written = co_await tls_->WriteAll(bytes);
      co_return written;
    }
    auto [error, count] =
        co_await asio::async_write(socket_, asio::buffer(bytes.data(), bytes.size()), NoThrow());
    (void)count;  // All of it, or an error.
    if (error) co_return PeerGone("write", error);
    co_return absl::OkStatus();
  }

  asio::awaitable<absl::Status> HandshakeServer(
      std::shared_ptr<const TlsContext> context) override {
    HOLDFAST_CHECK(!tls_ && context->is_server());
    tls_ = std::make_unique<TlsLayer>(socket_, std::move(context));
    absl::Status done = co_await tls_->HandshakeServer();
    co_return done;
  }

  asio::awaitable<absl::Status> HandshakeClient(std::shared_ptr<const TlsContext> context,
                                                std::string server_name) override {
    HOLDFAST_CHECK(!tls_ && !context->is_server());
    tls_ = std::make_unique<TlsLayer>(socket_, std::move(context));
    absl::Status done = co_await tls_->HandshakeClient(std::move(server_name));
    co_return done;
  }

  asio::awaitable<absl::Status> ShutdownSend() override {
    absl::Status ended = absl::OkStatus();
    if (tls_ && tls_->facts().active) ended = co_await tls_->ShutdownSend();
    boost::system::error_code error;
    socket_.shutdown(tcp::socket::shutdown_send, error);
    if (error) co_return PeerGone("shutdown", error);
    co_return ended;
  }

  void Cancel() override {
    boost::system::error_code error;
    socket_.cancel(error);
  }
  void Close() override {
    boost::system::error_code error;
    socket_.close(error);
  }

  absl::StatusOr<size_t> UnsentBytes() const override { return QueueBytes(SIOCOUTQNSD); }
  absl::StatusOr<size_t> UnacknowledgedBytes() const override { return QueueBytes(SIOCOUTQ); }

  bool Quiet() const override {
    char byte = 0;
    const ssize_t got =
        recv(const_cast<tcp::socket&>(socket_).native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }

  Endpoint local() const override { return local_; }
  Endpoint peer() const override { return peer_; }
  const TlsFacts& tls() const override { return tls_ ? tls_->facts() : plain_; }
  std::optional<std::string> ChannelBinding(std::string_view type) const override {
    if (!tls_) return std::nullopt;
    return tls_->ChannelBinding(type);
  }

 private:
  // tcp(7): SIOCOUTQ counts what is not acknowledged, SIOCOUTQNSD what was not sent even once.
  absl::StatusOr<size_t> QueueBytes(unsigned long request) const {
    int bytes = 0;
    // native_handle() is not const in Asio, though it changes nothing.
    if (ioctl(const_cast<tcp::socket&>(socket_).native_handle(), request, &bytes) != 0) {
      return absl::AbortedError("the socket's send queue cannot be read");
    }
    return static_cast<size_t>(bytes);
  }

  tcp::socket socket_;
  std::unique_ptr<TlsLayer> tls_;
  const TlsFacts plain_;
  Endpoint local_;
  Endpoint peer_;
};

// Gives up a connect by closing its socket. The timer's callback can run after the connect has
// ended, so both share this.
struct ConnectAttempt {
  explicit ConnectAttempt(asio::any_io_executor executor) : socket(executor), timer(executor) {}
  tcp::socket socket;
  Timer timer;
  bool done = false;
  bool expired = false;
};

absl::Status OpenFor(ConnectAttempt& attempt, const Endpoint& to, const ConnectOptions& options) {
  boost::system::error_code error;
  attempt.socket.open(to.address.is_v4() ? tcp::v4() : tcp::v6(), error);
  if (!error && options.source && options.source->is_v4() == to.address.is_v4()) {
    attempt.socket.bind(ToAsio(Endpoint{*options.source, 0}), error);
    if (error) {
      return MakeStatus(absl::StatusCode::kUnavailable, "bind {}: {}", options.source->ToString(),
                        error.message());
    }
  }
  if (error) return MakeStatus(absl::StatusCode::kUnavailable, "socket: {}", error.message());
  return absl::OkStatus();
}

}  // namespace

tcp::endpoint ToAsio(const Endpoint& endpoint) {
  const auto& octets = endpoint.address.octets();
  if (endpoint.address.is_v4()) {
    asio::ip::address_v4::bytes_type bytes{octets[0], octets[1], octets[2], octets[3]};
    return {asio::ip::address_v4(bytes), endpoint.port};
  }
  asio::ip::address_v6::bytes_type bytes;
  std::copy(octets.begin(), octets.end(), bytes.begin());
  return {asio::ip::address_v6(bytes), endpoint.port};
}

Endpoint FromAsio(const tcp::endpoint& endpoint) {
  if (endpoint.address().is_v4()) {
    const auto bytes = endpoint.address().to_v4().to_bytes();
    return {IpAddress::V4({bytes[0], bytes[1], bytes[2], bytes[3]}), endpoint.port()};
  }
  const auto bytes = endpoint.address().to_v6().to_bytes();
  std::array<uint8_t, 16> octets;
  std::copy(bytes.begin(), bytes.end(), octets.begin());
  return {IpAddress::V6(octets), endpoint.port()};
}

std::unique_ptr<Stream> MakeTcpStream(tcp::socket socket, const StreamOptions& options) {
  return std::make_unique<Stream>(std::make_unique<TcpTransport>(std::move(socket)), options);
}

asio::awaitable<absl::StatusOr<std::unique_ptr<Stream>>> ConnectTcp(asio::any_io_executor executor,
                                                                    Endpoint to,
                                                                    ConnectOptions options) {
  auto attempt = std::make_shared<ConnectAttempt>(executor);
  absl::Status opened = OpenFor(*attempt, to, options);
  if (!opened.ok()) co_return opened;
  attempt->timer.expires_after(absl::ToChronoNanoseconds(options.timeout));
  attempt->timer.async_wait([attempt](const boost::system::error_code& cancelled) {
    if (cancelled || attempt->done) return;
    attempt->expired = true;
    boost::system::error_code ignored;
    attempt->socket.close(ignored);
  });
  auto [error] = co_await attempt->socket.async_connect(ToAsio(to), NoThrow());
  attempt->done = true;
  attempt->timer.cancel();
  if (attempt->expired) {
    co_return MakeStatus(absl::StatusCode::kUnavailable, "connect to {}: no answer within {} s",
                         to.ToString(), absl::ToInt64Seconds(options.timeout));
  }
  if (error) {
    co_return MakeStatus(absl::StatusCode::kUnavailable, "connect to {}: {}", to.ToString(),
                         error.message());
  }
  co_return MakeTcpStream(std::move(attempt->socket), options.stream);
}

Connector& TcpConnector() {
  class Tcp final : public Connector {
   public:
    asio::awaitable<absl::StatusOr<std::unique_ptr<Stream>>> Connect(
        asio::any_io_executor executor, Endpoint to, ConnectOptions options) override {
      return ConnectTcp(std::move(executor), to, std::move(options));
    }
  };
  static Tcp tcp;
  return tcp;
}

}  // namespace holdfast::smtp
