#include "base/context.h"

#include <pthread.h>

#include <utility>

#include "base/check.h"

namespace holdfast {

ThreadContext::ThreadContext(std::string name, size_t tasks_max)
    : name_(std::move(name)), tasks_max_(tasks_max), thread_([this] { Run(); }) {
  // The kernel keeps 15 characters of a thread's name.
  pthread_setname_np(thread_.native_handle(), name_.substr(0, 15).c_str());
}

ThreadContext::~ThreadContext() { Stop(); }

void ThreadContext::Post(Task task) {
  const bool inside = InContext();
  {
    MutexLock lock(mutex_);
    while (!inside && !stopping_ && tasks_.size() >= tasks_max_) room_.Wait(mutex_);
    if (stopping_ && !inside) return;
    tasks_.push_back(std::move(task));
  }
  changed_.NotifyOne();
}

bool ThreadContext::TryPost(Task task) {
  {
    MutexLock lock(mutex_);
    if (stopping_ || tasks_.size() >= tasks_max_) return false;
    tasks_.push_back(std::move(task));
  }
  changed_.NotifyOne();
  return true;
}

bool ThreadContext::InContext() const { return std::this_thread::get_id() == thread_.get_id(); }

void ThreadContext::Stop() {
  HOLDFAST_CHECK(!InContext()) << "context " << name_ << " can't stop itself";
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  room_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

size_t ThreadContext::waiting() const {
  MutexLock lock(mutex_);
  return tasks_.size();
}

void ThreadContext::Run() {
  std::deque<Task> batch;
  while (true) {
    {
      MutexLock lock(mutex_);
      while (tasks_.empty() && !stopping_) changed_.Wait(mutex_);
      if (tasks_.empty()) return;
      batch.swap(tasks_);
    }
    room_.NotifyAll();
    while (!batch.empty()) {
      Task task = std::move(batch.front());
      batch.pop_front();
      task();
    }
  }
}

bool ManualContext::RunOne() {
  if (tasks_.empty()) return false;
  Task task = std::move(tasks_.front());
  tasks_.pop_front();
  task();
  return true;
}

}  // namespace holdfast
