// Calls: one answer for each, and never "not done" for what may have been done.
#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/peer.grpc.pb.h"
#include "raft/transport/grpc_transport.h"
#include "raft/transport/transport.h"
#include "tests/transport/recording_peer.h"
#include "tests/transport/stalling_proxy.h"

namespace holdfast::raft {
namespace {

using absl::StatusCode;

// What one call came to.
class Outcome {
 public:
  CallReply Done() {
    return [this](absl::StatusOr<std::string> result) {
      MutexLock lock(mutex_);
      EXPECT_EQ(++times_, 1);
      result_ = std::move(result);
      changed_.NotifyAll();
    };
  }
  bool Await() {
    return AwaitTrue(mutex_, changed_, [&] { return times_ > 0; });
  }
  bool done() {
    MutexLock lock(mutex_);
    return times_ > 0;
  }
  absl::StatusOr<std::string> result() {
    MutexLock lock(mutex_);
    return result_;
  }
  // Waits first.
  StatusCode code() {
    EXPECT_TRUE(Await());
    return result().status().code();
  }
  std::string text() {
    EXPECT_TRUE(Await());
    return result().status().ToString();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int times_ = 0;
  absl::StatusOr<std::string> result_ = absl::UnknownError("not done");
};

// A handler's calls: echoed at once, but for "keep", which waits for the test, and "drop".
class Desk {
 public:
  void Take(NodeId peer, std::string request, CallReply reply) {
    {
      MutexLock lock(mutex_);
      ++taken_;
      changed_.NotifyAll();
      if (request == "keep") return kept_.push_back(std::move(reply));
    }
    if (request == "drop") return;
    reply("for " + std::to_string(peer.value()) + ": " + std::move(request));
  }
  bool AwaitTaken(size_t count) {
    return AwaitTrue(mutex_, changed_, [&] { return taken_ >= count; });
  }
  size_t taken() {
    MutexLock lock(mutex_);
    return taken_;
  }
  std::vector<CallReply> Kept() {
    MutexLock lock(mutex_);
    return std::exchange(kept_, {});
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  size_t taken_ = 0;
  std::vector<CallReply> kept_;
};

// Node 2 calls node 1.
class GrpcCallTest : public testing::Test {
 protected:
  GrpcCallTest() {
    serving_.on_call = [this](NodeId peer, std::string request, CallReply reply) {
      desk_.Take(peer, std::move(request), std::move(reply));
    };
  }
  void Connect(GrpcTransportOptions caller, GrpcTransportOptions server) {
    server_ = StartTransport(server, serving_);
    caller.peers = {{NodeId(1), AddressOf(*server_)}};
    caller_ = StartTransport(caller, calling_);
  }
  void Connect() { Connect(LoopbackOptions(2, nullptr), LoopbackOptions(1, nullptr)); }
  std::shared_ptr<Outcome> Call(std::string request, absl::Duration timeout = kPatience) {
    auto outcome = std::make_shared<Outcome>();
    // The outcome is kept by what may use it late.
    caller_->Call(NodeId(1), std::move(request), timeout,
                  [outcome, done = outcome->Done()](absl::StatusOr<std::string> result) {
                    done(std::move(result));
                  });
    return outcome;
  }
  void TearDown() override {
    if (caller_ != nullptr) caller_->Stop();
    if (server_ != nullptr) server_->Stop();
  }

  Desk desk_;
  RecordingPeer serving_;
  RecordingPeer calling_;
  std::unique_ptr<GrpcTransport> server_;
  std::unique_ptr<GrpcTransport> caller_;
};

TEST_F(GrpcCallTest, EchoesBothWaysOverTls) {
  TestAuthority authority;
  Connect(LoopbackOptions(2, &authority), LoopbackOptions(1, &authority));
  calling_.on_call = [](NodeId peer, std::string request, CallReply reply) {
    reply(std::to_string(peer.value()) + request);
  };
  ASSERT_TRUE(server_->UpdatePeers({{NodeId(2), AddressOf(*caller_)}}).ok());
  const std::shared_ptr<Outcome> there = Call(std::string("a\0b", 3));
  Outcome back;
  server_->Call(NodeId(2), "", kPatience, back.Done());
  ASSERT_TRUE(there->Await());
  ASSERT_TRUE(back.Await());
  EXPECT_EQ(there->result().value_or(""), "for 2: " + std::string("a\0b", 3));
  EXPECT_EQ(back.result().value_or(""), "1");
}

TEST_F(GrpcCallTest, HandlersErrorComesBackAsSaid) {
  const std::vector<absl::Status> all = {
      absl::UnavailableError("no leader"), absl::DeadlineExceededError("no commit in time"),
      absl::ResourceExhaustedError("queue full"), absl::CancelledError(""),
      absl::FailedPreconditionError("not the leader \xff")};
  serving_.on_call = [&](NodeId, std::string request, CallReply reply) {
    reply(all.at(std::stoul(request)));
  };
  Connect();
  for (size_t i = 0; i < all.size(); ++i) {
    const std::shared_ptr<Outcome> outcome = Call(std::to_string(i));
    ASSERT_TRUE(outcome->Await());
    EXPECT_EQ(outcome->result().status(), all[i]);
  }
}

TEST_F(GrpcCallTest, NodeThatIsNoPeerIsNotAsked) {
  Connect();
  Outcome outcome;
  caller_->Call(NodeId(7), "x", kPatience, outcome.Done());
  EXPECT_TRUE(outcome.done()) << "in the call";
  EXPECT_EQ(outcome.code(), StatusCode::kUnavailable);
}

TEST_F(GrpcCallTest, PeerThatIsDownIsNotAskedUntilItIsBack) {
  GrpcTransportOptions server = LoopbackOptions(1, nullptr);
  Connect(LoopbackOptions(2, nullptr), server);
  server.listen = AddressOf(*server_);
  server_.reset();
  ASSERT_TRUE(calling_.AwaitUnreachable(NodeId(1)));
  const std::shared_ptr<Outcome> outcome = Call("x");
  EXPECT_EQ(outcome->code(), StatusCode::kUnavailable) << outcome->text();
  EXPECT_EQ(desk_.taken(), 0u);
  server_ = StartTransport(server, serving_);
  ASSERT_NE(server_, nullptr);
  Mutex mutex;
  CondVar changed;
  EXPECT_TRUE(AwaitTrue(mutex, changed, [&] {
    const std::shared_ptr<Outcome> again = Call("x");
    return again->code() == StatusCode::kOk;
  }));
}

TEST_F(GrpcCallTest, PeerThatStopsUnderTheCallMayHaveDoneIt) {
  Connect();
  const std::shared_ptr<Outcome> outcome = Call("keep");
  ASSERT_TRUE(desk_.AwaitTaken(1));
  server_.reset();
  EXPECT_EQ(outcome->code(), StatusCode::kDeadlineExceeded) << outcome->text();
  // Nobody is there to hear it.
  for (const CallReply& reply : desk_.Kept()) reply("late");
}

// A peer that says in gRPC's words what a test wants, once it has greeted.
class Scripted final : public peer::Peer::Service {
 public:
  Scripted() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~Scripted() override { server_->Shutdown(std::chrono::system_clock::now()); }
  grpc::Status Call(grpc::ServerContext*, const peer::CallRequest* request,
                    peer::CallAnswer* answer) override {
    answer->set_format(1);
    peer::Hello* hello = answer->mutable_hello();
    *hello = request->hello();
    hello->set_to_node_id(request->hello().node_id());
    hello->set_node_id(1);
    if (request->greeting()) return grpc::Status::OK;
    hello->set_node_id(node);
    answer->set_taken(taken);
    answer->set_code(code);
    return grpc::Status(static_cast<grpc::StatusCode>(std::stoi(request->request())), "why");
  }

  int port = 0;
  uint64_t node = 1;
  bool taken = true;
  uint32_t code = 0;

 private:
  std::unique_ptr<grpc::Server> server_;
};

class GrpcCallScriptedTest : public GrpcCallTest {
 protected:
  void SetUp() override {
    GrpcTransportOptions caller = LoopbackOptions(2, nullptr);
    caller.peers = {{NodeId(1), "127.0.0.1:" + std::to_string(scripted_.port)}};
    caller_ = StartTransport(caller, calling_);
  }
  void TearDown() override { caller_->Stop(); }
  Scripted scripted_;
};

TEST_F(GrpcCallScriptedTest, EveryFailureOfGrpcLeavesTheOutcomeOpen) {
  EXPECT_EQ(Call("0")->code(), StatusCode::kOk);
  for (int code = 1; code <= 16; ++code) {
    const std::shared_ptr<Outcome> outcome = Call(std::to_string(code));
    EXPECT_EQ(outcome->code(), StatusCode::kDeadlineExceeded) << code << ": " << outcome->text();
    EXPECT_NE(outcome->text().find("why"), std::string::npos) << outcome->text();
  }
}

TEST_F(GrpcCallScriptedTest, RefusalBeforeTheHandlerIsNotDone) {
  scripted_.taken = false;
  scripted_.code = static_cast<uint32_t>(StatusCode::kPermissionDenied);
  EXPECT_EQ(Call("0")->code(), StatusCode::kUnavailable);
  scripted_.code = static_cast<uint32_t>(StatusCode::kDeadlineExceeded);
  EXPECT_EQ(Call("0")->code(), StatusCode::kUnavailable);
  scripted_.code = static_cast<uint32_t>(StatusCode::kResourceExhausted);
  EXPECT_EQ(Call("0")->code(), StatusCode::kResourceExhausted);
}

TEST_F(GrpcCallScriptedTest, WhatAnotherNodeSaysIsWorthNothing) {
  scripted_.taken = false;
  scripted_.code = static_cast<uint32_t>(StatusCode::kUnavailable);
  scripted_.node = 3;
  EXPECT_EQ(Call("0")->code(), StatusCode::kDeadlineExceeded);
}

TEST_F(GrpcCallTest, CallThatIsNotAnsweredInTimeMayHaveBeenDone) {
  GrpcTransportOptions server = LoopbackOptions(1, nullptr);
  server.calls_served_per_peer_max = 1;
  Connect(LoopbackOptions(2, nullptr), server);
  ASSERT_EQ(Call("connect")->code(), StatusCode::kOk);
  const std::shared_ptr<Outcome> outcome = Call("keep", absl::Milliseconds(200));
  ASSERT_TRUE(desk_.AwaitTaken(2));
  EXPECT_EQ(outcome->code(), StatusCode::kDeadlineExceeded);
  // The handler still has it.
  EXPECT_EQ(Call("x")->code(), StatusCode::kResourceExhausted);
  for (const CallReply& reply : desk_.Kept()) reply("late");
  EXPECT_EQ(Call("x")->code(), StatusCode::kOk);
}

// Takes connections and says nothing.
class SilentPort {
 public:
  SilentPort() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(socket_, 16), 0);
    EXPECT_EQ(getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~SilentPort() { close(socket_); }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  const int socket_;
  uint16_t port_ = 0;
};

TEST_F(GrpcCallTest, CallThatFindsNoConnectionInTimeIsNotDone) {
  const SilentPort silent;
  GrpcTransportOptions options = LoopbackOptions(2, nullptr);
  options.peers = {{NodeId(1), silent.address()}};
  caller_ = StartTransport(options, calling_);
  const std::shared_ptr<Outcome> waiting = Call("x");
  const std::shared_ptr<Outcome> expired = Call("x", absl::Milliseconds(50));
  EXPECT_EQ(expired->code(), StatusCode::kUnavailable) << expired->text();
  EXPECT_EQ(Call("x", absl::ZeroDuration())->code(), StatusCode::kUnavailable);
  EXPECT_FALSE(waiting->done());
  caller_->Stop();
  EXPECT_TRUE(waiting->done());
  EXPECT_EQ(waiting->code(), StatusCode::kCancelled) << waiting->text();
}

TEST_F(GrpcCallTest, CallsOverABoundAreNotDone) {
  GrpcTransportOptions options = LoopbackOptions(2, nullptr);
  options.calls_per_peer_max = 3;
  options.call_bytes_max = 1000;
  options.call_bytes_in_flight_max = 1005;
  Connect(options, LoopbackOptions(1, nullptr));
  EXPECT_EQ(Call(std::string(1001, 'x'))->text(), "RESOURCE_EXHAUSTED: call_bytes_max reached");
  EXPECT_EQ(Call(std::string(900, 'x'))->code(), StatusCode::kOk);
  const std::shared_ptr<Outcome> one = Call("keep");
  const std::shared_ptr<Outcome> two = Call("keep");
  EXPECT_EQ(Call(std::string(998, 'x'))->text(),
            "RESOURCE_EXHAUSTED: call_bytes_in_flight_max reached");
  const std::shared_ptr<Outcome> three = Call("keep");
  EXPECT_EQ(Call("x")->text(), "RESOURCE_EXHAUSTED: calls_per_peer_max reached");
  ASSERT_TRUE(desk_.AwaitTaken(4));
  for (const CallReply& reply : desk_.Kept()) reply("done");
  ASSERT_TRUE(one->Await() && two->Await() && three->Await());
  EXPECT_EQ(Call("x")->code(), StatusCode::kOk);
  EXPECT_EQ(desk_.taken(), 5u);
}

TEST_F(GrpcCallTest, BytesThatTheHandlerHoldsAreBoundedAndFreedByItsAnswers) {
  GrpcTransportOptions server = LoopbackOptions(1, nullptr);
  server.call_bytes_served_per_peer_max = 10;
  Connect(LoopbackOptions(2, nullptr), server);
  EXPECT_EQ(Call(std::string(11, 'x'))->code(), StatusCode::kOk);  // Alone.
  const std::shared_ptr<Outcome> one = Call("keep");
  ASSERT_TRUE(desk_.AwaitTaken(2));
  EXPECT_EQ(Call(std::string(7, 'x'))->text(),
            "RESOURCE_EXHAUSTED: call_bytes_served_per_peer_max reached");
  EXPECT_EQ(Call(std::string(6, 'x'))->code(), StatusCode::kOk);
  for (const CallReply& reply : desk_.Kept()) reply("done");
  ASSERT_TRUE(one->Await());
  EXPECT_EQ(Call(std::string(11, 'x'))->code(), StatusCode::kOk);
}

TEST_F(GrpcCallTest, HandlersRoomIsBoundedAndFreedByItsAnswers) {
  GrpcTransportOptions server = LoopbackOptions(1, nullptr);
  server.calls_served_per_peer_max = 2;
  Connect(LoopbackOptions(2, nullptr), server);
  const std::shared_ptr<Outcome> one = Call("keep");
  const std::shared_ptr<Outcome> two = Call("keep");
  ASSERT_TRUE(desk_.AwaitTaken(2));
  EXPECT_EQ(Call("x")->text(), "RESOURCE_EXHAUSTED: calls_served_per_peer_max reached");
  EXPECT_EQ(desk_.taken(), 2u);
  for (const CallReply& reply : desk_.Kept()) reply("done");
  ASSERT_TRUE(one->Await());
  ASSERT_TRUE(two->Await());
  EXPECT_EQ(Call("x")->code(), StatusCode::kOk);
}

TEST_F(GrpcCallTest, AnswerOverTheBoundWasDone) {
  GrpcTransportOptions server = LoopbackOptions(1, nullptr);
  server.call_bytes_max = 100;
  Connect(LoopbackOptions(2, nullptr), server);
  EXPECT_EQ(Call(std::string(95, 'x'))->code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(desk_.taken(), 1u);
  EXPECT_EQ(Call(std::string(101, 'x'))->code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(desk_.taken(), 1u);
}

TEST_F(GrpcCallTest, ReplyThatIsDroppedIsUnknown) {
  Connect();
  EXPECT_EQ(Call("drop")->text(), "DEADLINE_EXCEEDED: dropped without an answer");
}

TEST_F(GrpcCallTest, StopEndsOutstandingCalls) {
  Connect();
  std::vector<std::shared_ptr<Outcome>> outcomes;
  for (int i = 0; i < 10; ++i) outcomes.push_back(Call("keep"));
  ASSERT_TRUE(desk_.AwaitTaken(10));
  caller_->Stop();
  for (const auto& outcome : outcomes) {
    EXPECT_TRUE(outcome->done());
    EXPECT_EQ(outcome->code(), StatusCode::kCancelled);
  }
  EXPECT_EQ(Call("x")->code(), StatusCode::kCancelled);
}

TEST_F(GrpcCallTest, RepliesMayOutliveBothTransports) {
  Connect();
  const std::shared_ptr<Outcome> answered = Call("keep");
  const std::shared_ptr<Outcome> dropped = Call("keep");
  ASSERT_TRUE(desk_.AwaitTaken(2));
  server_.reset();
  ASSERT_TRUE(answered->Await());
  ASSERT_TRUE(dropped->Await());
  caller_.reset();
  std::vector<CallReply> kept = desk_.Kept();
  ASSERT_EQ(kept.size(), 2u);
  kept[0]("late");
  kept[0]("twice");
  kept.clear();
}

TEST_F(GrpcCallTest, PeerThatLeavesEndsItsCalls) {
  Connect();
  const std::shared_ptr<Outcome> outcome = Call("keep");
  ASSERT_TRUE(desk_.AwaitTaken(1));
  ASSERT_TRUE(caller_->UpdatePeers({{NodeId(1), AddressOf(*server_)}}).ok());
  EXPECT_FALSE(outcome->done()) << "it is still the same";
  ASSERT_TRUE(caller_->UpdatePeers({}).ok());
  EXPECT_EQ(outcome->code(), StatusCode::kCancelled);
  EXPECT_EQ(Call("x")->code(), StatusCode::kUnavailable);
}

TEST_F(GrpcCallTest, NodeOfAnotherClusterIsNotServed) {
  TestAuthority authority;  // The same for both: the clusters alone differ.
  Connect(LoopbackOptions(2, &authority, "c2"), LoopbackOptions(1, &authority));
  const std::shared_ptr<Outcome> outcome = Call("x");
  EXPECT_EQ(outcome->code(), StatusCode::kUnavailable);
  EXPECT_NE(outcome->text().find("node 1 of cluster c1 refused: is of cluster c2"),
            std::string::npos)
      << outcome->text();
  EXPECT_EQ(desk_.taken(), 0u);
}

TEST_F(GrpcCallTest, HostsThatDisagreeDoNotCall) {
  class Other final : public RecordingPeer {
    absl::Status OnHello(NodeId, std::string_view) override {
      return absl::FailedPreconditionError("other timers");
    }
  };
  Other other;
  server_ = StartTransport(LoopbackOptions(1, nullptr), serving_);
  GrpcTransportOptions options = LoopbackOptions(2, nullptr);
  options.peers = {{NodeId(1), AddressOf(*server_)}};
  caller_ = StartTransport(options, other);
  const std::shared_ptr<Outcome> outcome = Call("x");
  EXPECT_EQ(outcome->text(),
            "UNAVAILABLE: not asked: FAILED_PRECONDITION: refused the peer's hello: other timers");
  EXPECT_EQ(desk_.taken(), 0u);
  caller_->Stop();
}

TEST_F(GrpcCallTest, StolenIdIsNotServed) {
  TestAuthority authority;
  server_ = StartTransport(LoopbackOptions(1, &authority), serving_);
  // Node 3 says that it is node 2. GrpcTransport wouldn't, so this is gRPC alone.
  const PeerTlsFiles files = authority.Certify("holdfast://c1/node/3");
  namespace tls = grpc::experimental;
  tls::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(std::make_shared<tls::FileWatcherCertificateProvider>(
      files.key_file, files.certificate_file, files.authority_file, 3600));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_certificate_verifier(std::make_shared<tls::NoOpCertificateVerifier>());
  options.set_check_call_host(false);
  const auto stub =
      peer::Peer::NewStub(grpc::CreateChannel(AddressOf(*server_), tls::TlsCredentials(options)));
  peer::CallRequest request;
  request.set_format(1);
  peer::Hello* hello = request.mutable_hello();
  hello->set_format(1);
  hello->set_protocol_min(1);
  hello->set_protocol_max(1);
  hello->set_cluster_id("c1");
  hello->set_to_node_id(1);
  hello->set_kind(peer::STREAM_CALL);
  request.set_request("x");
  for (const uint64_t claimed : {2, 3}) {
    hello->set_node_id(claimed);
    grpc::ClientContext context;
    peer::CallAnswer answer;
    ASSERT_TRUE(stub->Call(&context, request, &answer).ok());
    EXPECT_EQ(answer.taken(), claimed == 3);
    if (claimed == 3) continue;
    EXPECT_EQ(answer.code(), static_cast<uint32_t>(StatusCode::kPermissionDenied));
    EXPECT_EQ(answer.error(),
              "node 1 of cluster c1 refused: says that it is node 2 of cluster c1, but its "
              "certificate says node 3 of cluster c1");
  }
  EXPECT_EQ(desk_.taken(), 1u);
}

size_t Threads() {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/task"),
                                           std::filesystem::directory_iterator()));
}

TEST_F(GrpcCallTest, ThousandCallsAtOnceTakeFewThreads) {
  Connect();
  ASSERT_TRUE(AwaitConnected(*caller_));
  ASSERT_EQ(Call("connect")->code(), StatusCode::kOk);
  const size_t before = Threads();
  constexpr size_t kCalls = 1000;
  std::vector<std::shared_ptr<Outcome>> outcomes;
  for (size_t i = 0; i < kCalls; ++i) outcomes.push_back(Call("keep"));
  ASSERT_TRUE(desk_.AwaitTaken(1 + kCalls));
  EXPECT_LT(Threads(), before + 16);
  size_t n = 0;
  for (const CallReply& reply : desk_.Kept()) reply(std::to_string(n++));
  std::vector<bool> seen(kCalls);
  for (const auto& outcome : outcomes) {
    ASSERT_TRUE(outcome->Await());
    ASSERT_TRUE(outcome->result().ok()) << outcome->text();
    seen.at(std::stoul(*outcome->result())) = true;
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), static_cast<ptrdiff_t>(kCalls));
}

// The connection of calls stands still in the middle of a request.
class GrpcCallStalledTest : public GrpcCallTest {
 protected:
  void SetUp() override {
    server_ = StartTransport(LoopbackOptions(1, nullptr), serving_);
    proxy_ = std::make_unique<StallingProxy>(server_->bound_port(), uint64_t{4} << 20);
    GrpcTransportOptions options = LoopbackOptions(2, nullptr);
    options.peers = {{NodeId(1), proxy_->address()}};
    caller_ = StartTransport(options, calling_);
    ASSERT_TRUE(AwaitConnected(*caller_));
  }

  // The answer has some bytes more.
  const std::string large_ = std::string((uint64_t{16} << 20) - 100, 'x');
  std::unique_ptr<StallingProxy> proxy_;
};

TEST_F(GrpcCallStalledTest, HeartbeatsFlow) {
  const std::shared_ptr<Outcome> outcome = Call(large_);
  ASSERT_TRUE(proxy_->AwaitStalled());
  constexpr uint64_t kHeartbeats = 100;
  for (uint64_t n = 1; n <= kHeartbeats; ++n) {
    caller_->Send(NodeId(1), GroupId(1), Heartbeat(n));
    ASSERT_TRUE(serving_.AwaitReceived(n)) << "heartbeat " << n << " is stuck behind the call";
  }
  EXPECT_FALSE(outcome->done());
  EXPECT_EQ(desk_.taken(), 0u);
  proxy_->Release();
  ASSERT_TRUE(outcome->Await());
  ASSERT_TRUE(outcome->result().ok()) << outcome->text();
  EXPECT_EQ(outcome->result()->size(), large_.size() + 7);
}

TEST_F(GrpcCallStalledTest, ConnectionThatBreaksLeavesTheOutcomeOpen) {
  const std::shared_ptr<Outcome> unanswered = Call("keep");
  ASSERT_TRUE(desk_.AwaitTaken(1));
  const std::shared_ptr<Outcome> half_sent = Call(large_);
  ASSERT_TRUE(proxy_->AwaitStalled());
  proxy_->Cut();
  EXPECT_EQ(unanswered->code(), StatusCode::kDeadlineExceeded) << unanswered->text();
  EXPECT_EQ(half_sent->code(), StatusCode::kDeadlineExceeded) << half_sent->text();
  EXPECT_EQ(desk_.taken(), 1u);
  // A new one is made.
  EXPECT_EQ(Call("x")->code(), StatusCode::kOk);
}

}  // namespace
}  // namespace holdfast::raft
