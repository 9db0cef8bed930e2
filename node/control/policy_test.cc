#include "node/control/policy.h"

#include <gtest/gtest.h>

#include <thread>

#include "node/config/config_reader.h"

namespace holdfast::node {
namespace {

PolicySnapshot Snapshot(const std::string& text) {
  auto result = ReadPolicy(text);
  EXPECT_TRUE(result.ok()) << result.ProblemText("policy");
  return PolicySnapshot(7, result.settings);
}

TEST(PolicySnapshotTest, TheExactRouteGoesBeforeItsParentsAndThoseBeforeTheRest) {
  const PolicySnapshot policy = Snapshot(R"(
routes { destination: "a.example.com" next_hop: "[exact.test]" }
routes { destination: ".example.com" next_hop: "[parent.test]" }
routes { destination: ".b.example.com" next_hop: "[nearer.test]" }
routes { destination: "*" next_hop: "[rest.test]" }
)");
  EXPECT_EQ(policy.RouteFor("a.example.com").host, "exact.test");
  EXPECT_EQ(policy.RouteFor("x.example.com").host, "parent.test");
  EXPECT_EQ(policy.RouteFor("x.a.example.com").host, "parent.test");
  EXPECT_EQ(policy.RouteFor("x.b.example.com").host, "nearer.test");
  EXPECT_EQ(policy.RouteFor("b.example.com").host, "parent.test");
  EXPECT_EQ(policy.RouteFor("example.com").host, "rest.test") << "a wildcard is not its own parent";
  EXPECT_EQ(policy.RouteFor("notexample.com").host, "rest.test");
  EXPECT_EQ(policy.RouteFor("").host, "rest.test");
}

TEST(PolicySnapshotTest, WithoutRoutesMailGoesToTheMxHosts) {
  EXPECT_EQ(Snapshot("").RouteFor("example.com").kind, NextHopKind::kMx);
}

TEST(PolicySnapshotTest, DestinationRulesAreFoundLikeRoutes) {
  const PolicySnapshot policy = Snapshot(R"(
destinations { destination: ".example" connections_max: 3 }
destinations { destination: "*" connections_max: 4 }
)");
  EXPECT_EQ(policy.DestinationFor("slow.example").connections_max, 3u);
  EXPECT_EQ(policy.DestinationFor("slow.test").connections_max, 4u);
}

TEST(PolicySnapshotTest, TrustIsByNetworkInBothFamilies) {
  const PolicySnapshot local = Snapshot("");
  EXPECT_TRUE(local.IsTrusted("127.0.0.1"));
  EXPECT_TRUE(local.IsTrusted("::ffff:127.0.0.1"));
  EXPECT_TRUE(local.IsTrusted("::1"));
  EXPECT_FALSE(local.IsTrusted("192.0.2.1"));
  EXPECT_FALSE(local.IsTrusted("localhost"));
  EXPECT_FALSE(local.IsTrusted(""));
  const PolicySnapshot replaced = Snapshot("trusted_networks: '192.0.2.0/24'");
  EXPECT_TRUE(replaced.IsTrusted("192.0.2.99"));
  EXPECT_FALSE(replaced.IsTrusted("127.0.0.1")) << "giving any network replaces the defaults";
}

TEST(PolicySnapshotTest, SuppressionIsByAddressOrDomain) {
  const PolicySnapshot policy = Snapshot(R"(
suppressions { address: "Gone@Example.com" reason: "left" }
suppressions { address: "@dead.example" reason: "no such company" }
)");
  EXPECT_EQ(*policy.Suppressed("gone@example.COM"), "left");
  EXPECT_EQ(*policy.Suppressed("any@dead.example"), "no such company");
  EXPECT_EQ(policy.Suppressed("other@example.com"), nullptr);
  EXPECT_EQ(policy.Suppressed("postmaster"), nullptr);
}

TEST(PolicyHolderTest, StartsWithTheDefaultsAndServesWhatWasPublished) {
  PolicyHolder holder;
  EXPECT_EQ(holder.Current()->version(), 0u);
  const auto before = holder.Current();
  std::thread publisher([&] {
    for (uint64_t version = 1; version <= 1000; ++version) {
      holder.Publish(std::make_shared<const PolicySnapshot>(version, ReadPolicy("").settings));
    }
  });
  uint64_t last = 0;
  while (last < 1000) {
    const uint64_t version = holder.Current()->version();
    EXPECT_GE(version, last);
    last = version;
  }
  publisher.join();
  EXPECT_EQ(before->version(), 0u) << "a snapshot in hand does not change";
}

TEST(PolicyDiffTest, IsEmptyWhenBothSayTheSame) {
  EXPECT_EQ(PolicyDiff("mail_name: 'a.test' # x", "1", "\n\nmail_name: \"a.test\"", "2"), "");
}

TEST(PolicyDiffTest, ShowsWhatChangedWithItsSurroundings) {
  const std::string from =
      "mail_name: 'a.test'\nlimits { recipients_max: 5 }\nretry { expiry: '1d' }";
  const std::string to =
      "mail_name: 'a.test'\nlimits { recipients_max: 6 }\nretry { expiry: '1d' }";
  EXPECT_EQ(PolicyDiff(from, "version 1", to, "new"),
            "--- version 1\n"
            "+++ new\n"
            "@@ -1,6 +1,6 @@\n"
            " mail_name: \"a.test\"\n"
            " limits {\n"
            "-  recipients_max: 5\n"
            "+  recipients_max: 6\n"
            " }\n"
            " retry {\n"
            "   expiry: \"1d\"\n");
}

TEST(PolicyDiffTest, SeparatesDistantChangesAndHandlesEmptySides) {
  std::string from;
  for (int i = 0; i < 30; ++i) from += "trusted_networks: '10.0.0." + std::to_string(i) + "'\n";
  std::string to = from;
  to.replace(to.find("10.0.0.2'"), 9, "10.0.9.2'");
  to.replace(to.find("10.0.0.28'"), 10, "10.0.9.28'");
  const std::string diff = PolicyDiff(from, "a", to, "b");
  EXPECT_NE(diff.find("@@ -1,6 +1,6 @@\n"), std::string::npos) << diff;
  EXPECT_NE(diff.find("@@ -26,5 +26,5 @@\n"), std::string::npos) << diff;
  EXPECT_EQ(PolicyDiff("", "a", "mail_name: 'a.test'", "b"),
            "--- a\n+++ b\n@@ -0,0 +1,1 @@\n+mail_name: \"a.test\"\n");
  EXPECT_EQ(PolicyDiff("mail_name: 'a.test'", "a", "", "b"),
            "--- a\n+++ b\n@@ -1,1 +0,0 @@\n-mail_name: \"a.test\"\n");
}

TEST(PolicyDiffTest, AVeryLargeChangeIsStillADiff) {
  std::string from;
  std::string to;
  for (int i = 0; i < 5000; ++i) {
    from += "suppressions { address: 'a" + std::to_string(i) + "@x.test' }\n";
    to += "suppressions { address: 'b" + std::to_string(i) + "@x.test' }\n";
  }
  const std::string diff = PolicyDiff(from, "a", to, "b");
  EXPECT_NE(diff.find("-  address: \"a4999@x.test\""), std::string::npos);
  EXPECT_NE(diff.find("+  address: \"b4999@x.test\""), std::string::npos);
}

}  // namespace
}  // namespace holdfast::node
