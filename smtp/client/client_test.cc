// Connection and ConnectionPool against scripted servers on loopback.
#include "smtp/client/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "smtp/client/client_core.h"
#include "smtp/client/connection_pool.h"
#include "smtp/client/scripted_remote.h"
#include "smtp/client/transaction.h"
#include "smtp/dns/next_hop.h"
#include "smtp/stream/asio.h"
#include "smtp/stream/test_certificate.h"
#include "smtp/stream/tls_context.h"
#include "tests/testing/await.h"

namespace holdfast::smtp {
namespace {

using holdfast::testing::Await;
using holdfast::testing::Start;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Script = ScriptedRemote::Script;

class TextBody final : public BodySource {
 public:
  explicit TextBody(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {}
  void FailAtEnd(absl::Status why) { end_ = std::move(why); }

  asio::awaitable<absl::StatusOr<std::shared_ptr<const std::string>>> Next() override {
    if (next_ < pieces_.size()) co_return std::make_shared<const std::string>(pieces_[next_++]);
    if (!end_.ok()) co_return end_;
    co_return std::shared_ptr<const std::string>();
  }

 private:
  std::vector<std::string> pieces_;
  size_t next_ = 0;
  absl::Status end_ = absl::OkStatus();
};

class TestFence final : public Fence {
 public:
  asio::awaitable<absl::Status> BeforeFinalDot() override {
    ++asked;
    if (before) before();
    co_return answer;
  }
  int asked = 0;
  absl::Status answer = absl::OkStatus();
  std::function<void()> before;
};

Script Accepting(const std::string& content_reply = "250 2.0.0 queued") {
  return {"S: 220 mx",
          "C: EHLO client.example",
          "S+ 250-mx",
          "S: 250 PIPELINING",
          "C: MAIL FROM:<a@a.example>",
          "C: RCPT TO:<b@b.example>",
          "C: DATA",
          "S+ 250 ok",
          "S+ 250 ok",
          "S: 354 go on",
          "content",
          "S: " + content_reply};
}

Transaction SomeMail() {
  Transaction transaction;
  transaction.reverse_path = "a@a.example";
  transaction.recipients.resize(1);
  transaction.recipients[0].mailbox = "b@b.example";
  return transaction;
}

class ClientTest : public ::testing::Test {
 protected:
  ClientTest() {
    options_.core.ehlo_name = "client.example";
    options_.tls_opportunistic = TlsContext::LoadClient({}).value();
    options_.tls_verify =
        TlsContext::LoadClient({.verify = true, .roots_file = certificate_.file()}).value();
  }

  void Serve(std::vector<Script> scripts) {
    auto tls = TlsContext::LoadServer({certificate_.file(), certificate_.file()}).value();
    remote_ = std::make_unique<ScriptedRemote>(io_, std::move(scripts), std::move(tls));
  }
  NextHop Hop() { return {"mx.example", remote_->endpoint(), 0, false}; }
  Connection::Opened Open() {
    return Await(io_, Connection::Open(io_.get_executor(), {Hop()}, options_));
  }
  std::unique_ptr<Connection> MustOpen() {
    Connection::Opened opened = Open();
    EXPECT_NE(opened.connection, nullptr);
    return std::move(opened.connection);
  }
  TransactionResult Send(Connection& connection, std::vector<std::string> pieces) {
    TextBody body(std::move(pieces));
    return Await(io_, connection.Send(SomeMail(), body, fence_));
  }
  // Runs the server's side to the end of its scripts.
  void Finish(size_t scripts) {
    while (remote_->finished() < scripts) io_.run_one();
  }

  TestCertificate certificate_{"mx.example"};
  asio::io_context io_;
  std::unique_ptr<ScriptedRemote> remote_;
  ConnectionOptions options_;
  TestFence fence_;
};

TEST_F(ClientTest, SendsAMessageDotStuffedWithCrlfOnly) {
  Serve({Accepting()});
  auto connection = MustOpen();
  const TransactionResult result =
      Send(*connection, {"Subject: x\r\n\r", "\n.dot\r\n", "..two\r\n", "bare\nlf\rcr\r\n."});
  ASSERT_EQ(result.recipients.size(), 1u);
  EXPECT_EQ(result.recipients[0].outcome, OutcomeClass::kDelivered);
  EXPECT_EQ(result.recipients[0].answer.ToString(), "250 2.0.0 queued");
  EXPECT_TRUE(result.reusable);
  EXPECT_TRUE(result.dot_sent);
  EXPECT_EQ(result.remote.host, "mx.example");
  EXPECT_EQ(result.remote.endpoint, remote_->endpoint());
  EXPECT_FALSE(result.remote.tls.active);
  EXPECT_EQ(fence_.asked, 1);
  EXPECT_THAT(remote_->contents(),
              ElementsAre("Subject: x\r\n\r\n..dot\r\n...two\r\nbare\r\nlf\r\ncr\r\n..\r\n"));
}

TEST_F(ClientTest, StreamsALargeMessage) {
  Serve({Accepting()});
  options_.block_bytes = 1000;
  auto connection = MustOpen();
  std::vector<std::string> pieces(200, std::string(70, 'x') + "\r\n");
  pieces.push_back(std::string(900'000, 'y'));
  pieces.push_back("\r\n" + std::string(900'000, '.'));
  const TransactionResult result = Send(*connection, pieces);
  EXPECT_EQ(result.recipients[0].outcome, OutcomeClass::kDelivered);
  EXPECT_EQ(result.bytes_sent, 200u * 72 + 900'000 + 2 + 900'001 + 2);  // One dot doubled.
}

TEST_F(ClientTest, WaitsForAcknowledgementIfToldTo) {
  options_.dot_waits_for_acknowledgement = true;
  Serve({Accepting()});
  auto connection = MustOpen();
  EXPECT_EQ(Send(*connection, {"x\r\n"}).recipients[0].outcome, OutcomeClass::kDelivered);
}

TEST_F(ClientTest, TheFenceKeepsTheDotBack) {
  Script script = Accepting();
  script.resize(script.size() - 2);
  script.push_back("quiet");
  Serve({script});
  auto connection = MustOpen();
  fence_.answer = absl::FailedPreconditionError("not the leader");
  const TransactionResult result = Send(*connection, {"line\r\n"});
  EXPECT_EQ(result.recipients[0].outcome, OutcomeClass::kNotAttempted);
  EXPECT_FALSE(result.dot_sent);
  EXPECT_FALSE(result.reusable);
  EXPECT_EQ(result.own_failure.code(), absl::StatusCode::kFailedPrecondition);
  Finish(1);
  // All content was there, and the connection ended without the dot.
  EXPECT_THAT(remote_->contents(), ElementsAre("line\r\n"));
}

TEST_F(ClientTest, ABrokenBodyEndsWithoutTheDot) {
  Script script = Accepting();
  script.resize(script.size() - 2);
  script.push_back("quiet");
  Serve({script});
  auto connection = MustOpen();
  TextBody body({"half a li"});
  body.FailAtEnd(absl::DataLossError("checksum"));
  const TransactionResult result = Await(io_, connection->Send(SomeMail(), body, fence_));
  EXPECT_EQ(result.recipients[0].outcome, OutcomeClass::kNotAttempted);
  EXPECT_EQ(result.own_failure.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(fence_.asked, 0);
  Finish(1);
  EXPECT_THAT(remote_->contents()[0], Not(HasSubstr(".")));
}

TEST_F(ClientTest, AnAbortBeforeTheDotIsNotSentAndOneAfterItIsRefused) {
  Script script = Accepting();
  script.resize(script.size() - 2);
  script.push_back("quiet");
  Serve({script, Accepting()});
  auto connection = MustOpen();
  bool will_end = false;
  fence_.before = [&] { will_end = connection->AbortBeforeDot(); };
  TransactionResult result = Send(*connection, {"line\r\n"});
  EXPECT_TRUE(will_end);
  EXPECT_EQ(result.recipients[0].outcome, OutcomeClass::kNotAttempted);
  EXPECT_FALSE(result.dot_sent);

  fence_.before = nullptr;
  connection = MustOpen();
  TextBody body({"line\r\n"});
  auto sending = Start(io_, connection->Send(SomeMail(), body, fence_));
  while (fence_.asked < 2) io_.run_one();
  while (!sending.done() && connection->AbortBeforeDot()) {
    // Between the fence and the dot nothing else runs, so this is never reached.
    ADD_FAILURE() << "aborted after the fence";
  }
  result = sending.Get();
  EXPECT_EQ(result.recipients[0].outcome, OutcomeClass::kDelivered);
}

TEST_F(ClientTest, AnAbortInTheMiddleOfACommandIsNotSent) {
  Serve({{"S: 220 mx", "C: EHLO client.example", "S: 250 mx", "C: MAIL FROM:<a@a.example>",
          "quiet"}});
  auto connection = MustOpen();
  TextBody body({"line\r\n"});
  auto sending = Start(io_, connection->Send(SomeMail(), body, fence_));
  for (int i = 0; i < 5; ++i) io_.poll();
  EXPECT_FALSE(sending.done());
  EXPECT_TRUE(connection->AbortBeforeDot());
  const TransactionResult result = sending.Get();
  EXPECT_EQ(result.recipients[0].outcome, OutcomeClass::kNotAttempted);
  EXPECT_EQ(result.own_failure.code(), absl::StatusCode::kAborted);
}

TEST_F(ClientTest, ALossAfterTheDotIsInDoubt) {
  Script script = Accepting();
  script.back() = "cut";
  Serve({script});
  auto connection = MustOpen();
  const TransactionResult result = Send(*connection, {"x\r\n"});
  EXPECT_EQ(result.recipients[0].outcome, OutcomeClass::kInDoubt);
  EXPECT_TRUE(result.dot_sent);
  EXPECT_FALSE(result.reusable);
}

TEST_F(ClientTest, SilenceAfterTheDotIsInDoubt) {
  options_.timeouts.final_dot = absl::Milliseconds(50);
  Script script = Accepting();
  script.back() = "quiet";
  Serve({script});
  auto connection = MustOpen();
  const TransactionResult result = Send(*connection, {"x\r\n"});
  EXPECT_EQ(result.recipients[0].outcome, OutcomeClass::kInDoubt);
  EXPECT_THAT(result.recipients[0].answer.ToString(), HasSubstr("deadline"));
}

TEST_F(ClientTest, ARemoteThatHangsUpInTheContentIsAskedWhy) {
  Script script = Accepting();
  script.resize(script.size() - 2);
  script.push_back("S: 552 5.3.4 too big");
  script.push_back("cut");
  Serve({script});
  auto connection = MustOpen();
  std::vector<std::string> pieces(300, std::string(100'000, 'x') + "\r\n");
  const TransactionResult result = Send(*connection, pieces);
  // The reset may overtake the reply; then it is a plain loss. Never a success, never in doubt.
  EXPECT_TRUE(result.recipients[0].outcome == OutcomeClass::kPermanent ||
              result.recipients[0].outcome == OutcomeClass::kTemporary);
  EXPECT_EQ(result.recipients[0].phase, Phase::kContent);
  EXPECT_FALSE(result.dot_sent);
}

TEST_F(ClientTest, SilenceBeforeTheDotIsTemporaryInItsPhase) {
  options_.timeouts.command = absl::Milliseconds(50);
  Serve({{"S: 220 mx", "C: EHLO client.example", "S: 250 mx", "C: MAIL FROM:<a@a.example>",
          "quiet"}});
  auto connection = MustOpen();
  const TransactionResult result = Send(*connection, {"x\r\n"});
  EXPECT_EQ(result.recipients[0].outcome, OutcomeClass::kTemporary);
  EXPECT_EQ(result.recipients[0].phase, Phase::kMail);
}

TEST_F(ClientTest, TriesTheNextHopAndReportsTheFirst) {
  ScriptedRemote bad(io_, {{"S: 554 5.7.1 not today"}});
  Serve({Accepting()});
  uint16_t dead_port = 0;
  {
    ScriptedRemote dead(io_, {});
    io_.poll();
    dead_port = dead.endpoint().port;
  }
  const NextHop dead{"dead.example", {*IpAddress::Parse("127.0.0.1"), dead_port}, 0, false};
  const NextHop worse{"bad.example", bad.endpoint(), 10, false};
  Connection::Opened opened =
      Await(io_, Connection::Open(io_.get_executor(), {dead, worse, Hop()}, options_));
  ASSERT_NE(opened.connection, nullptr);
  EXPECT_EQ(opened.connection->remote().host, "mx.example");
  ASSERT_EQ(opened.failures.size(), 2u);
  EXPECT_EQ(opened.failures[0].failure.phase, Phase::kConnect);
  EXPECT_EQ(opened.failures[0].failure.answer.enhanced, (EnhancedCode{4, 4, 1}));
  EXPECT_EQ(opened.failures[1].remote.host, "bad.example");
  EXPECT_EQ(opened.failures[1].failure.answer.ToString(), "554 5.7.1 not today");
  EXPECT_EQ(Send(*opened.connection, {"x"}).recipients[0].outcome, OutcomeClass::kDelivered);
}

TEST(DecidingFailureTest, IsPermanentOnlyIfAllAre) {
  HopFailure permanent;
  permanent.failure.outcome = OutcomeClass::kPermanent;
  HopFailure temporary;
  temporary.failure.outcome = OutcomeClass::kTemporary;
  EXPECT_EQ(DecidingFailure({permanent, permanent}).failure.outcome, OutcomeClass::kPermanent);
  EXPECT_EQ(DecidingFailure({temporary, permanent}).failure.outcome, OutcomeClass::kTemporary);
  EXPECT_EQ(DecidingFailure({permanent, temporary}).failure.outcome, OutcomeClass::kTemporary);
}

Script OverTls() {
  Script script = {"S: 220 mx",   "C: EHLO client.example", "S+ 250-mx", "S: 250 STARTTLS",
                   "C: STARTTLS", "S: 220 go on",           "tls"};
  const Script rest = Accepting();
  script.insert(script.end(), rest.begin() + 1, rest.end());
  return script;
}

TEST_F(ClientTest, SpeaksTlsIfOffered) {
  Serve({OverTls()});
  auto connection = MustOpen();
  const TransactionResult result = Send(*connection, {"secret\r\n"});
  EXPECT_EQ(result.recipients[0].outcome, OutcomeClass::kDelivered);
  EXPECT_TRUE(result.remote.tls.active);
  EXPECT_FALSE(result.remote.tls.verified);
  EXPECT_THAT(remote_->contents(), ElementsAre("secret\r\n"));
}

TEST_F(ClientTest, VerifiesIfToldTo) {
  options_.core.tls = TlsPolicy::kVerify;
  Serve({OverTls()});
  auto connection = MustOpen();
  EXPECT_TRUE(connection->remote().tls.verified);
  EXPECT_EQ(Send(*connection, {"x"}).recipients[0].outcome, OutcomeClass::kDelivered);
}

TEST_F(ClientTest, AWrongCertificateIsNoConnection) {
  options_.core.tls = TlsPolicy::kVerify;
  Serve({OverTls()});
  NextHop hop = Hop();
  hop.host = "other.example";
  Connection::Opened opened = Await(io_, Connection::Open(io_.get_executor(), {hop}, options_));
  EXPECT_EQ(opened.connection, nullptr);
  ASSERT_EQ(opened.failures.size(), 1u);
  EXPECT_EQ(opened.failures[0].failure.outcome, OutcomeClass::kTemporary);
  EXPECT_EQ(opened.failures[0].failure.phase, Phase::kStartTls);
}

const Script kBrokenTls = {
    "S: 220 mx",    "C: EHLO client.example",  "S+ 250-mx", "S: 250 STARTTLS", "C: STARTTLS",
    "S+ 220 go on", "S: this is no handshake", "cut"};

TEST_F(ClientTest, GoesOnInClearWhenTlsIsBrokenAndMayBe) {
  Serve({kBrokenTls, Accepting()});
  auto connection = MustOpen();
  EXPECT_FALSE(connection->remote().tls.active);
  EXPECT_EQ(Send(*connection, {"x"}).recipients[0].outcome, OutcomeClass::kDelivered);
}

TEST_F(ClientTest, NeverGoesOnInClearWhenTlsMustBe) {
  options_.core.tls = TlsPolicy::kEncrypt;
  Serve({kBrokenTls, Accepting()});
  Connection::Opened opened = Open();
  EXPECT_EQ(opened.connection, nullptr);
  EXPECT_EQ(opened.failures.size(), 1u);
}

TEST_F(ClientTest, SaysHeloOnANewConnectionIfEhloEndsTheFirst) {
  Serve({{"S: 220 mx", "C: EHLO client.example", "cut"},
         {"S: 220 mx", "C: HELO client.example", "S: 250 mx", "C: QUIT", "S: 221 bye"}});
  auto connection = MustOpen();
  Await(io_, connection->Quit());
  Finish(2);
}

TEST_F(ClientTest, AnEndlessReplyIsCutOff) {
  Script script = {"S: 220 mx", "C: EHLO client.example"};
  for (int i = 0; i < 1000; ++i) script.push_back("S+ 250-again");
  script.push_back("S: 250-and again");
  script.push_back("quiet");
  Serve({script});
  Connection::Opened opened = Open();
  EXPECT_EQ(opened.connection, nullptr);
  ASSERT_EQ(opened.failures.size(), 1u);
  EXPECT_EQ(opened.failures[0].failure.outcome, OutcomeClass::kTemporary);
}

// --- the pool ---

Script Twice() {
  Script script = Accepting();
  const Script again = {"C: MAIL FROM:<a@a.example>",
                        "C: RCPT TO:<b@b.example>",
                        "C: DATA",
                        "S+ 250 ok",
                        "S+ 250 ok",
                        "S: 354 go on",
                        "content",
                        "S: 250 ok"};
  script.insert(script.end(), again.begin(), again.end());
  return script;
}

TEST_F(ClientTest, ThePoolGivesAConnectionBackToTheSameKeyOnly) {
  Script script = Twice();
  script.push_back("C: QUIT");
  script.push_back("S: 221 bye");
  Serve({script});
  ConnectionPool pool(io_.get_executor(), {});
  const ConnectionKey key{"mx.example", remote_->endpoint().port, TlsPolicy::kMay, ""};
  auto connection = MustOpen();
  EXPECT_EQ(Send(*connection, {"x"}).recipients[0].outcome, OutcomeClass::kDelivered);
  pool.Give(key, std::move(connection));
  EXPECT_EQ(pool.idle(), 1u);
  for (const ConnectionKey& other : {ConnectionKey{"other.example", key.port, key.tls, ""},
                                     ConnectionKey{key.host, 1, key.tls, ""},
                                     ConnectionKey{key.host, key.port, TlsPolicy::kVerify, ""},
                                     ConnectionKey{key.host, key.port, key.tls, "192.0.2.1"}}) {
    EXPECT_EQ(pool.Take(other), nullptr);
  }
  connection = pool.Take(key);
  ASSERT_NE(connection, nullptr);
  EXPECT_EQ(pool.idle(), 0u);
  EXPECT_EQ(Send(*connection, {"y"}).recipients[0].outcome, OutcomeClass::kDelivered);
  EXPECT_EQ(connection->messages(), 2u);
  pool.Give(key, std::move(connection));
  pool.Clear();
  Finish(1);  // QUIT came.
}

TEST_F(ClientTest, ThePoolEndsIdleConnectionsInTime) {
  Script script = Accepting();
  script.push_back("C: QUIT");
  script.push_back("S: 221 bye");
  Serve({script});
  ConnectionPool pool(io_.get_executor(),
                      {.idle_max = 10, .idle_lifetime = absl::Milliseconds(20)});
  const ConnectionKey key{"mx.example", 25, TlsPolicy::kMay, ""};
  auto connection = MustOpen();
  Send(*connection, {"x"});
  pool.Give(key, std::move(connection));
  Finish(1);
  EXPECT_EQ(pool.idle(), 0u);
}

TEST_F(ClientTest, ThePoolDropsConnectionsThatTheRemoteHasEnded) {
  Script script = Accepting();
  script.push_back("S: 421 idle for too long");
  Serve({script});
  ConnectionPool pool(io_.get_executor(), {});
  const ConnectionKey key{"mx.example", 25, TlsPolicy::kMay, ""};
  auto connection = MustOpen();
  Send(*connection, {"x"});
  pool.Give(key, std::move(connection));
  Finish(1);
  EXPECT_EQ(pool.Take(key), nullptr);
  EXPECT_EQ(pool.idle(), 0u);
}

TEST_F(ClientTest, ThePoolIsBounded) {
  Script script = Accepting();
  script.push_back("quiet");
  Serve({script, script, script});
  ConnectionPool pool(io_.get_executor(), {.idle_max = 2, .idle_lifetime = absl::Minutes(1)});
  for (int i = 0; i < 3; ++i) {
    auto connection = MustOpen();
    Send(*connection, {"x"});
    pool.Give({"mx" + std::to_string(i), 25, TlsPolicy::kMay, ""}, std::move(connection));
  }
  EXPECT_EQ(pool.idle(), 2u);
  EXPECT_EQ(pool.Take({"mx0", 25, TlsPolicy::kMay, ""}), nullptr);
  EXPECT_NE(pool.Take({"mx2", 25, TlsPolicy::kMay, ""}), nullptr);
}

}  // namespace
}  // namespace holdfast::smtp
