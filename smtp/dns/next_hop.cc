#include "smtp/dns/next_hop.h"

#include <charconv>
#include <utility>

#include "smtp/protocol/address.h"

namespace holdfast::smtp {
namespace {

constexpr std::string_view kIpv6Tag = "IPv6:";

// "[192.0.2.1]" and "[2001:db8::1]", with the tag of RFC 5321 4.1.3 or without.
std::optional<IpAddress> AddressInside(std::string_view inside) {
  if (inside.size() > kIpv6Tag.size() &&
      EqualsIgnoreCase(inside.substr(0, kIpv6Tag.size()), kIpv6Tag)) {
    inside.remove_prefix(kIpv6Tag.size());
    const std::optional<IpAddress> address = IpAddress::Parse(inside);
    if (inside.find(':') == std::string_view::npos) return std::nullopt;
    return address;
  }
  return IpAddress::Parse(inside);
}

std::optional<uint16_t> ParsePort(std::string_view text) {
  uint16_t port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

std::optional<Route> ParseBracketed(std::string_view text, uint16_t port) {
  const size_t close = text.find(']');
  if (close == std::string_view::npos) return std::nullopt;
  Route route;
  route.port = port;
  route.is_explicit = true;
  const std::string_view rest = text.substr(close + 1);
  if (!rest.empty()) {
    if (rest.front() != ':') return std::nullopt;
    const std::optional<uint16_t> own_port = ParsePort(rest.substr(1));
    if (!own_port) return std::nullopt;
    route.port = *own_port;
  }
  const std::string_view inside = text.substr(1, close - 1);
  if (const std::optional<IpAddress> address = AddressInside(inside)) {
    route.kind = Route::Kind::kAddress;
    route.address = *address;
    return route;
  }
  std::optional<std::string> host = DomainKey(inside);
  if (!host || host->front() == '[') return std::nullopt;
  route.kind = Route::Kind::kHost;
  route.host = *std::move(host);
  return route;
}

}  // namespace

std::optional<Route> RouteByDestination(std::string_view destination) {
  Route route;
  if (!destination.empty() && destination.front() == '[') {
    if (destination.back() != ']') return std::nullopt;
    const std::optional<IpAddress> address =
        AddressInside(destination.substr(1, destination.size() - 2));
    if (!address) return std::nullopt;
    route.kind = Route::Kind::kAddress;
    route.address = *address;
    return route;
  }
  route.host = std::string(destination);
  return route;
}

std::optional<Route> ParseRoute(std::string_view next_hop, std::string_view destination,
                                uint16_t port) {
  if (next_hop.empty() || port == 0) return std::nullopt;
  if (next_hop == "mx") {
    std::optional<Route> route = RouteByDestination(destination);
    if (route) route->port = port;
    return route;
  }
  if (next_hop.front() == '[') return ParseBracketed(next_hop, port);
  std::optional<std::string> host = DomainKey(next_hop);
  // A bare address would otherwise pass for a name with a numeric top-level domain.
  if (!host || IpAddress::Parse(next_hop)) return std::nullopt;
  Route route;
  route.host = *std::move(host);
  route.port = port;
  route.is_explicit = true;
  return route;
}

}  // namespace holdfast::smtp
