// smtp/dns/mx_plan.h
// MxPlan turns DNS answers into an ordered list of hosts and addresses (RFC 5321 section 5.1, RFC
// 7505). It decides and never asks: mx_lookup.h asks for it.
//
//   MxPlan plan(route, options, seed);
//   if (plan.wants_mx()) plan.OnMx(answer);
//   while (std::optional<std::string> host = plan.NextHost()) plan.OnAddresses(a, aaaa);
//   RoutePlan result = plan.Finish();
//
// Rules, with their sources beside the code: equal preferences are shuffled; a domain with MX
// records never falls back to its own address; not knowing is temporary, not existing permanent;
// one MX host whose lookup fails does not block the next; what is wrong with a route that a person
// wrote is never permanent; a host that is ourselves removes itself and all that are not better;
// addresses that no mail should go to are dropped unless a person wrote the route.
// Threads: thread-compatible; pure, luck arrives as `seed`.
// Limits:  MxPlanOptions. Memory is one answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "smtp/dns/dns_records.h"
#include "smtp/dns/next_hop.h"
#include "smtp/stream/ip_address.h"

namespace holdfast::smtp {

struct MxPlanOptions {
  // RFC 5321 5.1 wants at least two addresses tried; more than a few only lengthens the wait.
  size_t addresses_max = 5;
  size_t addresses_per_host_max = 3;
  size_t hosts_max = 10;  // MX hosts looked up.
  bool use_ipv4 = true;
  bool use_ipv6 = true;
  // Mail to user@[192.0.2.1]. Off: refused as permanent.
  bool allow_address_literals = false;
  // Names (lower case) and addresses under which any member of this cluster receives mail.
  std::set<std::string> own_names;
  std::set<IpAddress> own_addresses;
};

// Why a next hop found in DNS may not be used; nullptr if it may. `own` is not looked at.
const char* DeniedReason(const IpAddress& address);

class MxPlan {
 public:
  MxPlan(Route route, const MxPlanOptions& options, uint64_t seed);

  // OnMx() must be called first.
  bool wants_mx() const { return wants_mx_; }
  const Route& route() const { return route_; }
  void OnMx(const MxAnswer& answer);

  // The host whose addresses are needed next; OnAddresses() answers for it. Nothing: enough is
  // known. A family that the options exclude may be passed as kNoData.
  std::optional<std::string> NextHost();
  void OnAddresses(const AddressAnswer& ipv4, const AddressAnswer& ipv6);

  // Call when NextHost() has nothing more.
  RoutePlan Finish();

 private:
  struct Host {
    std::string name;
    uint16_t preference = 0;
  };

  void PlanLiteral();
  void KeepMxHosts(const std::vector<MxRecord>& records);
  void RemoveFrom(uint16_t preference);
  void Fail(bool permanent, int code, EnhancedCode enhanced, std::string text);
  uint64_t Draw(uint64_t bound);
  void Shuffle(std::vector<IpAddress>& addresses);
  RouteFailure NothingUsable() const;

  const Route route_;
  const MxPlanOptions options_;
  uint64_t luck_;
  bool wants_mx_ = false;
  bool implicit_mx_ = false;  // No MX records: the domain itself is the host.
  bool mx_secure_ = false;
  std::vector<Host> hosts_;
  size_t next_host_ = 0;
  std::vector<NextHop> hops_;
  std::optional<RouteFailure> failure_;
  // What became of hosts that gave no hop, for the reason to report.
  bool lookup_failed_ = false;
  std::string lookup_failed_why_;
  bool loops_ = false;
  std::string denied_why_;
};

}  // namespace holdfast::smtp
