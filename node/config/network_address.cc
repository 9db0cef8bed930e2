#include "node/config/network_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace holdfast::node {
namespace {

constexpr int kMappedPrefixBits = 96;
constexpr AddressBytes kMappedBase{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0};

// Decimal digits alone, no sign, at most `max`.
std::optional<uint32_t> ParseNumber(std::string_view text, uint32_t max) {
  uint32_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value > max) return std::nullopt;
  return value;
}

bool SamePrefix(const AddressBytes& left, const AddressBytes& right, int bits) {
  const size_t whole = static_cast<size_t>(bits) / 8;
  if (std::memcmp(left.data(), right.data(), whole) != 0) return false;
  const int rest = bits % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<uint8_t>(0xff << (8 - rest));
  return (left[whole] & mask) == (right[whole] & mask);
}

}  // namespace

std::optional<AddressBytes> ParseIpAddress(std::string_view text) {
  if (text.size() >= INET6_ADDRSTRLEN) return std::nullopt;
  const std::string terminated(text);
  if (terminated.size() != std::strlen(terminated.c_str())) return std::nullopt;
  AddressBytes bytes = kMappedBase;
  if (inet_pton(AF_INET, terminated.c_str(), bytes.data() + 12) == 1) return bytes;
  if (inet_pton(AF_INET6, terminated.c_str(), bytes.data()) == 1) return bytes;
  return std::nullopt;
}

bool IsLoopback(const AddressBytes& address) {
  constexpr AddressBytes kLoopback6{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  if (address == kLoopback6) return true;
  return SamePrefix(address, kMappedBase, kMappedPrefixBits) && address[12] == 127;
}

std::optional<SocketAddress> SocketAddress::Parse(std::string_view text,
                                                  std::optional<uint16_t> default_port) {
  std::string_view host = text;
  std::optional<std::string_view> port_text;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    host = text.substr(1, close - 1);
    if (host.find(':') == std::string_view::npos) return std::nullopt;
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty()) {
      if (rest[0] != ':') return std::nullopt;
      port_text = rest.substr(1);
    }
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    const size_t colon = text.find(':');
    host = text.substr(0, colon);
    port_text = text.substr(colon + 1);
  }
  if (!ParseIpAddress(host)) return std::nullopt;
  SocketAddress result{std::string(host), default_port.value_or(0)};
  if (port_text) {
    const std::optional<uint32_t> port = ParseNumber(*port_text, 65535);
    if (!port) return std::nullopt;
    result.port = static_cast<uint16_t>(*port);
  } else if (!default_port) {
    return std::nullopt;
  }
  return result;
}

std::string SocketAddress::ToString() const {
  if (ip.find(':') != std::string::npos) return fmt::format("[{}]:{}", ip, port);
  return fmt::format("{}:{}", ip, port);
}

bool SocketAddress::IsLoopback() const {
  const std::optional<AddressBytes> bytes = ParseIpAddress(ip);
  return bytes && node::IsLoopback(*bytes);
}

std::optional<Network> Network::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  const std::optional<AddressBytes> base = ParseIpAddress(text.substr(0, slash));
  if (!base) return std::nullopt;
  Network network;
  network.base = *base;
  network.is_ipv4 = text.substr(0, slash).find(':') == std::string_view::npos;
  if (slash != std::string_view::npos) {
    const std::optional<uint32_t> length =
        ParseNumber(text.substr(slash + 1), network.is_ipv4 ? 32 : 128);
    if (!length) return std::nullopt;
    network.prefix_bits = static_cast<int>(*length) + (network.is_ipv4 ? kMappedPrefixBits : 0);
  }
  for (int bit = network.prefix_bits; bit < 128; ++bit) {
    if ((network.base[bit / 8] >> (7 - bit % 8)) & 1) return std::nullopt;
  }
  return network;
}

bool Network::Contains(const AddressBytes& address) const {
  return SamePrefix(base, address, prefix_bits);
}

bool Network::CoversAllIpv4() const {
  return prefix_bits <= kMappedPrefixBits && Contains(kMappedBase);
}

}  // namespace holdfast::node
