#include "smtp/stream/ip_address.h"

#include <gtest/gtest.h>

namespace holdfast::smtp {
namespace {

TEST(IpAddressTest, ReadsAndWritesAddresses) {
  EXPECT_EQ(IpAddress::Parse("192.0.2.1")->ToString(), "192.0.2.1");
  EXPECT_EQ(IpAddress::Parse("2001:DB8:0:0::1")->ToString(), "2001:db8::1");
  EXPECT_EQ(IpAddress::Parse("192.0.2.1")->ToLiteral(), "[192.0.2.1]");
  EXPECT_EQ(IpAddress::Parse("2001:db8::1")->ToLiteral(), "[IPv6:2001:db8::1]");
  for (const char* text : {"", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "0x7f.0.0.1", " ::1",
                           "::1%lo", "[::1]", "1.2.3.4 ", "localhost"}) {
    EXPECT_FALSE(IpAddress::Parse(text).has_value()) << text;
  }
  EXPECT_FALSE(IpAddress::Parse(std::string_view("1.2.3.4\0", 8)).has_value());
}

TEST(IpAddressTest, AMappedAddressIsTheIpv4Address) {
  EXPECT_EQ(IpAddress::Parse("::ffff:127.0.0.1"), IpAddress::Parse("127.0.0.1"));
  EXPECT_TRUE(IpAddress::Parse("::ffff:127.0.0.1")->IsLoopback());
}

TEST(IpAddressTest, KnowsSpecialAddresses) {
  EXPECT_TRUE(IpAddress::Parse("0.0.0.0")->IsUnspecified());
  EXPECT_TRUE(IpAddress::Parse("::")->IsUnspecified());
  EXPECT_TRUE(IpAddress::Parse("127.255.0.1")->IsLoopback());
  EXPECT_TRUE(IpAddress::Parse("::1")->IsLoopback());
  EXPECT_FALSE(IpAddress::Parse("::2")->IsLoopback());
  EXPECT_TRUE(IpAddress::Parse("169.254.9.9")->IsLinkLocal());
  EXPECT_TRUE(IpAddress::Parse("febf::1")->IsLinkLocal());
  EXPECT_FALSE(IpAddress::Parse("fec0::1")->IsLinkLocal());
  EXPECT_TRUE(IpAddress::Parse("239.1.1.1")->IsMulticast());
  EXPECT_TRUE(IpAddress::Parse("ff02::1")->IsMulticast());
  EXPECT_TRUE(IpAddress::Parse("255.255.255.255")->IsBroadcast());
  EXPECT_FALSE(IpAddress::Parse("192.0.2.1")->IsBroadcast());
}

TEST(IpNetworkTest, ContainsWhatItSays) {
  const IpNetwork ten = *IpNetwork::Parse("10.0.0.0/8");
  EXPECT_TRUE(ten.Contains(*IpAddress::Parse("10.255.1.2")));
  EXPECT_FALSE(ten.Contains(*IpAddress::Parse("11.0.0.0")));
  EXPECT_FALSE(ten.Contains(*IpAddress::Parse("a00::1")));
  const IpNetwork odd = *IpNetwork::Parse("192.0.2.128/25");
  EXPECT_TRUE(odd.Contains(*IpAddress::Parse("192.0.2.129")));
  EXPECT_FALSE(odd.Contains(*IpAddress::Parse("192.0.2.127")));
  EXPECT_TRUE(IpNetwork::Parse("0.0.0.0/0")->Contains(*IpAddress::Parse("8.8.8.8")));
  EXPECT_TRUE(IpNetwork::Parse("2001:db8::/33")->Contains(*IpAddress::Parse("2001:db8:7fff::1")));
  EXPECT_FALSE(IpNetwork::Parse("2001:db8::/33")->Contains(*IpAddress::Parse("2001:db8:8000::")));
  EXPECT_EQ(IpNetwork::Parse("192.0.2.1")->ToString(), "192.0.2.1/32");
  for (const char* text : {"10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10/8",
                           "::/129", "::ffff:10.0.0.0/104"}) {
    EXPECT_FALSE(IpNetwork::Parse(text).has_value()) << text;
  }
}

TEST(EndpointTest, ReadsAndWrites) {
  for (const char* text : {"192.0.2.1:25", "[2001:db8::1]:587"}) {
    EXPECT_EQ(Endpoint::Parse(text)->ToString(), text);
  }
  for (const char* text : {"192.0.2.1", "2001:db8::1:25", "192.0.2.1:65536", "host:25", ":25",
                           "192.0.2.1:", "[]:25"}) {
    EXPECT_FALSE(Endpoint::Parse(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace holdfast::smtp
