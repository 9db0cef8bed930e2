// Simulates clusters from seeds, on one floor or on all of them:
//
//   raft_sim --seed N [--trace]  one seed, twice: both runs must be equal
//   raft_sim --seeds N           seeds 1 to N, on each floor
//   raft_sim --minutes N         fresh seeds for that long, shared by the floors
//   --floor core|host|node|both  core: groups of cores; host: whole GroupHosts on simulated stores;
//                                node: whole relay nodes; both: the first two
//   --from N                     the first seed of the latter two
//   --jobs N                     processes that share the seeds
//   --twice-in N                 one seed in N is run twice, and must be equal (default 10)
//   --members 0|1, --aim 0|1     host: members change, faults that aim at one rule; or not
//   --steps N, --nodes N, --voters N, --seconds N, --mutation N
//
// Each seed runs in a process of its own, for a broken invariant ends it. Ends with the count of
// seeds; on failure prints what broke and the command that replays it.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "base/text.h"
#include "tests/raft/apart.h"
#include "tests/sim/floor.h"

namespace holdfast::raft_test {
namespace {

struct Arguments {
  FloorArguments run;
  std::string floor = "both";
  uint64_t seed = 0;
  uint64_t seeds = 0;
  uint64_t minutes = 0;
  uint64_t from = 1;
  uint64_t jobs = 1;
  uint64_t twice_in = 10;
};

struct Counts {
  uint64_t passed = 0;
  uint64_t failed = 0;
};

bool ParseNumber(const std::string& name, uint64_t value, Arguments& arguments) {
  struct Number {
    const char* name;
    uint64_t* wide;
    int* narrow;
  };
  FloorArguments& run = arguments.run;
  const Number numbers[] = {{"--seed", &arguments.seed, nullptr},
                            {"--seeds", &arguments.seeds, nullptr},
                            {"--minutes", &arguments.minutes, nullptr},
                            {"--from", &arguments.from, nullptr},
                            {"--jobs", &arguments.jobs, nullptr},
                            {"--twice-in", &arguments.twice_in, nullptr},
                            {"--steps", nullptr, &run.steps},
                            {"--nodes", nullptr, &run.nodes},
                            {"--voters", nullptr, &run.voters},
                            {"--seconds", nullptr, &run.seconds},
                            {"--mutation", nullptr, &run.mutation},
                            {"--members", nullptr, &run.members},
                            {"--aim", nullptr, &run.aim}};
  for (const Number& number : numbers) {
    if (name != number.name) continue;
    if (number.wide != nullptr) *number.wide = value;
    if (number.narrow != nullptr) *number.narrow = static_cast<int>(value);
    return true;
  }
  return false;
}

bool Parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--trace") {
      arguments.run.trace = true;
      continue;
    }
    if (++i >= argc) return false;
    if (name == "--floor") {
      arguments.floor = argv[i];
      continue;
    }
    char* end = nullptr;
    const uint64_t value = std::strtoull(argv[i], &end, 10);
    if (end == argv[i] || *end != '\0' || !ParseNumber(name, value, arguments)) return false;
  }
  const bool known = arguments.floor == "core" || arguments.floor == "host" ||
                     arguments.floor == "node" || arguments.floor == "both";
  return known && arguments.jobs > 0 && arguments.twice_in > 0 &&
         (arguments.seed > 0) + (arguments.seeds > 0) + (arguments.minutes > 0) == 1;
}

// What the processes of all seeds simulated, in milliseconds; they share its page.
std::atomic<uint64_t>* SimulatedMs() {
  static void* const page = mmap(nullptr, sizeof(std::atomic<uint64_t>), PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  HOLDFAST_CHECK(page != MAP_FAILED);
  static auto* const count = new (page) std::atomic<uint64_t>(0);
  return count;
}

// Of this source; who runs the simulation knows it (ops/dev).
const char* Commit() {
  const char* const commit = std::getenv("HOLDFAST_COMMIT");
  return commit == nullptr || *commit == '\0' ? "not known" : commit;
}

std::string Replay(const Floor& floor, const FloorArguments& run) {
  return format("ops/dev sim {}", floor.replay(run));
}

// What was wrong with the seed, in this process or, when an invariant broke, before that one ended.
std::string RunApartFrom(const Floor& floor, const FloorArguments& run, bool twice) {
  return RunApart([&] {
    const FloorOutcome first = floor.run(run);
    const auto ms = static_cast<uint64_t>(1000 * first.simulated_seconds);
    SimulatedMs()->fetch_add(ms);
    if (!first.error.empty() || !twice) return first.error;
    const FloorOutcome second = floor.run(run);
    SimulatedMs()->fetch_add(ms);
    if (first.hash == second.hash && second.error.empty()) return std::string();
    return format("the same seed gave another run: hashes {:016x} and {:016x}", first.hash,
                  second.hash);
  });
}

int RunOne(const Floor& floor, FloorArguments run) {
  std::printf("%s, seed %llu: %s\n", floor.name.c_str(), static_cast<unsigned long long>(run.seed),
              Replay(floor, run).c_str());
  std::fflush(stdout);
  const FloorOutcome first = floor.run(run);
  run.trace = false;
  const FloorOutcome second = floor.run(run);
  std::printf("hash %016llx, %s\n", static_cast<unsigned long long>(first.hash),
              first.tally.c_str());
  const bool equal = first.hash == second.hash && first.error == second.error;
  if (!equal) {
    std::printf("the same seed gave another run: hash %016llx\n",
                static_cast<unsigned long long>(second.hash));
  }
  if (!first.error.empty()) std::printf("FAILED: %s\n", first.error.c_str());
  return equal && first.error.empty() ? 0 : 1;
}

using SteadyClock = std::chrono::steady_clock;

// Every `jobs`-th seed, beginning with the `job`-th.
Counts RunShare(const Floor& floor, const Arguments& arguments, uint64_t job,
                SteadyClock::time_point end) {
  Counts counts;
  FloorArguments run = arguments.run;
  for (uint64_t number = job;
       arguments.minutes > 0 ? SteadyClock::now() < end : number < arguments.seeds;
       number += arguments.jobs) {
    run.seed = arguments.from + number;
    const std::string error = RunApartFrom(floor, run, run.seed % arguments.twice_in == 0);
    if (error.empty()) {
      ++counts.passed;
      continue;
    }
    ++counts.failed;
    std::printf("FAILED %s seed %llu: %s\n  commit: %s\n  replay: %s\n", floor.name.c_str(),
                static_cast<unsigned long long>(run.seed), error.c_str(), Commit(),
                Replay(floor, run).c_str());
    std::fflush(stdout);
  }
  return counts;
}

// One process for each job; they tell their counts through a pipe.
Counts RunFloor(const Floor& floor, const Arguments& arguments, SteadyClock::time_point end) {
  if (arguments.jobs == 1) return RunShare(floor, arguments, 0, end);
  int ends[2];
  if (pipe(ends) != 0) return Counts{0, 1};
  std::fflush(nullptr);
  for (uint64_t job = 0; job < arguments.jobs; ++job) {
    if (fork() != 0) continue;
    close(ends[0]);
    const Counts counts = RunShare(floor, arguments, job, end);
    const bool told = write(ends[1], &counts, sizeof counts) == sizeof counts;
    _exit(told ? 0 : 1);
  }
  close(ends[1]);
  Counts sum;
  Counts one;
  uint64_t heard = 0;
  for (; read(ends[0], &one, sizeof one) == sizeof one; ++heard) {
    sum.passed += one.passed;
    sum.failed += one.failed;
  }
  close(ends[0]);
  while (wait(nullptr) > 0) {
  }
  sum.failed += arguments.jobs - heard;  // A job that ended without a word.
  return sum;
}

int Main(int argc, char** argv) {
  Arguments arguments;
  if (!Parse(argc, argv, arguments)) {
    std::fprintf(
        stderr,
        "usage: raft_sim --seed N [--trace] | --seeds N | --minutes N\n"
        "  [--floor core|host|node|both] [--from N] [--jobs N] [--twice-in N] [--steps N]\n"
        "  [--nodes N] [--voters N] [--seconds N] [--members 0|1] [--aim 0|1] [--mutation N]\n");
    return 2;
  }
  // What nodes say belongs to a trace, on standard error. Else only simulated trouble would speak.
  SetLogLevel(arguments.run.trace ? LogLevel::kInfo : LogLevel::kError);
  std::vector<Floor> floors;
  const std::string& chosen = arguments.floor;
  if (chosen == "core" || chosen == "both") floors.push_back(CoreFloor());
  if (chosen == "host" || chosen == "both") floors.push_back(HostFloor());
  if (chosen == "node") floors.push_back(NodeFloor());
  const auto all_of_it = std::chrono::minutes(arguments.minutes);
  Counts sum;
  for (const Floor& floor : floors) {
    Counts counts;
    if (arguments.seed > 0) {
      arguments.run.seed = arguments.seed;
      counts.failed = static_cast<uint64_t>(RunOne(floor, arguments.run));
      counts.passed = 1 - counts.failed;
    } else {
      const SteadyClock::time_point began = SteadyClock::now();
      const uint64_t before_ms = *SimulatedMs();
      counts = RunFloor(floor, arguments, began + all_of_it / floors.size());
      const std::chrono::duration<double> took = SteadyClock::now() - began;
      const double simulated = static_cast<double>(*SimulatedMs() - before_ms) / 1000;
      std::printf("%s: %llu seeds passed, %llu failed, in %.0f s", floor.name.c_str(),
                  static_cast<unsigned long long>(counts.passed),
                  static_cast<unsigned long long>(counts.failed), took.count());
      if (simulated > 0)
        std::printf(", %.0f simulated seconds per second", simulated / took.count());
      std::printf("\n");
      std::fflush(stdout);
    }
    sum.passed += counts.passed;
    sum.failed += counts.failed;
  }
  std::printf("%llu passed, %llu failed\n", static_cast<unsigned long long>(sum.passed),
              static_cast<unsigned long long>(sum.failed));
  return sum.failed == 0 && sum.passed > 0 ? 0 : 1;
}

}  // namespace
}  // namespace holdfast::raft_test

int main(int argc, char** argv) { return holdfast::raft_test::Main(argc, argv); }
