// tests/sim/sim_context.h
// A Context whose tasks run one at a time, each when the simulation says so.
// Threads: one. Lifetime: `wake` is called from Post() while nobody has been woken yet.
#pragma once

#include <deque>
#include <functional>
#include <utility>

#include "base/context.h"

namespace holdfast::raft_test {

class SimContext final : public Context {
 public:
  explicit SimContext(std::function<void()> wake) : wake_(std::move(wake)) {}

  void Post(Task task) override {
    tasks_.push_back(std::move(task));
    if (awake_) return;
    awake_ = true;
    wake_();
  }
  bool TryPost(Task task) override {
    Post(std::move(task));
    return true;
  }
  // There is one thread, and it is this one; GroupHost takes that for "run me by hand".
  bool InContext() const override { return true; }

  // The oldest task, then a wake-up for the next one.
  void RunOne() {
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    task();
  }
  // After RunOne(): asks to be woken again, or goes to sleep.
  void Rest() {
    awake_ = !tasks_.empty();
    if (awake_) wake_();
  }
  bool idle() const { return tasks_.empty(); }

  // The process died: what waited is forgotten.
  void Clear() {
    std::deque<Task> forgotten;
    std::swap(forgotten, tasks_);
    awake_ = true;  // Tasks may post when they are destroyed; nobody is to be woken for those.
    forgotten.clear();
    tasks_.clear();
    awake_ = false;
  }

 private:
  const std::function<void()> wake_;
  std::deque<Task> tasks_;
  bool awake_ = false;
};

}  // namespace holdfast::raft_test
