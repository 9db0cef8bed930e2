// UnboundResolver against a DNS server of the test's own.
#include "smtp/dns/unbound_resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <string>

#include "smtp/dns/dns_records.h"
#include "smtp/dns/mx_lookup.h"
#include "smtp/dns/mx_plan.h"
#include "smtp/dns/next_hop.h"
#include "smtp/stream/asio.h"
#include "smtp/stream/ip_address.h"
#include "tests/testing/dns_server.h"

namespace holdfast::smtp {
namespace {

using holdfast::testing::DnsServer;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

constexpr uint16_t kTypeA = 1;
constexpr uint16_t kTypeMx = 15;

class UnboundResolverTest : public ::testing::Test {
 protected:
  void Open(absl::Duration timeout = absl::Seconds(20), size_t lookups_max = 1000) {
    UnboundResolverOptions options;
    options.forwarders = {Endpoint{*IpAddress::Parse("127.0.0.1"), server_.port()}};
    options.timeout = timeout;
    options.lookups_max = lookups_max;
    auto resolver = UnboundResolver::Create(io_.get_executor(), options);
    ASSERT_TRUE(resolver.ok()) << resolver.status();
    resolver_ = *std::move(resolver);
  }

  template <typename T>
  T Await(asio::awaitable<T> awaitable) {
    std::optional<T> result;
    asio::co_spawn(io_, std::move(awaitable), [&](std::exception_ptr error, T value) {
      ASSERT_FALSE(error);
      result = std::move(value);
    });
    io_.restart();
    io_.run();
    return std::move(result).value();
  }

  DnsServer server_;
  asio::io_context io_;
  std::unique_ptr<UnboundResolver> resolver_;
};

TEST_F(UnboundResolverTest, ReadsAllKindsOfRecords) {
  server_.AddMx("d.test", 10, "mx1.d.test");
  server_.AddMx("d.test", 20, "MX2.d.test");
  server_.AddA("mx1.d.test", "192.0.2.1");
  server_.AddA("mx1.d.test", "192.0.2.2");
  server_.AddAaaa("mx1.d.test", "2001:db8::1");
  server_.AddTxt("d.test", {"v=one", " two"});
  server_.AddRaw("_25._tcp.mx1.d.test", 52, std::string("\3\1\1hash"));
  server_.AddPtr("1.2.0.192.in-addr.arpa", "mx1.d.test");
  Open();
  const MxAnswer mx = Await(resolver_->LookupMx("d.test"));
  EXPECT_EQ(mx.status, DnsStatus::kOk) << mx.why;
  EXPECT_FALSE(mx.secure);
  EXPECT_THAT(mx.records,
              UnorderedElementsAre(MxRecord{10, "mx1.d.test"}, MxRecord{20, "mx2.d.test"}));
  EXPECT_THAT(Await(resolver_->LookupA("mx1.d.test")).records,
              UnorderedElementsAre(*IpAddress::Parse("192.0.2.1"), *IpAddress::Parse("192.0.2.2")));
  EXPECT_THAT(Await(resolver_->LookupAaaa("mx1.d.test")).records,
              ElementsAre(*IpAddress::Parse("2001:db8::1")));
  EXPECT_THAT(Await(resolver_->LookupTxt("d.test")).records, ElementsAre("v=one two"));
  EXPECT_THAT(Await(resolver_->LookupTlsa("_25._tcp.mx1.d.test")).records,
              ElementsAre(TlsaRecord{3, 1, 1, "hash"}));
  EXPECT_THAT(Await(resolver_->LookupPtr(*IpAddress::Parse("192.0.2.1"))).records,
              ElementsAre("mx1.d.test"));
  EXPECT_EQ(resolver_->lookups_in_progress(), 0u);
}

TEST_F(UnboundResolverTest, TellsNotExistingFromNotKnowing) {
  server_.AddName("empty.test");
  server_.AddName("broken.test");
  server_.SetManner("broken.test", 0, DnsServer::Manner::kServFail);
  server_.AddName("refused.test");
  server_.SetManner("refused.test", 0, DnsServer::Manner::kRefused);
  Open();
  EXPECT_EQ(Await(resolver_->LookupMx("nowhere.test")).status, DnsStatus::kNxDomain);
  EXPECT_EQ(Await(resolver_->LookupMx("empty.test")).status, DnsStatus::kNoData);
  EXPECT_EQ(Await(resolver_->LookupMx("broken.test")).status, DnsStatus::kFailed);
  EXPECT_EQ(Await(resolver_->LookupMx("refused.test")).status, DnsStatus::kFailed);
}

TEST_F(UnboundResolverTest, GivesUpAfterItsTimeout) {
  server_.AddA("silent.test", "192.0.2.1");
  server_.SetManner("silent.test", 0, DnsServer::Manner::kSilent);
  Open(absl::Milliseconds(100));
  const AddressAnswer answer = Await(resolver_->LookupA("silent.test"));
  EXPECT_EQ(answer.status, DnsStatus::kFailed);
  EXPECT_EQ(answer.why, "no answer in time");
  EXPECT_EQ(resolver_->lookups_in_progress(), 0u);
}

TEST_F(UnboundResolverTest, FollowsCnamesAndSurvivesTheirLoops) {
  server_.AddCname("alias.test", "real.test");
  server_.AddMx("real.test", 5, "mx.test");
  server_.AddCname("loop1.test", "loop2.test");
  server_.AddCname("loop2.test", "loop1.test");
  server_.AddCname("dangling.test", "gone.test");
  Open();
  const MxAnswer alias = Await(resolver_->LookupMx("alias.test"));
  EXPECT_EQ(alias.status, DnsStatus::kOk) << alias.why;
  EXPECT_EQ(alias.canonical_name, "real.test");
  EXPECT_THAT(alias.records, ElementsAre(MxRecord{5, "mx.test"}));
  EXPECT_EQ(Await(resolver_->LookupMx("loop1.test")).status, DnsStatus::kFailed);
  EXPECT_EQ(Await(resolver_->LookupMx("dangling.test")).status, DnsStatus::kNxDomain);
}

TEST_F(UnboundResolverTest, AsksByTcpWhenTruncated) {
  for (int i = 0; i < 150; ++i) {
    server_.AddMx("big.test", static_cast<uint16_t>(i), "mx" + std::to_string(i) + ".big.test");
  }
  server_.SetManner("big.test", 0, DnsServer::Manner::kTruncateUdp);
  Open();
  const MxAnswer answer = Await(resolver_->LookupMx("big.test"));
  EXPECT_EQ(answer.status, DnsStatus::kOk) << answer.why;
  EXPECT_EQ(answer.records.size(), RecordLimits().records_max);  // The rest is dropped.
  EXPECT_GE(server_.tcp_questions(), 1);
}

TEST_F(UnboundResolverTest, MalformedRecordsAreNotAnEmptyAnswer) {
  // "bad host.test": a name with a blank, which no mail host has.
  server_.AddRaw("odd.test", kTypeMx, std::string("\0\5\10bad host\4test\0", 17));
  Open();
  EXPECT_EQ(Await(resolver_->LookupMx("odd.test")).status, DnsStatus::kFailed);
}

TEST_F(UnboundResolverTest, RefusesMoreLookupsThanItsBound) {
  server_.AddA("silent.test", "192.0.2.1");
  server_.SetManner("silent.test", kTypeA, DnsServer::Manner::kSilent);
  Open(absl::Milliseconds(200), /*lookups_max=*/1);
  std::optional<AddressAnswer> first;
  std::optional<AddressAnswer> second;
  asio::co_spawn(io_, resolver_->LookupA("silent.test"),
                 [&](std::exception_ptr, AddressAnswer answer) { first = std::move(answer); });
  asio::co_spawn(io_, resolver_->LookupA("other.test"),
                 [&](std::exception_ptr, AddressAnswer answer) { second = std::move(answer); });
  io_.run();
  EXPECT_EQ(first.value().why, "no answer in time");
  EXPECT_EQ(second.value().why, "too many lookups at a time");
}

TEST_F(UnboundResolverTest, EndsItsLookupsWhenItGoes) {
  server_.SetManner("silent.test", 0, DnsServer::Manner::kSilent);
  Open();
  std::optional<AddressAnswer> answer;
  asio::co_spawn(io_, resolver_->LookupA("silent.test"),
                 [&](std::exception_ptr, AddressAnswer got) { answer = std::move(got); });
  io_.poll();
  EXPECT_EQ(resolver_->lookups_in_progress(), 1u);
  resolver_.reset();
  io_.run();
  EXPECT_EQ(answer.value().status, DnsStatus::kFailed);
}

TEST_F(UnboundResolverTest, GoesAwayWithTheIoContext) {
  server_.SetManner("silent.test", 0, DnsServer::Manner::kSilent);
  auto io = std::make_unique<asio::io_context>();
  UnboundResolverOptions options;
  options.forwarders = {Endpoint{*IpAddress::Parse("127.0.0.1"), server_.port()}};
  auto resolver = UnboundResolver::Create(io->get_executor(), options);
  ASSERT_TRUE(resolver.ok());
  bool ended = false;
  asio::co_spawn(*io, (*resolver)->LookupA("silent.test"),
                 [&](std::exception_ptr, AddressAnswer) { ended = true; });
  io->poll();
  resolver->reset();
  io.reset();  // Destroys the suspended lookup; ASan watches.
  EXPECT_FALSE(ended);
}

TEST_F(UnboundResolverTest, RefusesFilesThatAreNotThere) {
  UnboundResolverOptions options;
  options.resolv_conf = "/nonexistent/resolv.conf";
  auto resolver = UnboundResolver::Create(io_.get_executor(), options);
  ASSERT_FALSE(resolver.ok());
  EXPECT_TRUE(absl::IsInvalidArgument(resolver.status()));
  EXPECT_THAT(std::string(resolver.status().message()),
              ::testing::HasSubstr("/nonexistent/resolv.conf"));
}

TEST_F(UnboundResolverTest, FeedsAnMxPlan) {
  server_.AddMx("d.test", 20, "b.test");
  server_.AddMx("d.test", 10, "a.test");
  server_.AddCname("a.test", "real.test");
  server_.AddA("real.test", "192.0.2.1");
  server_.AddA("b.test", "192.0.2.2");
  Open();
  const RoutePlan plan =
      Await(PlanRoute(*resolver_, *RouteByDestination("d.test"), MxPlanOptions{}, 1));
  ASSERT_EQ(plan.hops.size(), 2u);
  EXPECT_EQ(plan.hops[0].endpoint.ToString(), "192.0.2.1:25");
  EXPECT_EQ(plan.hops[0].host, "a.test");
  EXPECT_EQ(plan.hops[1].endpoint.ToString(), "192.0.2.2:25");
}

}  // namespace
}  // namespace holdfast::smtp
