// How many entries per second a group host commits, with a sync before every answer: stored (by a
// majority, when there are several nodes), applied and answered, on RocksDB stores with production
// options.
//
//   raft_host_bench FOLDER SECONDS GROUPS BYTES WINDOW [NODES]   one case, as a line of JSON
//   raft_host_bench FOLDER SECONDS idle GROUPS NODES             what groups cost that do nothing
//   bazel run --config=opt //tests/bench:raft_host_bench -- FOLDER [SECONDS]   many, to be read
//
// FOLDER must be on the disk to be measured. Each case keeps `window` proposals in flight over all
// groups; a window of 1 is the latency of a lone proposal. Prints one line per case; quote them
// with the machine's facts.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/mutex.h"
#include "base/random.h"
#include "raft/host/group_host.h"
#include "raft/storage/store.h"
#include "tests/bench/bench_cluster.h"

namespace holdfast::raft {
namespace {

using Steady = std::chrono::steady_clock;

struct Case {
  uint32_t groups = 1;
  size_t body_bytes = 1024;
  int window = 256;
  uint32_t nodes = 1;
};

struct Measured {
  Case of;
  double entries_per_second = 0;
  double p50_ms = 0;
  double p99_ms = 0;
  double syncs_per_second = 0;
  double entries_per_sync = 0;
  double written_per_body_byte = 0;
  std::map<std::string, double> cpu_us_per_entry;  // By part: the names of the threads.
};

std::map<std::string, double> CpuPerEntry(const std::map<std::string, double>& before,
                                          std::map<std::string, double> after, double entries) {
  for (auto& [part, seconds] : after) {
    const auto found = before.find(part);
    seconds = (seconds - (found == before.end() ? 0 : found->second)) * 1e6 / entries;
  }
  return after;
}

// Keeps `window` proposals in flight and notes how long each took.
class Load {
 public:
  Load(GroupHost& host, const Case& c) : host_(host), case_(c) {
    Random random(1);
    for (int i = 0; i < 64; ++i) {
      std::string bytes;
      while (bytes.size() < c.body_bytes) bytes.push_back(static_cast<char>(random.Next()));
      bodies_.push_back(std::make_shared<const std::string>(std::move(bytes)));
    }
  }

  void Run(absl::Duration duration) {
    end_ = Steady::now() + absl::ToChronoNanoseconds(duration);
    for (int i = 0; i < case_.window; ++i) ProposeNext();
    MutexLock lock(mutex_);
    while (in_flight_ > 0) changed_.WaitFor(mutex_, std::chrono::milliseconds(100));
  }
  std::vector<double> TakeLatencies() {
    MutexLock lock(mutex_);
    return std::move(latencies_ms_);
  }

 private:
  void ProposeNext() {
    uint64_t number = 0;
    {
      MutexLock lock(mutex_);
      number = proposed_++;
      ++in_flight_;
    }
    const Steady::time_point begin = Steady::now();
    Proposal proposal;
    proposal.command = std::string(200, 'c');
    proposal.bodies = {bodies_[number % bodies_.size()]};
    host_.Propose(GroupId(1 + number % case_.groups), std::move(proposal),
                  [this, begin](const ProposeResult& result) { Answered(begin, result); });
  }
  void Answered(Steady::time_point begin, const ProposeResult& result) {
    HOLDFAST_CHECK(result.status.ok()) << result.status.ToString();
    const Steady::time_point now = Steady::now();
    if (now < end_) ProposeNext();
    MutexLock lock(mutex_);
    latencies_ms_.push_back(std::chrono::duration<double, std::milli>(now - begin).count());
    if (--in_flight_ == 0) changed_.NotifyAll();
  }

  GroupHost& host_;
  const Case case_;
  std::vector<Body> bodies_;
  Steady::time_point end_;
  Mutex mutex_;
  CondVar changed_;
  uint64_t proposed_ ABSL_GUARDED_BY(mutex_) = 0;
  int in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<double> latencies_ms_ ABSL_GUARDED_BY(mutex_);
};

Measured RunCase(const Case& c, const std::string& folder, absl::Duration duration) {
  BenchCluster cluster({folder, c.nodes, c.groups});
  Store& store = cluster.first().store();

  const StoreCounters before = store.Counters();
  const auto cpu_before = cluster.CpuSeconds();
  const Steady::time_point begin = Steady::now();
  Load load(cluster.first().host(), c);
  load.Run(duration);
  const double seconds = std::chrono::duration<double>(Steady::now() - begin).count();
  const StoreCounters after = store.Counters();
  const auto cpu_after = cluster.CpuSeconds();
  std::vector<double> latencies = load.TakeLatencies();
  std::sort(latencies.begin(), latencies.end());
  const double count = static_cast<double>(latencies.size());
  const double syncs = static_cast<double>(after.syncs - before.syncs);
  const auto written = [](const StoreCounters& counters) {
    return static_cast<double>(counters.wal_bytes + counters.flush_bytes +
                               counters.compaction_bytes_written);
  };
  const double written_bytes = written(after) - written(before);
  const double body_bytes =
      static_cast<double>(after.body_bytes_written - before.body_bytes_written);
  return Measured{c,
                  count / seconds,
                  latencies[latencies.size() / 2],
                  latencies[latencies.size() * 99 / 100],
                  syncs / seconds,
                  count / syncs,
                  written_bytes / body_bytes,
                  CpuPerEntry(cpu_before, cpu_after, count)};
}

void PrintLine(const Measured& m) {
  std::printf(
      "%2u groups  %6zu B bodies  %4d in flight: %7.0f entries/s  %6.1f MB/s  p50 %6.2f ms  "
      "p99 %6.2f ms  %5.0f syncs/s  %5.1f entries/sync  %.2f bytes written/body byte\n",
      m.of.groups, m.of.body_bytes, m.of.window, m.entries_per_second,
      m.entries_per_second * static_cast<double>(m.of.body_bytes) / 1e6, m.p50_ms, m.p99_ms,
      m.syncs_per_second, m.entries_per_sync, m.written_per_body_byte);
  std::fflush(stdout);
}

void PrintJson(const Measured& m) {
  std::printf(
      "{\"entries_per_second\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
      "\"entries_per_sync\": %.2f, \"written_per_body_byte\": %.3f, \"cpu_us\": {",
      m.entries_per_second, m.p50_ms, m.p99_ms, m.entries_per_sync, m.written_per_body_byte);
  const char* comma = "";
  for (const auto& [part, us] : m.cpu_us_per_entry) {
    std::printf("%s\"%s\": %.2f", comma, part.c_str(), us);
    comma = ", ";
  }
  std::printf("}}\n");
}

// Groups that nobody uses: processor time of each node, per cent of one core.
void RunIdle(const std::string& folder, int seconds, uint32_t groups, uint32_t nodes) {
  BenchCluster cluster({folder, nodes, groups, /*spread=*/true});
  const std::vector<double> before = cluster.CpuSecondsOfNodes();
  const auto parts_before = cluster.CpuSeconds();
  const Steady::time_point begin = Steady::now();
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  const std::vector<double> after = cluster.CpuSecondsOfNodes();
  const double passed = std::chrono::duration<double>(Steady::now() - begin).count();
  std::printf("{\"cpu_percent\": [");
  for (size_t i = 0; i < before.size(); ++i) {
    std::printf("%s%.2f", i == 0 ? "" : ", ", (after[i] - before[i]) * 100 / passed);
  }
  std::printf("], \"first_by_part\": {");
  const char* comma = "";
  for (const auto& [part, used] : cluster.CpuSeconds()) {
    const auto found = parts_before.find(part);
    const double since = used - (found == parts_before.end() ? 0 : found->second);
    std::printf("%s\"%s\": %.2f", comma, part.c_str(), since * 100 / passed);
    comma = ", ";
  }
  std::printf("}}\n");
}

uint32_t Number(const char* text) { return static_cast<uint32_t>(std::strtoul(text, nullptr, 10)); }

void RunMany(const std::string& root, absl::Duration duration) {
  for (int window : {1, 64, 1024}) {
    for (uint32_t groups : {1u, 12u}) {
      for (size_t body_bytes : {1024, 4096, 16384}) {
        PrintLine(RunCase(Case{groups, body_bytes, window}, root, duration));
        std::filesystem::remove_all(root);
      }
    }
  }
}

int Main(int argc, char** argv) {
  if (IsNodeProcess(argc, argv)) return RunNodeProcess(argv);
  if (argc < 2) {
    std::fprintf(stderr,
                 "usage: raft_host_bench FOLDER [SECONDS [GROUPS BYTES WINDOW [NODES]]]\n"
                 "       raft_host_bench FOLDER SECONDS idle GROUPS NODES\n");
    return 2;
  }
  const int seconds = argc > 2 ? std::atoi(argv[2]) : 5;
  const std::string root = std::string(argv[1]) + "/raft_host_bench." + std::to_string(getpid());
  if (argc == 6 && std::string_view(argv[3]) == "idle") {
    RunIdle(root, seconds, Number(argv[4]), Number(argv[5]));
  } else if (argc > 5) {
    const Case only{Number(argv[3]), Number(argv[4]), std::atoi(argv[5]),
                    argc > 6 ? Number(argv[6]) : 1};
    PrintJson(RunCase(only, root, absl::Seconds(seconds)));
  } else {
    RunMany(root, absl::Seconds(seconds));
  }
  std::filesystem::remove_all(root);
  return 0;
}

}  // namespace
}  // namespace holdfast::raft

int main(int argc, char** argv) { return holdfast::raft::Main(argc, argv); }
