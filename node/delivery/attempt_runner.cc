#include "node/delivery/attempt_runner.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <functional>
#include <map>
#include <utility>

#include "base/check.h"
#include "node/delivery/attempt_conversation.h"
#include "smtp/client/connection_pool.h"
#include "smtp/dns/resolver.h"

namespace holdfast::node {

struct AttemptRunner::Lane {
  boost::asio::any_io_executor executor;
  std::unique_ptr<smtp::Resolver> resolver;
  std::unique_ptr<smtp::ConnectionPool> pool;
  struct UnderWay {
    AttemptConversation* conversation;
    std::function<void(AttemptReport)> tell;  // nullptr: told already.
  };
  // In the order of starting. Touched on the lane's thread only.
  std::map<uint64_t, UnderWay> under_way;
  uint64_t started = 0;
};

absl::Duration OpenAfterAttempt(const AttemptSettings& settings) {
  return settings.idle_connection_timeout + smtp::ClientTimeouts().quit;
}

AttemptRunner::AttemptRunner(const AttemptRunnerOptions& options, AttemptEdges edges,
                             const raft::Store& store, IntentRecorder& intents, const Clock& clock)
    : options_(options),
      connector_(edges.connector),
      tls_opportunistic_(std::move(edges.tls_opportunistic)),
      tls_verify_(std::move(edges.tls_verify)),
      store_(store),
      intents_(intents),
      clock_(clock),
      seed_(edges.seed) {
  HOLDFAST_CHECK(connector_ != nullptr && !edges.lanes.empty());
  smtp::ConnectionPoolOptions pool;
  pool.idle_lifetime = options_.attempts.idle_connection_timeout;
  for (AttemptEdges::Lane& edge : edges.lanes) {
    auto lane = std::make_unique<Lane>();
    lane->executor = edge.executor;
    lane->resolver = std::move(edge.resolver);
    lane->pool = std::make_unique<smtp::ConnectionPool>(edge.executor, pool);
    lanes_.push_back(std::move(lane));
  }
}

AttemptRunner::~AttemptRunner() = default;

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
    AttemptPlace place{lane.executor, *lane.resolver, *lane.pool};
    auto one = std::make_shared<AttemptConversation>(*this, std::move(place), task);
    const uint64_t number = ++lane.started;
    lane.under_way[number] = {
        one.get(), [task, done](AttemptReport report) { done(task, std::move(report)); }};
    if (draining_.load()) (void)one->AbortBeforeDot();
    auto finish = [this, &lane, one, number](std::exception_ptr error, AttemptReport report) {
      HOLDFAST_CHECK(error == nullptr) << "an attempt threw an exception";
      const auto ended = lane.under_way.extract(number);
      running_.fetch_sub(1, std::memory_order_relaxed);
      if (ended.mapped().tell) ended.mapped().tell(std::move(report));
    };
    boost::asio::co_spawn(lane.executor, RunConversation(one), std::move(finish));
  });
}

void AttemptRunner::AbortIn(Lane& lane, std::optional<GroupId> group) {
  for (auto& [number, one] : lane.under_way) {
    if (group && one.conversation->group() != *group) continue;
    if (!one.conversation->AbortBeforeDot() || !one.tell) continue;
    // It may wait long for a host that does not answer; a stop must not.
    std::exchange(one.tell, nullptr)(one.conversation->NotSent());
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
