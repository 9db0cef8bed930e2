// Stream over memory and over loopback TCP, in clear and under TLS.
#include "smtp/stream/stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "smtp/stream/asio.h"
#include "smtp/stream/memory_stream.h"
#include "smtp/stream/tcp_stream.h"
#include "smtp/stream/test_certificate.h"
#include "smtp/stream/timer.h"
#include "smtp/stream/tls_context.h"
#include "smtp/stream/transport.h"
#include "tests/testing/await.h"

namespace holdfast::smtp {
namespace {

using asio::ip::tcp;
using holdfast::testing::Await;
using holdfast::testing::Start;
using ::testing::HasSubstr;

class MemoryStreamTest : public ::testing::Test {
 protected:
  void Make(const StreamOptions& options = {}) {
    stream_ = std::make_unique<Stream>(peer_.MakeTransport(io_.get_executor()), options);
  }
  absl::StatusOr<std::string> ReadLine(size_t bytes_max = 512) {
    return Await(io_, stream_->ReadLine(bytes_max));
  }

  asio::io_context io_;
  MemoryPeer peer_;
  std::unique_ptr<Stream> stream_;
};

TEST_F(MemoryStreamTest, ReadsLinesWhateverTheSegmentation) {
  for (size_t chunk : {1, 2, 3, 1000}) {
    MemoryPeer peer;
    Stream stream(peer.MakeTransport(io_.get_executor()));
    peer.SetChunk(chunk);
    peer.Feed("EHLO a\r\n\r\nbare\nRSET\r\n");
    for (const char* line : {"EHLO a\r\n", "\r\n", "bare\n", "RSET\r\n"}) {
      const absl::StatusOr<std::string> got = Await(io_, stream.ReadLine(512));
      ASSERT_TRUE(got.ok()) << got.status();
      EXPECT_EQ(*got, line);
    }
    EXPECT_EQ(stream.Buffered(), "");
  }
}

TEST_F(MemoryStreamTest, AnOverlongLineIsOneErrorAndTheNextLineIsWhole) {
  for (size_t chunk : {1, 7, 1000}) {
    MemoryPeer peer;
    Stream stream(peer.MakeTransport(io_.get_executor()));
    peer.SetChunk(chunk);
    peer.Feed(std::string(600, 'x') + "\r\n" + std::string(9, 'y') + "\n" + "NOOP\r\n");
    EXPECT_EQ(Await(io_, stream.ReadLine(10)).status().code(),
              absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(*Await(io_, stream.ReadLine(10)), "yyyyyyyyy\n");  // Exactly the bound.
    EXPECT_EQ(*Await(io_, stream.ReadLine(10)), "NOOP\r\n");
  }
}

TEST_F(MemoryStreamTest, ALineWithoutEndIsCutOff) {
  StreamOptions options;
  options.skip_bytes_max = 5000;
  Make(options);
  peer_.Feed(std::string(100'000, 'x'));
  EXPECT_EQ(ReadLine(100).status().code(), absl::StatusCode::kAborted);
}

TEST_F(MemoryStreamTest, TheBufferIsBounded) {
  StreamOptions options;
  options.buffer_bytes_max = 10;
  Make(options);
  peer_.Feed(std::string(30, 'x'));
  EXPECT_TRUE(Await(io_, stream_->Fill()).ok());
  EXPECT_EQ(Await(io_, stream_->Fill()).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(stream_->Buffered().size(), 10u);
  stream_->Consume(4);
  EXPECT_TRUE(Await(io_, stream_->Fill()).ok());
  EXPECT_EQ(stream_->Buffered().size(), 10u);
  // A line may be longer than what is read ahead.
  peer_.Feed("\r\n");
  EXPECT_EQ(ReadLine(512)->size(), 28u);
}

TEST_F(MemoryStreamTest, WhatArrivedBeforeTheEndIsStillRead) {
  Make();
  peer_.Feed("QUIT\r\npart");
  peer_.FeedEnd();
  EXPECT_EQ(*ReadLine(), "QUIT\r\n");
  EXPECT_EQ(ReadLine().status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(stream_->Buffered(), "part");
}

TEST_F(MemoryStreamTest, TheDeadlineEndsAReadAndLeavesTheWriteSide) {
  Make();
  stream_->ExpireAfter(absl::Milliseconds(20));
  EXPECT_EQ(ReadLine().status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(ReadLine().status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(Await(io_, stream_->Write("421 bye\r\n")).code(), absl::StatusCode::kDeadlineExceeded);
  stream_->ExpireAfter(absl::Seconds(10));
  EXPECT_TRUE(Await(io_, stream_->Write("421 bye\r\n")).ok());
  EXPECT_EQ(peer_.TakeWritten(), "421 bye\r\n");
}

TEST_F(MemoryStreamTest, ADeadlineCanBeMovedBothWaysDuringARead) {
  Make();
  stream_->ExpireAfter(absl::Milliseconds(20));
  asio::post(io_, [&] { stream_->ExpireAfter(absl::Hours(1)); });
  asio::post(io_, [&] { stream_->ExpireAfter(absl::Milliseconds(60)); });
  const absl::Time begin = absl::Now();
  EXPECT_EQ(ReadLine().status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_GE(absl::Now() - begin, absl::Milliseconds(60));
  EXPECT_LT(absl::Now() - begin, absl::Seconds(30));
}

TEST_F(MemoryStreamTest, StopReadingWakesTheReaderAndLeavesTheWriteSide) {
  Make();
  asio::post(io_, [&] { stream_->StopReading(); });
  EXPECT_EQ(ReadLine().status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(ReadLine().status().code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(Await(io_, stream_->Write("421 bye\r\n")).ok());
}

TEST_F(MemoryStreamTest, CloseWakesTheReader) {
  Make();
  asio::post(io_, [&] { stream_->Close(); });
  EXPECT_EQ(ReadLine().status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(Await(io_, stream_->Write("x")).code(), absl::StatusCode::kCancelled);
}

TEST_F(MemoryStreamTest, AfterAFailedWriteNothingIsWritten) {
  Make();
  peer_.RefuseWrites();
  EXPECT_EQ(Await(io_, stream_->Write("x")).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Await(io_, stream_->Write("y")).code(), absl::StatusCode::kAborted);
}

// RFC 3207 section 4.2 and CVE-2011-0411.
TEST_F(MemoryStreamTest, BytesBehindStartTlsAreDropped) {
  Make();
  peer_.Feed("STARTTLS\r\nMAIL FROM:<evil@example>\r\n");
  EXPECT_EQ(*ReadLine(), "STARTTLS\r\n");
  EXPECT_NE(stream_->Buffered(), "");
  EXPECT_TRUE(Await(io_, stream_->StartTlsServer(nullptr)).ok());
  EXPECT_EQ(stream_->Buffered(), "");
  EXPECT_TRUE(stream_->tls().active);
}

TEST_F(MemoryStreamTest, WaitUntilSentWaitsForTheQueueAndForNoLongerThanTheDeadline) {
  Make();
  peer_.SetUnsent(100);
  stream_->ExpireAfter(absl::Milliseconds(30));
  EXPECT_EQ(Await(io_, stream_->WaitUntilSent(false)).code(), absl::StatusCode::kDeadlineExceeded);
  stream_->ExpireAfter(absl::Seconds(10));
  asio::post(io_, [&] { peer_.SetUnsent(0); });
  EXPECT_TRUE(Await(io_, stream_->WaitUntilSent(false)).ok());
}

TEST_F(MemoryStreamTest, QuietMeansThatNothingWaits) {
  Make();
  EXPECT_TRUE(stream_->Quiet());
  peer_.Feed("421 bye\r\n");
  EXPECT_FALSE(stream_->Quiet());
}

// --- over TCP ---

TlsClientOptions VerifyBySystem() { return {.verify = true, .roots_file = ""}; }

asio::awaitable<std::unique_ptr<Stream>> Accept(tcp::acceptor& acceptor) {
  tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
  co_return MakeTcpStream(std::move(socket));
}

struct Pair {
  std::unique_ptr<Stream> client;
  std::unique_ptr<Stream> server;
};

class TcpStreamTest : public ::testing::Test {
 protected:
  Pair Connect() {
    tcp::acceptor acceptor(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    const Endpoint to = FromAsio(acceptor.local_endpoint());
    Pair pair;
    auto client = Start(io_, ConnectTcp(io_.get_executor(), to, ConnectOptions{}));
    pair.server = Await(io_, Accept(acceptor));
    absl::StatusOr<std::unique_ptr<Stream>> connected = client.Get();
    EXPECT_TRUE(connected.ok()) << connected.status();
    pair.client = *std::move(connected);
    pair.client->ExpireAfter(absl::Seconds(20));
    pair.server->ExpireAfter(absl::Seconds(20));
    return pair;
  }

  // Both sides at once; the statuses of client and server.
  std::pair<absl::Status, absl::Status> Handshake(Pair& pair, const TlsClientOptions& options,
                                                  std::string name) {
    auto server_context = TlsContext::LoadServer({certificate_.file(), certificate_.file()});
    auto client_context = TlsContext::LoadClient(options);
    EXPECT_TRUE(server_context.ok()) << server_context.status();
    EXPECT_TRUE(client_context.ok()) << client_context.status();
    auto server = Start(io_, pair.server->StartTlsServer(*server_context));
    auto client = Start(io_, pair.client->StartTlsClient(*client_context, std::move(name)));
    absl::Status client_status = client.Get();
    if (!client_status.ok()) pair.client->Close();
    return {client_status, server.Get()};
  }

  asio::io_context io_;
  TestCertificate certificate_{"mx.example"};
};

TEST_F(TcpStreamTest, CarriesLinesBothWays) {
  Pair pair = Connect();
  EXPECT_EQ(pair.client->peer(), pair.server->local());
  EXPECT_EQ(pair.client->local(), pair.server->peer());
  EXPECT_TRUE(Await(io_, pair.server->Write("220 hello\r\n")).ok());
  EXPECT_EQ(*Await(io_, pair.client->ReadLine(512)), "220 hello\r\n");
  EXPECT_FALSE(pair.client->tls().active);
  pair.client.reset();
  EXPECT_EQ(Await(io_, pair.server->ReadLine(512)).status().code(), absl::StatusCode::kAborted);
}

TEST_F(TcpStreamTest, RefusedConnectionsAreUnavailable) {
  uint16_t port = 0;
  {
    tcp::acceptor acceptor(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    port = acceptor.local_endpoint().port();
  }
  auto connected = Await(
      io_, ConnectTcp(io_.get_executor(), Endpoint{*IpAddress::Parse("127.0.0.1"), port}, {}));
  EXPECT_EQ(connected.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(connected.status().message()), HasSubstr("127.0.0.1"));
}

// A write of several steps, which is between two of them when it is first cancelled.
class StepsTransport final : public Transport {
 public:
  explicit StepsTransport(asio::any_io_executor executor)
      : executor_(std::move(executor)), room_(executor_) {}

  asio::any_io_executor executor() override { return executor_; }
  asio::awaitable<absl::StatusOr<size_t>> ReadSome(char*, size_t) override {
    co_return absl::AbortedError("nothing to read");
  }
  asio::awaitable<absl::Status> WriteAll(std::string_view) override {
    while (cancels_ < 2) {
      room_.expires_at(Timer::time_point::max());
      auto [ignored] = co_await room_.async_wait(asio::as_tuple(asio::use_awaitable));
      (void)ignored;
    }
    co_return absl::AbortedError("cancelled");
  }
  asio::awaitable<absl::Status> HandshakeServer(std::shared_ptr<const TlsContext>) override {
    co_return absl::OkStatus();
  }
  asio::awaitable<absl::Status> HandshakeClient(std::shared_ptr<const TlsContext>,
                                                std::string) override {
    co_return absl::OkStatus();
  }
  asio::awaitable<absl::Status> ShutdownSend() override { co_return absl::OkStatus(); }
  void Cancel() override {
    ++cancels_;
    room_.cancel();
  }
  void Close() override { room_.cancel(); }
  absl::StatusOr<size_t> UnsentBytes() const override { return 0; }
  absl::StatusOr<size_t> UnacknowledgedBytes() const override { return 0; }
  bool Quiet() const override { return true; }
  Endpoint local() const override { return {}; }
  Endpoint peer() const override { return {}; }
  const TlsFacts& tls() const override { return tls_; }
  std::optional<std::string> ChannelBinding(std::string_view) const override {
    return std::nullopt;
  }

 private:
  const asio::any_io_executor executor_;
  Timer room_;
  int cancels_ = 0;
  const TlsFacts tls_;
};

TEST(StepsStreamTest, ADeadlineBetweenTwoStepsOfAWriteIsNotLost) {
  asio::io_context io;
  Stream stream(std::make_unique<StepsTransport>(io.get_executor()));
  stream.ExpireAfter(absl::Milliseconds(10));
  EXPECT_EQ(Await(io, stream.Write("in steps")).code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(TcpStreamTest, TheDeadlineEndsAWriteThatNobodyReads) {
  Pair pair = Connect();
  // More than both kernels' buffers hold: the write is under way when its time is taken away.
  auto write = Start(io_, pair.client->Write(std::string(64 << 20, 'x')));
  asio::post(io_, [&] { pair.client->ExpireAfter(absl::Milliseconds(50)); });
  EXPECT_EQ(write.Get().code(), absl::StatusCode::kDeadlineExceeded);
  // It was cut in the middle, so nothing may follow it, new time or not.
  pair.client->ExpireAfter(absl::Seconds(10));
  EXPECT_EQ(Await(io_, pair.client->Write("more")).code(), absl::StatusCode::kAborted);
}

TEST_F(TcpStreamTest, AWriteThatCameTooLateLeavesTheWriteSide) {
  Pair pair = Connect();
  pair.client->ExpireAfter(absl::ZeroDuration());
  EXPECT_EQ(Await(io_, pair.client->Write("late")).code(), absl::StatusCode::kDeadlineExceeded);
  pair.client->ExpireAfter(absl::Seconds(10));
  EXPECT_TRUE(Await(io_, pair.client->Write("220 hello\r\n")).ok());
  EXPECT_EQ(*Await(io_, pair.server->ReadLine(512)), "220 hello\r\n");
}

asio::awaitable<absl::Status> ReadAll(Stream& stream) {
  while (true) {
    absl::Status filled = co_await stream.Fill();
    if (!filled.ok()) co_return filled;
    stream.Consume(stream.Buffered().size());
  }
}

TEST_F(TcpStreamTest, SeesItsSendQueue) {
  Pair pair = Connect();
  EXPECT_TRUE(Await(io_, pair.client->Write("some")).ok());
  EXPECT_TRUE(Await(io_, pair.client->WaitUntilSent(true)).ok());
  // A peer that does not read closes its window; from then on bytes stay in our queue.
  absl::Status sent = absl::OkStatus();
  for (int i = 0; i < 1000 && sent.ok(); ++i) {
    pair.client->ExpireAfter(absl::Seconds(20));
    ASSERT_TRUE(Await(io_, pair.client->Write(std::string(1 << 16, 'x'))).ok());
    pair.client->ExpireAfter(absl::Milliseconds(50));
    sent = Await(io_, pair.client->WaitUntilSent(false));
  }
  EXPECT_EQ(sent.code(), absl::StatusCode::kDeadlineExceeded);
  auto reader = Start(io_, ReadAll(*pair.server));
  pair.client->ExpireAfter(absl::Seconds(20));
  EXPECT_TRUE(Await(io_, pair.client->WaitUntilSent(true)).ok());
  pair.client->Close();
  EXPECT_EQ(reader.Get().code(), absl::StatusCode::kAborted);
}

TEST_F(TcpStreamTest, HandshakesAndThenCarriesLines) {
  Pair pair = Connect();
  const auto [client, server] = Handshake(pair, TlsClientOptions{}, "mx.example");
  ASSERT_TRUE(client.ok()) << client;
  ASSERT_TRUE(server.ok()) << server;
  EXPECT_TRUE(pair.client->tls().active);
  EXPECT_EQ(pair.client->tls().version, "TLSv1.3");
  EXPECT_NE(pair.client->tls().cipher, "");
  EXPECT_FALSE(pair.client->tls().verified);
  EXPECT_NE(pair.client->tls().verify_error, "");
  EXPECT_EQ(pair.server->tls().server_name, "mx.example");
  EXPECT_TRUE(Await(io_, pair.client->Write("EHLO\r\n")).ok());
  EXPECT_EQ(*Await(io_, pair.server->ReadLine(512)), "EHLO\r\n");
  // RFC 9266, RFC 5929: both sides see the same bytes.
  for (const char* type : {"tls-exporter", "tls-server-end-point"}) {
    ASSERT_TRUE(pair.client->ChannelBinding(type).has_value()) << type;
    EXPECT_EQ(pair.client->ChannelBinding(type), pair.server->ChannelBinding(type));
    EXPECT_EQ(pair.client->ChannelBinding(type)->size(), 32u);
  }
  EXPECT_FALSE(pair.client->ChannelBinding("tls-unique").has_value());
}

TEST_F(TcpStreamTest, VerifiesTheChainAndTheName) {
  {
    Pair pair = Connect();
    const auto [client, server] =
        Handshake(pair, {.verify = true, .roots_file = certificate_.file()}, "mx.example");
    ASSERT_TRUE(client.ok()) << client;
    EXPECT_TRUE(pair.client->tls().verified);
    EXPECT_EQ(pair.client->tls().verify_error, "");
  }
  {
    Pair pair = Connect();
    const auto [client, server] =
        Handshake(pair, {.verify = true, .roots_file = certificate_.file()}, "other.example");
    EXPECT_EQ(client.code(), absl::StatusCode::kAborted);
    EXPECT_THAT(std::string(client.message()), HasSubstr("ostname mismatch"));
  }
  {
    Pair pair = Connect();
    const auto [client, server] = Handshake(pair, VerifyBySystem(), "mx.example");
    EXPECT_EQ(client.code(), absl::StatusCode::kAborted);
    EXPECT_THAT(std::string(client.message()), HasSubstr("self-signed"));
  }
}

TEST_F(TcpStreamTest, ACutUnderTlsIsNoEnd) {
  Pair pair = Connect();
  const auto [client, server] = Handshake(pair, TlsClientOptions{}, "mx.example");
  ASSERT_TRUE(client.ok() && server.ok());
  pair.server->Close();  // TCP ends without close_notify.
  const absl::Status read = Await(io_, pair.client->Fill());
  EXPECT_EQ(read.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(read.message()), HasSubstr("cut without a TLS close"));
}

TEST_F(TcpStreamTest, TlsWithAPeerThatTalksPlainTextFails) {
  Pair pair = Connect();
  auto context = TlsContext::LoadClient({});
  ASSERT_TRUE(context.ok());
  EXPECT_TRUE(Await(io_, pair.server->Write("220 not TLS\r\n")).ok());
  const absl::Status done = Await(io_, pair.client->StartTlsClient(*context, "mx.example"));
  EXPECT_EQ(done.code(), absl::StatusCode::kAborted);
}

TEST_F(TcpStreamTest, AStalledHandshakeEndsAtTheDeadline) {
  Pair pair = Connect();
  auto context = TlsContext::LoadClient({});
  pair.client->ExpireAfter(absl::Milliseconds(50));
  const absl::Status done = Await(io_, pair.client->StartTlsClient(*context, "mx.example"));
  EXPECT_EQ(done.code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(TcpStreamTest, ClosesGracefullyUnderTlsAndWithout) {
  for (bool tls : {false, true}) {
    Pair pair = Connect();
    if (tls) Handshake(pair, TlsClientOptions{}, "mx.example");
    EXPECT_TRUE(Await(io_, pair.server->Write("221 bye\r\n")).ok());
    auto closed = Start(io_, pair.server->CloseGracefully(absl::Seconds(20)));
    EXPECT_EQ(*Await(io_, pair.client->ReadLine(512)), "221 bye\r\n");
    const absl::Status end = Await(io_, pair.client->Fill());
    EXPECT_EQ(end.code(), absl::StatusCode::kAborted);
    EXPECT_THAT(std::string(end.message()), HasSubstr("the peer closed the connection"));
    pair.client->Close();
    closed.Get();
    EXPECT_TRUE(pair.server->closed());
  }
}

}  // namespace
}  // namespace holdfast::smtp
