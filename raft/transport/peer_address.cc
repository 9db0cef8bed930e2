#include "raft/transport/peer_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace holdfast::raft {
namespace {

bool IsIpv6(const std::string& host) {
  in6_addr bytes{};
  return inet_pton(AF_INET6, host.c_str(), &bytes) == 1;
}

std::optional<uint16_t> ReadPort(std::string_view digits) {
  uint16_t port = 0;
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, port);
  if (error != std::errc() || stop != end) return std::nullopt;
  return port;
}

}  // namespace

std::string HostAndPort::ToString() const {
  const bool bracketed = host.find(':') != std::string::npos;
  return bracketed ? format("[{}]:{}", host, port) : format("{}:{}", host, port);
}

bool HostAndPort::IsLoopback() const {
  if (host == "::1") return true;
  in_addr four{};
  return inet_pton(AF_INET, host.c_str(), &four) == 1 && ntohl(four.s_addr) >> 24 == 127;
}

std::optional<HostAndPort> ReadHostAndPort(std::string_view text,
                                           std::optional<uint16_t> default_port) {
  // A slash would be a gRPC scheme, and what comes after a NUL nobody would see.
  constexpr std::string_view kNever(" \t\r\n/@\0", 7);
  if (text.size() > kPeerAddressBytesMax || text.find_first_of(kNever) != std::string_view::npos) {
    return std::nullopt;
  }
  std::string_view host = text;
  std::optional<std::string_view> digits;
  const bool bracketed = text.starts_with('[');
  const auto colons = std::count(text.begin(), text.end(), ':');
  if (bracketed) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    host = text.substr(1, close - 1);
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') return std::nullopt;
    if (!rest.empty()) digits = rest.substr(1);
  } else if (colons == 1) {
    host = text.substr(0, text.find(':'));
    digits = text.substr(text.find(':') + 1);
  }
  HostAndPort address{std::string(host), 0};
  if (host.empty() || host.find_first_of("[]") != std::string_view::npos) return std::nullopt;
  // Bare, it would lose its last group to the port.
  if ((bracketed || colons > 1) && !IsIpv6(address.host)) return std::nullopt;
  const std::optional<uint16_t> port = digits ? ReadPort(*digits) : default_port;
  if (!port) return std::nullopt;
  address.port = *port;
  return address;
}

}  // namespace holdfast::raft
