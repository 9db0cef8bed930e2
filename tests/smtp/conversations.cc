#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <future>
#include <thread>

#include "base/check.h"
#include "smtp/server/listener.h"
#include "smtp/server/session.h"
#include "smtp/server/session_core.h"
#include "smtp/stream/memory_stream.h"
#include "tests/smtp/dialogue.h"

namespace holdfast::smtp {
namespace {

constexpr int kPatienceMs = 10000;

ClientFacts Loopback() {
  ClientFacts client;
  client.address = IpAddress::Parse("127.0.0.1").value();
  client.roles.mx = true;
  return client;
}

SessionOptions Options(const DialogueWorld& world) {
  SessionOptions options;
  options.hostname = std::string(kDialogueHostname);
  options.limits = world.limits;
  return options;
}

std::shared_ptr<const TlsContext> ServerTls(const DialogueWorld& world) {
  if (!world.tls) return nullptr;
  absl::StatusOr<std::shared_ptr<const TlsContext>> context =
      TlsContext::LoadServer(TestCertificate());
  HOLDFAST_CHECK(context.ok()) << context.status();
  return *std::move(context);
}

SessionServices Services(DialogueWorld& world) {
  return {&world.sink, world.policy.get(), &world.observer, &world.clock};
}

class CoreConversation final : public Conversation {
 public:
  explicit CoreConversation(DialogueWorld& world)
      : world_(world), core_(Options(world), Loopback(), *world.policy, world.observer, world.tls) {
    core_.Greet();
    Run();
  }

  void Send(std::string_view bytes) override {
    input_ += bytes;
    Run();
  }
  std::string Receive(size_t, bool) override { return std::exchange(output_, std::string()); }
  bool Closed() override { return closed_; }
  void Handshake() override {
    HOLDFAST_CHECK(handshaking_) << "the server didn't ask for TLS";
    handshaking_ = false;
    input_.clear();
    core_.OnTls({true, "TLSv1.3", "TLS_AES_256_GCM_SHA384"});
    Run();
  }
  void EndInput() override { closed_ = true; }  // A session then just ends.
  void Stop() override {
    core_.Stop();
    Run();
  }
  void LetTimePass() override {
    core_.OnTimeout();
    Run();
  }

 private:
  using Wants = SessionCore::Wants;

  void Run() {
    while (!closed_ && !handshaking_) {
      size_t used = 0;
      const Wants wants = core_.Advance(input_, &used);
      input_.erase(0, used);
      if (wants == Wants::kBegin) {
        auto begun = world_.sink.BeginNow(core_.TakeEnvelope(world_.clock.Now()));
        if (begun.ok()) {
          message_ = *std::move(begun);
          core_.OnBegun(message_->queue_id());
        } else {
          core_.OnBegun(begun.status());
        }
      } else if (wants == Wants::kWrite) {
        core_.OnWritten(message_->WriteNow(*core_.TakeChunk()));
      } else if (wants == Wants::kCommit) {
        const absl::StatusOr<std::string> id = message_->CommitNow(core_.final_facts());
        core_.OnCommitted(id);
      } else if (wants == Wants::kAbandon) {
        message_.reset();
      }
      output_ += core_.TakeOutput();
      if (wants == Wants::kStartTls) handshaking_ = true;
      if (wants == Wants::kClose) closed_ = true;
      if (wants == Wants::kInput) return;
    }
  }

  DialogueWorld& world_;
  SessionCore core_;
  std::string input_;
  std::string output_;
  std::unique_ptr<ScriptedSink::Message> message_;
  bool handshaking_ = false;
  bool closed_ = false;
};

asio::awaitable<void> RunOne(Session* session, bool* ended) {
  absl::Status why = co_await session->Run();
  (void)why;  // The dialogue shows what the client sees.
  *ended = true;
}

void Rethrow(std::exception_ptr failed) {
  if (failed != nullptr) std::rethrow_exception(failed);
}

class MemoryConversation final : public Conversation {
 public:
  explicit MemoryConversation(DialogueWorld& world) {
    peer_.SetChunk(1);
    auto stream =
        std::make_unique<Stream>(peer_.MakeTransport(io_.get_executor()), SessionStreamOptions());
    session_ = std::make_unique<Session>(std::move(stream), Services(world), Options(world),
                                         Loopback(), ServerTls(world));
    asio::co_spawn(io_, RunOne(session_.get(), &ended_), Rethrow);
    Run();
  }
  ~MemoryConversation() override {
    peer_.FeedEnd();
    while (!ended_) io_.run_one();
  }

  void Send(std::string_view bytes) override {
    peer_.Feed(bytes);
    Run();
  }
  std::string Receive(size_t, bool until_closed) override {
    if (until_closed) RunUntilClosed();
    return peer_.TakeWritten();
  }
  bool Closed() override { return peer_.send_ended(); }
  void Handshake() override { HOLDFAST_CHECK(peer_.handshake_done()) << "no handshake"; }
  void EndInput() override {
    peer_.FeedEnd();
    Run();
  }
  void Stop() override {
    session_->Stop();
    Run();
  }
  void LetTimePass() override { RunUntilClosed(); }

 private:
  void Run() {
    io_.restart();
    while (io_.poll() > 0) {
    }
  }
  void RunUntilClosed() {
    Run();
    const auto patience = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
    io_.restart();
    while (waiting_for_close() && io_.run_one_until(patience) > 0) {
    }
  }
  // At the end of a file the server has no reason to close; then there is nothing to wait for.
  bool waiting_for_close() const { return !peer_.send_ended() && !ended_; }

  asio::io_context io_;
  MemoryPeer peer_;
  std::unique_ptr<Session> session_;
  bool ended_ = false;
};

class SocketConversation final : public Conversation {
 public:
  explicit SocketConversation(DialogueWorld& world)
      : guard_(asio::make_work_guard(io_)), tls_(TestCertificate()) {
    if (world.tls) {
      const absl::Status loaded = tls_.Reload();
      HOLDFAST_CHECK(loaded.ok()) << loaded;
    }
    ListenerOptions options;
    options.ports = {{Endpoint::Parse("127.0.0.1:0").value(), Loopback().roles,
                      world.tls ? ListenTls::kStartTls : ListenTls::kNone}};
    options.hostname = std::string(kDialogueHostname);
    options.limits = world.limits;
    listener_ = std::make_unique<Listener>(std::vector<asio::any_io_executor>{io_.get_executor()},
                                           Services(world), world.tls ? &tls_ : nullptr, options);
    const absl::Status bound = listener_->Bind();
    HOLDFAST_CHECK(bound.ok()) << bound;
    listener_->Start();
    thread_ = std::thread([this] { io_.run(); });
    Connect(listener_->bound().at(0).port);
  }
  ~SocketConversation() override {
    SSL_free(ssl_);
    SSL_CTX_free(ssl_context_);
    close(socket_);
    if (!stopping_) Stop();
    stopped_.get_future().wait();
    guard_.reset();
    thread_.join();
  }

  void Send(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t sent = ssl_ != nullptr
                               ? SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                               : send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;  // Closed: what was said before it can still be read.
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }
  std::string Receive(size_t expected_bytes, bool until_closed) override {
    std::string got;
    while (!eof_ && (got.size() < expected_bytes || until_closed)) {
      const size_t before = got.size();
      if (!ReadOnce(got)) break;
      if (got.size() == before && !eof_) break;
    }
    return got;
  }
  bool Closed() override {
    const std::string unexpected = Receive(0, /*until_closed=*/true);
    return eof_ && unexpected.empty();
  }
  void Handshake() override {
    ssl_context_ = SSL_CTX_new(TLS_client_method());
    ssl_ = SSL_new(ssl_context_);
    SSL_set_fd(ssl_, socket_);
    HOLDFAST_CHECK(SSL_connect(ssl_) == 1) << "the handshake failed";
  }
  void EndInput() override { shutdown(socket_, SHUT_WR); }
  void Stop() override {
    stopping_ = true;
    listener_->Stop(absl::Seconds(20), [this] { stopped_.set_value(); });
  }
  void LetTimePass() override {}  // Receive() waits for it.

 private:
  void Connect(uint16_t port) {
    socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int connected =
        connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    HOLDFAST_CHECK(connected == 0) << "can't connect to our own listener";
  }
  // False when nothing came for too long.
  bool ReadOnce(std::string& got) {
    char buffer[4096];
    if (ssl_ == nullptr || SSL_pending(ssl_) == 0) {
      pollfd wait{socket_, POLLIN, 0};
      if (poll(&wait, 1, kPatienceMs) <= 0) return false;
    }
    const ssize_t count = ssl_ != nullptr ? SSL_read(ssl_, buffer, sizeof(buffer))
                                          : recv(socket_, buffer, sizeof(buffer), 0);
    if (count <= 0) {
      eof_ = true;
    } else {
      got.append(buffer, static_cast<size_t>(count));
    }
    return true;
  }

  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> guard_;
  ReloadableTls tls_;
  std::unique_ptr<Listener> listener_;
  std::thread thread_;
  std::promise<void> stopped_;
  bool stopping_ = false;
  int socket_ = -1;
  bool eof_ = false;
  SSL_CTX* ssl_context_ = nullptr;
  SSL* ssl_ = nullptr;
};

}  // namespace

std::unique_ptr<Conversation> TalkToCore(DialogueWorld& world) {
  return std::make_unique<CoreConversation>(world);
}
std::unique_ptr<Conversation> TalkOverMemory(DialogueWorld& world) {
  return std::make_unique<MemoryConversation>(world);
}
std::unique_ptr<Conversation> TalkOverSocket(DialogueWorld& world) {
  return std::make_unique<SocketConversation>(world);
}

}  // namespace holdfast::smtp
