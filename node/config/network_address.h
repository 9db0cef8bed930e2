// node/config/network_address.h
// IP addresses with ports, and networks, as configuration writes them. No names are looked up.
// Threads: values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::node {

// The 16 bytes of an IPv6 address; IPv4 as ::ffff:a.b.c.d, so that one rule compares both.
using AddressBytes = std::array<uint8_t, 16>;

// Nothing when `text` is not an address in its usual form ("192.0.2.1", "2001:db8::1").
std::optional<AddressBytes> ParseIpAddress(std::string_view text);
bool IsLoopback(const AddressBytes& address);

struct SocketAddress {
  std::string ip;  // Without brackets.
  uint16_t port = 0;

  // "127.0.0.1:2525" or "[::1]:2525". With `default_port`, the port may be absent.
  static std::optional<SocketAddress> Parse(std::string_view text,
                                            std::optional<uint16_t> default_port = std::nullopt);
  std::string ToString() const;
  bool IsLoopback() const;
  bool operator==(const SocketAddress&) const = default;
};

// All addresses that share the first `prefix_bits` bits of `base` (0..128 in IPv6's terms: an IPv4
// network of /8 has 104).
struct Network {
  AddressBytes base{};
  int prefix_bits = 128;

  // "192.0.2.0/24", "2001:db8::/32", or one address. Bits beyond the prefix must be zero.
  static std::optional<Network> Parse(std::string_view text);
  bool Contains(const AddressBytes& address) const;
  // 0.0.0.0/0, ::/0 and every other network that all of IPv4 is in.
  bool CoversAllIpv4() const;
  // As in the text form; 0 for "everything".
  int PrefixLength() const { return is_ipv4 ? prefix_bits - 96 : prefix_bits; }

  bool is_ipv4 = false;
};

}  // namespace holdfast::node
