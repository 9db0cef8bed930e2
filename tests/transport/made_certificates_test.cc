// Nodes talk with the certificates that `holdfast cert` makes, and go on while their authority is
// replaced.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "ops/cli/cli.h"
#include "tests/transport/recording_peer.h"

namespace holdfast::raft {
namespace {

class MadeCertificatesTest : public testing::Test {
 protected:
  MadeCertificatesTest() : directory_(testing::TempDir() + "/made-XXXXXX") {
    EXPECT_NE(mkdtemp(directory_.data()), nullptr);
  }
  ~MadeCertificatesTest() override { std::filesystem::remove_all(directory_); }

  std::string In(const std::string& name) { return directory_ + "/" + name; }
  std::string Content(const std::string& name) {
    std::ifstream in(In(name));
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void Cert(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "cert");
    std::istringstream in;
    std::ostringstream out;
    std::ostringstream err;
    EXPECT_EQ(cli::RunCli(arguments, {in, out, err}), 0) << err.str();
  }
  void MakeAuthority(const std::string& name, const std::string& cluster = "c1") {
    Cert({"ca", "--out", In(name), "--cluster-id", cluster});
  }
  void MakeNode(const std::string& authority, int node) {
    const std::string number = std::to_string(node);
    Cert({"node", "--ca", In(authority), "--node", number, "--host", "127.0.0.1", "--out",
          In("node" + number), "--force"});
  }
  GrpcTransportOptions Options(int node) {
    GrpcTransportOptions options = LoopbackOptions(static_cast<uint64_t>(node), nullptr);
    options.plain_text_on_loopback = false;
    const std::string folder = In("node" + std::to_string(node)) + "/";
    options.tls = {folder + "node" + std::to_string(node) + ".pem",
                   folder + "node" + std::to_string(node) + ".key", folder + "ca.pem"};
    options.tls_refresh_interval = absl::Seconds(1);
    return options;
  }

  std::string directory_;
};

void SendBothWays(GrpcTransport& one, RecordingPeer& peer_one, GrpcTransport& two,
                  RecordingPeer& peer_two) {
  ASSERT_TRUE(one.UpdatePeers({{NodeId(2), AddressOf(two)}}).ok());
  ASSERT_TRUE(two.UpdatePeers({{NodeId(1), AddressOf(one)}}).ok());
  ASSERT_TRUE(AwaitConnected(one));
  ASSERT_TRUE(AwaitConnected(two));
  const size_t before_one = peer_one.received().size();
  const size_t before_two = peer_two.received().size();
  one.Send(NodeId(2), GroupId(1), Heartbeat(1));
  two.Send(NodeId(1), GroupId(1), AppendOf(1, 1000));
  EXPECT_TRUE(peer_two.AwaitReceived(before_two + 1));
  EXPECT_TRUE(peer_one.AwaitReceived(before_one + 1));
}

TEST_F(MadeCertificatesTest, TwoNodesTalk) {
  MakeAuthority("ca");
  MakeNode("ca", 1);
  MakeNode("ca", 2);
  RecordingPeer peer_one;
  RecordingPeer peer_two;
  const std::unique_ptr<GrpcTransport> one = StartTransport(Options(1), peer_one);
  const std::unique_ptr<GrpcTransport> two = StartTransport(Options(2), peer_two);
  ASSERT_TRUE(one != nullptr && two != nullptr);
  SendBothWays(*one, peer_one, *two, peer_two);
}

TEST_F(MadeCertificatesTest, AnotherAuthorityOfTheSameClusterIsNotBelieved) {
  MakeAuthority("ca");
  MakeAuthority("other");
  MakeNode("ca", 1);
  MakeNode("other", 2);
  RecordingPeer peer_one;
  RecordingPeer peer_two;
  const std::unique_ptr<GrpcTransport> one = StartTransport(Options(1), peer_one);
  const std::unique_ptr<GrpcTransport> two = StartTransport(Options(2), peer_two);
  ASSERT_TRUE(one != nullptr && two != nullptr);
  ASSERT_TRUE(two->UpdatePeers({{NodeId(1), AddressOf(*one)}}).ok());
  EXPECT_TRUE(peer_two.AwaitUnreachable(NodeId(1), 2));
  for (const PeerCounts& counts : two->Counts()) EXPECT_EQ(counts.control.connects, 0u);
}

TEST_F(MadeCertificatesTest, TheAuthorityIsReplacedWithBothInTheFile) {
  MakeAuthority("old");
  MakeAuthority("new");
  MakeNode("old", 1);
  MakeNode("old", 2);
  for (const char* node : {"node1", "node2"}) {
    std::ofstream(In(std::string(node) + "/ca.pem"))
        << Content("old/ca.pem") << Content("new/ca.pem");
  }
  RecordingPeer peer_one;
  RecordingPeer peer_two;
  const std::unique_ptr<GrpcTransport> one = StartTransport(Options(1), peer_one);
  ASSERT_NE(one, nullptr);
  {
    const std::unique_ptr<GrpcTransport> two = StartTransport(Options(2), peer_two);
    ASSERT_NE(two, nullptr);
    SendBothWays(*one, peer_one, *two, peer_two);
  }
  // Node 2 has changed over, node 1 not yet.
  MakeNode("new", 2);
  const std::unique_ptr<GrpcTransport> two = StartTransport(Options(2), peer_two);
  ASSERT_NE(two, nullptr);
  SendBothWays(*one, peer_one, *two, peer_two);
}

TEST_F(MadeCertificatesTest, AFileThatChangesIsTakenWithoutARestart) {
  MakeAuthority("old");
  MakeNode("old", 1);
  RecordingPeer peer_one;
  const std::unique_ptr<GrpcTransport> one = StartTransport(Options(1), peer_one);
  ASSERT_NE(one, nullptr);
  // Node 2 knows the new authority alone: it can talk with node 1 only after that has read the
  // files again, which it does by itself.
  MakeAuthority("new");
  MakeNode("new", 1);
  MakeNode("new", 2);
  RecordingPeer peer_two;
  const std::unique_ptr<GrpcTransport> two = StartTransport(Options(2), peer_two);
  ASSERT_NE(two, nullptr);
  SendBothWays(*one, peer_one, *two, peer_two);
}

}  // namespace
}  // namespace holdfast::raft
