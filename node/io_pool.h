// node/io_pool.h
// IoPool is the io context of the process: a few threads, each with an io_context of its own, so
// that a session or an attempt stays on one thread and needs no lock.
// Threads:  executors() from anywhere. Stop() once, after everything that runs there has ended.
// Lifetime: outlives all sessions, attempts and timers.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace holdfast::node {

class IoPool {
 public:
  explicit IoPool(uint32_t threads);
  ~IoPool();
  IoPool(const IoPool&) = delete;
  IoPool& operator=(const IoPool&) = delete;

  void Start();
  // Lets what is ready run, then ends the threads. Idempotent.
  void Stop();

  boost::asio::io_context& first() { return members_.front()->context; }
  std::vector<boost::asio::any_io_executor> executors();
  // For spreading attempts: any number chooses a member.
  boost::asio::any_io_executor executor(uint64_t number);
  size_t size() const { return members_.size(); }

 private:
  struct Member {
    boost::asio::io_context context{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{
        context.get_executor()};
    std::thread thread;
  };
  std::vector<std::unique_ptr<Member>> members_;
};

}  // namespace holdfast::node
