#include "node/delivery/attempt_runner.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <functional>
#include <iterator>
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
    std::shared_ptr<AttemptTask> task;
    std::function<void(AttemptReport)> tell;  // nullptr: told already.
  };
  struct Waiting {
    std::shared_ptr<AttemptTask> task;
    Done done;
    absl::Time since;
  };
  // In the order of starting. Touched on the lane's thread only.
  std::map<uint64_t, UnderWay> under_way;
  uint64_t started = 0;
  // For one that was told already and may still have a connection in their slot, or soon get one.
  std::vector<Waiting> waiting;

  bool Lingers(const AttemptTask& task) const {
    return std::any_of(under_way.begin(), under_way.end(), [&task](const auto& item) {
      const UnderWay& one = item.second;
      return !one.tell && one.task->slot == task.slot && one.task->destination == task.destination;
    });
  }
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
    Begin(lane, task, done);
  });
}

void AttemptRunner::Begin(Lane& lane, const std::shared_ptr<AttemptTask>& task, const Done& done) {
  if (lane.Lingers(*task)) {
    lane.waiting.push_back({task, done, clock_.Now()});
    if (draining_.load()) AbortWaiting(lane, std::nullopt);
    return;
  }
  AttemptPlace place{lane.executor, *lane.resolver, *lane.pool};
  auto one = std::make_shared<AttemptConversation>(*this, std::move(place), task);
  const uint64_t number = ++lane.started;
  lane.under_way[number] = {one.get(), task,
                            [task, done](AttemptReport report) { done(task, std::move(report)); }};
  if (draining_.load()) (void)one->AbortBeforeDot();
  auto finish = [this, &lane, one, number](std::exception_ptr error, AttemptReport report) {
    HOLDFAST_CHECK(error == nullptr) << "an attempt threw an exception";
    const auto ended = lane.under_way.extract(number);
    running_.fetch_sub(1, std::memory_order_relaxed);
    if (ended.mapped().tell) ended.mapped().tell(std::move(report));
    for (const Lane::Waiting& next : std::exchange(lane.waiting, {})) {
      Begin(lane, next.task, next.done);
    }
  };
  boost::asio::co_spawn(lane.executor, RunConversation(one), std::move(finish));
}

void AttemptRunner::AbortWaiting(Lane& lane, std::optional<GroupId> group) {
  std::vector<Lane::Waiting> still;
  for (Lane::Waiting& one : std::exchange(lane.waiting, {})) {
    if (group && one.task->group != *group) {
      still.push_back(std::move(one));
      continue;
    }
    running_.fetch_sub(1, std::memory_order_relaxed);
    one.done(one.task, StoppedReport(*one.task, one.since, clock_.Now()));
  }
  lane.waiting.insert(lane.waiting.begin(), std::make_move_iterator(still.begin()),
                      std::make_move_iterator(still.end()));
}

void AttemptRunner::AbortIn(Lane& lane, std::optional<GroupId> group) {
  AbortWaiting(lane, group);
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
    boost::asio::post(lane->executor, [this, &lane = *lane] {
      AbortIn(lane, std::nullopt);
      lane.pool->Clear();
    });
  }
}

void AttemptRunner::AbortShortOfDot(GroupId group) {
  for (auto& lane : lanes_) {
    boost::asio::post(lane->executor, [this, &lane = *lane, group] { AbortIn(lane, group); });
  }
}

}  // namespace holdfast::node
