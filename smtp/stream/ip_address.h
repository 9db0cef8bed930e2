// smtp/stream/ip_address.h
// IpAddress is an IPv4 or IPv6 address as a value, IpNetwork a prefix of them, Endpoint an address
// and a port. Pure: text in, text out, no sockets. An IPv4-mapped IPv6 address (::ffff:192.0.2.1)
// becomes the IPv4 address that it stands for, so that no policy can be passed by in disguise.
// Threads: immutable values.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::smtp {

class IpAddress {
 public:
  IpAddress() = default;  // 0.0.0.0

  // "192.0.2.1", "2001:db8::1"; no brackets, no zone. Nothing else, and no octal or short forms.
  static std::optional<IpAddress> Parse(std::string_view text);
  static IpAddress V4(const std::array<uint8_t, 4>& octets);
  static IpAddress V6(const std::array<uint8_t, 16>& octets);

  bool is_v4() const { return v4_; }
  // The first 4 of the octets are the address when is_v4().
  const std::array<uint8_t, 16>& octets() const { return octets_; }

  std::string ToString() const;
  // RFC 5321 4.1.3: "[192.0.2.1]" or "[IPv6:2001:db8::1]".
  std::string ToLiteral() const;

  bool IsUnspecified() const;  // 0.0.0.0/8 ("this network", RFC 1122 3.2.1.3) and ::
  bool IsLoopback() const;     // 127.0.0.0/8, ::1
  bool IsLinkLocal() const;    // 169.254.0.0/16, fe80::/10
  bool IsMulticast() const;    // 224.0.0.0/4, ff00::/8
  bool IsBroadcast() const;    // 255.255.255.255 and the reserved 240.0.0.0/4 around it

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  bool v4_ = true;
  std::array<uint8_t, 16> octets_{};
};

// "10.0.0.0/8", "2001:db8::/32", or a bare address, which is a network of one. Host bits that are
// set are refused, for they mean that the writer meant something else.
class IpNetwork {
 public:
  static std::optional<IpNetwork> Parse(std::string_view text);
  bool Contains(const IpAddress& address) const;
  int prefix_bits() const { return prefix_bits_; }
  const IpAddress& base() const { return base_; }
  std::string ToString() const;

 private:
  IpAddress base_;
  int prefix_bits_ = 32;
};

struct Endpoint {
  IpAddress address;
  uint16_t port = 0;

  // "192.0.2.1:25", "[2001:db8::1]:25".
  std::string ToString() const;
  static std::optional<Endpoint> Parse(std::string_view text);

  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

}  // namespace holdfast::smtp
