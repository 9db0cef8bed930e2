// tests/testing/await.h
// Runs awaitables from a test. Await() runs the io context until one is done; Start() lets several
// run side by side, and Get() of each runs the context until that one is done.
//
//   absl::Status written = Await(io, stream.Write("x"));
//   auto server = Start(io, Serve(...));  ...  server.Get();
//
// Threads: the test's own; the io context runs only inside these calls.
// Errors:  an exception out of a coroutine is rethrown; a coroutine that never ends CHECK-fails
// after
//          a minute.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "base/check.h"

namespace holdfast::testing {

struct Nothing {};

// Turns awaitable<void> into one with a value, so that there is one kind.
template <typename T>
boost::asio::awaitable<T> WithValue(boost::asio::awaitable<T> awaitable) {
  return awaitable;
}
inline boost::asio::awaitable<Nothing> WithValue(boost::asio::awaitable<void> awaitable) {
  co_await std::move(awaitable);
  co_return Nothing{};
}

template <typename T>
class Started {
 public:
  Started(boost::asio::io_context& io, boost::asio::awaitable<T> awaitable)
      : io_(io), state_(std::make_shared<State>()) {
    boost::asio::co_spawn(io, std::move(awaitable),
                          [state = state_](std::exception_ptr error, T value) {
                            state->error = error;
                            state->value = std::move(value);
                          });
  }

  bool done() const { return state_->value.has_value(); }

  T Get() {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (!done()) {
      if (io_.stopped()) io_.restart();
      io_.run_one_until(give_up);
      HOLDFAST_CHECK(done() || std::chrono::steady_clock::now() < give_up)
          << "a coroutine that does not end";
    }
    if (state_->error) std::rethrow_exception(state_->error);
    return *std::move(state_->value);
  }

 private:
  struct State {
    std::exception_ptr error;
    std::optional<T> value;
  };
  boost::asio::io_context& io_;
  std::shared_ptr<State> state_;
};

template <typename T>
auto Start(boost::asio::io_context& io, boost::asio::awaitable<T> awaitable) {
  auto with_value = WithValue(std::move(awaitable));
  return Started<typename decltype(with_value)::value_type>(io, std::move(with_value));
}

template <typename T>
auto Await(boost::asio::io_context& io, boost::asio::awaitable<T> awaitable) {
  return Start(io, std::move(awaitable)).Get();
}

}  // namespace holdfast::testing
