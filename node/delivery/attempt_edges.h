// node/delivery/attempt_edges.h
// AttemptEdges is what attempts need of the world: threads, names, connections, TLS. NetworkEdges()
// makes the real one; a simulation has its own.
// Threads: made before the attempts begin. Resolvers belong to their executor.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/status.h"
#include "node/config/settings.h"
#include "node/io_pool.h"
#include "smtp/dns/resolver.h"
#include "smtp/stream/connector.h"
#include "smtp/stream/tls_context.h"

namespace holdfast::node {

struct AttemptEdges {
  // Attempts spread over the lanes; each stays on its own.
  struct Lane {
    boost::asio::any_io_executor executor;
    std::unique_ptr<smtp::Resolver> resolver;
  };
  std::vector<Lane> lanes;
  // Outlives all attempts.
  smtp::Connector* connector = nullptr;
  // Required by policies that want TLS.
  std::shared_ptr<const smtp::TlsContext> tls_opportunistic;
  std::shared_ptr<const smtp::TlsContext> tls_verify;
  // Of what attempts draw by lot, as the order of equal hosts.
  uint64_t seed = 0;
};

// A lane for each of the pool's threads. kInvalidArgument, kUnavailable: no resolver or roots.
absl::StatusOr<AttemptEdges> NetworkEdges(IoPool& io, const ResolverSettings& settings);

}  // namespace holdfast::node
