// node/limits/destination_limits.h
// What policy says about a destination, as the scheduler wants it. Threads: any.
#pragma once

#include <string_view>

#include "node/control/policy.h"
#include "queue/schedule/scheduler_types.h"

namespace holdfast::node {

queue::DestinationLimits LimitsOf(const PolicySnapshot& policy, std::string_view destination);

}  // namespace holdfast::node
