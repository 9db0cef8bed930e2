#include "node/delivery/attempt_edges.h"

#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "smtp/dns/unbound_resolver.h"
#include "smtp/stream/tcp_stream.h"

namespace holdfast::node {

absl::StatusOr<AttemptEdges> NetworkEdges(IoPool& io, const ResolverSettings& settings) {
  AttemptEdges edges;
  HOLDFAST_ASSIGN_OR_RETURN(edges.tls_opportunistic,
                            smtp::TlsContext::LoadClient({.verify = false, .roots_file = {}}));
  HOLDFAST_ASSIGN_OR_RETURN(edges.tls_verify,
                            smtp::TlsContext::LoadClient({.verify = true, .roots_file = {}}));
  edges.connector = &smtp::TcpConnector();
  edges.seed = Random::FromKernel().Next();
  smtp::UnboundResolverOptions resolver;
  for (const SocketAddress& forwarder : settings.forwarders) {
    const auto address = smtp::IpAddress::Parse(forwarder.ip);
    HOLDFAST_CHECK(address.has_value()) << forwarder.ToString();
    resolver.forwarders.push_back({*address, forwarder.port});
  }
  resolver.trust_anchor_file = settings.trust_anchor_file;
  resolver.timeout = settings.timeout;
  resolver.lookups_max = settings.questions_max;
  resolver.cache_bytes_max = settings.cache_bytes_max / io.size();
  for (const boost::asio::any_io_executor& executor : io.executors()) {
    HOLDFAST_ASSIGN_OR_RETURN(auto made, smtp::UnboundResolver::Create(executor, resolver));
    edges.lanes.push_back({executor, std::move(made)});
  }
  return edges;
}

}  // namespace holdfast::node
