// Fetches: pieces in order at the pace of the sink, and each ends exactly once, with a reason.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "raft/transport/grpc_transport.h"
#include "raft/transport/transport.h"
#include "tests/transport/recording_peer.h"

namespace holdfast::raft {
namespace {

class CountingSource final : public FetchSource {
 public:
  CountingSource(uint64_t pieces, std::atomic<uint64_t>& given) : pieces_(pieces), given_(given) {}
  absl::StatusOr<std::string> Next() override {
    if (next_ == pieces_) return std::string();
    ++given_;
    return std::to_string(next_++) + std::string(100'000, '.');
  }

 private:
  const uint64_t pieces_;
  std::atomic<uint64_t>& given_;
  uint64_t next_ = 0;
};

class RecordingSink final : public FetchSink {
 public:
  absl::Status OnPiece(std::string piece) override {
    MutexLock lock(mutex_);
    while (shut_) changed_.Wait(mutex_);
    EXPECT_TRUE(piece.starts_with(std::to_string(pieces_) + '.')) << piece.substr(0, 10);
    ++pieces_;
    changed_.NotifyAll();
    return pieces_ == fail_at_ ? absl::DataLossError("no room") : absl::OkStatus();
  }
  void OnDone(const absl::Status& status) override {
    MutexLock lock(mutex_);
    EXPECT_EQ(++dones_, 1);
    status_ = status;
    changed_.NotifyAll();
  }

  bool AwaitDone() {
    return AwaitTrue(mutex_, changed_, [&] { return dones_ > 0; });
  }
  bool AwaitPieces(uint64_t count) {
    return AwaitTrue(mutex_, changed_, [&] { return pieces_ >= count; });
  }
  void Shut(bool shut) {
    MutexLock lock(mutex_);
    shut_ = shut;
    changed_.NotifyAll();
  }
  void FailAt(uint64_t piece) { fail_at_ = piece; }
  absl::Status status() {
    MutexLock lock(mutex_);
    return status_;
  }
  uint64_t pieces() {
    MutexLock lock(mutex_);
    return pieces_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  uint64_t pieces_ = 0;
  uint64_t fail_at_ = 0;
  int dones_ = 0;
  bool shut_ = false;
  absl::Status status_;
};

// Never has a piece, until it is let go.
class StuckSource final : public FetchSource {
 public:
  explicit StuckSource(std::atomic<bool>& stuck) : stuck_(stuck) {}
  absl::StatusOr<std::string> Next() override {
    stuck_.wait(true);
    return std::string();
  }

 private:
  std::atomic<bool>& stuck_;
};

class GrpcFetchTest : public testing::Test {
 protected:
  void Connect(GrpcTransportOptions options, TestAuthority* authority = nullptr) {
    serving_.open_fetch =
        [this](std::string_view request) -> absl::StatusOr<std::unique_ptr<FetchSource>> {
      if (request == "stuck") return std::make_unique<StuckSource>(stuck_);
      if (request == "none") return absl::NotFoundError("no such snapshot");
      return std::make_unique<CountingSource>(std::stoull(std::string(request)), given_);
    };
    server_ = StartTransport(LoopbackOptions(1, authority), serving_);
    options.peers = {{NodeId(1), AddressOf(*server_)}};
    client_ = StartTransport(options, fetching_);
  }
  std::shared_ptr<RecordingSink> Fetch(const std::string& request) {
    auto sink = std::make_shared<RecordingSink>();
    client_->Fetch(NodeId(1), request, sink);
    return sink;
  }
  void TearDown() override {
    stuck_ = false;
    stuck_.notify_all();
    if (client_ != nullptr) client_->Stop();
    if (server_ != nullptr) server_->Stop();
  }

  std::atomic<uint64_t> given_{0};
  std::atomic<bool> stuck_{true};
  RecordingPeer serving_;
  RecordingPeer fetching_;
  std::unique_ptr<GrpcTransport> server_;
  std::unique_ptr<GrpcTransport> client_;
};

TEST_F(GrpcFetchTest, PiecesComeInOrderOverTls) {
  TestAuthority authority;
  Connect(LoopbackOptions(2, &authority), &authority);
  const std::shared_ptr<RecordingSink> sink = Fetch("20");
  ASSERT_TRUE(sink->AwaitDone());
  EXPECT_TRUE(sink->status().ok()) << sink->status();
  EXPECT_EQ(sink->pieces(), 20u);
}

TEST_F(GrpcFetchTest, EmptyAnswerIsAnAnswer) {
  Connect(LoopbackOptions(2, nullptr));
  const std::shared_ptr<RecordingSink> sink = Fetch("0");
  ASSERT_TRUE(sink->AwaitDone());
  EXPECT_TRUE(sink->status().ok()) << sink->status();
}

TEST_F(GrpcFetchTest, SlowSinkStopsTheSourceAndNotTheTransport) {
  Connect(LoopbackOptions(2, nullptr));
  auto sink = std::make_shared<RecordingSink>();
  sink->Shut(true);
  constexpr uint64_t kPieces = 1000;  // 100 MB: windows and sockets hold a small part.
  client_->Fetch(NodeId(1), std::to_string(kPieces), sink);
  ASSERT_TRUE(AwaitConnected(*client_));
  for (uint64_t n = 1; n <= 50; ++n) {
    client_->Send(NodeId(1), GroupId(1), Heartbeat(n));
    ASSERT_TRUE(serving_.AwaitReceived(n));
  }
  EXPECT_LT(given_, kPieces);
  sink->Shut(false);
  ASSERT_TRUE(sink->AwaitDone());
  EXPECT_TRUE(sink->status().ok()) << sink->status();
  EXPECT_EQ(sink->pieces(), kPieces);
}

TEST_F(GrpcFetchTest, SinkThatFailsCancelsTheFetch) {
  Connect(LoopbackOptions(2, nullptr));
  auto sink = std::make_shared<RecordingSink>();
  sink->FailAt(3);
  client_->Fetch(NodeId(1), "100000", sink);
  ASSERT_TRUE(sink->AwaitDone());
  EXPECT_EQ(sink->status(), absl::DataLossError("no room"));
  EXPECT_EQ(sink->pieces(), 3u);
}

TEST_F(GrpcFetchTest, SourcesReasonComesBack) {
  Connect(LoopbackOptions(2, nullptr));
  const std::shared_ptr<RecordingSink> sink = Fetch("none");
  ASSERT_TRUE(sink->AwaitDone());
  EXPECT_EQ(sink->status(), absl::NotFoundError("no such snapshot"));
}

TEST_F(GrpcFetchTest, NoPieceInTimeEndsIt) {
  GrpcTransportOptions options = LoopbackOptions(2, nullptr);
  options.fetch_piece_timeout = absl::Milliseconds(50);
  Connect(options);
  const std::shared_ptr<RecordingSink> sink = Fetch("stuck");
  ASSERT_TRUE(sink->AwaitDone());
  EXPECT_EQ(sink->status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(GrpcFetchTest, StopEndsRunningAndWaitingOnes) {
  GrpcTransportOptions options = LoopbackOptions(2, nullptr);
  options.fetches_max = 1;
  options.fetches_waiting_max = 2;
  Connect(options);
  const std::shared_ptr<RecordingSink> first = Fetch("100000");
  ASSERT_TRUE(first->AwaitPieces(1));
  const std::shared_ptr<RecordingSink> waiting = Fetch("1");
  const std::shared_ptr<RecordingSink> also_waiting = Fetch("1");
  const std::shared_ptr<RecordingSink> refused = Fetch("1");
  ASSERT_TRUE(refused->AwaitDone());
  EXPECT_EQ(refused->status(), absl::ResourceExhaustedError("fetches_waiting_max reached"));
  client_->Stop();
  EXPECT_EQ(first->status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(waiting->status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(also_waiting->status().code(), absl::StatusCode::kCancelled);
}

TEST_F(GrpcFetchTest, PeersFetchesAreBounded) {
  GrpcTransportOptions options = LoopbackOptions(2, nullptr);
  options.fetches_max = options.fetches_served_per_peer_max + 1;
  Connect(options);
  std::vector<std::shared_ptr<RecordingSink>> sinks;
  for (uint32_t i = 0; i < options.fetches_max; ++i) sinks.push_back(Fetch("stuck"));
  // Whichever came last is refused, while the others are stuck.
  Mutex mutex;
  CondVar changed;
  const auto refused = [&] {
    return std::count_if(sinks.begin(), sinks.end(), [](const auto& sink) {
      return sink->status() == absl::ResourceExhaustedError("fetches_served_per_peer_max reached");
    });
  };
  ASSERT_TRUE(AwaitTrue(mutex, changed, [&] { return refused() == 1; }));
  stuck_ = false;
  stuck_.notify_all();
  for (const auto& sink : sinks) ASSERT_TRUE(sink->AwaitDone());
  EXPECT_EQ(refused(), 1);
}

TEST_F(GrpcFetchTest, StrangersAreNotAsked) {
  Connect(LoopbackOptions(2, nullptr));
  auto sink = std::make_shared<RecordingSink>();
  client_->Fetch(NodeId(7), "1", sink);
  ASSERT_TRUE(sink->AwaitDone());
  EXPECT_EQ(sink->status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace holdfast::raft
