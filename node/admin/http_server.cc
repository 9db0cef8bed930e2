#include "node/admin/http_server.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <exception>
#include <string_view>
#include <tuple>
#include <unordered_set>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "node/admin/dashboard.h"

namespace holdfast::node {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using Request = http::request<http::empty_body>;
using Response = http::response<http::string_body>;

constexpr uint32_t kHeaderBytesMax = 16 << 10;
constexpr auto kUseTuple = asio::as_tuple(asio::use_awaitable);

constexpr std::string_view kText = "text/plain; charset=utf-8";
constexpr std::string_view kJson = "application/json";

beast::string_view ToBeast(std::string_view text) { return {text.data(), text.size()}; }

// A failed coroutine would mean a mistake of ours; it ends that coroutine alone, but not unseen.
void LogEnd(std::exception_ptr failure) {
  if (failure == nullptr) return;
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    Log(LogLevel::kError, "http_server", {{"text", error.what()}});
  }
}

Response Answer(const HttpSources& sources, const Request& request) {
  Response response;
  response.version(request.version());
  response.keep_alive(request.keep_alive());
  response.set(http::field::server, "Holdfast");
  response.set(http::field::cache_control, "no-store");
  response.set("X-Content-Type-Options", "nosniff");
  const auto fill = [&response](http::status status, std::string_view type, std::string body) {
    response.result(status);
    response.set(http::field::content_type, ToBeast(type));
    response.body() = std::move(body);
  };
  const std::string_view target(request.target().data(), request.target().size());
  const std::string_view path = target.substr(0, target.find('?'));
  if (request.method() != http::verb::get && request.method() != http::verb::head) {
    response.set(http::field::allow, "GET, HEAD");
    fill(http::status::method_not_allowed, kText, "only GET and HEAD\n");
  } else if (path == "/") {
    response.set("Content-Security-Policy",
                 "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
                 "connect-src 'self'; frame-ancestors 'none'");
    fill(http::status::ok, "text/html; charset=utf-8", std::string(kDashboardPage));
  } else if (path == "/metrics") {
    fill(http::status::ok, "text/plain; version=0.0.4; charset=utf-8", sources.metrics_text());
  } else if (path == "/healthz") {
    fill(http::status::ok, kText, "ok\n");
  } else if (path == "/readyz") {
    const absl::Status ready = sources.ready();
    if (ready.ok()) {
      fill(http::status::ok, kText, "ready\n");
    } else {
      fill(http::status::service_unavailable, kText, format("not ready: {}\n", Message(ready)));
    }
  } else if (path == "/status.json") {
    fill(http::status::ok, kJson, sources.status_json());
  } else if (path == "/queue.json" && sources.queue_json) {
    fill(http::status::ok, kJson, sources.queue_json());
  } else {
    fill(http::status::not_found, kText,
         "not here; there are /, /metrics, /healthz, /readyz, /status.json and /queue.json\n");
  }
  const size_t size = response.body().size();
  if (request.method() == http::verb::head) response.body().clear();
  response.content_length(size);
  return response;
}

}  // namespace

class HttpServer::Impl : public std::enable_shared_from_this<HttpServer::Impl> {
 public:
  Impl(asio::io_context& io, const HttpOptions& options, HttpSources sources)
      : io_(io), options_(options), sources_(std::move(sources)), acceptor_(io), pause_(io) {}

  absl::Status Listen() {
    boost::system::error_code error;
    const auto address = asio::ip::make_address(options_.address.ip, error);
    if (!error) {
      const tcp::endpoint endpoint(address, options_.address.port);
      acceptor_.open(endpoint.protocol(), error);
      if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
      if (!error && address.is_v6()) acceptor_.set_option(asio::ip::v6_only(true), error);
      if (!error) acceptor_.bind(endpoint, error);
      if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    }
    if (error) {
      return MakeStatus(absl::StatusCode::kUnavailable, "cannot listen on http_address {}: {}",
                        options_.address.ToString(), error.message());
    }
    port_ = acceptor_.local_endpoint().port();
    asio::co_spawn(io_, Accept(shared_from_this()), LogEnd);
    return absl::OkStatus();
  }

  uint16_t port() const { return port_; }

  void Stop() {
    if (std::exchange(stopped_, true)) return;
    boost::system::error_code ignored;  // Closing what the peer closed first is no news.
    acceptor_.close(ignored);
    pause_.cancel();
    for (beast::tcp_stream* stream : streams_) stream->close();
  }

 private:
  // Keeps a stream among those that Stop() closes, however its coroutine ends.
  class Listed {
   public:
    Listed(Impl& impl, beast::tcp_stream* stream) : impl_(impl), stream_(stream) {
      impl_.streams_.insert(stream_);
    }
    ~Listed() { impl_.streams_.erase(stream_); }
    Listed(const Listed&) = delete;
    Listed& operator=(const Listed&) = delete;

   private:
    Impl& impl_;
    beast::tcp_stream* const stream_;
  };

  static asio::awaitable<void> Accept(std::shared_ptr<Impl> self) {
    while (!self->stopped_) {
      auto [error, socket] = co_await self->acceptor_.async_accept(kUseTuple);
      if (self->stopped_) co_return;
      if (error) {
        // Out of descriptors, most likely: wait for some to come back instead of spinning.
        self->pause_.expires_after(std::chrono::milliseconds(100));
        auto [pause_error] = co_await self->pause_.async_wait(kUseTuple);
        if (pause_error) co_return;
        continue;
      }
      // Past the bound the socket is closed by going out of scope.
      if (self->streams_.size() >= self->options_.connections_max) continue;
      asio::co_spawn(self->io_, Serve(self, std::move(socket)), LogEnd);
    }
  }

  // One connection, from its first request to its close.
  static asio::awaitable<void> Serve(std::shared_ptr<Impl> self, tcp::socket socket) {
    beast::tcp_stream stream(std::move(socket));
    const Listed listed(*self, &stream);
    const std::chrono::nanoseconds timeout = absl::ToChronoNanoseconds(self->options_.timeout);
    beast::flat_buffer buffer(2 * kHeaderBytesMax);
    bool open = true;
    while (open && !self->stopped_) {
      http::request_parser<http::empty_body> parser;
      parser.header_limit(kHeaderBytesMax);
      parser.body_limit(0);
      stream.expires_after(timeout);
      auto [read_error, read_bytes] = co_await http::async_read(stream, buffer, parser, kUseTuple);
      std::ignore = read_bytes;
      if (read_error || self->stopped_) break;
      const Response response = Answer(self->sources_, parser.get());
      open = response.keep_alive();
      stream.expires_after(timeout);
      if (parser.get().method() == http::verb::head) {
        http::response_serializer<http::string_body> serializer(response);
        auto [head_error, head_bytes] =
            co_await http::async_write_header(stream, serializer, kUseTuple);
        std::ignore = head_bytes;
        if (head_error) break;
      } else {
        auto [write_error, written] = co_await http::async_write(stream, response, kUseTuple);
        std::ignore = written;
        if (write_error) break;
      }
    }
    boost::system::error_code ignored;  // The connection ends either way.
    stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
  }

  asio::io_context& io_;
  const HttpOptions options_;
  const HttpSources sources_;
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  uint16_t port_ = 0;
  bool stopped_ = false;
  std::unordered_set<beast::tcp_stream*> streams_;
};

HttpServer::HttpServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() { Stop(); }

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(asio::io_context& io,
                                                              const HttpOptions& options,
                                                              HttpSources sources) {
  HOLDFAST_CHECK(sources.metrics_text && sources.status_json && sources.ready);
  auto impl = std::make_shared<Impl>(io, options, std::move(sources));
  HOLDFAST_RETURN_IF_ERROR(impl->Listen());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

uint16_t HttpServer::port() const { return impl_->port(); }
void HttpServer::Stop() { impl_->Stop(); }

}  // namespace holdfast::node
