#include "node/delivery/attempt_runner.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <functional>
#include <map>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "node/delivery/attempt_conversation.h"
#include "smtp/client/connection_pool.h"
#include "smtp/dns/unbound_resolver.h"

namespace holdfast::node {

struct AttemptRunner::Lane {
  boost::asio::any_io_executor executor;
  std::unique_ptr<smtp::UnboundResolver> resolver;
  std::unique_ptr<smtp::ConnectionPool> pool;
  std::shared_ptr<const smtp::TlsContext> tls_opportunistic;
  std::shared_ptr<const smtp::TlsContext> tls_verify;
  // With whom to tell; nullptr: told already. Touched on the lane's thread only.
  std::map<AttemptConversation*, std::function<void(AttemptReport)>> under_way;
};

AttemptRunner::AttemptRunner(const AttemptRunnerOptions& options, IoPool& io,
                             const raft::Store& store, IntentRecorder& intents, const Clock& clock)
    : options_(options), io_(io), store_(store), intents_(intents), clock_(clock) {
  seed_ = Random::FromKernel().Next();
}

AttemptRunner::~AttemptRunner() = default;

absl::Status AttemptRunner::Open() {
  HOLDFAST_ASSIGN_OR_RETURN(auto opportunistic,
                            smtp::TlsContext::LoadClient({.verify = false, .roots_file = {}}));
  HOLDFAST_ASSIGN_OR_RETURN(auto verify,
                            smtp::TlsContext::LoadClient({.verify = true, .roots_file = {}}));
  smtp::UnboundResolverOptions resolver;
  for (const SocketAddress& forwarder : options_.resolver.forwarders) {
    const auto address = smtp::IpAddress::Parse(forwarder.ip);
    HOLDFAST_CHECK(address.has_value()) << forwarder.ToString();
    resolver.forwarders.push_back({*address, forwarder.port});
  }
  resolver.trust_anchor_file = options_.resolver.trust_anchor_file;
  resolver.timeout = options_.resolver.timeout;
  resolver.lookups_max = options_.resolver.questions_max;
  resolver.cache_bytes_max = options_.resolver.cache_bytes_max / io_.size();
  smtp::ConnectionPoolOptions pool;
  pool.idle_lifetime = options_.attempts.idle_connection_timeout;
  for (const boost::asio::any_io_executor& executor : io_.executors()) {
    auto lane = std::make_unique<Lane>();
    lane->executor = executor;
    HOLDFAST_ASSIGN_OR_RETURN(lane->resolver, smtp::UnboundResolver::Create(executor, resolver));
    lane->pool = std::make_unique<smtp::ConnectionPool>(executor, pool);
    lane->tls_opportunistic = opportunistic;
    lane->tls_verify = verify;
    lanes_.push_back(std::move(lane));
  }
  return absl::OkStatus();
}

AttemptRunner::Lane& AttemptRunner::LaneFor(const AttemptTask& task) {
  // A destination's attempts spread over the threads by slot, so that each slot finds its
  // connections again.
  return *lanes_[(std::hash<std::string>()(task.destination) + task.slot) % lanes_.size()];
}

namespace {

boost::asio::awaitable<AttemptReport> RunConversation(std::shared_ptr<AttemptConversation> one) {
  AttemptReport report = co_await one->Run();
  co_return report;
}

}  // namespace

void AttemptRunner::Start(std::shared_ptr<AttemptTask> task, Done done) {
  running_.fetch_add(1, std::memory_order_relaxed);
  Lane& lane = LaneFor(*task);
  boost::asio::post(lane.executor, [this, &lane, task = std::move(task), done = std::move(done)] {
    AttemptPlace place{lane.executor, *lane.resolver, *lane.pool, lane.tls_opportunistic,
                       lane.tls_verify};
    auto one = std::make_shared<AttemptConversation>(*this, std::move(place), task);
    lane.under_way.emplace(one.get(),
                           [task, done](AttemptReport report) { done(task, std::move(report)); });
    if (draining_.load()) (void)one->AbortBeforeDot();
    auto finish = [this, &lane, one](std::exception_ptr error, AttemptReport report) {
      HOLDFAST_CHECK(error == nullptr) << "an attempt threw an exception";
      const auto tell = lane.under_way.extract(one.get());
      running_.fetch_sub(1, std::memory_order_relaxed);
      if (tell.mapped()) tell.mapped()(std::move(report));
    };
    boost::asio::co_spawn(lane.executor, RunConversation(one), std::move(finish));
  });
}

void AttemptRunner::AbortIn(Lane& lane, std::optional<GroupId> group) {
  for (auto& [one, tell] : lane.under_way) {
    if (group && one->group() != *group) continue;
    if (!one->AbortBeforeDot() || !tell) continue;
    // It may wait long for a host that does not answer; a stop must not.
    std::exchange(tell, nullptr)(one->NotSent());
  }
}

void AttemptRunner::Drain() {
  draining_.store(true);
  for (auto& lane : lanes_) {
    boost::asio::post(lane->executor, [&lane = *lane] {
      AbortIn(lane, std::nullopt);
      lane.pool->Clear();
    });
  }
}

void AttemptRunner::AbortShortOfDot(GroupId group) {
  for (auto& lane : lanes_) {
    boost::asio::post(lane->executor, [&lane = *lane, group] { AbortIn(lane, group); });
  }
}

}  // namespace holdfast::node
