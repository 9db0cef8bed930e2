#include "node/limits/share_types.h"

#include <algorithm>
#include <cmath>

#include "base/crc32c.h"

namespace holdfast::node {
namespace {

// A node uses this part of its floor without asking.
constexpr double kFreePart = 0.25;

}  // namespace

queue::Allowance LimitOf(const queue::DestinationLimits& limits) {
  return {static_cast<double>(std::max(limits.concurrency_max, 1u)),
          static_cast<double>(limits.rate_messages)};
}

queue::Allowance FloorOf(const queue::DestinationLimits& limits, size_t voters) {
  const queue::Allowance all = LimitOf(limits);
  const auto nodes = static_cast<double>(std::max<size_t>(voters, 1));
  return {std::max(std::floor(all.connections / nodes), 1.0), all.messages / nodes};
}

queue::Allowance FreeOf(const queue::DestinationLimits& limits, size_t voters) {
  const queue::Allowance floor = FloorOf(limits, voters);
  const bool enough = LimitOf(limits).connections >= static_cast<double>(voters);
  const double connections = std::max(std::floor(floor.connections * kFreePart), 1.0);
  return {enough ? connections : 0.0, floor.messages * kFreePart};
}

queue::Allowance Least(const queue::Allowance& one, const queue::Allowance& other) {
  return {std::min(one.connections, other.connections), std::min(one.messages, other.messages)};
}

queue::Allowance Most(const queue::Allowance& one, const queue::Allowance& other) {
  return {std::max(one.connections, other.connections), std::max(one.messages, other.messages)};
}

GroupId CoordinatorGroup(std::string_view destination, uint32_t queue_groups) {
  return GroupId{1 + Crc32c(destination) % std::max(queue_groups, 1u)};
}

}  // namespace holdfast::node
