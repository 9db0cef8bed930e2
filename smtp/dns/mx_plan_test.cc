#include "smtp/dns/mx_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "smtp/dns/dns_records.h"
#include "smtp/dns/next_hop.h"
#include "smtp/stream/ip_address.h"

namespace holdfast::smtp {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

IpAddress Ip(const char* text) { return IpAddress::Parse(text).value(); }

// A small DNS in memory: absent names do not exist.
struct Zone {
  std::map<std::string, MxAnswer> mx;
  std::map<std::string, AddressAnswer> a;
  std::map<std::string, AddressAnswer> aaaa;

  void Mx(const std::string& name, std::vector<MxRecord> records, bool secure = false) {
    mx[name].status = records.empty() ? DnsStatus::kNoData : DnsStatus::kOk;
    mx[name].records = std::move(records);
    mx[name].secure = secure;
  }
  void MxStatus(const std::string& name, DnsStatus status) { mx[name].status = status; }
  void Host(const std::string& name, std::vector<const char*> addresses) {
    a[name].status = aaaa[name].status = DnsStatus::kNoData;
    for (const char* text : addresses) {
      AddressAnswer& answer = Ip(text).is_v4() ? a[name] : aaaa[name];
      answer.status = DnsStatus::kOk;
      answer.records.push_back(Ip(text));
    }
  }
  void HostStatus(const std::string& name, DnsStatus status) {
    a[name].status = aaaa[name].status = status;
  }
};

template <typename Answers>
typename Answers::mapped_type Find(const Answers& answers, const std::string& name) {
  const auto found = answers.find(name);
  if (found != answers.end()) return found->second;
  typename Answers::mapped_type missing;
  missing.status = DnsStatus::kNxDomain;
  return missing;
}

// The names asked for go to `asked`.
RoutePlan Plan(const Zone& zone, Route route, const MxPlanOptions& options = {}, uint64_t seed = 1,
               std::vector<std::string>* asked = nullptr) {
  MxPlan plan(route, options, seed);
  if (plan.wants_mx()) plan.OnMx(Find(zone.mx, plan.route().host));
  while (std::optional<std::string> host = plan.NextHost()) {
    if (asked != nullptr) asked->push_back(*host);
    plan.OnAddresses(Find(zone.a, *host), Find(zone.aaaa, *host));
  }
  return plan.Finish();
}

RoutePlan PlanFor(const Zone& zone, const std::string& destination,
                  const MxPlanOptions& options = {}, uint64_t seed = 1) {
  return Plan(zone, RouteByDestination(destination).value(), options, seed);
}

std::vector<std::string> Hosts(const RoutePlan& plan) {
  std::vector<std::string> hosts;
  for (const NextHop& hop : plan.hops) hosts.push_back(hop.host);
  return hosts;
}

std::vector<std::string> Places(const RoutePlan& plan) {
  std::vector<std::string> places;
  for (const NextHop& hop : plan.hops) places.push_back(hop.endpoint.ToString());
  return places;
}

void ExpectFailure(const RoutePlan& plan, bool permanent, int code, EnhancedCode enhanced) {
  EXPECT_TRUE(plan.hops.empty());
  ASSERT_TRUE(plan.failure.has_value());
  EXPECT_EQ(plan.failure->permanent, permanent) << plan.failure->text;
  EXPECT_EQ(plan.failure->code, code) << plan.failure->text;
  EXPECT_EQ(plan.failure->enhanced, enhanced) << plan.failure->text;
  EXPECT_NE(plan.failure->text, "");
}

// RFC 5321 5.1: the client "MUST try (and retry) each of the relevant addresses in this list in
// order"; the order is that of preference.
TEST(MxPlanTest, OrdersHostsByPreference) {
  Zone zone;
  zone.Mx("d.example", {{30, "c.example"}, {10, "a.example"}, {20, "b.example"}});
  zone.Host("a.example", {"192.0.2.1"});
  zone.Host("b.example", {"192.0.2.2"});
  zone.Host("c.example", {"192.0.2.3"});
  const RoutePlan plan = PlanFor(zone, "d.example");
  EXPECT_THAT(Hosts(plan), ElementsAre("a.example", "b.example", "c.example"));
  EXPECT_THAT(Places(plan), ElementsAre("192.0.2.1:25", "192.0.2.2:25", "192.0.2.3:25"));
  EXPECT_FALSE(plan.failure.has_value());
}

// RFC 5321 5.1: "If there are multiple destinations with the same preference and there is no clear
// reason to favor one ... then the sender-SMTP MUST randomize them to spread the load".
TEST(MxPlanTest, ShufflesEqualPreferencesAndOnlyThose) {
  Zone zone;
  zone.Mx("d.example",
          {{10, "a.example"}, {10, "b.example"}, {10, "c.example"}, {20, "z.example"}});
  for (const char* name : {"a.example", "b.example", "c.example", "z.example"}) {
    zone.Host(name, {"192.0.2.1"});
  }
  std::set<std::vector<std::string>> orders;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    std::vector<std::string> hosts = Hosts(PlanFor(zone, "d.example", {}, seed));
    ASSERT_EQ(hosts.size(), 4u);
    EXPECT_EQ(hosts.back(), "z.example");
    orders.insert(std::move(hosts));
  }
  EXPECT_EQ(orders.size(), 6u);
  EXPECT_EQ(Hosts(PlanFor(zone, "d.example", {}, 7)), Hosts(PlanFor(zone, "d.example", {}, 7)));
}

// RFC 5321 5.1: "If an empty list of MXs is returned, the address is treated as if it was
// associated with an implicit MX RR, with a preference of 0, pointing to that host."
TEST(MxPlanTest, WithoutMxTheDomainIsTheHost) {
  Zone zone;
  zone.Mx("d.example", {});
  zone.Host("d.example", {"192.0.2.7", "2001:db8::7"});
  const RoutePlan plan = PlanFor(zone, "d.example");
  EXPECT_THAT(Hosts(plan), ElementsAre("d.example", "d.example"));
  EXPECT_THAT(Places(plan), ElementsAre("[2001:db8::7]:25", "192.0.2.7:25"));
}

// RFC 5321 5.1: "If MX records are present, but none of them are usable ... this situation MUST be
// reported as an error." and "If one or more MX RRs are found for a given name, SMTP systems MUST
// NOT utilize any address RRs associated with that name unless they are located using the MX RRs".
TEST(MxPlanTest, NeverFallsBackToTheAddressWhenThereIsMx) {
  Zone zone;
  zone.Mx("d.example", {{10, "gone.example"}});
  zone.Host("d.example", {"192.0.2.7"});
  std::vector<std::string> asked;
  const RoutePlan plan = Plan(zone, *RouteByDestination("d.example"), {}, 1, &asked);
  ExpectFailure(plan, true, 550, {5, 4, 4});
  EXPECT_THAT(asked, ElementsAre("gone.example"));
}

TEST(MxPlanTest, NoSuchDomainIsPermanent) {
  ExpectFailure(PlanFor(Zone(), "nowhere.example"), true, 550, {5, 1, 2});
}

TEST(MxPlanTest, NeitherMxNorAddressIsPermanent) {
  Zone zone;
  zone.Mx("d.example", {});
  zone.Host("d.example", {});
  ExpectFailure(PlanFor(zone, "d.example"), true, 550, {5, 4, 4});
}

// Not knowing is neither "no such domain" nor "no MX": the address is not even asked for.
TEST(MxPlanTest, UnknownMxIsTemporaryAndNoReasonForTheAddress) {
  for (DnsStatus status : {DnsStatus::kFailed, DnsStatus::kBogus}) {
    Zone zone;
    zone.MxStatus("d.example", status);
    zone.Host("d.example", {"192.0.2.7"});
    std::vector<std::string> asked;
    ExpectFailure(Plan(zone, *RouteByDestination("d.example"), {}, 1, &asked), false, 451,
                  {4, 4, 3});
    EXPECT_TRUE(asked.empty());
  }
}

// RFC 7505 section 3: a single "MX 0 ." says that the domain accepts no mail; 4.1: 556 and 5.1.10.
TEST(MxPlanTest, NullMxIsPermanent) {
  Zone zone;
  zone.Mx("d.example", {{0, ""}});
  zone.Host("d.example", {"192.0.2.7"});
  ExpectFailure(PlanFor(zone, "d.example"), true, 556, {5, 1, 10});
}

// RFC 7505 section 3: "A domain that advertises a null MX MUST NOT advertise any other MX RR."
TEST(MxPlanTest, NullMxBesideOthersIsIgnored) {
  Zone zone;
  zone.Mx("d.example", {{0, ""}, {10, "a.example"}});
  zone.Host("a.example", {"192.0.2.1"});
  EXPECT_THAT(Hosts(PlanFor(zone, "d.example")), ElementsAre("a.example"));
}

TEST(MxPlanTest, OneUnknownHostDoesNotBlockTheNext) {
  Zone zone;
  zone.Mx("d.example", {{10, "a.example"}, {20, "b.example"}});
  zone.HostStatus("a.example", DnsStatus::kFailed);
  zone.Host("b.example", {"192.0.2.2"});
  const RoutePlan plan = PlanFor(zone, "d.example");
  EXPECT_THAT(Hosts(plan), ElementsAre("b.example"));
  EXPECT_TRUE(plan.incomplete);
}

TEST(MxPlanTest, OneUnknownHostMakesTheFailureTemporary) {
  Zone zone;
  zone.Mx("d.example", {{10, "a.example"}, {20, "gone.example"}});
  zone.HostStatus("a.example", DnsStatus::kBogus);
  ExpectFailure(PlanFor(zone, "d.example"), false, 451, {4, 4, 3});
}

TEST(MxPlanTest, OneFamilyUnknownLeavesTheOther) {
  Zone zone;
  zone.Mx("d.example", {{10, "a.example"}});
  zone.Host("a.example", {"192.0.2.1"});
  zone.aaaa["a.example"].status = DnsStatus::kFailed;
  EXPECT_THAT(Places(PlanFor(zone, "d.example")), ElementsAre("192.0.2.1:25"));
}

// RFC 5321 5.1: a relay that finds itself in the list discards the records of its own preference
// and of all higher numbers; none left is an error, and the mail is returned as undeliverable.
TEST(MxPlanTest, OwnNameRemovesItselfAndAllThatAreNotBetter) {
  Zone zone;
  zone.Mx("d.example",
          {{10, "best.example"}, {20, "us.example"}, {20, "equal.example"}, {30, "worse.example"}});
  for (const char* name : {"best.example", "us.example", "equal.example", "worse.example"}) {
    zone.Host(name, {"192.0.2.1"});
  }
  MxPlanOptions options;
  options.own_names = {"us.example"};
  for (uint64_t seed = 0; seed < 20; ++seed) {
    EXPECT_THAT(Hosts(PlanFor(zone, "d.example", options, seed)), ElementsAre("best.example"));
  }
}

TEST(MxPlanTest, OwnAddressUnderAnotherNameCountsToo) {
  Zone zone;
  zone.Mx(
      "d.example",
      {{10, "best.example"}, {20, "alias.example"}, {20, "equal.example"}, {30, "worse.example"}});
  zone.Host("best.example", {"192.0.2.1"});
  zone.Host("alias.example", {"192.0.2.99", "192.0.2.100"});
  zone.Host("equal.example", {"192.0.2.3"});
  zone.Host("worse.example", {"192.0.2.4"});
  MxPlanOptions options;
  options.own_addresses = {Ip("192.0.2.100")};
  for (uint64_t seed = 0; seed < 20; ++seed) {
    EXPECT_THAT(Hosts(PlanFor(zone, "d.example", options, seed)), ElementsAre("best.example"));
  }
  // Also when there would be enough addresses without looking at the equal ones.
  options.addresses_max = 2;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    EXPECT_THAT(Hosts(PlanFor(zone, "d.example", options, seed)), ElementsAre("best.example"));
  }
}

TEST(MxPlanTest, BeingTheBestHostIsALoop) {
  Zone zone;
  zone.Mx("d.example", {{10, "us.example"}, {20, "backup.example"}});
  zone.Host("us.example", {"192.0.2.1"});
  zone.Host("backup.example", {"192.0.2.2"});
  MxPlanOptions options;
  options.own_names = {"us.example"};
  ExpectFailure(PlanFor(zone, "d.example", options), true, 554, {5, 4, 6});
  options.own_names.clear();
  options.own_addresses = {Ip("192.0.2.1")};
  ExpectFailure(PlanFor(zone, "d.example", options), true, 554, {5, 4, 6});
}

TEST(MxPlanTest, AddressesThatNoStrangerMayPointToAreDropped) {
  for (const char* address :
       {"0.0.0.0", "0.1.2.3", "127.0.0.1", "127.9.9.9", "169.254.1.1", "224.0.0.1",
        "255.255.255.255", "::", "::1", "fe80::1", "ff02::1", "::ffff:127.0.0.1"}) {
    Zone zone;
    zone.Mx("d.example", {{10, "evil.example"}});
    zone.Host("evil.example", {address});
    const RoutePlan plan = PlanFor(zone, "d.example");
    ExpectFailure(plan, true, 550, {5, 4, 4});
    EXPECT_THAT(plan.failure->text, HasSubstr("evil.example")) << address;
  }
}

TEST(MxPlanTest, DeniedAddressesLeaveTheOthers) {
  Zone zone;
  zone.Mx("d.example", {{10, "half.example"}});
  zone.Host("half.example", {"127.0.0.1", "192.0.2.1"});
  EXPECT_THAT(Places(PlanFor(zone, "d.example")), ElementsAre("192.0.2.1:25"));
}

// Whoever writes a route knows what is there: a test server on loopback, the next relay behind it.
TEST(MxPlanTest, AnExplicitRouteIsPermission) {
  Zone zone;
  zone.Host("inside.example", {"127.0.0.1"});
  MxPlanOptions options;
  options.own_names = {"inside.example"};
  options.own_addresses = {Ip("127.0.0.1")};
  EXPECT_THAT(Places(Plan(zone, *ParseRoute("[inside.example]:2526", "d.example", 25), options)),
              ElementsAre("127.0.0.1:2526"));
  EXPECT_THAT(Places(Plan(zone, *ParseRoute("[127.0.0.1]:2526", "d.example", 25), options)),
              ElementsAre("127.0.0.1:2526"));
}

TEST(MxPlanTest, ASmarthostHasMxHostsToo) {
  Zone zone;
  zone.Mx("relay.example", {{10, "r1.example"}});
  zone.Host("r1.example", {"10.0.0.1"});
  EXPECT_THAT(Places(Plan(zone, *ParseRoute("relay.example", "d.example", 587))),
              ElementsAre("10.0.0.1:587"));
}

TEST(MxPlanTest, AMistypedRouteIsNeverPermanent) {
  ExpectFailure(Plan(Zone(), *ParseRoute("relay.exmaple", "d.example", 25)), false, 451, {4, 1, 2});
  ExpectFailure(Plan(Zone(), *ParseRoute("[relay.exmaple]", "d.example", 25)), false, 451,
                {4, 4, 4});
}

TEST(MxPlanTest, AddressLiteralsNeedThePolicysLeave) {
  ExpectFailure(PlanFor(Zone(), "[192.0.2.1]"), true, 550, {5, 1, 2});
  MxPlanOptions options;
  options.allow_address_literals = true;
  EXPECT_THAT(Places(PlanFor(Zone(), "[192.0.2.1]", options)), ElementsAre("192.0.2.1:25"));
  EXPECT_THAT(Places(PlanFor(Zone(), "[IPv6:2001:db8::1]", options)),
              ElementsAre("[2001:db8::1]:25"));
  EXPECT_THAT(Hosts(PlanFor(Zone(), "[192.0.2.1]", options)), ElementsAre("[192.0.2.1]"));
  ExpectFailure(PlanFor(Zone(), "[127.0.0.1]", options), true, 550, {5, 4, 4});
  options.own_addresses = {Ip("192.0.2.1")};
  ExpectFailure(PlanFor(Zone(), "[192.0.2.1]", options), true, 554, {5, 4, 6});
}

TEST(MxPlanTest, FamiliesTakeTurnsAndCanBeSwitchedOff) {
  Zone zone;
  zone.Mx("d.example", {{10, "a.example"}});
  zone.Host("a.example", {"192.0.2.1", "192.0.2.2", "2001:db8::1"});
  MxPlanOptions options;
  const std::vector<std::string> both = Places(PlanFor(zone, "d.example", options));
  ASSERT_EQ(both.size(), 3u);
  EXPECT_EQ(both[0], "[2001:db8::1]:25");
  options.use_ipv6 = false;
  EXPECT_THAT(Places(PlanFor(zone, "d.example", options)),
              UnorderedElementsAre("192.0.2.1:25", "192.0.2.2:25"));
  options.use_ipv6 = true;
  options.use_ipv4 = false;
  EXPECT_THAT(Places(PlanFor(zone, "d.example", options)), ElementsAre("[2001:db8::1]:25"));
}

TEST(MxPlanTest, EverythingIsBounded) {
  Zone zone;
  std::vector<MxRecord> records;
  for (uint16_t i = 0; i < 50; ++i) {
    const std::string name = "h" + std::to_string(i) + ".example";
    records.push_back({i, name});
    if (i == 0) zone.Host(name, {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"});
    if (i > 15) zone.Host(name, {"192.0.2.9"});
  }
  zone.Mx("d.example", records);
  std::vector<std::string> asked;
  const RoutePlan plan = Plan(zone, *RouteByDestination("d.example"), {}, 1, &asked);
  EXPECT_EQ(asked.size(), 10u);     // hosts_max
  EXPECT_EQ(plan.hops.size(), 3u);  // addresses_per_host_max
  zone.Host("h1.example", {"192.0.2.6", "192.0.2.7", "192.0.2.8"});
  asked.clear();
  EXPECT_EQ(Plan(zone, *RouteByDestination("d.example"), {}, 1, &asked).hops.size(), 5u);
  EXPECT_THAT(asked, ElementsAre("h0.example", "h1.example"));  // Enough addresses by then.
}

TEST(MxPlanTest, SecureOnlyIfMxAndAddressesAre) {
  Zone zone;
  zone.Mx("d.example", {{10, "a.example"}, {20, "b.example"}}, /*secure=*/true);
  zone.Host("a.example", {"192.0.2.1"});
  zone.a["a.example"].secure = true;
  zone.Host("b.example", {"192.0.2.2"});
  RoutePlan plan = PlanFor(zone, "d.example");
  ASSERT_EQ(plan.hops.size(), 2u);
  EXPECT_TRUE(plan.hops[0].secure);
  EXPECT_FALSE(plan.hops[1].secure);
  zone.mx["d.example"].secure = false;
  EXPECT_FALSE(PlanFor(zone, "d.example").hops[0].secure);
}

}  // namespace
}  // namespace holdfast::smtp
