#include "node/limits/destination_limits.h"

namespace holdfast::node {

queue::DestinationLimits LimitsOf(const PolicySnapshot& policy, std::string_view destination) {
  const DestinationSettings& settings = policy.DestinationFor(destination);
  queue::DestinationLimits limits;
  limits.concurrency_max = settings.connections_max;
  limits.recipients_per_transaction_max = settings.recipients_per_transaction_max;
  limits.messages_per_connection_max = settings.messages_per_connection_max;
  if (settings.message_rate) {
    limits.rate_messages = settings.message_rate->count;
    limits.rate_period = settings.message_rate->per;
  }
  return limits;
}

}  // namespace holdfast::node
