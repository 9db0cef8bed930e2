#include "raft/transport/peer_address.h"

#include <gtest/gtest.h>

namespace holdfast::raft {
namespace {

TEST(PeerAddressTest, HostsAndPortsAreRead) {
  EXPECT_EQ(ReadHostAndPort("node1.example.com:7026"), (HostAndPort{"node1.example.com", 7026}));
  EXPECT_EQ(ReadHostAndPort("192.0.2.1:65535"), (HostAndPort{"192.0.2.1", 65535}));
  EXPECT_EQ(ReadHostAndPort("[2001:db8::1]:1"), (HostAndPort{"2001:db8::1", 1}));
  EXPECT_EQ(ReadHostAndPort("127.0.0.1:0"), (HostAndPort{"127.0.0.1", 0}));
}

TEST(PeerAddressTest, WithADefaultThePortMayBeAbsent) {
  EXPECT_EQ(ReadHostAndPort("node1", 7026), (HostAndPort{"node1", 7026}));
  EXPECT_EQ(ReadHostAndPort("2001:db8::1", 7026), (HostAndPort{"2001:db8::1", 7026}));
  EXPECT_EQ(ReadHostAndPort("[2001:db8::1]", 7026), (HostAndPort{"2001:db8::1", 7026}));
  EXPECT_EQ(ReadHostAndPort("node1:7", 7026), (HostAndPort{"node1", 7}));
  EXPECT_EQ(ReadHostAndPort("node1:", 7026), std::nullopt);
}

TEST(PeerAddressTest, WhatIsNoAddressIsRefused) {
  for (const char* text : {"",
                           "host",
                           ":1",
                           "host:",
                           "host:x",
                           "host:+1",
                           "host:70000",
                           "::1:7000",
                           "2001:db8::1",
                           "[::1]",
                           "[::1]7",
                           "[::1:7",
                           "[host]:1",
                           "[]:1",
                           "a]b:1",
                           "unix:/tmp/x",
                           "dns:///host:1",
                           "a b:1",
                           "user@host:1",
                           "host:1:2"}) {
    EXPECT_EQ(ReadHostAndPort(text), std::nullopt) << text;
  }
  EXPECT_EQ(ReadHostAndPort(std::string("host\0x:1", 8)), std::nullopt);
  EXPECT_EQ(ReadHostAndPort(std::string(kPeerAddressBytesMax, 'a') + ":1"), std::nullopt);
}

TEST(PeerAddressTest, TextComesBack) {
  for (const char* text : {"node1:7026", "192.0.2.1:7026", "[2001:db8::1]:7026"}) {
    EXPECT_EQ(ReadHostAndPort(text)->ToString(), text);
  }
}

TEST(PeerAddressTest, OnlyNumbersAreLoopback) {
  EXPECT_TRUE(ReadHostAndPort("127.9.0.1:1")->IsLoopback());
  EXPECT_TRUE(ReadHostAndPort("[::1]:1")->IsLoopback());
  EXPECT_FALSE(ReadHostAndPort("localhost:1")->IsLoopback());
  EXPECT_FALSE(ReadHostAndPort("128.0.0.1:1")->IsLoopback());
}

}  // namespace
}  // namespace holdfast::raft
