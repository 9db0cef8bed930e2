// tests/transport/recording_peer.h
// A PeerHandler that writes down what it is told, with doors that a test can shut, and what it
// takes to start a GrpcTransport around it on loopback. Threads: thread-safe. Await*() wait up to a
// generous deadline and then fail the test.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/mutex.h"
#include "raft/transport/grpc_transport.h"
#include "tests/transport/test_certificates.h"

namespace holdfast::raft {

inline constexpr absl::Duration kPatience = absl::Seconds(120);

// True once `condition`, asked under `mutex`, holds.
inline bool AwaitTrue(Mutex& mutex, CondVar& changed, const std::function<bool()>& condition) {
  const SystemClock clock;
  const absl::Duration until = clock.SinceBoot() + kPatience;
  MutexLock lock(mutex);
  while (!condition()) {
    if (clock.SinceBoot() > until) return false;
    changed.WaitFor(mutex, std::chrono::milliseconds(20));
  }
  return true;
}

struct Received {
  NodeId from;
  GroupId group;
  Message message;
};

class RecordingPeer : public PeerHandler {
 public:
  std::string Hello(NodeId) override { return "timers"; }
  absl::Status OnHello(NodeId, std::string_view hello) override {
    return hello == "timers" ? absl::OkStatus() : absl::FailedPreconditionError("other timers");
  }
  void OnMessage(NodeId from, GroupId group, Message message) override {
    const bool bulk = !message.entries.empty();
    MutexLock lock(mutex_);
    while (bulk && bulk_shut_) changed_.Wait(mutex_);
    received_.push_back({from, group, std::move(message)});
    changed_.NotifyAll();
  }
  void OnUnreachable(NodeId peer) override {
    MutexLock lock(mutex_);
    ++unreachable_[peer];
    changed_.NotifyAll();
  }
  absl::Status FillBodies(GroupId, Message& message) override {
    for (Entry& entry : message.entries) {
      for (Payload& body : entry.bodies) {
        if (body.bytes != nullptr) continue;
        if (body.size == 0) return absl::NotFoundError("no such body");
        auto bytes = std::make_shared<const std::string>(body.size, 'b');
        body.crc32c = Crc32c(*bytes);
        body.bytes = std::move(bytes);
      }
    }
    return absl::OkStatus();
  }
  absl::StatusOr<std::unique_ptr<FetchSource>> OpenFetch(NodeId,
                                                         std::string_view request) override {
    if (!open_fetch) return absl::NotFoundError(ToAbsl(request));
    return open_fetch(request);
  }
  void OnCall(NodeId peer, std::string request, CallReply reply) override {
    if (!on_call) return reply(absl::NotFoundError(ToAbsl(request)));
    on_call(peer, std::move(request), std::move(reply));
  }

  // Messages with entries wait in OnMessage() while it is shut.
  void ShutBulk(bool shut) {
    MutexLock lock(mutex_);
    bulk_shut_ = shut;
    changed_.NotifyAll();
  }
  bool AwaitReceived(size_t count) {
    return AwaitTrue(mutex_, changed_, [&] { return received_.size() >= count; });
  }
  bool AwaitUnreachable(NodeId peer, uint64_t count = 1) {
    return AwaitTrue(mutex_, changed_, [&] { return unreachable_[peer] >= count; });
  }
  std::vector<Received> received() {
    MutexLock lock(mutex_);
    return received_;
  }

  // Set before the transport starts.
  std::function<absl::StatusOr<std::unique_ptr<FetchSource>>(std::string_view)> open_fetch;
  std::function<void(NodeId, std::string, CallReply)> on_call;

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<Received> received_;
  std::map<NodeId, uint64_t> unreachable_;
  bool bulk_shut_ = false;
};

inline Message Heartbeat(uint64_t commit) {
  Message message;
  message.type = MessageType::kHeartbeat;
  message.commit = commit;
  return message;
}

// One entry with one body that FillBodies() puts in.
inline Message AppendOf(LogIndex index, uint32_t body_bytes) {
  Message message;
  message.type = MessageType::kAppend;
  message.index = index - 1;
  Payload body;
  body.size = body_bytes;
  message.entries.push_back({index, 1, EntryType::kNormal, "command", {body}});
  return message;
}

inline GrpcTransportOptions LoopbackOptions(uint64_t node, TestAuthority* authority,
                                            const std::string& cluster = "c1") {
  GrpcTransportOptions options;
  options.self = NodeId(node);
  options.cluster_id = cluster;
  options.listen = "127.0.0.1:0";
  options.backoff_min = absl::Milliseconds(5);
  options.backoff_max = absl::Milliseconds(50);
  // A loaded machine is not a broken one.
  options.connect_timeout = options.hello_timeout = kPatience;
  options.control_write_timeout = options.bulk_write_timeout = kPatience;
  options.keepalive_timeout = kPatience;
  if (authority == nullptr) {
    options.plain_text_on_loopback = true;
  } else {
    options.tls = authority->Certify("holdfast://" + cluster + "/node/" + std::to_string(node));
  }
  return options;
}

inline std::unique_ptr<GrpcTransport> StartTransport(const GrpcTransportOptions& options,
                                                     PeerHandler& handler) {
  absl::StatusOr<std::unique_ptr<GrpcTransport>> transport = GrpcTransport::Start(options, handler);
  EXPECT_TRUE(transport.ok()) << transport.status();
  return transport.ok() ? *std::move(transport) : nullptr;
}

inline std::string AddressOf(const GrpcTransport& transport) {
  return "127.0.0.1:" + std::to_string(transport.bound_port());
}

inline bool AwaitCounts(const GrpcTransport& transport,
                        const std::function<bool(const PeerCounts&)>& condition) {
  Mutex mutex;
  CondVar changed;
  return AwaitTrue(mutex, changed, [&] {
    for (const PeerCounts& counts : transport.Counts()) {
      if (condition(counts)) return true;
    }
    return false;
  });
}

inline bool AwaitConnected(const GrpcTransport& transport) {
  return AwaitCounts(transport, [](const PeerCounts& counts) {
    return counts.control.connected && counts.bulk.connected;
  });
}

}  // namespace holdfast::raft
