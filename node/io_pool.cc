#include "node/io_pool.h"

#include <pthread.h>

#include "base/text.h"

namespace holdfast::node {

IoPool::IoPool(uint32_t threads) {
  for (uint32_t i = 0; i < (threads == 0 ? 1 : threads); ++i) {
    members_.push_back(std::make_unique<Member>());
  }
}

IoPool::~IoPool() { Stop(); }

void IoPool::Start() {
  int number = 0;
  for (auto& member : members_) {
    if (member->thread.joinable()) continue;
    member->thread = std::thread([context = &member->context] { context->run(); });
    pthread_setname_np(member->thread.native_handle(), format("hf-io{}", number++).c_str());
  }
}

void IoPool::Stop() {
  for (auto& member : members_) member->work.reset();
  for (auto& member : members_) {
    // Idle keep-alive timers and the like must not hold the end up.
    member->context.stop();
  }
  for (auto& member : members_) {
    if (member->thread.joinable()) member->thread.join();
  }
}

std::vector<boost::asio::any_io_executor> IoPool::executors() {
  std::vector<boost::asio::any_io_executor> result;
  for (auto& member : members_) result.emplace_back(member->context.get_executor());
  return result;
}

boost::asio::any_io_executor IoPool::executor(uint64_t number) {
  return members_[number % members_.size()]->context.get_executor();
}

}  // namespace holdfast::node
