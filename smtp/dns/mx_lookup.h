// smtp/dns/mx_lookup.h
// PlanRoute asks DNS what an MxPlan wants to know. It decides nothing.
// Threads: the resolver's io context.
// Limits:  those of MxPlanOptions; the resolver bounds the time of each lookup.
#pragma once

#include <cstdint>

#include "smtp/dns/mx_plan.h"
#include "smtp/dns/next_hop.h"
#include "smtp/dns/resolver.h"
#include "smtp/stream/asio.h"

namespace holdfast::smtp {

// `resolver` outlives the coroutine. `seed` shuffles hosts of equal preference: draw it anew each
// time, so that they share the load.
asio::awaitable<RoutePlan> PlanRoute(Resolver& resolver, Route route, MxPlanOptions options,
                                     uint64_t seed);

}  // namespace holdfast::smtp
