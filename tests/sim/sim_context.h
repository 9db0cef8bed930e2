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
    if (dead_) return;
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

  // The process died: what waited is forgotten, and what comes until Revive() too, for what dies
  // with the process may post once more.
  void Kill() {
    dead_ = true;
    std::deque<Task> forgotten;
    std::swap(forgotten, tasks_);
    forgotten.clear();
    awake_ = false;
  }
  void Revive() { dead_ = false; }

 private:
  const std::function<void()> wake_;
  std::deque<Task> tasks_;
  bool awake_ = false;
  bool dead_ = false;
};

}  // namespace holdfast::raft_test
