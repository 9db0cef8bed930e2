// Load against Sink in one thread, and the parts that they are made of.
#include "ops/bench/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/random.h"
#include "ops/bench/account.h"
#include "ops/bench/content.h"
#include "ops/bench/latency.h"
#include "ops/bench/record_file.h"
#include "ops/bench/sink.h"
#include "ops/bench/sink_rules.h"
#include "tests/testing/await.h"

namespace holdfast::bench {
namespace {

using holdfast::testing::Await;

class LoadAndSink : public ::testing::Test {
 protected:
  smtp::Endpoint StartSink(const SinkOptions& options) {
    auto record = RecordWriter::Create(path("sink"));
    EXPECT_TRUE(record.ok()) << record.status();
    sink_record_ = *std::move(record);
    sink_ = std::make_unique<Sink>(io_.get_executor(), options, clock_, sink_record_.get(),
                                   [this] { expected_ = true; });
    const auto bound = sink_->Start(*smtp::Endpoint::Parse("127.0.0.1:0"));
    EXPECT_TRUE(bound.ok()) << bound.status();
    return *bound;
  }

  // Runs a load to its end, then the sink to its own.
  void RunLoad(LoadOptions options, std::vector<smtp::Endpoint> targets) {
    auto record = RecordWriter::Create(path("load"));
    ASSERT_TRUE(record.ok()) << record.status();
    load_ = std::make_unique<Load>(io_.get_executor(), std::move(options), std::move(targets),
                                   clock_, Random(7), record->get());
    Await(io_, load_->Run());
    ASSERT_TRUE(load_->record_failure().ok()) << load_->record_failure();
    if (sink_ != nullptr) sink_->Stop(absl::Seconds(1));
    io_.restart();
    io_.run();
  }

  Account Join() {
    Tally tally(100);
    for (const char* name : {"load", "sink"}) {
      const auto read = ForEachRecord(path(name), [&](const Record& record) { tally.Add(record); });
      EXPECT_TRUE(read.ok()) << read.status();
    }
    return tally.Finish();
  }

  std::vector<Offer> Offers() {
    std::vector<Offer> offers;
    const auto read = ForEachRecord(
        path("load"), [&](const Record& record) { offers.push_back(std::get<Offer>(record)); });
    EXPECT_TRUE(read.ok()) << read.status();
    return offers;
  }

  static std::string path(const std::string& name) {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    return ::testing::TempDir() + "/" + test->name() + "-" + name;
  }

  static LoadOptions Some(uint64_t messages) {
    LoadOptions options;
    options.messages = messages;
    options.connections = 3;
    options.patience = absl::Milliseconds(200);
    return options;
  }

  boost::asio::io_context io_;
  const SystemClock clock_{};
  bool expected_ = false;
  std::unique_ptr<RecordWriter> sink_record_;
  std::unique_ptr<Sink> sink_;
  std::unique_ptr<Load> load_;
};

TEST_F(LoadAndSink, EverythingArrivesUnchanged) {
  SinkOptions sink;
  sink.expected = 80;
  const smtp::Endpoint target = StartSink(sink);
  LoadOptions options = Some(40);
  options.recipients = 2;
  options.size = {100, 200'000};  // Several pieces, and fewer bytes than a header has.
  options.messages_per_connection = 7;
  options.domains = {"one.test", "two.test"};
  RunLoad(options, {target});
  const Account account = Join();
  EXPECT_EQ(account.Line(), "accepted 80, delivered 80, bounced 0, duplicates 0, lost 0");
  EXPECT_TRUE(account.clean());
  EXPECT_EQ(account.refused, 0u);
  EXPECT_TRUE(expected_);
  EXPECT_EQ(load_->counts().messages_accepted, 40u);
  EXPECT_GE(load_->counts().connections, 6u);
  EXPECT_EQ(load_->counts().connections_broken, 0u);
  EXPECT_EQ(load_->dot_latency().count(), 40u);
  EXPECT_EQ(sink_->counts().messages, 40u);
}

TEST_F(LoadAndSink, PlainTalksOneCommandAtATime) {
  const smtp::Endpoint target = StartSink({});
  LoadOptions options = Some(5);
  options.plain = true;
  options.rate = 200;
  RunLoad(options, {target});
  EXPECT_EQ(Join().Line(), "accepted 5, delivered 5, bounced 0, duplicates 0, lost 0");
  EXPECT_GE(load_->span(), absl::Milliseconds(20));  // The last one is due then.
}

TEST_F(LoadAndSink, RejectedRecipientsAreRefusedAndDeferredOnesOfferedAgain) {
  SinkOptions sink;
  sink.reject_percent = 30;
  sink.defer_percent = 30;
  const smtp::Endpoint target = StartSink(sink);
  LoadOptions options = Some(40);
  options.tries = 2;
  RunLoad(options, {target});
  const LoadCounts& counts = load_->counts();
  EXPECT_GT(counts.permanent, 0u);
  EXPECT_GT(counts.given_up, 0u);
  EXPECT_EQ(counts.temporary, 2 * counts.given_up);
  EXPECT_EQ(counts.accepted + counts.permanent + counts.given_up, 40u);
  EXPECT_EQ(sink_->counts().rejected, counts.permanent);
  EXPECT_EQ(Join().lost.count, 0u);
  // Each try has an id of its own.
  for (const Offer& offer : Offers()) {
    EXPECT_TRUE(offer.id.ends_with("." + std::to_string(offer.attempt))) << offer.id;
  }
}

TEST_F(LoadAndSink, ASilentSinkLeavesTheAnswerUnknownAndNothingIsOfferedAgain) {
  SinkOptions sink;
  sink.silent_percent = 40;
  const smtp::Endpoint target = StartSink(sink);
  RunLoad(Some(40), {target});
  const LoadCounts& counts = load_->counts();
  EXPECT_GT(counts.unknown, 0u);
  EXPECT_EQ(counts.unknown, sink_->counts().silent);
  EXPECT_EQ(counts.accepted + counts.unknown, 40u);
  EXPECT_EQ(Offers().size(), 40u);
  const Account account = Join();
  EXPECT_EQ(account.lost.count, 0u);
  EXPECT_EQ(account.silent, counts.unknown);
}

TEST_F(LoadAndSink, ADeadTargetIsPassedOver) {
  const smtp::Endpoint target = StartSink({});
  smtp::Endpoint nobody = target;
  nobody.address = *smtp::IpAddress::Parse("127.0.0.2");  // The sink listens on one address alone.
  LoadOptions options = Some(12);
  options.messages_per_connection = 2;
  RunLoad(options, {nobody, target});
  EXPECT_EQ(Join().Line(), "accepted 12, delivered 12, bounced 0, duplicates 0, lost 0");
  EXPECT_GT(load_->counts().connections_failed, 0u);
  EXPECT_EQ(load_->counts().given_up, 0u);
}

TEST_F(LoadAndSink, WithoutAnyTargetMessagesAreGivenUpAndNothingIsPromised) {
  RunLoad(Some(3), {*smtp::Endpoint::Parse("127.0.0.2:1")});
  EXPECT_EQ(load_->counts().given_up, 3u);
  for (const Offer& offer : Offers()) EXPECT_EQ(offer.end, OfferEnd::kNotOffered);
}

TEST_F(LoadAndSink, AStalledSinkRunsIntoTheAnswerTimeout) {
  SinkOptions sink;
  sink.stall = Stall::kDot;
  const smtp::Endpoint target = StartSink(sink);
  LoadOptions options = Some(2);
  options.answer_timeout = absl::Milliseconds(100);
  RunLoad(options, {target});
  EXPECT_EQ(load_->counts().unknown, 2u);
}

TEST_F(LoadAndSink, ARecordThatCantBeWrittenEndsTheRun) {
  const smtp::Endpoint target = StartSink({});
  auto full = RecordWriter::Create("/dev/full");
  ASSERT_TRUE(full.ok()) << full.status();
  LoadOptions options = Some(3);
  Load load(io_.get_executor(), options, {target}, clock_, Random(1), full->get());
  Await(io_, load.Run());
  EXPECT_FALSE(load.record_failure().ok());
  sink_->Stop(absl::Seconds(1));
  io_.restart();
  io_.run();
}

TEST(SinkRules, AnAddressHasItsAnswerAndTheNullSenderIsNeverRefused) {
  const SinkRules rules(20, 30, absl::Seconds(10), 50);
  int rejected = 0;
  int deferred = 0;
  int vanished = 0;
  for (int i = 0; i < 10000; ++i) {
    const std::string recipient = "u" + std::to_string(i) + "@load.test";
    const RecipientAnswer answer = rules.OnRecipient(false, recipient, absl::Seconds(1));
    EXPECT_EQ(rules.OnRecipient(false, recipient, absl::Seconds(9)), answer);
    EXPECT_EQ(rules.OnRecipient(true, recipient, absl::Seconds(1)), RecipientAnswer::kTake);
    EXPECT_EQ(rules.OnRecipient(false, recipient, absl::Seconds(11)),
              answer == RecipientAnswer::kReject ? answer : RecipientAnswer::kTake);
    EXPECT_FALSE(rules.VanishesAfterDot(true, i));
    rejected += answer == RecipientAnswer::kReject;
    deferred += answer == RecipientAnswer::kDefer;
    vanished += rules.VanishesAfterDot(false, i);
  }
  EXPECT_NEAR(rejected, 2000, 200);
  EXPECT_NEAR(deferred, 3000, 200);
  EXPECT_NEAR(vanished, 5000, 300);
}

TEST(ContentMaker, MakesExactlyTheSizeInWholeLines) {
  const ContentMaker maker{Random(1)};
  for (const uint64_t bytes : {400u, 401u, 463u, 4096u, 65536u, 65937u, 131072u, 200001u}) {
    const Content content = maker.Make("id", "a@b.test", "c@d.test", bytes, absl::UnixEpoch());
    std::string all;
    for (const auto& piece : content.pieces) all += *piece;
    EXPECT_EQ(content.bytes, bytes);
    EXPECT_EQ(all.size(), bytes);
    EXPECT_TRUE(all.starts_with("X-Holdfast-Id: id\r\n"));
    EXPECT_TRUE(all.ends_with("\r\n"));
    EXPECT_EQ(content.digest, DigestText(Crc32c(all)));
    for (size_t i = 0; i < all.size();
         ++i) {  // No bare line ends: a relay may mend or refuse them.
      if (all[i] == '\r') {
        ASSERT_EQ(all.at(i + 1), '\n') << bytes << " at " << i;
      }
      if (all[i] == '\n') {
        ASSERT_EQ(all.at(i - 1), '\r') << bytes << " at " << i;
      }
    }
  }
}

// Every length near the ends of blocks and lines, for the tails are where it can go wrong.
TEST(ContentMaker, TailsOfEveryLength) {
  const ContentMaker maker{Random(1)};
  const uint64_t header = maker.Make("id", "a@b.test", "c@d.test", 1, absl::UnixEpoch()).bytes - 2;
  for (uint64_t base : {uint64_t{0}, uint64_t{65536}, uint64_t{131072}}) {
    for (uint64_t more = 2; more < 140; ++more) {
      const uint64_t bytes = header + base + more - (base > 0 ? 70 : 0);
      const Content content = maker.Make("id", "a@b.test", "c@d.test", bytes, absl::UnixEpoch());
      ASSERT_EQ(content.bytes, bytes);
      ASSERT_TRUE(content.pieces.back()->ends_with("\r\n")) << bytes;
      ASSERT_FALSE(content.pieces.back()->ends_with("\r\r\n")) << bytes;
    }
  }
}

TEST(LatencyHistogram, PercentilesAreAtMostALittleTooHigh) {
  LatencyHistogram latency;
  EXPECT_EQ(latency.Percentile(50), absl::ZeroDuration());
  for (int i = 1; i <= 100000; ++i) latency.Add(absl::Microseconds(i * 10));
  for (const double percent : {1.0, 50.0, 90.0, 99.0, 99.9}) {
    const double exact = percent * 10000;
    const double got = absl::ToDoubleMicroseconds(latency.Percentile(percent));
    EXPECT_GE(got, exact);
    EXPECT_LE(got, exact * 1.017 + 10);
  }
  EXPECT_EQ(latency.Percentile(100), absl::Seconds(1));
  EXPECT_EQ(latency.count(), 100000u);
  latency.Add(absl::Hours(24 * 365));  // Beyond the buckets.
  EXPECT_EQ(latency.Percentile(100), absl::Hours(24 * 365));
  latency.Add(-absl::Seconds(1));
  EXPECT_EQ(latency.count(), 100002u);
}

}  // namespace
}  // namespace holdfast::bench
