// Simulates groups of cores, one seed after the other:
//
//   raft_sim --seed N            one seed, twice: both runs must be equal
//   raft_sim --seeds N           seeds 1 to N
//   raft_sim --minutes N         fresh seeds for that long
//   --from N                     the first seed of the latter two
//   --steps N, --nodes N, --voters N, --mutation N
//
// Ends with the count of seeds; on failure prints what broke and the command that replays it.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/text.h"
#include "tests/raft/group_sim.h"

namespace holdfast::raft_test {
namespace {

struct Arguments {
  SimOptions sim;
  uint64_t seed = 0;
  uint64_t seeds = 0;
  uint64_t minutes = 0;
  uint64_t from = 1;
};

bool Parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 >= argc) return false;
    const std::string name = argv[i];
    const uint64_t value = std::strtoull(argv[i + 1], nullptr, 10);
    if (name == "--seed") {
      arguments.seed = value;
    } else if (name == "--seeds") {
      arguments.seeds = value;
    } else if (name == "--minutes") {
      arguments.minutes = value;
    } else if (name == "--from") {
      arguments.from = value;
    } else if (name == "--steps") {
      arguments.sim.steps = static_cast<int>(value);
    } else if (name == "--nodes") {
      arguments.sim.nodes = static_cast<int>(value);
    } else if (name == "--voters") {
      arguments.sim.voters = static_cast<int>(value);
    } else if (name == "--mutation") {
      arguments.sim.mutation = static_cast<raft::Mutation>(value);
    } else {
      return false;
    }
  }
  return true;
}

std::string Replay(const SimOptions& options) {
  return format(
      "bazel run --config=opt //tests/sim:raft_sim -- --seed {} --steps {} --nodes {} --voters {} "
      "--mutation {}",
      options.seed, options.steps, options.nodes, options.voters,
      static_cast<int>(options.mutation));
}

int RunOne(SimOptions options) {
  std::printf("seed %llu: %s\n", static_cast<unsigned long long>(options.seed),
              Replay(options).c_str());
  std::fflush(stdout);
  const SimResult first = RunSim(options);
  const SimResult second = RunSim(options);
  std::printf(
      "hash %016llx, %llu committed, %llu leaders, %llu crashes, %llu changes, %llu "
      "snapshots\n",
      static_cast<unsigned long long>(first.hash), static_cast<unsigned long long>(first.committed),
      static_cast<unsigned long long>(first.leaders),
      static_cast<unsigned long long>(first.crashes),
      static_cast<unsigned long long>(first.conf_changes),
      static_cast<unsigned long long>(first.snapshots));
  const bool equal = first.hash == second.hash && first.error == second.error;
  if (!equal)
    std::printf("the same seed gave another run: hash %016llx\n",
                static_cast<unsigned long long>(second.hash));
  if (!first.error.empty()) std::printf("FAILED: %s\n", first.error.c_str());
  const int failed = equal && first.error.empty() ? 0 : 1;
  std::printf("%d passed, %d failed\n", 1 - failed, failed);
  return failed;
}

int RunMany(const Arguments& arguments) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point end = Clock::now() + std::chrono::minutes(arguments.minutes);
  uint64_t passed = 0;
  uint64_t failed = 0;
  SimOptions options = arguments.sim;
  for (options.seed = arguments.from;
       arguments.minutes > 0 ? Clock::now() < end : passed + failed < arguments.seeds;
       ++options.seed) {
    const SimResult result = RunSimApart(options);
    if (result.error.empty()) {
      ++passed;
      continue;
    }
    ++failed;
    std::printf("FAILED seed %llu: %s\n  replay: %s\n",
                static_cast<unsigned long long>(options.seed), result.error.c_str(),
                Replay(options).c_str());
    std::fflush(stdout);
  }
  std::printf("%llu passed, %llu failed\n", static_cast<unsigned long long>(passed),
              static_cast<unsigned long long>(failed));
  return failed == 0 && passed > 0 ? 0 : 1;
}

int Main(int argc, char** argv) {
  Arguments arguments;
  if (!Parse(argc, argv, arguments) ||
      (arguments.seed == 0 && arguments.seeds == 0 && arguments.minutes == 0)) {
    std::fprintf(stderr,
                 "usage: raft_sim --seed N | --seeds N | --minutes N [--from N] "
                 "[--steps N] [--nodes N] [--voters N] [--mutation N]\n");
    return 2;
  }
  if (arguments.seed == 0) return RunMany(arguments);
  arguments.sim.seed = arguments.seed;
  return RunOne(arguments.sim);
}

}  // namespace
}  // namespace holdfast::raft_test

int main(int argc, char** argv) { return holdfast::raft_test::Main(argc, argv); }
