#include "raft/transport/peer_identity.h"

#include <gtest/gtest.h>

#include <string>

#include "proto/peer.pb.h"
#include "raft/transport/peer_codec.h"

namespace holdfast::raft {
namespace {

const PeerIdentity kSelf{"c1", NodeId(1)};

peer::Hello Hello() {
  peer::Hello hello;
  hello.set_format(kPeerFormat);
  hello.set_protocol_min(kProtocolMin);
  hello.set_protocol_max(kProtocolMax);
  hello.set_cluster_id("c1");
  hello.set_node_id(2);
  hello.set_to_node_id(1);
  return hello;
}

std::string Refusal(const peer::Hello& hello, std::optional<PeerIdentity> certified = std::nullopt,
                    std::optional<NodeId> expected = std::nullopt) {
  const absl::StatusOr<NodeId> peer = CheckHello(hello, kSelf, certified, expected);
  return peer.ok() ? "" : std::string(holdfast::Message(peer.status()));
}

TEST(PeerIdentityTest, UriSaysClusterAndNode) {
  const std::string uri = IdentityUri({"4f1c-9a_B.x", NodeId(18446744073709551615u)});
  EXPECT_EQ(uri, "holdfast://4f1c-9a_B.x/node/18446744073709551615");
  EXPECT_EQ(*ParseIdentityUri(uri), (PeerIdentity{"4f1c-9a_B.x", NodeId(18446744073709551615u)}));
}

TEST(PeerIdentityTest, EachNodeHasOneSpelling) {
  for (const char* uri :
       {"", "holdfast://", "holdfast://c1", "holdfast://c1/node/", "holdfast://c1/node/0",
        "holdfast://c1/node/01", "holdfast://c1/node/1/", "holdfast://c1/node/-1",
        "holdfast://c1/node/+1", "holdfast://c1/node/1 ", "holdfast:///node/1",
        "holdfast://c 1/node/1", "HOLDFAST://c1/node/1", "holdfast://c1/node/18446744073709551616",
        "holdfast://c1/x/node/1", "https://c1/node/1"}) {
    EXPECT_FALSE(ParseIdentityUri(uri).ok()) << uri;
  }
}

TEST(PeerIdentityTest, CertificateNamesExactlyOneNode) {
  const std::string two = "holdfast://c1/node/2";
  EXPECT_EQ(IdentityOfCertificate({"https://example.test", two})->node, NodeId(2));
  EXPECT_FALSE(IdentityOfCertificate({}).ok());
  EXPECT_FALSE(IdentityOfCertificate({"https://example.test"}).ok());
  EXPECT_FALSE(IdentityOfCertificate({two, "holdfast://c1/node/3"}).ok());
  EXPECT_FALSE(IdentityOfCertificate({two, "holdfast://broken"}).ok());
}

TEST(PeerIdentityTest, HelloMustAgreeWithTheCertificate) {
  EXPECT_EQ(Refusal(Hello(), PeerIdentity{"c1", NodeId(2)}), "");
  EXPECT_EQ(Refusal(Hello(), PeerIdentity{"c1", NodeId(3)}),
            "says that it is node 2 of cluster c1, but its certificate says node 3 of cluster c1");
  EXPECT_EQ(Refusal(Hello(), PeerIdentity{"c2", NodeId(2)}),
            "says that it is node 2 of cluster c1, but its certificate says node 2 of cluster c2");
}

TEST(PeerIdentityTest, HelloIsOfThisClusterAndForThisNode) {
  EXPECT_EQ(Refusal(Hello()), "");
  peer::Hello hello = Hello();
  hello.set_cluster_id("c2");
  EXPECT_EQ(Refusal(hello), "is of cluster c2, not of cluster c1");
  hello = Hello();
  hello.set_node_id(1);
  EXPECT_EQ(Refusal(hello), "has the id of node 1 itself");
  hello = Hello();
  hello.set_to_node_id(3);
  EXPECT_EQ(Refusal(hello), "wants node 3, but this is node 1");
  EXPECT_EQ(Refusal(Hello(), std::nullopt, NodeId(3)), "is node 2, but node 3 was called");
}

TEST(PeerIdentityTest, VersionsMustOverlap) {
  peer::Hello hello = Hello();
  hello.set_protocol_max(kProtocolMax + 5);
  EXPECT_EQ(Refusal(hello), "");
  hello.set_protocol_min(kProtocolMax + 1);
  EXPECT_EQ(Refusal(hello), "speaks protocol versions 2 to 6, this build 1 to 1");
}

TEST(PeerIdentityTest, MalformedHelloIsNotQuoted) {
  peer::Hello hello = Hello();
  hello.set_cluster_id("c1\nlevel=info");
  EXPECT_EQ(Refusal(hello), "hello with a malformed cluster id");
  hello = Hello();
  hello.set_node_id(0);
  EXPECT_EQ(Refusal(hello), "hello of node 0");
  hello = Hello();
  hello.set_format(2);
  EXPECT_EQ(Refusal(hello), "hello of format 2, not 1");
  hello = Hello();
  hello.set_host(std::string(kHostHelloBytesMax + 1, 'x'));
  EXPECT_EQ(Refusal(hello), "hello of the host is too long");
}

}  // namespace
}  // namespace holdfast::raft
