// node/await_callback.h
// AwaitCallback turns "call me back from another thread" into an awaitable that resumes on the
// coroutine's own executor:
//
//   auto start = [&host, group](auto done) { host.Propose(group, ..., std::move(done)); };
//   ProposeResult result = co_await AwaitCallback<ProposeResult>(start);
//
// Threads:  `done` may be called on any thread, exactly once. The coroutine resumes on its own
//           executor, never inside `done`.
// Lifetime: if `done` is never called the coroutine stays suspended; so whoever promises callbacks
//           must answer them all before the io contexts go away (GroupHost::Stop() does).
#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <memory>
#include <utility>

namespace holdfast::node {

// `Start` is copied; T must be default-constructible and movable.
template <typename T, typename Start>
boost::asio::awaitable<T> AwaitCallback(Start start) {
  auto initiate = [start = std::move(start)](auto handler) mutable {
    using Handler = decltype(handler);
    auto executor = boost::asio::get_associated_executor(handler);
    auto shared = std::make_shared<Handler>(std::move(handler));
    start([shared, work = boost::asio::make_work_guard(executor), executor](T value) mutable {
      auto held = std::make_shared<T>(std::move(value));
      boost::asio::post(executor, [shared = std::move(shared), held] {
        Handler resume = std::move(*shared);
        std::move(resume)(std::move(*held));
      });
    });
  };
  auto operation = boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(T)>(
      std::move(initiate), boost::asio::use_awaitable);
  T result = co_await std::move(operation);
  co_return result;
}

}  // namespace holdfast::node
