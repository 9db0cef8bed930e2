#include "smtp/dns/mx_lookup.h"

#include <optional>
#include <string>
#include <utility>

namespace holdfast::smtp {

asio::awaitable<RoutePlan> PlanRoute(Resolver& resolver, Route route, MxPlanOptions options,
                                     uint64_t seed) {
  MxPlan plan(std::move(route), options, seed);
  if (plan.wants_mx()) {
    MxAnswer answer = co_await resolver.LookupMx(plan.route().host);
    plan.OnMx(answer);
  }
  while (true) {
    const std::optional<std::string> host = plan.NextHost();
    if (!host) break;
    AddressAnswer ipv4;
    AddressAnswer ipv6;
    ipv4.status = ipv6.status = DnsStatus::kNoData;
    if (options.use_ipv4) ipv4 = co_await resolver.LookupA(*host);
    if (options.use_ipv6) ipv6 = co_await resolver.LookupAaaa(*host);
    plan.OnAddresses(ipv4, ipv6);
  }
  co_return plan.Finish();
}

}  // namespace holdfast::smtp
