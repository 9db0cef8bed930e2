// tests/transport/stalling_proxy.h
// A TCP proxy on loopback through which connections stall: each carries a given number of bytes
// towards the server, then no more until Release(), or until Cut() breaks it. Small ones pass.
// Threads: thread-safe; has one thread. Limits: as many connections as a test makes.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "tests/transport/recording_peer.h"

namespace holdfast::raft {

class StallingProxy {
 public:
  StallingProxy(uint16_t server_port, uint64_t bytes_max)
      : server_port_(server_port), bytes_max_(bytes_max), listener_(NewSocket()) {
    sockaddr_in address = Loopback(0);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 16), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Run(); });
  }
  ~StallingProxy() {
    stop_ = true;
    thread_.join();
    pipes_.clear();
    close(listener_);
  }
  StallingProxy(const StallingProxy&) = delete;
  StallingProxy& operator=(const StallingProxy&) = delete;

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  // Waits until a connection has carried all that it may.
  bool AwaitStalled() {
    return AwaitTrue(mutex_, changed_, [&] { return stalled_; });
  }
  void Release() { released_ = true; }
  // Breaks the connections that stall.
  void Cut() { cut_ = true; }

 private:
  struct Pipe {
    ~Pipe() {
      close(client);
      close(server);
    }
    int client = -1;
    int server = -1;
    uint64_t bytes = 0;  // Towards the server.
  };

  static int NewSocket() { return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); }
  static sockaddr_in Loopback(uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  // Some bytes; 0 when the connection is over. The sockets block: both ends read what they get.
  static uint64_t Forward(int from, int to) {
    char buffer[65536];
    const ssize_t got = recv(from, buffer, sizeof(buffer), 0);
    if (got <= 0) return 0;
    for (ssize_t sent = 0; sent < got;) {
      const ssize_t now = send(to, buffer + sent, static_cast<size_t>(got - sent), MSG_NOSIGNAL);
      if (now <= 0) return 0;
      sent += now;
    }
    return static_cast<uint64_t>(got);
  }

  void Accept() {
    auto pipe = std::make_unique<Pipe>();
    pipe->client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    pipe->server = NewSocket();
    const sockaddr_in address = Loopback(server_port_);
    if (connect(pipe->server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
      pipes_.push_back(std::move(pipe));
    }
  }

  bool Stalls(const Pipe& pipe) const { return !released_ && pipe.bytes >= bytes_max_; }

  // False: it is over.
  bool Serve(Pipe& pipe, bool client_ready, bool server_ready) {
    if (Stalls(pipe)) {
      MutexLock lock(mutex_);
      stalled_ = true;
      changed_.NotifyAll();
      if (cut_) return false;
    } else if (client_ready) {
      const uint64_t bytes = Forward(pipe.client, pipe.server);
      pipe.bytes += bytes;
      if (bytes == 0) return false;
    }
    return !server_ready || Forward(pipe.server, pipe.client) > 0;
  }

  void Run() {
    while (!stop_) {
      std::vector<pollfd> polled = {{listener_, POLLIN, 0}};
      for (const auto& pipe : pipes_) {
        polled.push_back({pipe->client, static_cast<short>(Stalls(*pipe) ? 0 : POLLIN), 0});
        polled.push_back({pipe->server, POLLIN, 0});
      }
      poll(polled.data(), polled.size(), /*milliseconds=*/5);
      std::vector<std::unique_ptr<Pipe>> open;
      for (size_t i = 0; i < pipes_.size(); ++i) {
        const bool client_ready = polled[1 + 2 * i].revents != 0;
        const bool server_ready = polled[2 + 2 * i].revents != 0;
        if (Serve(*pipes_[i], client_ready, server_ready)) open.push_back(std::move(pipes_[i]));
      }
      pipes_ = std::move(open);
      if (polled[0].revents != 0) Accept();
    }
  }

  const uint16_t server_port_;
  const uint64_t bytes_max_;
  const int listener_;
  uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<bool> released_{false};
  std::atomic<bool> cut_{false};
  Mutex mutex_;
  CondVar changed_;
  bool stalled_ = false;
  std::vector<std::unique_ptr<Pipe>> pipes_;  // The thread's.
  std::thread thread_;
};

}  // namespace holdfast::raft
