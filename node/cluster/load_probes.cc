#include "node/cluster/load_probes.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "base/text.h"

namespace holdfast::node {
namespace {

// The beginning of a small file below /proc; empty when it can't be read: the thread has ended.
std::string SmallFile(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return "";
  std::array<char, 128> bytes;
  const ssize_t size = read(file, bytes.data(), bytes.size());
  close(file);
  return size > 0 ? std::string(bytes.data(), static_cast<size_t>(size)) : "";
}

// "on-cpu waited slices", the first two in nanoseconds.
uint64_t WaitedNanoseconds(const std::string& schedstat) {
  const size_t space = schedstat.find(' ');
  if (space == std::string::npos) return 0;
  return std::strtoull(schedstat.c_str() + space, nullptr, 10);
}

}  // namespace

LagProbe::LagProbe(Post post, const Clock& clock) : post_(std::move(post)), clock_(clock) {}

void LagProbe::Ping() {
  {
    MutexLock lock(shared_->mutex);
    if (shared_->waits) return;
    shared_->waits = true;
    shared_->posted = clock_.SinceBoot();
  }
  const bool posted = post_([shared = shared_, &clock = clock_] {
    MutexLock lock(shared->mutex);
    shared->waits = false;
    shared->worst = std::max(shared->worst, clock.SinceBoot() - shared->posted);
  });
  if (posted) return;
  MutexLock lock(shared_->mutex);
  shared_->waits = false;
  shared_->worst = std::max(shared_->worst, kNoRoom);
}

absl::Duration LagProbe::TakeWorst() {
  MutexLock lock(shared_->mutex);
  absl::Duration worst = std::exchange(shared_->worst, absl::ZeroDuration());
  if (shared_->waits) worst = std::max(worst, clock_.SinceBoot() - shared_->posted);
  return worst;
}

double CpuWait::TakeWorst(absl::Duration elapsed) {
  DIR* const tasks = opendir("/proc/self/task");
  if (tasks == nullptr) return 0;
  for (auto& [id, thread] : threads_) thread.seen = false;
  uint64_t worst = 0;
  size_t looked_at = 0;
  for (const dirent* one = readdir(tasks); one != nullptr && looked_at < kThreadsMax;
       one = readdir(tasks)) {
    const int id = std::atoi(one->d_name);
    if (id == 0) continue;
    ++looked_at;
    const std::string folder = format("/proc/self/task/{}/", id);
    const auto [found, is_new] = threads_.try_emplace(id);
    Thread& thread = found->second;
    thread.seen = true;
    if (is_new) thread.counts = !SmallFile(folder + "comm").starts_with("rocksdb:");
    if (!thread.counts) continue;
    const uint64_t waited = WaitedNanoseconds(SmallFile(folder + "schedstat"));
    // An id may be used again: then it counts anew.
    if (!is_new && waited > thread.waited_nanoseconds) {
      worst = std::max(worst, waited - thread.waited_nanoseconds);
    }
    thread.waited_nanoseconds = waited;
  }
  closedir(tasks);
  std::erase_if(threads_, [](const auto& one) { return !one.second.seen; });
  if (elapsed <= absl::ZeroDuration()) return 0;
  return std::min(1.0, static_cast<double>(worst) / absl::ToDoubleNanoseconds(elapsed));
}

}  // namespace holdfast::node
