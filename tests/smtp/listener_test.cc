// Binding, limits and stopping, over real sockets on loopback.
#include "smtp/server/listener.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <future>
#include <string>
#include <thread>

#include "tests/smtp/dialogue.h"

namespace holdfast::smtp {
namespace {

constexpr int kPatienceMs = 10000;

class Client {
 public:
  explicit Client(uint16_t port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ =
        connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~Client() { close(socket_); }
  Client(const Client&) = delete;

  bool connected() const { return connected_; }
  void Send(std::string_view bytes) {
    (void)send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  // The next line, "" at the end.
  std::string Line() {
    std::string line;
    char c = 0;
    pollfd wait{socket_, POLLIN, 0};
    while (poll(&wait, 1, kPatienceMs) > 0 && recv(socket_, &c, 1, 0) == 1) {
      if (c == '\n') return line;
      if (c != '\r') line += c;
    }
    return line;
  }

 private:
  int socket_;
  bool connected_ = false;
};

class ListenerTest : public testing::Test {
 protected:
  ListenerTest() : world_({}) {
    options_.hostname = std::string(kDialogueHostname);
    options_.limits.linger = absl::Milliseconds(100);
    AddPort("127.0.0.1:0");
    for (int i = 0; i < 2; ++i) threads_.emplace_back([this, i] { io_[i].run(); });
  }
  ~ListenerTest() override {
    if (listener_ != nullptr) Stop(absl::Seconds(0));
    for (auto& guard : guards_) guard.reset();
    for (std::thread& thread : threads_) thread.join();
  }

  void AddPort(std::string_view endpoint) {
    ListenPort port;
    port.endpoint = Endpoint::Parse(endpoint).value();
    port.roles.mx = true;
    options_.ports.push_back(port);
  }
  std::unique_ptr<Listener> Make() {
    return std::make_unique<Listener>(
        std::vector<asio::any_io_executor>{io_[0].get_executor(), io_[1].get_executor()},
        SessionServices{&world_.sink, world_.policy.get(), &world_.observer, &world_.clock},
        nullptr, options_);
  }
  uint16_t Start() {
    listener_ = Make();
    const absl::Status bound = listener_->Bind();
    EXPECT_TRUE(bound.ok()) << bound;
    listener_->Start();
    return listener_->bound().at(0).port;
  }
  // True when everything ended in time.
  bool Stop(absl::Duration deadline) {
    std::promise<void> done;
    listener_->Stop(deadline, [&] { done.set_value(); });
    const bool ended = done.get_future().wait_for(std::chrono::milliseconds(kPatienceMs)) ==
                       std::future_status::ready;
    EXPECT_EQ(listener_->sessions(), 0u);
    listener_.reset();
    return ended;
  }

  DialogueWorld world_;
  ListenerOptions options_;
  asio::io_context io_[2];
  std::vector<asio::executor_work_guard<asio::io_context::executor_type>> guards_{
      asio::make_work_guard(io_[0]), asio::make_work_guard(io_[1])};
  std::vector<std::thread> threads_;
  std::unique_ptr<Listener> listener_;
};

TEST_F(ListenerTest, PortInUseIsNamed) {
  const uint16_t port = Start();
  options_.ports.clear();
  AddPort("127.0.0.1:" + std::to_string(port));
  const absl::Status status = Make()->Bind();
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(std::string(status.message()), "127.0.0.1:" + std::to_string(port) +
                                               ": address already in use (port " +
                                               std::to_string(port) + ")");
}

TEST_F(ListenerTest, ForeignAddressIsNamed) {
  options_.ports.clear();
  AddPort("192.0.2.1:0");
  EXPECT_EQ(std::string(Make()->Bind().message()), "192.0.2.1:0: not an address of this machine");
}

TEST_F(ListenerTest, ImplicitTlsNeedsACertificate) {
  options_.ports[0].tls = ListenTls::kImplicit;
  EXPECT_EQ(std::string(Make()->Bind().message()),
            "127.0.0.1:0: TLS from the first byte needs a certificate");
}

TEST_F(ListenerTest, TooManyConnectionsAreToldSo) {
  options_.sessions_max = 2;
  const uint16_t port = Start();
  Client one(port), two(port);
  EXPECT_EQ(one.Line(), "220 relay.test ESMTP Holdfast");
  EXPECT_EQ(two.Line(), "220 relay.test ESMTP Holdfast");
  Client three(port);
  EXPECT_EQ(three.Line(), "421 4.3.2 relay.test Too many connections; try again later");
  EXPECT_EQ(three.Line(), "");
  one.Send("QUIT\r\n");
  EXPECT_EQ(one.Line(), "221 2.0.0 Bye");
  EXPECT_EQ(one.Line(), "");
}

TEST_F(ListenerTest, OneClientCannotTakeAllConnections) {
  options_.sessions_per_client_max = 1;
  const uint16_t port = Start();
  Client one(port);
  EXPECT_EQ(one.Line(), "220 relay.test ESMTP Holdfast");
  Client two(port);
  EXPECT_EQ(two.Line(),
            "421 4.3.2 relay.test Too many connections from your address; try again later");
}

TEST_F(ListenerTest, WhoComesWhileOthersAreTurnedAwayHearsWhyAndWhoIsThereStays) {
  const uint16_t port = Start();
  Client before(port);
  EXPECT_EQ(before.Line(), "220 relay.test ESMTP Holdfast");
  listener_->SetTurnedAway("This node is overloaded");
  Client away(port);
  EXPECT_EQ(away.Line(), "421 4.3.2 relay.test This node is overloaded; try again later");
  EXPECT_EQ(away.Line(), "");
  before.Send("HELO c\r\nMAIL FROM:<a@x.test>\r\n");
  EXPECT_EQ(before.Line(), "250 relay.test");
  EXPECT_EQ(before.Line(), "250 2.1.0 Ok");
  listener_->SetTurnedAway("");
  Client after(port);
  EXPECT_EQ(after.Line(), "220 relay.test ESMTP Holdfast");
}

TEST_F(ListenerTest, PlaceIsFreeAgainAfterQuit) {
  options_.sessions_max = 1;
  const uint16_t port = Start();
  for (int i = 0; i < 5; ++i) {
    const auto patience = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
    std::string greeting;
    while (greeting.substr(0, 3) != "220" && std::chrono::steady_clock::now() < patience) {
      Client client(port);
      greeting = client.Line();
      client.Send("QUIT\r\n");
      (void)client.Line();
    }
    EXPECT_EQ(greeting, "220 relay.test ESMTP Holdfast");
  }
}

TEST_F(ListenerTest, StopRefusesNewAndFinishesOpenTransactions) {
  const uint16_t port = Start();
  Client idle(port), busy(port);
  EXPECT_EQ(idle.Line().substr(0, 3), "220");
  EXPECT_EQ(busy.Line().substr(0, 3), "220");
  busy.Send("HELO c\r\nMAIL FROM:<a@x.test>\r\n");
  EXPECT_EQ(busy.Line(), "250 relay.test");
  EXPECT_EQ(busy.Line(), "250 2.1.0 Ok");
  std::promise<void> done;
  listener_->Stop(absl::Seconds(30), [&] { done.set_value(); });
  EXPECT_EQ(idle.Line(), "421 4.3.2 relay.test Service is shutting down; closing connection");
  EXPECT_EQ(idle.Line(), "");
  busy.Send("RCPT TO:<b@backup.test>\r\nDATA\r\nhi\r\n.\r\n");
  EXPECT_EQ(busy.Line(), "250 2.1.5 Ok");
  EXPECT_EQ(busy.Line().substr(0, 3), "354");
  EXPECT_EQ(busy.Line().substr(0, 3), "250");
  EXPECT_EQ(busy.Line(), "421 4.3.2 relay.test Service is shutting down; closing connection");
  EXPECT_EQ(busy.Line(), "");
  EXPECT_EQ(done.get_future().wait_for(std::chrono::milliseconds(kPatienceMs)),
            std::future_status::ready);
  EXPECT_FALSE(Client(port).connected());
  EXPECT_EQ(world_.sink.committed(), 1u);
  listener_.reset();
}

TEST_F(ListenerTest, DeadlineCutsWhatIsLeft) {
  const uint16_t port = Start();
  Client busy(port);
  EXPECT_EQ(busy.Line().substr(0, 3), "220");
  busy.Send("HELO c\r\nMAIL FROM:<a@x.test>\r\n");
  EXPECT_EQ(busy.Line(), "250 relay.test");
  EXPECT_EQ(busy.Line(), "250 2.1.0 Ok");
  EXPECT_TRUE(Stop(absl::Milliseconds(50)));
  EXPECT_EQ(busy.Line(), "");
}

TEST_F(ListenerTest, StopWithoutStartEnds) {
  listener_ = Make();
  ASSERT_TRUE(listener_->Bind().ok());
  EXPECT_TRUE(Stop(absl::Seconds(1)));
}

}  // namespace
}  // namespace holdfast::smtp
