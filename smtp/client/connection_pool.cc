#include "smtp/client/connection_pool.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <chrono>
#include <utility>

#include "smtp/stream/timer.h"

namespace holdfast::smtp {
namespace {

// Owns the connection until it is closed. Never throws: Quit() turns all errors into a close.
asio::awaitable<void> EndPolitely(std::unique_ptr<Connection> connection) {
  co_await connection->Quit();
}

}  // namespace

// Shared with the timer's callback, which may run once more after the pool has gone.
struct ConnectionPool::State : std::enable_shared_from_this<ConnectionPool::State> {
  struct Idle {
    ConnectionKey key;
    std::unique_ptr<Connection> connection;
    TimerClock::time_point until;
  };

  State(asio::any_io_executor on, const ConnectionPoolOptions& with)
      : options(with), executor(std::move(on)), timer(executor) {}

  void End(std::unique_ptr<Connection> connection) {
    asio::co_spawn(executor, EndPolitely(std::move(connection)), asio::detached);
  }

  // The front is the longest idle, so one timer for it serves all.
  void Arm() {
    if (armed || idle.empty()) return;
    armed = true;
    timer.expires_at(idle.front().until);
    timer.async_wait([weak = weak_from_this()](const boost::system::error_code&) {
      if (std::shared_ptr<State> state = weak.lock()) state->OnTimer();
    });
  }

  void OnTimer() {
    armed = false;
    const TimerClock::time_point now = TimerClock::now();
    while (!idle.empty() && idle.front().until <= now) {
      End(std::move(idle.front().connection));
      idle.pop_front();
    }
    Arm();
  }

  const ConnectionPoolOptions options;
  const asio::any_io_executor executor;
  Timer timer;
  bool armed = false;
  std::list<Idle> idle;  // In the order of coming.
};

ConnectionPool::ConnectionPool(asio::any_io_executor executor, const ConnectionPoolOptions& options)
    : state_(std::make_shared<State>(std::move(executor), options)) {}

ConnectionPool::~ConnectionPool() { state_->timer.cancel(); }

std::unique_ptr<Connection> ConnectionPool::Take(const ConnectionKey& key) {
  // The latest first: it has had the least time to die.
  for (auto idle = state_->idle.end(); idle != state_->idle.begin();) {
    --idle;
    if (idle->key != key) continue;
    std::unique_ptr<Connection> connection = std::move(idle->connection);
    idle = state_->idle.erase(idle);
    if (connection->quiet()) return connection;
    connection->Close();  // It said 421, or closed; QUIT would tell nobody.
  }
  return nullptr;
}

void ConnectionPool::Give(const ConnectionKey& key, std::unique_ptr<Connection> connection) {
  if (!connection->reusable() || !connection->quiet() || state_->options.idle_max == 0) {
    state_->End(std::move(connection));
    return;
  }
  if (state_->idle.size() >= state_->options.idle_max) {
    state_->End(std::move(state_->idle.front().connection));
    state_->idle.pop_front();
  }
  const auto lifetime = absl::ToChronoNanoseconds(state_->options.idle_lifetime);
  state_->idle.push_back({key, std::move(connection), TimerClock::now() + lifetime});
  state_->Arm();
}

void ConnectionPool::Clear() {
  for (State::Idle& idle : state_->idle) state_->End(std::move(idle.connection));
  state_->idle.clear();
  state_->timer.cancel();
}

size_t ConnectionPool::idle() const { return state_->idle.size(); }

}  // namespace holdfast::smtp
