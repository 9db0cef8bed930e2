#include "node/config/network_address.h"

#include <gtest/gtest.h>

namespace holdfast::node {
namespace {

TEST(SocketAddressTest, ReadsBothFamiliesAndWritesThemBack) {
  for (const char* text : {"127.0.0.1:2525", "[::1]:25", "0.0.0.0:0", "[2001:db8::1]:65535"}) {
    const auto address = SocketAddress::Parse(text);
    ASSERT_TRUE(address.has_value()) << text;
    EXPECT_EQ(address->ToString(), text);
  }
}

TEST(SocketAddressTest, TakesTheDefaultPortWhenThereIsNone) {
  EXPECT_EQ(SocketAddress::Parse("192.0.2.1", 53)->port, 53);
  EXPECT_EQ(SocketAddress::Parse("2001:db8::1", 53)->ToString(), "[2001:db8::1]:53");
  EXPECT_EQ(SocketAddress::Parse("[::1]", 53)->port, 53);
}

TEST(SocketAddressTest, RefusesWhatIsNoAddress) {
  for (const char* text : {"", ":", "localhost:25", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
                           "127.0.0.1:+1", "127.0.0.1: 25", "::1:25", "[::1", "[::1]25",
                           "[127.0.0.1]:25", "256.0.0.1:25", "1.2.3:25"}) {
    EXPECT_FALSE(SocketAddress::Parse(text).has_value()) << text;
  }
}

TEST(SocketAddressTest, KnowsLoopback) {
  EXPECT_TRUE(SocketAddress::Parse("127.9.9.9:1")->IsLoopback());
  EXPECT_TRUE(SocketAddress::Parse("[::1]:1")->IsLoopback());
  EXPECT_TRUE(SocketAddress::Parse("[::ffff:127.0.0.1]:1")->IsLoopback());
  EXPECT_FALSE(SocketAddress::Parse("0.0.0.0:1")->IsLoopback());
  EXPECT_FALSE(SocketAddress::Parse("[::]:1")->IsLoopback());
}

TEST(NetworkTest, ContainsItsAddressesOnly) {
  const Network network = *Network::Parse("192.0.2.128/25");
  EXPECT_TRUE(network.Contains(*ParseIpAddress("192.0.2.128")));
  EXPECT_TRUE(network.Contains(*ParseIpAddress("192.0.2.255")));
  EXPECT_TRUE(network.Contains(*ParseIpAddress("::ffff:192.0.2.200")));
  EXPECT_FALSE(network.Contains(*ParseIpAddress("192.0.2.127")));
  EXPECT_FALSE(network.Contains(*ParseIpAddress("2001:db8::1")));
  EXPECT_TRUE(Network::Parse("2001:db8::/33")->Contains(*ParseIpAddress("2001:db8:7fff::")));
  EXPECT_FALSE(Network::Parse("2001:db8::/33")->Contains(*ParseIpAddress("2001:db8:8000::")));
  EXPECT_TRUE(Network::Parse("192.0.2.7")->Contains(*ParseIpAddress("192.0.2.7")));
}

TEST(NetworkTest, RefusesBitsBehindThePrefixAndBadPrefixes) {
  for (const char* text : {"192.0.2.1/24", "192.0.2.0/33", "::1/64", "::/129", "192.0.2.0/",
                           "192.0.2.0/-1", "192.0.2.0/24/", "example.com", ""}) {
    EXPECT_FALSE(Network::Parse(text).has_value()) << text;
  }
}

TEST(NetworkTest, SeesEverybodyHoweverItIsWritten) {
  for (const char* text : {"0.0.0.0/0", "::/0", "::/64", "::ffff:0:0/96", "::/80"}) {
    EXPECT_TRUE(Network::Parse(text)->CoversAllIpv4()) << text;
  }
  for (const char* text : {"0.0.0.0/1", "128.0.0.0/1", "2000::/3", "10.0.0.0/8"}) {
    EXPECT_FALSE(Network::Parse(text)->CoversAllIpv4()) << text;
  }
}

}  // namespace
}  // namespace holdfast::node
