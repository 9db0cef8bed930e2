// base/context.h
// Context is a place where work runs one piece at a time: the raft context, the apply context, the
// storage context. Objects owned by a context are touched only inside it; others Post() to it.
// ThreadContext is a named thread; ManualContext runs when told (tests and the simulation).
//
// Threads: Post() and InContext() from anywhere.
// Limits:  ThreadContext holds at most `tasks_max` waiting tasks. Post() from inside the context
//          never waits and is not counted (work of our own that must not deadlock); Post() from
//          outside waits for room; TryPost() answers false instead.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <thread>

#include "base/mutex.h"

namespace holdfast {

class Context {
 public:
  using Task = std::function<void()>;
  virtual ~Context() = default;

  // Runs `task` later in this context, after all tasks posted before by the same poster. After
  // Stop() tasks are dropped; they may be destroyed on the posting thread.
  virtual void Post(Task task) = 0;
  // False, and nothing posted, when the bound is reached or the context has stopped.
  virtual bool TryPost(Task task) = 0;
  virtual bool InContext() const = 0;
};

class ThreadContext final : public Context {
 public:
  ThreadContext(std::string name, size_t tasks_max);
  ~ThreadContext() override;  // Stop().

  void Post(Task task) override;
  bool TryPost(Task task) override;
  bool InContext() const override;

  // Runs what was posted before, then ends the thread. Idempotent; not from inside the context.
  void Stop();
  size_t waiting() const;

 private:
  void Run();

  const std::string name_;
  const size_t tasks_max_;
  mutable Mutex mutex_;
  CondVar changed_;
  CondVar room_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

// Runs tasks only when RunAll() or RunOne() is called, on the caller's thread.
class ManualContext final : public Context {
 public:
  void Post(Task task) override { tasks_.push_back(std::move(task)); }
  bool TryPost(Task task) override {
    Post(std::move(task));
    return true;
  }
  bool InContext() const override { return true; }

  // False when there was nothing to run.
  bool RunOne();
  void RunAll() {
    while (RunOne()) {
    }
  }

 private:
  std::deque<Task> tasks_;
};

}  // namespace holdfast
