#include "node/node_shares.h"

#include <atomic>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/random.h"
#include "node/delivery/attempt_runner.h"

namespace holdfast::node {
namespace {

void AddGauges(const ShareExchange& shares, MetricRegistry& registry) {
  const auto add = [&registry](std::string_view name, std::string_view help,
                               const std::atomic<uint64_t>& value) {
    registry.AddGaugeFunction(name, help, [&value] { return static_cast<double>(value.load()); });
  };
  add("holdfast_limit_destinations", "Destinations with attempts of this node, now or lately.",
      shares.counts().destinations);
  add("holdfast_limit_shares", "Destinations of whose limit this node was granted a share.",
      shares.counts().grants);
  add("holdfast_limit_coordinated", "Destinations whose limit this node divides among nodes.",
      shares.counts().coordinated);
}

}  // namespace

std::unique_ptr<ShareExchange> MakeShares(const NodeShareParts& parts) {
  ShareExchange::Options options;
  options.self = parts.settings.node_id;
  options.boot_id = Random::FromKernel().Next();
  options.alone = parts.room.alone();
  options.queue_groups = parts.queue_groups;
  options.permits.idle_lifetime = OpenAfterAttempt(parts.settings.attempts);
  auto shares = std::make_unique<ShareExchange>(
      ShareExchange::Parts{
          [&host = parts.host] { return host.Statuses(); },
          [&host = parts.host](GroupId group) { return host.Status(group); },
          [&room = parts.room](NodeId to, std::string request, absl::Duration timeout, auto done) {
            room.Call(to, std::move(request), timeout, std::move(done));
          },
          [&room = parts.room](NodeId peer) -> std::optional<absl::Duration> {
            const std::optional<HeardBeat> beat = room.beats().Of(peer);
            if (!beat) return std::nullopt;
            return beat->heard;
          },
          parts.policy, parts.apply, parts.clock,
          [&duties = parts.duties](uint32_t group) { duties.at(group - 1)->Wake(); }},
      options);
  AddGauges(*shares, parts.registry);
  return shares;
}

}  // namespace holdfast::node
