#include "smtp/stream/memory_stream.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <limits>
#include <utility>

#include "base/status.h"
#include "smtp/stream/timer.h"

namespace holdfast::smtp {

struct MemoryPeer::State {
  std::string to_read;
  size_t chunk = std::numeric_limits<size_t>::max();
  bool ended = false;
  std::string written;
  std::function<void(std::string_view)> on_write;
  bool refuse_writes = false;
  size_t unsent = 0;
  std::string handshake_error;
  bool send_ended = false;
  TlsFacts tls;
  Endpoint peer;
  Timer* waiting_read = nullptr;  // Set while a read waits for bytes.

  void Wake() {
    if (waiting_read != nullptr) waiting_read->cancel();
  }
};

namespace {

// A coroutine that is destroyed while it waits takes its timer along: nobody may wake that one.
class Waiting {
 public:
  explicit Waiting(std::shared_ptr<MemoryPeer::State> state) : state_(std::move(state)) {}
  ~Waiting() { state_->waiting_read = nullptr; }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  const std::shared_ptr<MemoryPeer::State> state_;
};

class MemoryTransport final : public Transport {
 public:
  MemoryTransport(asio::any_io_executor executor, std::shared_ptr<MemoryPeer::State> state)
      : executor_(std::move(executor)), state_(std::move(state)) {}
  ~MemoryTransport() override { state_->send_ended = true; }  // As a socket's.

  asio::any_io_executor executor() override { return executor_; }

  asio::awaitable<absl::StatusOr<size_t>> ReadSome(char* to, size_t size) override {
    cancelled_ = false;
    Timer arrival(executor_);
    const Waiting waiting(state_);
    while (state_->to_read.empty()) {
      if (closed_) co_return absl::AbortedError("closed");
      if (cancelled_) co_return absl::AbortedError("cancelled");
      if (state_->ended) co_return absl::AbortedError("the peer closed the connection");
      arrival.expires_at(Timer::time_point::max());
      state_->waiting_read = &arrival;
      auto [ignored] = co_await arrival.async_wait(asio::as_tuple(asio::use_awaitable));
      (void)ignored;  // Always "cancelled": that is how Wake() works.
      state_->waiting_read = nullptr;
    }
    const size_t count = std::min({size, state_->chunk, state_->to_read.size()});
    std::memcpy(to, state_->to_read.data(), count);
    state_->to_read.erase(0, count);
    co_return count;
  }

  asio::awaitable<absl::Status> WriteAll(std::string_view bytes) override {
    if (closed_ || state_->refuse_writes) co_return absl::AbortedError("the peer is gone");
    state_->written += bytes;
    if (state_->on_write) state_->on_write(bytes);
    co_return absl::OkStatus();
  }

  asio::awaitable<absl::Status> HandshakeServer(std::shared_ptr<const TlsContext>) override {
    co_return Handshake("");
  }
  asio::awaitable<absl::Status> HandshakeClient(std::shared_ptr<const TlsContext>,
                                                std::string server_name) override {
    co_return Handshake(std::move(server_name));
  }
  asio::awaitable<absl::Status> ShutdownSend() override {
    state_->send_ended = true;
    co_return absl::OkStatus();
  }

  void Cancel() override {
    cancelled_ = true;
    state_->Wake();
  }
  void Close() override {
    closed_ = true;
    state_->send_ended = true;
    state_->Wake();
  }

  absl::StatusOr<size_t> UnsentBytes() const override { return state_->unsent; }
  absl::StatusOr<size_t> UnacknowledgedBytes() const override { return state_->unsent; }
  bool Quiet() const override { return state_->to_read.empty() && !state_->ended && !closed_; }
  Endpoint local() const override { return {}; }
  Endpoint peer() const override { return state_->peer; }
  const TlsFacts& tls() const override { return state_->tls; }
  std::optional<std::string> ChannelBinding(std::string_view) const override {
    return std::nullopt;
  }

 private:
  absl::Status Handshake(std::string server_name) {
    if (!state_->handshake_error.empty()) {
      return MakeStatus(absl::StatusCode::kAborted, "TLS handshake: {}", state_->handshake_error);
    }
    state_->tls = {.active = true,
                   .version = "TLSv1.3",
                   .cipher = "TLS_AES_256_GCM_SHA384",
                   .server_name = std::move(server_name),
                   .verified = false,
                   .verify_error = ""};
    return absl::OkStatus();
  }

  const asio::any_io_executor executor_;
  const std::shared_ptr<MemoryPeer::State> state_;
  bool cancelled_ = false;
  bool closed_ = false;
};

}  // namespace

MemoryPeer::MemoryPeer() : state_(std::make_shared<State>()) {}
MemoryPeer::~MemoryPeer() = default;

std::unique_ptr<Transport> MemoryPeer::MakeTransport(asio::any_io_executor executor) {
  return std::make_unique<MemoryTransport>(std::move(executor), state_);
}

void MemoryPeer::Feed(std::string_view bytes) {
  state_->to_read += bytes;
  state_->Wake();
}

void MemoryPeer::FeedEnd() {
  state_->ended = true;
  state_->Wake();
}

void MemoryPeer::SetChunk(size_t bytes_max) { state_->chunk = std::max<size_t>(1, bytes_max); }
std::string MemoryPeer::TakeWritten() { return std::exchange(state_->written, std::string()); }
void MemoryPeer::OnWrite(std::function<void(std::string_view)> callback) {
  state_->on_write = std::move(callback);
}
void MemoryPeer::RefuseWrites() { state_->refuse_writes = true; }
void MemoryPeer::SetUnsent(size_t bytes) { state_->unsent = bytes; }
void MemoryPeer::FailHandshake(std::string error) { state_->handshake_error = std::move(error); }
bool MemoryPeer::handshake_done() const { return state_->tls.active; }
bool MemoryPeer::send_ended() const { return state_->send_ended; }
void MemoryPeer::SetPeerEndpoint(const Endpoint& endpoint) { state_->peer = endpoint; }

}  // namespace holdfast::smtp
