// What dialogues can't show: pieces, confirmations, abandonment.
#include "smtp/server/session.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <string>

#include "smtp/stream/memory_stream.h"
#include "tests/smtp/dialogue.h"

namespace holdfast::smtp {
namespace {

struct Ended {
  bool ended = false;
  absl::Status why;
};

asio::awaitable<void> RunOne(Session* session, Ended* end) {
  end->why = co_await session->Run();
  end->ended = true;
}

void Rethrow(std::exception_ptr failed) {
  if (failed != nullptr) std::rethrow_exception(failed);
}

class SessionTest : public testing::Test {
 protected:
  SessionTest() : world_({}) {
    options_.hostname = std::string(kDialogueHostname);
    client_.address = IpAddress::Parse("127.0.0.1").value();
    client_.roles.mx = true;
  }
  ~SessionTest() override {
    peer_.FeedEnd();
    while (session_ != nullptr && !end_.ended) io_.run_one();
  }

  void Start() {
    session_ = std::make_unique<Session>(
        std::make_unique<Stream>(peer_.MakeTransport(io_.get_executor()), SessionStreamOptions()),
        SessionServices{&world_.sink, world_.policy.get(), &world_.observer, &world_.clock},
        options_, client_, nullptr);
    asio::co_spawn(io_, RunOne(session_.get(), &end_), Rethrow);
    Poll();
  }
  std::string Say(std::string_view bytes) {
    peer_.Feed(bytes);
    Poll();
    return peer_.TakeWritten();
  }
  void Poll() {
    io_.restart();
    while (io_.poll() > 0) {
    }
  }

  static constexpr std::string_view kUpToData =
      "EHLO c.test\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@backup.test>\r\nDATA\r\n";

  asio::io_context io_;
  DialogueWorld world_;
  SessionOptions options_;
  ClientFacts client_;
  MemoryPeer peer_;
  std::unique_ptr<Session> session_;
  Ended end_;
};

std::string Lines(size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i)
    text += "0123456789012345678901234567890123456789012345678901\r\n";
  return text;
}

TEST_F(SessionTest, ShortMessagesAreHandedOverAtOnce) {
  Start();
  const std::string content = Lines(15000);  // 810 kB
  Say(kUpToData);
  EXPECT_EQ(Say(content + ".\r\n"), "250 2.0.0 Ok: queued as 0TEST00000000001\r\n");
  const SunkMessage message = world_.sink.last().value();
  EXPECT_EQ(message.chunks.size(), 1u);
  EXPECT_EQ(message.content.substr(message.facts.trace_header_bytes), content);
}

TEST_F(SessionTest, LongMessagesGoInPiecesAndArriveWhole) {
  Start();
  const std::string content = Lines(100000);  // 5.4 MB
  Say(kUpToData);
  EXPECT_EQ(Say(content + ".\r\n"), "250 2.0.0 Ok: queued as 0TEST00000000001\r\n");
  const SunkMessage message = world_.sink.last().value();
  EXPECT_EQ(message.content.substr(message.facts.trace_header_bytes), content);
  ASSERT_GT(message.chunks.size(), 5u);
  EXPECT_LE(message.chunks[0], 1024u * 1024 + 64 * 1024);
  for (size_t i = 1; i < message.chunks.size(); ++i) {
    EXPECT_LE(message.chunks[i], 512u * 1024 + 64 * 1024);
  }
}

TEST_F(SessionTest, ConfirmsWhenTheClientGoesOn) {
  Start();
  Say(kUpToData);
  Say("hi\r\n.\r\n");
  EXPECT_TRUE(world_.sink.confirmed().empty());
  Say("NOOP\r\n");
  EXPECT_EQ(world_.sink.confirmed(), std::vector<std::string>{"0TEST00000000001"});
  peer_.FeedEnd();
  Poll();
  EXPECT_TRUE(world_.sink.unconfirmed().empty());
}

TEST_F(SessionTest, DoesNotConfirmWhenTheConnectionBreaks) {
  Start();
  Say(kUpToData);
  Say("hi\r\n.\r\n");
  peer_.FeedEnd();
  Poll();
  EXPECT_TRUE(world_.sink.confirmed().empty());
  EXPECT_EQ(world_.sink.unconfirmed(), std::vector<std::string>{"0TEST00000000001"});
  EXPECT_EQ(world_.sink.committed(), 1u);
}

TEST_F(SessionTest, AbandonsWhatIsNotAccepted) {
  Start();
  Say(kUpToData);
  Say("bare\nlf\r\n");
  EXPECT_EQ(world_.sink.abandoned(), 1u);  // At once, not at the dot.
  EXPECT_EQ(Say(".\r\n").substr(0, 9), "550 5.6.0");
  Say("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@backup.test>\r\nBDAT 2\r\nhi");
  Say("RSET\r\n");
  EXPECT_EQ(world_.sink.abandoned(), 2u);
  Say("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@backup.test>\r\nDATA\r\nhalf");
  peer_.FeedEnd();
  Poll();
  EXPECT_EQ(world_.sink.abandoned(), 3u);
  EXPECT_EQ(world_.sink.committed(), 0u);
  EXPECT_TRUE(end_.ended);
  EXPECT_EQ(end_.why.code(), absl::StatusCode::kAborted);
}

TEST_F(SessionTest, PipelinedGroupCostsOneWrite) {
  Start();
  int writes = 0;
  peer_.OnWrite([&](std::string_view) { ++writes; });
  Say(kUpToData);
  EXPECT_EQ(writes, 1);
}

TEST_F(SessionTest, RepliesAreBoundedWhileInputIsNot) {
  Start();
  size_t longest = 0;
  peer_.OnWrite([&](std::string_view bytes) { longest = std::max(longest, bytes.size()); });
  std::string flood;
  for (int i = 0; i < 20000; ++i) flood += "EHLO x\r\n";
  Say(flood);
  EXPECT_LE(longest, options_.limits.output_bytes_max + 1024);
}

TEST_F(SessionTest, SessionThatIsTooOldEndsBetweenTransactions) {
  Start();
  Say("EHLO c.test\r\nMAIL FROM:<a@x.test>\r\n");
  world_.clock.Advance(options_.limits.session_timeout + absl::Seconds(1));
  std::string said = Say("RCPT TO:<b@backup.test>\r\nDATA\r\nhi\r\n.\r\n");
  io_.restart();
  while (!peer_.send_ended()) io_.run_one();
  said += peer_.TakeWritten();
  EXPECT_EQ(said,
            "250 2.1.5 Ok\r\n"
            "354 End data with <CR><LF>.<CR><LF>\r\n"
            "250 2.0.0 Ok: queued as 0TEST00000000001\r\n"
            "421 4.4.2 relay.test Timeout exceeded; closing connection\r\n");
}

TEST_F(SessionTest, WholeContentHasADeadline) {
  Start();
  Say(kUpToData);
  Say("slow\r\n");
  world_.clock.Advance(options_.limits.data_timeout + absl::Seconds(1));
  Say("slower\r\n");
  io_.restart();
  while (!peer_.send_ended()) io_.run_one();
  EXPECT_EQ(world_.sink.committed(), 0u);
  EXPECT_EQ(world_.sink.abandoned(), 1u);
}

}  // namespace
}  // namespace holdfast::smtp
