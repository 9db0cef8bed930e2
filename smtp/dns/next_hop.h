// smtp/dns/next_hop.h
// Where mail goes next: what a route says, and the hosts and addresses that it came to. Pure.
// Threads: values and pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "smtp/protocol/reply.h"
#include "smtp/stream/ip_address.h"

namespace holdfast::smtp {

// A `next_hop` of the policy, or none: by the destination's own MX.
struct Route {
  enum class Kind {
    kMx,      // MX hosts of `host`, which is the destination or a smarthost's domain.
    kHost,    // The addresses of `host`, without MX lookup: "[mail.example]".
    kAddress  // One address: "[192.0.2.1]", "[2001:db8::1]:2525".
  };
  Kind kind = Kind::kMx;
  std::string host;  // Routing key of a domain; empty for kAddress.
  IpAddress address;
  uint16_t port = 25;
  // Somebody wrote this next hop down, which is permission for loopback, link-local and our own
  // addresses. Never set for what a stranger's DNS says.
  bool is_explicit = false;

  bool operator==(const Route&) const = default;
};

// The route to a destination without any rule. `destination` is the routing key of the
// recipient's domain: a name or an address literal ("[192.0.2.1]", RFC 5321 4.1.3). nullopt for a
// literal that is no IP address.
std::optional<Route> RouteByDestination(std::string_view destination);

// Reads "mx", "example.net", "[mail.example]", "[192.0.2.1]:2526". `destination` fills in for
// "mx". `port` is the default where the text has none. nullopt: malformed.
std::optional<Route> ParseRoute(std::string_view next_hop, std::string_view destination,
                                uint16_t port);

// One place to connect to.
struct NextHop {
  std::string host;  // The MX host's name, for SNI, logs and DSNs; "[192.0.2.1]" for an address.
  Endpoint endpoint;
  uint16_t preference = 0;
  bool secure = false;  // MX and address lookups were all validated by DNSSEC.

  bool operator==(const NextHop&) const = default;
};

// Why no place was found. The texts are ours.
struct RouteFailure {
  bool permanent = false;
  int code = 451;
  EnhancedCode enhanced{4, 4, 3};
  std::string text;

  bool operator==(const RouteFailure&) const = default;
};

struct RoutePlan {
  std::vector<NextHop> hops;            // In the order of attempts.
  std::optional<RouteFailure> failure;  // Exactly if hops is empty.
  // Hosts were left out because their lookup failed: when all hops fail too, it is temporary.
  bool incomplete = false;
};

}  // namespace holdfast::smtp
