// node/admin/http_server.h
// HttpServer shows the node to monitoring and to people, over plain HTTP and read-only:
//
//   /metrics      Prometheus text            /healthz   200 while the process works
//   /status.json  admin.StatusResponse       /readyz    200 while mail is accepted, else 503 + why
//   /queue.json   admin.QueueSummaryResponse /          a page with live numbers from both
//
// Threads:  its coroutines run on the io context given; Start() and Stop() are called there or
//           before it runs. The sources below are called on that context: they must not block, so
//           they answer from something published, not by asking another context.
// Lifetime: whoever owns the io context keeps it running until Stop()'s work is done, or destroys
//           it; `sources` outlive it.
// Limits:   http_connections_max connections (further ones are closed at once), http_timeout for
// each
//           request and answer, 16 KiB of header, no request bodies.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "node/config/settings.h"

namespace boost::asio {
class io_context;
}

namespace holdfast::node {

struct HttpSources {
  std::function<std::string()> metrics_text;
  std::function<std::string()> status_json;
  // May be left out: then there is no /queue.json, and the page has no table of destinations.
  std::function<std::string()> queue_json;
  // OK, or the reason why the node does not accept mail.
  std::function<absl::Status()> ready;
};

struct HttpOptions {
  SocketAddress address;
  uint32_t connections_max = 64;
  absl::Duration timeout = absl::Seconds(10);
};

class HttpServer {
 public:
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(boost::asio::io_context& io,
                                                           const HttpOptions& options,
                                                           HttpSources sources);
  ~HttpServer();  // Stop().

  // In use; the options may have said 0.
  uint16_t port() const;
  // Closes the listener and every connection.
  void Stop();

 private:
  class Impl;
  explicit HttpServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace holdfast::node
