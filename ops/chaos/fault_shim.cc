// ops/chaos/fault_shim.cc
// Preloaded into holdfastd by ops/lib/chaos.py: a wall clock that jumps and a disk that is slow, as
// a file says that the test maps and writes. Two int64, as the machine has them: what to add to the
// wall clock in nanoseconds, and how long each sync of a file takes longer, in microseconds.
//
//   LD_PRELOAD=fault_shim.so HOLDFAST_FAULTS=/tmp/faults holdfastd ...
//
// Only CLOCK_REALTIME jumps: clocks that count from the boot don't do so in a real machine either.
// Waits until a time of the wall clock are turned back to the kernel's, so that nobody oversleeps
// by the jump.
//
// Threads: any; the file is read with atomic loads.
// Errors:  without the variable, or without the file, nothing is changed.
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cstdarg>
#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace {

constexpr int64_t kNanosecondsASecond = 1'000'000'000;
// Seconds since 1970 are above it, seconds since the boot below.
constexpr int64_t kWallClockSeconds = 1'000'000'000;

struct Faults {
  std::atomic<int64_t> wall_clock_ns;
  std::atomic<int64_t> sync_us;
};

const Faults* faults = nullptr;

template <typename Function>
Function Next(const char* name, const char* version = nullptr) {
  void* const found = version != nullptr ? dlvsym(RTLD_NEXT, name, version) : nullptr;
  return reinterpret_cast<Function>(found != nullptr ? found : dlsym(RTLD_NEXT, name));
}

using ClockGetTime = int (*)(clockid_t, timespec*);
using CondTimedWait = int (*)(pthread_cond_t*, pthread_mutex_t*, const timespec*);
using Syscall = long (*)(long, ...);
using Sync = int (*)(int);

ClockGetTime next_clock_gettime = nullptr;
CondTimedWait next_cond_timedwait = nullptr;
Syscall next_syscall = nullptr;
Sync next_fsync = nullptr;
Sync next_fdatasync = nullptr;

// Others' constructors may read the clock before ours has run: Find() is called where it is needed.
void Find() {
  if (next_clock_gettime != nullptr) return;
  next_syscall = Next<Syscall>("syscall");
  next_fsync = Next<Sync>("fsync");
  next_fdatasync = Next<Sync>("fdatasync");
  next_cond_timedwait = Next<CondTimedWait>("pthread_cond_timedwait", "GLIBC_2.3.2");
  next_clock_gettime = Next<ClockGetTime>("clock_gettime");
}

__attribute__((constructor)) void Open() {
  Find();
  const char* const path = getenv("HOLDFAST_FAULTS");
  if (path == nullptr) return;
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  void* const mapped = mmap(nullptr, sizeof(Faults), PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (mapped != MAP_FAILED) faults = static_cast<const Faults*>(mapped);
}

int64_t Jump() {
  return faults == nullptr ? 0 : faults->wall_clock_ns.load(std::memory_order_relaxed);
}

timespec Plus(const timespec& time, int64_t nanoseconds) {
  const int64_t sum = time.tv_sec * kNanosecondsASecond + time.tv_nsec + nanoseconds;
  return {sum / kNanosecondsASecond, sum % kNanosecondsASecond};
}

// What the kernel must be told for a wait until `until`. Earlier times ("has passed") stay.
timespec KernelTime(const timespec& until) {
  return until.tv_sec > kWallClockSeconds ? Plus(until, -Jump()) : until;
}

void DelaySync() {
  const int64_t delay_us = faults == nullptr ? 0 : faults->sync_us.load(std::memory_order_relaxed);
  if (delay_us <= 0) return;
  const timespec delay{delay_us / 1'000'000, delay_us % 1'000'000 * 1'000};
  nanosleep(&delay, nullptr);
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  Find();
  const int result = next_clock_gettime(clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    *time = Plus(*time, Jump());
  }
  return result;
}

int gettimeofday(timeval* __restrict time, void* __restrict) noexcept {
  timespec now{};
  const int result = clock_gettime(CLOCK_REALTIME, &now);
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1'000;
  return result;
}

time_t time(time_t* out) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}

int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                           const timespec* until) {
  Find();
  const timespec real = KernelTime(*until);
  return next_cond_timedwait(condition, mutex, &real);
}

// Abseil and the standard library wait with futexes of their own.
long syscall(long number, ...) noexcept {
  Find();
  va_list list;
  va_start(list, number);
  long words[6];
  for (long& word : words) word = va_arg(list, long);
  va_end(list);
  timespec real{};
  if (number == SYS_futex && (words[1] & FUTEX_CLOCK_REALTIME) != 0 && words[3] != 0) {
    real = KernelTime(*reinterpret_cast<const timespec*>(words[3]));
    words[3] = reinterpret_cast<long>(&real);
  }
  return next_syscall(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}

int fsync(int file) {
  Find();
  DelaySync();
  return next_fsync(file);
}

int fdatasync(int file) {
  Find();
  DelaySync();
  return next_fdatasync(file);
}

}  // extern "C"
