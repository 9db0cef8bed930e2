// Puts into etcd with a fixed number in flight, as raft_host_bench proposes to our host.
//
//   etcd_bench HOST:PORT BYTES WINDOW SECONDS
//
// The address must be the leader's. Keys repeat every 200 puts, so that etcd's index stays
// small. Prints one line of JSON: puts a second, and their p50 and p99 in milliseconds.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/mutex.h"
#include "base/random.h"
#include "tests/bench/etcd_kv.grpc.pb.h"

namespace holdfast {
namespace {

using Steady = std::chrono::steady_clock;

constexpr uint64_t kKeys = 200;
constexpr int kConnections = 4;

class Load {
 public:
  Load(const std::string& address, size_t bytes, int window) : window_(window) {
    for (int i = 0; i < kConnections; ++i) {
      grpc::ChannelArguments arguments;
      arguments.SetInt("holdfast.connection", i);  // Differing arguments: connections of their own.
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      stubs_.push_back(etcdserverpb::KV::NewStub(
          grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments)));
    }
    Random random(1);
    while (value_.size() < bytes) value_.push_back(static_cast<char>(random.Next()));
  }

  void Run(std::chrono::seconds duration) {
    end_ = Steady::now() + duration;
    for (int i = 0; i < window_; ++i) PutNext();
    MutexLock lock(mutex_);
    while (in_flight_ > 0) changed_.WaitFor(mutex_, std::chrono::milliseconds(100));
  }
  std::vector<double> TakeLatencies() {
    MutexLock lock(mutex_);
    return std::move(latencies_ms_);
  }

 private:
  struct Call {
    grpc::ClientContext context;
    etcdserverpb::PutRequest request;
    etcdserverpb::PutResponse response;
    Steady::time_point begin;
  };

  void PutNext() {
    auto call = std::make_shared<Call>();
    uint64_t number = 0;
    {
      MutexLock lock(mutex_);
      number = started_++;
      ++in_flight_;
    }
    call->request.set_key("bench/" + std::to_string(number % kKeys));
    call->request.set_value(value_);
    call->begin = Steady::now();
    stubs_[number % stubs_.size()]->async()->Put(
        &call->context, &call->request, &call->response,
        [this, call](const grpc::Status& status) { Answered(*call, status); });
  }

  void Answered(const Call& call, const grpc::Status& status) {
    HOLDFAST_CHECK(status.ok()) << "put: " << status.error_message();
    const Steady::time_point now = Steady::now();
    if (now < end_) PutNext();
    MutexLock lock(mutex_);
    latencies_ms_.push_back(std::chrono::duration<double, std::milli>(now - call.begin).count());
    if (--in_flight_ == 0) changed_.NotifyAll();
  }

  const int window_;
  std::vector<std::unique_ptr<etcdserverpb::KV::Stub>> stubs_;
  std::string value_;
  Steady::time_point end_;
  Mutex mutex_;
  CondVar changed_;
  uint64_t started_ ABSL_GUARDED_BY(mutex_) = 0;
  int in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<double> latencies_ms_ ABSL_GUARDED_BY(mutex_);
};

int Main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: etcd_bench HOST:PORT BYTES WINDOW SECONDS\n");
    return 2;
  }
  Load load(argv[1], std::strtoul(argv[2], nullptr, 10), std::atoi(argv[3]));
  const Steady::time_point begin = Steady::now();
  load.Run(std::chrono::seconds(std::atoi(argv[4])));
  const double seconds = std::chrono::duration<double>(Steady::now() - begin).count();
  std::vector<double> latencies = load.TakeLatencies();
  std::sort(latencies.begin(), latencies.end());
  HOLDFAST_CHECK(!latencies.empty());
  std::printf("{\"entries_per_second\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f}\n",
              static_cast<double>(latencies.size()) / seconds, latencies[latencies.size() / 2],
              latencies[latencies.size() * 99 / 100]);
  return 0;
}

}  // namespace
}  // namespace holdfast

int main(int argc, char** argv) { return holdfast::Main(argc, argv); }
