#include "smtp/stream/ip_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/text.h"

namespace holdfast::smtp {
namespace {

constexpr size_t kTextBytesMax = 45;  // INET6_ADDRSTRLEN without its terminator.

std::optional<int> ParseNumber(std::string_view text, int max) {
  if (text.empty() || text.size() > 5) return std::nullopt;
  int value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (value < 0 || value > max) return std::nullopt;
  return value;
}

}  // namespace

IpAddress IpAddress::V4(const std::array<uint8_t, 4>& octets) {
  IpAddress address;
  std::copy(octets.begin(), octets.end(), address.octets_.begin());
  return address;
}

IpAddress IpAddress::V6(const std::array<uint8_t, 16>& octets) {
  static constexpr std::array<uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::equal(kMapped.begin(), kMapped.end(), octets.begin())) {
    return V4({octets[12], octets[13], octets[14], octets[15]});
  }
  IpAddress address;
  address.v4_ = false;
  address.octets_ = octets;
  return address;
}

std::optional<IpAddress> IpAddress::Parse(std::string_view text) {
  if (text.empty() || text.size() > kTextBytesMax) return std::nullopt;
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  const std::string terminated(text);
  std::array<uint8_t, 4> v4;
  if (inet_pton(AF_INET, terminated.c_str(), v4.data()) == 1) return V4(v4);
  std::array<uint8_t, 16> v6;
  if (inet_pton(AF_INET6, terminated.c_str(), v6.data()) == 1) return V6(v6);
  return std::nullopt;
}

std::string IpAddress::ToString() const {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(v4_ ? AF_INET : AF_INET6, octets_.data(), text, sizeof text);
  return text;
}

std::string IpAddress::ToLiteral() const {
  return v4_ ? format("[{}]", ToString()) : format("[IPv6:{}]", ToString());
}

bool IpAddress::IsUnspecified() const {
  if (v4_) return octets_[0] == 0;
  return std::all_of(octets_.begin(), octets_.end(), [](uint8_t octet) { return octet == 0; });
}

bool IpAddress::IsLoopback() const {
  if (v4_) return octets_[0] == 127;
  return octets_[15] == 1 &&
         std::all_of(octets_.begin(), octets_.end() - 1, [](uint8_t octet) { return octet == 0; });
}

bool IpAddress::IsLinkLocal() const {
  if (v4_) return octets_[0] == 169 && octets_[1] == 254;
  return octets_[0] == 0xfe && (octets_[1] & 0xc0) == 0x80;
}

bool IpAddress::IsMulticast() const {
  return v4_ ? (octets_[0] & 0xf0) == 0xe0 : octets_[0] == 0xff;
}

bool IpAddress::IsBroadcast() const { return v4_ && octets_[0] >= 0xf0; }

std::optional<IpNetwork> IpNetwork::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  const std::string_view base = text.substr(0, slash);
  std::optional<IpAddress> address = IpAddress::Parse(base);
  if (!address) return std::nullopt;
  // The prefix of a mapped address would count from another place than its text suggests.
  if (address->is_v4() && base.find(':') != std::string_view::npos) return std::nullopt;
  const int bits = address->is_v4() ? 32 : 128;
  IpNetwork network;
  network.base_ = *address;
  network.prefix_bits_ = bits;
  if (slash != std::string_view::npos) {
    std::optional<int> prefix = ParseNumber(text.substr(slash + 1), bits);
    if (!prefix) return std::nullopt;
    network.prefix_bits_ = *prefix;
  }
  for (int bit = network.prefix_bits_; bit < bits; ++bit) {
    if (address->octets()[bit / 8] & (0x80 >> (bit % 8))) return std::nullopt;
  }
  return network;
}

bool IpNetwork::Contains(const IpAddress& address) const {
  if (address.is_v4() != base_.is_v4()) return false;
  const int whole = prefix_bits_ / 8;
  if (std::memcmp(address.octets().data(), base_.octets().data(), whole) != 0) return false;
  const int rest = prefix_bits_ % 8;
  if (rest == 0) return true;
  const uint8_t mask = static_cast<uint8_t>(0xff << (8 - rest));
  return ((address.octets()[whole] ^ base_.octets()[whole]) & mask) == 0;
}

std::string IpNetwork::ToString() const { return format("{}/{}", base_.ToString(), prefix_bits_); }

std::string Endpoint::ToString() const {
  if (address.is_v4()) return format("{}:{}", address.ToString(), port);
  return format("[{}]:{}", address.ToString(), port);
}

std::optional<Endpoint> Endpoint::Parse(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  std::optional<IpAddress> address = IpAddress::Parse(host);
  std::optional<int> port = ParseNumber(text.substr(colon + 1), 65535);
  if (!address || !port) return std::nullopt;
  // Without brackets the last group of an IPv6 address would pass for a port.
  if (!bracketed && host.find(':') != std::string_view::npos) return std::nullopt;
  return Endpoint{*address, static_cast<uint16_t>(*port)};
}

}  // namespace holdfast::smtp
