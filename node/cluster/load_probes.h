// node/cluster/load_probes.h
// How a node notices that its threads come late: LagProbe posts a stamp to a context and measures
// when it runs; CpuWait asks the kernel how long threads were ready and got no CPU.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "base/clock.h"
#include "base/mutex.h"

namespace holdfast::node {

// Threads:  one caller; the context that is measured may be any.
// Lifetime: the clock outlives the context's last task.
// Limits:   one stamp waits at a time.
class LagProbe {
 public:
  // Runs the task in the context, some time. False: there is no room for it, and it is dropped.
  using Post = std::function<bool(std::function<void()>)>;
  // What a context without room counts as.
  static constexpr absl::Duration kNoRoom = absl::Seconds(1);

  LagProbe(Post post, const Clock& clock);

  // Posts a stamp unless one waits.
  void Ping();
  // The longest delay since the last call; a stamp that still waits counts too.
  absl::Duration TakeWorst();

 private:
  struct Shared {
    Mutex mutex;
    bool waits ABSL_GUARDED_BY(mutex) = false;
    absl::Duration posted ABSL_GUARDED_BY(mutex);
    absl::Duration worst ABSL_GUARDED_BY(mutex);
  };

  const Post post_;
  const Clock& clock_;
  const std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

// Threads: one caller.
// Errors:  a kernel that does not count (no /proc/self/task/*/schedstat): always 0.
// Limits:  looks at kThreadsMax threads.
class CpuWait {
 public:
  static constexpr size_t kThreadsMax = 1024;

  // The greatest share of `elapsed`, 0 to 1, that one thread of this process waited for a CPU since
  // the last call. Threads of the store's background work don't count: they may wait.
  double TakeWorst(absl::Duration elapsed);

 private:
  struct Thread {
    bool counts = false;
    uint64_t waited_nanoseconds = 0;
    bool seen = false;
  };
  std::map<int, Thread> threads_;  // By thread id.
};

}  // namespace holdfast::node
