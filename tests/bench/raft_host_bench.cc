// How many entries per second one node commits, with a sync before every answer: stored, applied
// and answered through GroupHost on a RocksDB store with production options.
//
//   raft_host_bench FOLDER SECONDS GROUPS BYTES WINDOW      one case, as a line of JSON
//   bazel run --config=opt //tests/bench:raft_host_bench -- FOLDER [SECONDS]   many, to be read
//
// FOLDER must be on the disk to be measured. Each case keeps `window` proposals in flight per
// group set; a window of 1 is the latency of a lone proposal. A body is deleted 200 entries later,
// as most mail is delivered soon. Prints one line per case; quote them with the machine's facts.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/context.h"
#include "base/mutex.h"
#include "base/random.h"
#include "raft/host/group_host.h"
#include "raft/host/ticker.h"
#include "raft/storage/rocksdb_store.h"

namespace holdfast::raft {
namespace {

using Steady = std::chrono::steady_clock;

constexpr NodeId kSelf{1};
constexpr LogIndex kBodyLife = 200;

// A row for each entry, and the end of the body that came 200 entries ago.
class BenchMachine final : public StateMachine {
 public:
  explicit BenchMachine(GroupId group) : group_(group) {}
  absl::Status Apply(const CommittedEntry& entry, StateBatch& batch) override {
    batch.Put(std::to_string(entry.index), entry.command);
    if (entry.index > kBodyLife) {
      const LogIndex old = entry.index - kBodyLife;
      batch.DeleteBody(BodyKey{group_, old, entry.term, 0});
      batch.Delete(std::to_string(old));
    }
    return absl::OkStatus();
  }
  void OnCommitted(LogIndex) override {}
  void OnLeaderChange(bool leader, Term) override { leads_ = leader; }
  // One replica: nobody ever sends a snapshot.
  absl::Status LiveBodies(const StateReader&, const BodyVisitor&) const override {
    return absl::UnimplementedError("one replica");
  }
  void OnSnapshotInstalled(LogIndex) override {}
  bool leads() const { return leads_; }

 private:
  const GroupId group_;
  std::atomic<bool> leads_{false};
};

struct Case {
  uint32_t groups = 1;
  size_t body_bytes = 1024;
  int window = 256;
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

// Processor time of this process's threads by their names: the three contexts, RocksDB's own, and
// the rest (who proposes, the ticker).
std::map<std::string, double> CpuSeconds() {
  const double hertz = static_cast<double>(sysconf(_SC_CLK_TCK));
  std::map<std::string, double> seconds;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream stat(task.path() / "stat");
    std::string line;
    if (!std::getline(stat, line)) continue;  // It ended just now.
    const size_t open = line.find('(');
    const size_t close = line.rfind(')');
    const std::string name = line.substr(open + 1, close - open - 1);
    // Fields 14 and 15, counted from the one behind the name, which is the third.
    std::istringstream rest(line.substr(close + 2));
    std::string skipped;
    for (int field = 3; field < 14; ++field) rest >> skipped;
    double user = 0;
    double system = 0;
    rest >> user >> system;
    const bool ours = name == "raft" || name == "storage" || name == "apply";
    const std::string part = ours ? name : name.starts_with("rocksdb") ? "rocksdb" : "rest";
    seconds[part] += (user + system) / hertz;
  }
  return seconds;
}

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
  StoreOptions store_options;
  store_options.directory = folder;
  auto store =
      CreateStore(store_options, {NewClusterId(), kSelf}, SeedsOfCluster({kSelf}, c.groups));
  HOLDFAST_CHECK(store.ok()) << store.status().ToString();
  SystemClock clock;
  NullTransport transport;
  ThreadContext raft("raft", 4096);
  ThreadContext storage("storage", 4096);
  ThreadContext apply("apply", 4096);
  std::map<GroupId, std::unique_ptr<BenchMachine>> machines;
  GroupHostOptions options;
  options.self = kSelf;
  GroupHost host(options, {raft, storage, apply}, **store, transport, clock,
                 [&](GroupId group) -> StateMachine& {
                   return *(machines[group] = std::make_unique<BenchMachine>(group));
                 });
  absl::Status started = host.Start();
  HOLDFAST_CHECK(started.ok()) << started.ToString();
  Ticker ticker(options.tick, [&] { host.Tick(); });
  const auto all_lead = [&] {
    return std::all_of(machines.begin(), machines.end(),
                       [](const auto& item) { return item.second->leads(); });
  };
  while (!all_lead()) std::this_thread::yield();

  const StoreCounters before = (*store)->Counters();
  const auto cpu_before = CpuSeconds();
  const Steady::time_point begin = Steady::now();
  Load load(host, c);
  load.Run(duration);
  const double seconds = std::chrono::duration<double>(Steady::now() - begin).count();
  const StoreCounters after = (*store)->Counters();
  const auto cpu_after = CpuSeconds();
  ticker.Stop();
  host.Stop();
  raft.Stop();
  apply.Stop();
  storage.Stop();

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

int Main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: raft_host_bench FOLDER [SECONDS [GROUPS BYTES WINDOW]]\n");
    return 2;
  }
  const absl::Duration duration = absl::Seconds(argc > 2 ? std::atoi(argv[2]) : 5);
  const std::string root = std::string(argv[1]) + "/raft_host_bench." + std::to_string(getpid());
  if (argc > 5) {
    std::filesystem::create_directories(root);
    const Case only{static_cast<uint32_t>(std::atoi(argv[3])), std::strtoul(argv[4], nullptr, 10),
                    std::atoi(argv[5])};
    PrintJson(RunCase(only, root + "/store", duration));
    std::filesystem::remove_all(root);
    return 0;
  }
  for (int window : {1, 64, 1024}) {
    for (uint32_t groups : {1u, 12u}) {
      for (size_t body_bytes : {1024, 4096, 16384}) {
        std::filesystem::create_directories(root);
        PrintLine(RunCase(Case{groups, body_bytes, window}, root + "/store", duration));
        std::filesystem::remove_all(root);
      }
    }
  }
  return 0;
}

}  // namespace
}  // namespace holdfast::raft

int main(int argc, char** argv) { return holdfast::raft::Main(argc, argv); }
