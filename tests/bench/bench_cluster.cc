#include "tests/bench/bench_cluster.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>
#include <thread>

#include "base/check.h"

namespace holdfast::raft {
namespace {

constexpr std::string_view kNodeFlag = "--node";
constexpr const char* kSpread = "spread";

std::string ReadLine(std::FILE* from) {
  std::string line;
  for (int c = std::fgetc(from); c != EOF && c != '\n'; c = std::fgetc(from)) {
    line.push_back(static_cast<char>(c));
  }
  return line;
}

void WriteLine(std::FILE* to, const std::string& line) {
  std::fprintf(to, "%s\n", line.c_str());
  std::fflush(to);
}

struct Stat {
  std::string name;
  double seconds = 0;
};

// Of /proc/.../stat; an empty name when the thread or process is gone.
Stat ReadStat(const std::filesystem::path& file) {
  std::ifstream stat(file);
  std::string line;
  if (!std::getline(stat, line)) return {};
  const size_t open = line.find('(');
  const size_t close = line.rfind(')');
  // Fields 14 and 15, counted from the one behind the name, which is the third.
  std::istringstream rest(line.substr(close + 2));
  std::string skipped;
  for (int field = 3; field < 14; ++field) rest >> skipped;
  double user = 0;
  double system = 0;
  rest >> user >> system;
  return {line.substr(open + 1, close - open - 1),
          (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK))};
}

std::string PartOf(const std::string& thread) {
  if (thread == "raft" || thread == "storage" || thread == "apply") return thread;
  if (thread.starts_with("rocksdb")) return "rocksdb";
  for (const std::string_view grpc : {"grpc", "default-exec", "resolver-exec", "hf-peer"}) {
    if (thread.starts_with(grpc)) return "transport";
  }
  return "rest";
}

// "1=127.0.0.1:4001 2=..." without `self`.
std::vector<PeerAddress> ParsePeers(const std::string& line, NodeId self) {
  std::vector<PeerAddress> peers;
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    const size_t equals = word.find('=');
    const NodeId node(std::strtoul(word.c_str(), nullptr, 10));
    if (node != self) peers.push_back({node, word.substr(equals + 1)});
  }
  return peers;
}

}  // namespace

bool IsNodeProcess(int argc, char** argv) { return argc == 7 && argv[1] == kNodeFlag; }

int RunNodeProcess(char** argv) {
  BenchNodeOptions options;
  options.self = NodeId(std::strtoul(argv[2], nullptr, 10));
  options.nodes = static_cast<uint32_t>(std::strtoul(argv[3], nullptr, 10));
  options.groups = static_cast<uint32_t>(std::strtoul(argv[4], nullptr, 10));
  options.folder = argv[5];
  options.cluster_id = argv[6];
  BenchNode node(options);
  WriteLine(stdout, node.address());
  node.SetPeers(ParsePeers(ReadLine(stdin), options.self));
  node.Start(/*may_campaign=*/ReadLine(stdin) == kSpread);
  WriteLine(stdout, "started");
  ReadLine(stdin);  // Its end: the parent has finished, or is gone.
  return 0;
}

BenchCluster::Other BenchCluster::Spawn(NodeId node, const std::string& cluster_id) const {
  std::array<int, 2> down{};
  std::array<int, 2> up{};
  HOLDFAST_CHECK(pipe2(down.data(), O_CLOEXEC) == 0 && pipe2(up.data(), O_CLOEXEC) == 0);
  const std::string self = std::to_string(node.value());
  const std::string nodes = std::to_string(options_.nodes);
  const std::string groups = std::to_string(options_.groups);
  const std::string folder = options_.folder + "/node" + self;
  const pid_t pid = fork();
  HOLDFAST_CHECK(pid >= 0) << "fork";
  if (pid == 0) {
    dup2(down[0], STDIN_FILENO);
    dup2(up[1], STDOUT_FILENO);
    execl("/proc/self/exe", "raft_host_bench", kNodeFlag.data(), self.c_str(), nodes.c_str(),
          groups.c_str(), folder.c_str(), cluster_id.c_str(), nullptr);
    _exit(127);
  }
  close(down[0]);
  close(up[1]);
  return {pid, fdopen(down[1], "w"), fdopen(up[0], "r")};
}

BenchCluster::BenchCluster(const BenchClusterOptions& options) : options_(options) {
  const std::string cluster_id = NewClusterId();
  std::filesystem::create_directories(options.folder);
  // Before this process has threads.
  for (uint32_t node = 2; node <= options.nodes; ++node) {
    others_.push_back(Spawn(NodeId(node), cluster_id));
  }
  first_ = std::make_unique<BenchNode>(BenchNodeOptions{NodeId(1), options.nodes, options.groups,
                                                        options.folder + "/node1", cluster_id});
  std::string addresses = "1=" + first_->address();
  for (size_t i = 0; i < others_.size(); ++i) {
    addresses += " " + std::to_string(i + 2) + "=" + ReadLine(others_[i].from);
  }
  for (const Other& other : others_) {
    WriteLine(other.to, addresses);
    WriteLine(other.to, options.spread ? kSpread : "follow");
    HOLDFAST_CHECK(ReadLine(other.from) == "started") << "a node of the benchmark did not start";
  }
  if (options.nodes > 1) first_->SetPeers(ParsePeers(addresses, NodeId(1)));
  first_->Start(/*may_campaign=*/true);
  while (options.spread ? !AllAreLed() : !first_->LeadsAll() || !CaughtUp()) {
    std::this_thread::yield();
  }
}

bool BenchCluster::CaughtUp() const {
  for (const GroupStatus& group : first_->host().Statuses()) {
    for (const auto& [node, member] : group.members) {
      if (member.match != group.last) return false;
    }
  }
  return true;
}

bool BenchCluster::AllAreLed() const {
  for (const GroupStatus& group : first_->host().Statuses()) {
    if (group.leader == NodeId{}) return false;
  }
  return true;
}

BenchCluster::~BenchCluster() {
  for (const Other& other : others_) std::fclose(other.to);
  for (const Other& other : others_) {
    int status = 0;
    waitpid(other.pid, &status, 0);
    std::fclose(other.from);
  }
}

std::map<std::string, double> BenchCluster::CpuSeconds() const {
  std::map<std::string, double> seconds;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    const Stat stat = ReadStat(task.path() / "stat");
    if (!stat.name.empty()) seconds[PartOf(stat.name)] += stat.seconds;
  }
  for (const Other& other : others_) {
    seconds["followers"] += ReadStat("/proc/" + std::to_string(other.pid) + "/stat").seconds;
  }
  return seconds;
}

std::vector<double> BenchCluster::CpuSecondsOfNodes() const {
  std::vector<double> seconds = {ReadStat("/proc/self/stat").seconds};
  for (const Other& other : others_) {
    seconds.push_back(ReadStat("/proc/" + std::to_string(other.pid) + "/stat").seconds);
  }
  return seconds;
}

}  // namespace holdfast::raft
