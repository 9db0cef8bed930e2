#include "node/admin/http_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <future>
#include <thread>

#include "base/status.h"

namespace holdfast::node {
namespace {

// A plain blocking client, so that no code is shared with the server under test.
class Client {
 public:
  explicit Client(uint16_t port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval limit{20, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    connected_ = connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~Client() { close(socket_); }

  bool connected() const { return connected_; }
  void Send(const std::string& text) {
    (void)send(socket_, text.data(), text.size(), MSG_NOSIGNAL);  // Seen in what comes back.
  }
  // Everything until the server closes.
  std::string ReadAll() {
    std::string all;
    char buffer[4096];
    ssize_t count = 0;
    while ((count = recv(socket_, buffer, sizeof buffer, 0)) > 0) all.append(buffer, count);
    return all;
  }
  std::string ReadUntil(const std::string& end) {
    std::string all;
    char byte = 0;
    while (all.find(end) == std::string::npos && recv(socket_, &byte, 1, 0) == 1) all += byte;
    return all;
  }

 private:
  const int socket_;
  bool connected_ = false;
};

class HttpServerTest : public ::testing::Test {
 protected:
  ~HttpServerTest() override {
    if (server_ == nullptr) return;
    RunOnIo([this] { server_->Stop(); });
    guard_.reset();
    thread_.join();  // Ends only when every connection's coroutine has.
  }

  void Start(HttpOptions options = {}) {
    options.address = SocketAddress{"127.0.0.1", 0};
    HttpSources sources;
    sources.metrics_text = [] { return std::string("up 1\n"); };
    sources.status_json = [] { return std::string("{\"ready\":true}"); };
    sources.queue_json = [] { return std::string("{\"rows\":[]}"); };
    sources.ready = [this] { return ready_; };
    auto server = HttpServer::Start(io_, options, sources);
    ASSERT_TRUE(server.ok()) << Message(server.status());
    server_ = *std::move(server);
    thread_ = std::thread([this] { io_.run(); });
  }

  template <typename Work>
  void RunOnIo(Work work) {
    std::promise<void> done;
    boost::asio::post(io_, [&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }

  std::string Get(const std::string& target, const std::string& method = "GET") {
    Client client(server_->port());
    client.Send(method + " " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    return client.ReadAll();
  }

  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_{
      io_.get_executor()};
  absl::Status ready_;
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
};

std::string BodyOf(const std::string& response) {
  const size_t end = response.find("\r\n\r\n");
  return end == std::string::npos ? "" : response.substr(end + 4);
}

TEST_F(HttpServerTest, ServesItsPages) {
  Start();
  EXPECT_EQ(BodyOf(Get("/metrics")), "up 1\n");
  EXPECT_NE(Get("/metrics").find("Content-Type: text/plain; version=0.0.4"), std::string::npos);
  EXPECT_EQ(BodyOf(Get("/healthz")), "ok\n");
  EXPECT_EQ(BodyOf(Get("/status.json?x=1")), "{\"ready\":true}");
  EXPECT_EQ(BodyOf(Get("/queue.json")), "{\"rows\":[]}");
  const std::string page = Get("/");
  EXPECT_NE(page.find("<title>Holdfast</title>"), std::string::npos);
  EXPECT_NE(page.find("</html>"), std::string::npos) << "cut short";
  EXPECT_NE(page.find("Content-Security-Policy: default-src 'none'"), std::string::npos);
}

TEST_F(HttpServerTest, ReadinessSaysWhyNot) {
  ready_ = MakeStatus(absl::StatusCode::kUnavailable, "no majority");
  Start();
  const std::string response = Get("/readyz");
  EXPECT_EQ(response.substr(0, 13), "HTTP/1.1 503 ");
  EXPECT_EQ(BodyOf(response), "not ready: no majority\n");
  RunOnIo([this] { ready_ = absl::OkStatus(); });
  EXPECT_EQ(Get("/readyz").substr(0, 13), "HTTP/1.1 200 ");
}

TEST_F(HttpServerTest, AnswersOnlyGetAndHeadAndOnlyWhatItHas) {
  Start();
  EXPECT_EQ(Get("/etc/passwd").substr(0, 13), "HTTP/1.1 404 ");
  const std::string refused = Get("/metrics", "DELETE");
  EXPECT_EQ(refused.substr(0, 13), "HTTP/1.1 405 ");
  EXPECT_NE(refused.find("Allow: GET, HEAD"), std::string::npos);
  const std::string head = Get("/metrics", "HEAD");
  EXPECT_NE(head.find("Content-Length: 5\r\n"), std::string::npos);
  EXPECT_EQ(BodyOf(head), "");
}

TEST_F(HttpServerTest, KeepsAConnectionForMoreRequests) {
  Start();
  Client client(server_->port());
  for (int i = 0; i < 3; ++i) {
    client.Send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_NE(client.ReadUntil("ok\n").find("200 OK"), std::string::npos);
  }
}

TEST_F(HttpServerTest, ClosesOnASilentClient) {
  HttpOptions options;
  options.timeout = absl::Milliseconds(50);
  Start(options);
  Client silent(server_->port());
  EXPECT_EQ(silent.ReadAll(), "");
  Client slow(server_->port());
  slow.Send("GET / HT");
  EXPECT_EQ(slow.ReadAll(), "");
}

TEST_F(HttpServerTest, ClosesOnNonsenseAndOnHeadersOrBodiesTooLarge) {
  Start();
  for (const std::string& text :
       {std::string("EHLO me\r\n\r\n"),
        "GET / HTTP/1.1\r\nX: " + std::string(20000, 'x') + "\r\n\r\n",
        std::string("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")}) {
    Client client(server_->port());
    client.Send(text);
    EXPECT_EQ(client.ReadAll().find(" 200 "), std::string::npos);
  }
  EXPECT_EQ(BodyOf(Get("/healthz")), "ok\n") << "others are served on";
}

TEST_F(HttpServerTest, BoundsItsConnections) {
  HttpOptions options;
  options.connections_max = 2;
  Start(options);
  Client first(server_->port());
  Client second(server_->port());
  for (Client* client : {&first, &second}) {
    client->Send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    client->ReadUntil("ok\n");
  }
  EXPECT_EQ(Get("/healthz"), "") << "the third is closed at once";
}

TEST_F(HttpServerTest, StopClosesEverything) {
  Start();
  Client client(server_->port());
  client.Send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  client.ReadUntil("ok\n");
  RunOnIo([this] { server_->Stop(); });
  EXPECT_EQ(client.ReadAll(), "");
  EXPECT_FALSE(Client(server_->port()).connected());
}

TEST_F(HttpServerTest, SaysWhichAddressCannotBeHad) {
  Start();
  HttpOptions options;
  options.address = SocketAddress{"127.0.0.1", server_->port()};
  HttpSources sources{[] { return ""; }, [] { return ""; }, nullptr,
                      [] { return absl::OkStatus(); }};
  const auto second = HttpServer::Start(io_, options, sources);
  EXPECT_EQ(Message(second.status()),
            "cannot listen on http_address 127.0.0.1:" + std::to_string(server_->port()) +
                ": Address already in use");
}

}  // namespace
}  // namespace holdfast::node
