// tests/bench/bench_cluster.h
// BenchCluster is a cluster on one machine: node 1 in this process, which leads all groups, each
// other node in a process of its own (the same program, started with --node). Processor time is
// told by part: the names of this process's threads, and all other nodes together.
//
//   if (IsNodeProcess(argc, argv)) return RunNodeProcess(argc, argv);   // first thing in main()
//   BenchCluster cluster({folder, /*nodes=*/3, /*groups=*/12});
//   ... cluster.first().host() ...
//
// Threads: one thread. Lifetime: other processes end with it, or when this process does.
// Errors:  a benchmark that can't go on ends (CHECK).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/bench_node.h"

namespace holdfast::raft {

bool IsNodeProcess(int argc, char** argv);
int RunNodeProcess(char** argv);

struct BenchClusterOptions {
  std::string folder;
  uint32_t nodes = 1;
  uint32_t groups = 1;
  // All nodes campaign, so that leaders are spread by chance; else node 1 leads everything.
  bool spread = false;
};

class BenchCluster {
 public:
  // Returns once node 1 leads all groups and every other node has its log's end; with `spread`,
  // once each group has a leader.
  explicit BenchCluster(const BenchClusterOptions& options);
  ~BenchCluster();
  BenchCluster(const BenchCluster&) = delete;
  BenchCluster& operator=(const BenchCluster&) = delete;

  BenchNode& first() { return *first_; }
  // Seconds since the start. Parts of node 1: raft, storage, apply, rocksdb, transport, rest; of
  // all others together: followers.
  std::map<std::string, double> CpuSeconds() const;
  // Seconds of each node, in the order of ids.
  std::vector<double> CpuSecondsOfNodes() const;

 private:
  struct Other {
    pid_t pid = 0;
    std::FILE* to = nullptr;
    std::FILE* from = nullptr;
  };
  Other Spawn(NodeId node, const std::string& cluster_id) const;
  bool CaughtUp() const;
  bool AllAreLed() const;

  const BenchClusterOptions options_;
  std::vector<Other> others_;
  std::unique_ptr<BenchNode> first_;
};

}  // namespace holdfast::raft
