// raft/transport/peer_address.h
// Where a node of a cluster is reached, as node files, operators and the transport write it:
// "name:port", "192.0.2.1:port" or "[2001:db8::1]:port".
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::raft {

// Nodes of a cluster.
inline constexpr int kClusterNodesMax = 7;
// A name of 255 bytes or what is shorter, and a port.
inline constexpr size_t kPeerAddressBytesMax = 262;

struct HostAndPort {
  std::string host;  // A name or an IP address, without brackets.
  uint16_t port = 0;

  std::string ToString() const;
  // 127.0.0.0/8 or ::1: numbers, for names may resolve to anything.
  bool IsLoopback() const;
  bool operator==(const HostAndPort&) const = default;
};

// nullopt: `text` is no such address. With `default_port` the port may be absent, and then an IPv6
// address needs no brackets. Port 0 is read too: who listens there gets one from the kernel.
std::optional<HostAndPort> ReadHostAndPort(std::string_view text,
                                           std::optional<uint16_t> default_port = std::nullopt);

}  // namespace holdfast::raft
