// Who may talk to whom, and that what is sent arrives.
#include "raft/transport/grpc_transport.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "proto/peer.grpc.pb.h"
#include "tests/transport/recording_peer.h"

namespace holdfast::raft {
namespace {

TEST(GrpcTransportTest, ThreeNodesHearEachOtherInOrder) {
  TestAuthority authority;
  RecordingPeer peers[3];
  std::unique_ptr<GrpcTransport> transports[3];
  std::vector<PeerAddress> book;
  for (uint64_t i = 0; i < 3; ++i) {
    transports[i] = StartTransport(LoopbackOptions(i + 1, &authority), peers[i]);
    ASSERT_NE(transports[i], nullptr);
    book.push_back({NodeId(i + 1), AddressOf(*transports[i])});
  }
  for (uint64_t i = 0; i < 3; ++i) {
    std::vector<PeerAddress> others = book;
    others.erase(others.begin() + static_cast<ptrdiff_t>(i));
    ASSERT_TRUE(transports[i]->UpdatePeers(others).ok());
  }
  constexpr uint64_t kMessages = 50;
  for (uint64_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(AwaitCounts(*transports[i], [&](const PeerCounts& counts) {
      return counts.peer == NodeId((i + 1) % 3 + 1) && counts.control.connected &&
             counts.bulk.connected;
    }));
    for (uint64_t n = 1; n <= kMessages; ++n) {
      transports[i]->Send(NodeId((i + 1) % 3 + 1), GroupId(static_cast<uint32_t>(n % 7)),
                          Heartbeat(n));
      transports[i]->Send(NodeId((i + 1) % 3 + 1), GroupId(7), AppendOf(n, 1000));
    }
  }
  for (uint64_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(peers[i].AwaitReceived(2 * kMessages));
    uint64_t commit = 0;
    LogIndex index = 0;
    for (const Received& got : peers[i].received()) {
      EXPECT_EQ(got.from, NodeId((i + 2) % 3 + 1));
      if (got.message.type == MessageType::kHeartbeat) {
        EXPECT_EQ(got.message.commit, ++commit);
        EXPECT_EQ(got.group, GroupId(static_cast<uint32_t>(commit % 7)));
      } else {
        EXPECT_EQ(got.message.entries.at(0).index, ++index);
        EXPECT_EQ(*got.message.entries[0].bodies.at(0).bytes, std::string(1000, 'b'));
      }
    }
  }
}

// Starts node 1 and a caller, and waits until the caller was told no; returns what it was told.
std::string RefusalOf(const GrpcTransportOptions& server_options,
                      const GrpcTransportOptions& caller_options, NodeId called = NodeId(1)) {
  RecordingPeer server_peer;
  RecordingPeer caller_peer;
  std::unique_ptr<GrpcTransport> server = StartTransport(server_options, server_peer);
  std::unique_ptr<GrpcTransport> caller = StartTransport(caller_options, caller_peer);
  testing::internal::CaptureStderr();
  EXPECT_TRUE(caller->UpdatePeers({{called, AddressOf(*server)}}).ok());
  // The second is told after the reason of the first was logged.
  EXPECT_TRUE(caller_peer.AwaitUnreachable(called, 2));
  caller->Send(called, GroupId(1), Heartbeat(1));
  for (const PeerCounts& counts : caller->Counts()) {
    EXPECT_EQ(counts.control.connects + counts.bulk.connects, 0u);
  }
  caller->Stop();
  server->Stop();
  EXPECT_TRUE(server_peer.received().empty());
  return testing::internal::GetCapturedStderr();
}

bool Has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(GrpcTransportTest, NodeOfAnotherClusterIsRefused) {
  TestAuthority authority;  // The same for both: the clusters alone differ.
  const std::string log =
      RefusalOf(LoopbackOptions(1, &authority), LoopbackOptions(2, &authority, "c2"));
  EXPECT_TRUE(Has(log, "event=peer_refused")) << log;
  EXPECT_TRUE(Has(log, "event=peer_down")) << log;
  EXPECT_TRUE(Has(log, "PERMISSION_DENIED: is of cluster c2, not of cluster c1")) << log;
  EXPECT_TRUE(Has(log, "node 1 of cluster c1 refused: is of cluster c2")) << log;
}

TEST(GrpcTransportTest, OwnCertificateMustBeOnesOwn) {
  TestAuthority authority;
  GrpcTransportOptions options = LoopbackOptions(3, &authority);
  options.self = NodeId(2);
  RecordingPeer peer;
  EXPECT_EQ(GrpcTransport::Start(options, peer).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(GrpcTransportTest, StolenIdIsRefused) {
  TestAuthority authority;
  RecordingPeer peer;
  testing::internal::CaptureStderr();
  std::unique_ptr<GrpcTransport> server = StartTransport(LoopbackOptions(1, &authority), peer);
  // Node 3 says that it is node 2. GrpcTransport wouldn't, so this is gRPC alone.
  const PeerTlsFiles files = authority.Certify("holdfast://c1/node/3");
  const auto provider = std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      files.key_file, files.certificate_file, files.authority_file, 3600);
  grpc::experimental::TlsChannelCredentialsOptions tls;
  tls.set_certificate_provider(provider);
  tls.watch_root_certs();
  tls.watch_identity_key_cert_pairs();
  tls.set_certificate_verifier(std::make_shared<grpc::experimental::NoOpCertificateVerifier>());
  tls.set_check_call_host(false);
  const auto stub = peer::Peer::NewStub(
      grpc::CreateChannel(AddressOf(*server), grpc::experimental::TlsCredentials(tls)));
  grpc::ClientContext context;
  const auto stream = stub->Talk(&context);
  peer::Packet packet;
  peer::Hello* hello = packet.mutable_hello();
  hello->set_format(1);
  hello->set_protocol_min(1);
  hello->set_protocol_max(1);
  hello->set_cluster_id("c1");
  hello->set_node_id(2);
  hello->set_to_node_id(1);
  hello->set_kind(peer::STREAM_CONTROL);
  hello->set_host("timers");
  EXPECT_TRUE(stream->Write(packet));
  EXPECT_FALSE(stream->Read(&packet));
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  const std::string reason =
      "says that it is node 2 of cluster c1, but its certificate says node 3 of cluster c1";
  EXPECT_EQ(status.error_message(), "node 1 of cluster c1 refused: " + reason);
  server->Stop();
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(Has(log, "event=peer_refused")) << log;
  EXPECT_TRUE(Has(log, reason)) << log;
}

TEST(GrpcTransportTest, WrongNodeAtAnAddressIsRefused) {
  TestAuthority authority;
  const std::string log =
      RefusalOf(LoopbackOptions(1, &authority), LoopbackOptions(2, &authority), NodeId(3));
  EXPECT_TRUE(Has(log, "PERMISSION_DENIED: wants node 3, but this is node 1")) << log;
  EXPECT_TRUE(Has(log, "node 1 of cluster c1 refused: wants node 3")) << log;
}

TEST(GrpcTransportTest, OtherAuthorityIsRefused) {
  TestAuthority one;
  TestAuthority other;
  const std::string log = RefusalOf(LoopbackOptions(1, &one), LoopbackOptions(2, &other));
  EXPECT_TRUE(Has(log, "event=peer_down")) << log;
  EXPECT_TRUE(Has(log, "UNAVAILABLE")) << log;
}

TEST(GrpcTransportTest, PlainTextCallerIsRefusedByTls) {
  TestAuthority authority;
  const std::string log = RefusalOf(LoopbackOptions(1, &authority), LoopbackOptions(2, nullptr));
  EXPECT_TRUE(Has(log, "event=peer_down")) << log;
}

TEST(GrpcTransportTest, PlainTextStaysOnLoopback) {
  RecordingPeer peer;
  GrpcTransportOptions options = LoopbackOptions(1, nullptr);
  options.listen = "0.0.0.0:0";
  EXPECT_EQ(GrpcTransport::Start(options, peer).status().message(),
            "plain text on 0.0.0.0:0: allowed on loopback addresses only");
  options = LoopbackOptions(1, nullptr);
  options.peers = {{NodeId(2), "192.0.2.1:7000"}};
  EXPECT_EQ(GrpcTransport::Start(options, peer).status().message(),
            "plain text to peer 2 at 192.0.2.1:7000: allowed on loopback addresses only");
  options.peers = {{NodeId(2), "localhost:7000"}};
  EXPECT_FALSE(GrpcTransport::Start(options, peer).ok()) << "a name may resolve to anything";
  options.peers.clear();
  std::unique_ptr<GrpcTransport> transport = StartTransport(options, peer);
  EXPECT_FALSE(transport->UpdatePeers({{NodeId(2), "192.0.2.1:7000"}}).ok());
  EXPECT_TRUE(transport->UpdatePeers({{NodeId(2), "[::1]:7000"}}).ok());
}

TEST(GrpcTransportTest, NoTlsIsNotPlainText) {
  RecordingPeer peer;
  GrpcTransportOptions options = LoopbackOptions(1, nullptr);
  options.plain_text_on_loopback = false;
  EXPECT_EQ(GrpcTransport::Start(options, peer).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(GrpcTransportTest, AddressesAreChecked) {
  RecordingPeer peer;
  for (const char* address : {"", "host", ":1", "host:", "host:0", "host:x", "host:70000",
                              "::1:7000", "unix:/tmp/x", "dns:///host:1", "a b:1"}) {
    GrpcTransportOptions options = LoopbackOptions(1, nullptr);
    options.peers = {{NodeId(2), address}};
    EXPECT_FALSE(GrpcTransport::Start(options, peer).ok()) << address;
  }
}

TEST(GrpcTransportTest, ComesBackWhenThePeerRestarts) {
  TestAuthority authority;
  RecordingPeer first;
  RecordingPeer caller_peer;
  GrpcTransportOptions options = LoopbackOptions(1, &authority);
  std::unique_ptr<GrpcTransport> server = StartTransport(options, first);
  options.listen = AddressOf(*server);
  GrpcTransportOptions caller_options = LoopbackOptions(2, &authority);
  caller_options.idle_check_interval = absl::Milliseconds(10);
  caller_options.peers = {{NodeId(1), AddressOf(*server)}};
  std::unique_ptr<GrpcTransport> caller = StartTransport(caller_options, caller_peer);
  ASSERT_TRUE(AwaitConnected(*caller));
  caller->Send(NodeId(1), GroupId(1), Heartbeat(1));
  ASSERT_TRUE(first.AwaitReceived(1));
  server.reset();
  // Nothing is sent meanwhile: an idle stream notices by itself.
  ASSERT_TRUE(caller_peer.AwaitUnreachable(NodeId(1)));
  RecordingPeer second;
  server = StartTransport(options, second);
  ASSERT_NE(server, nullptr);
  ASSERT_TRUE(AwaitCounts(*caller, [](const PeerCounts& counts) {
    return counts.control.connects == 2 && counts.bulk.connects == 2;
  }));
  caller->Send(NodeId(1), GroupId(1), Heartbeat(2));
  ASSERT_TRUE(second.AwaitReceived(1));
  EXPECT_EQ(second.received()[0].message.commit, 2u);
}

// The pause would be hours: only the peer's own coming can end it.
TEST(GrpcTransportTest, PeerThatComesIsTriedAtOnce) {
  RecordingPeer waiting_peer;
  RecordingPeer back_peer;
  GrpcTransportOptions back_options = LoopbackOptions(1, nullptr);
  std::unique_ptr<GrpcTransport> back = StartTransport(back_options, back_peer);
  back_options.listen = AddressOf(*back);
  back.reset();
  GrpcTransportOptions options = LoopbackOptions(2, nullptr);
  options.backoff_min = options.backoff_max = absl::Hours(1000);
  options.peers = {{NodeId(1), back_options.listen}};
  std::unique_ptr<GrpcTransport> waiting = StartTransport(options, waiting_peer);
  ASSERT_TRUE(waiting_peer.AwaitUnreachable(NodeId(1)));
  EXPECT_EQ(waiting->Counts().at(0).control.connects, 0u);
  back_options.peers = {{NodeId(2), AddressOf(*waiting)}};
  back = StartTransport(back_options, back_peer);
  ASSERT_NE(back, nullptr);
  ASSERT_TRUE(AwaitConnected(*waiting));
  waiting->Send(NodeId(1), GroupId(1), Heartbeat(7));
  ASSERT_TRUE(back_peer.AwaitReceived(1));
}

TEST(GrpcTransportTest, PeersLeaveAndMove) {
  RecordingPeer peers[3];
  std::unique_ptr<GrpcTransport> one = StartTransport(LoopbackOptions(1, nullptr), peers[0]);
  std::unique_ptr<GrpcTransport> old_place = StartTransport(LoopbackOptions(2, nullptr), peers[1]);
  std::unique_ptr<GrpcTransport> new_place = StartTransport(LoopbackOptions(2, nullptr), peers[2]);
  ASSERT_TRUE(one->UpdatePeers({{NodeId(2), AddressOf(*old_place)}}).ok());
  ASSERT_TRUE(AwaitConnected(*one));
  ASSERT_TRUE(one->UpdatePeers({{NodeId(2), AddressOf(*new_place)}}).ok());
  ASSERT_TRUE(AwaitConnected(*one));
  one->Send(NodeId(2), GroupId(1), Heartbeat(1));
  ASSERT_TRUE(peers[2].AwaitReceived(1));
  ASSERT_TRUE(one->UpdatePeers({}).ok());
  EXPECT_TRUE(one->Counts().empty());
  one->Send(NodeId(2), GroupId(1), Heartbeat(2));
  one->Stop();
  EXPECT_TRUE(peers[1].received().empty());
  EXPECT_EQ(peers[2].received().size(), 1u);
}

TEST(GrpcTransportTest, OtherTimersAreRefusedByTheHost) {
  class Other final : public RecordingPeer {
    std::string Hello(NodeId) override { return "slower"; }
  };
  RecordingPeer server_peer;
  Other caller_peer;
  std::unique_ptr<GrpcTransport> server = StartTransport(LoopbackOptions(1, nullptr), server_peer);
  GrpcTransportOptions options = LoopbackOptions(2, nullptr);
  options.peers = {{NodeId(1), AddressOf(*server)}};
  testing::internal::CaptureStderr();
  std::unique_ptr<GrpcTransport> caller = StartTransport(options, caller_peer);
  EXPECT_TRUE(caller_peer.AwaitUnreachable(NodeId(1), 2));
  caller->Stop();
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(Has(log, "node 1 of cluster c1 refused: other timers")) << log;
}

TEST(GrpcTransportTest, StopsUnderTraffic) {
  RecordingPeer peers[2];
  std::unique_ptr<GrpcTransport> one = StartTransport(LoopbackOptions(1, nullptr), peers[0]);
  std::unique_ptr<GrpcTransport> two = StartTransport(LoopbackOptions(2, nullptr), peers[1]);
  ASSERT_TRUE(one->UpdatePeers({{NodeId(2), AddressOf(*two)}}).ok());
  ASSERT_TRUE(two->UpdatePeers({{NodeId(1), AddressOf(*one)}}).ok());
  ASSERT_TRUE(AwaitConnected(*one));
  std::atomic<bool> done{false};
  std::thread sender([&] {
    for (uint64_t n = 1; !done; ++n) {
      one->Send(NodeId(2), GroupId(1), Heartbeat(n));
      one->Send(NodeId(2), GroupId(1), AppendOf(n, 100'000));
      std::this_thread::yield();
    }
  });
  ASSERT_TRUE(peers[1].AwaitReceived(20));
  two->Stop();  // The receiver first, while frames are on their way.
  done = true;
  sender.join();
  one->Stop();
  one->Stop();
}

}  // namespace
}  // namespace holdfast::raft
