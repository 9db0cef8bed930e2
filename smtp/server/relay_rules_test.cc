#include "smtp/server/relay_rules.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace holdfast::smtp {
namespace {

RelayRulesOptions BackupMx() {
  RelayRulesOptions options;
  options.trusted_networks = {"127.0.0.0/8", "::1", "192.0.2.0/24", "2001:db8:1::/48"};
  options.relay_domains = {{"backup.test", std::nullopt},
                           {"listed.test", {{"Alice", "bob.b"}}},
                           {".wild.test", std::nullopt},
                           {"b\xC3\xBC"
                            "cher.test",
                            std::nullopt}};
  options.local_names = {"relay.test", "[198.51.100.1]"};
  options.postmaster_address = "admin@backup.test";
  return options;
}

RelayRules Rules(const RelayRulesOptions& options) {
  absl::StatusOr<RelayRules> rules = RelayRules::Create(options);
  EXPECT_TRUE(rules.ok()) << rules.status();
  return *std::move(rules);
}

ClientFacts Client(std::string_view address) {
  ClientFacts client;
  client.address = IpAddress::Parse(address).value();
  client.roles.mx = true;
  return client;
}

RcptCommand To(std::string_view path) {
  PathRules rules;
  rules.allow_bare_postmaster = true;
  rules.allow_utf8 = true;
  PathResult result = ParsePath(path, rules);
  EXPECT_TRUE(result.path.has_value()) << path;
  RcptCommand command;
  if (result.path) command.recipient = *result.path;
  return command;
}

std::string Ask(const RelayRules& rules, const ClientFacts& client, std::string_view path) {
  const RcptDecision decision = rules.OnRcpt(client, To(path));
  if (decision.refusal) return decision.refusal->ToString();
  return decision.redirect ? "goes to " + decision.redirect->mailbox() : "accepted";
}

constexpr std::string_view kStranger = "203.0.113.9";
constexpr std::string_view kDenied = "550 5.7.1 Relaying denied";
constexpr std::string_view kUnknown = "550 5.1.1 No such user here";

TEST(RelayRulesTest, StrangersReachRelayDomainsOnly) {
  const RelayRules rules = Rules(BackupMx());
  const ClientFacts stranger = Client(kStranger);
  EXPECT_EQ(Ask(rules, stranger, "<a@backup.test>"), "accepted");
  EXPECT_EQ(Ask(rules, stranger, "<a@BACKUP.Test>"), "accepted");
  EXPECT_EQ(Ask(rules, stranger, "<a@elsewhere.test>"), kDenied);
  EXPECT_EQ(Ask(rules, stranger, "<a@sub.backup.test>"), kDenied);
  EXPECT_EQ(Ask(rules, stranger, "<a@notbackup.test>"), kDenied);
}

TEST(RelayRulesTest, WildcardMeansBelowAndNotItself) {
  const RelayRules rules = Rules(BackupMx());
  const ClientFacts stranger = Client(kStranger);
  EXPECT_EQ(Ask(rules, stranger, "<a@x.wild.test>"), "accepted");
  EXPECT_EQ(Ask(rules, stranger, "<a@x.y.wild.test>"), "accepted");
  EXPECT_EQ(Ask(rules, stranger, "<a@wild.test>"), kDenied);
  EXPECT_EQ(Ask(rules, stranger, "<a@evilwild.test>"), kDenied);
}

TEST(RelayRulesTest, NoTrickMakesAnOpenRelay) {  // smuggled routes, each tried by relay testers
  const RelayRules rules = Rules(BackupMx());
  const ClientFacts stranger = Client(kStranger);
  for (std::string_view path :
       {"<victim%elsewhere.test@backup.test>", "<elsewhere.test!victim@backup.test>",
        "<\"victim@elsewhere.test\"@backup.test>", "<\"victim%elsewhere.test\"@backup.test>",
        "<\"victim\\@elsewhere.test\"@backup.test>", "<@backup.test:victim@elsewhere.test>",
        "<@backup.test,@relay.test:victim@elsewhere.test>", "<victim@[203.0.113.7]>",
        "<victim@[IPv6:2001:db8::7]>", "<\"a@backup.test\"@elsewhere.test>"}) {
    EXPECT_EQ(Ask(rules, stranger, path), kDenied) << path;
  }
}

TEST(RelayRulesTest, TrustedAndAuthenticatedClientsReachEverything) {
  const RelayRules rules = Rules(BackupMx());
  EXPECT_EQ(Ask(rules, Client("192.0.2.77"), "<a@elsewhere.test>"), "accepted");
  EXPECT_EQ(Ask(rules, Client("2001:db8:1::5"), "<a@elsewhere.test>"), "accepted");
  EXPECT_EQ(Ask(rules, Client("127.0.0.1"), "<a%b@backup.test>"), "accepted");
  EXPECT_EQ(Ask(rules, Client("192.0.3.77"), "<a@elsewhere.test>"), kDenied);
  ClientFacts user = Client(kStranger);
  user.auth_user = "alice";
  EXPECT_EQ(Ask(rules, user, "<a@elsewhere.test>"), "accepted");
  EXPECT_TRUE(rules.OnMail(user, MailCommand()).trusted);
  ClientFacts closed_port = Client(kStranger);
  closed_port.roles.trusted = true;
  EXPECT_EQ(Ask(rules, closed_port, "<a@elsewhere.test>"), "accepted");
}

TEST(RelayRulesTest, MappedIpv4CannotBorrowTrust) {
  const RelayRules rules = Rules(BackupMx());
  EXPECT_EQ(Ask(rules, Client("::ffff:203.0.113.9"), "<a@elsewhere.test>"), kDenied);
  EXPECT_EQ(Ask(rules, Client("::ffff:192.0.2.9"), "<a@elsewhere.test>"), "accepted");
}

TEST(RelayRulesTest, RecipientListRefusesTheUnknown) {
  RelayRulesOptions options = BackupMx();
  const ClientFacts stranger = Client(kStranger);
  const RelayRules rules = Rules(options);
  EXPECT_EQ(Ask(rules, stranger, "<alice@listed.test>"), "accepted");
  EXPECT_EQ(Ask(rules, stranger, "<ALICE@listed.test>"), "accepted");
  EXPECT_EQ(Ask(rules, stranger, "<\"bob.b\"@listed.test>"), "accepted");
  EXPECT_EQ(Ask(rules, stranger, "<carol@listed.test>"), kUnknown);
  EXPECT_EQ(Ask(rules, stranger, "<alice+tag@listed.test>"), kUnknown);
  options.recipient_delimiter = '+';
  EXPECT_EQ(Ask(Rules(options), stranger, "<alice+tag@listed.test>"), "accepted");
  EXPECT_EQ(Ask(Rules(options), stranger, "<+alice@listed.test>"), kUnknown);
}

TEST(RelayRulesTest, PostmasterIsAlwaysAccepted) {  // RFC 5321 4.5.1
  const RelayRules rules = Rules(BackupMx());
  const ClientFacts stranger = Client(kStranger);
  EXPECT_EQ(Ask(rules, stranger, "<PostMaster>"), "goes to admin@backup.test");
  EXPECT_EQ(Ask(rules, stranger, "<postmaster@relay.test>"), "goes to admin@backup.test");
  EXPECT_EQ(Ask(rules, stranger, "<postmaster@[198.51.100.1]>"), "goes to admin@backup.test");
  EXPECT_EQ(Ask(rules, stranger, "<POSTMASTER@listed.test>"), "accepted");
  EXPECT_EQ(Ask(rules, stranger, "<postmaster@elsewhere.test>"), kDenied);
  EXPECT_EQ(Ask(rules, stranger, "<someone@relay.test>"), kUnknown);
}

TEST(RelayRulesTest, InternationalDomainsMatchInBothForms) {
  const RelayRules rules = Rules(BackupMx());
  EXPECT_EQ(Ask(rules, Client(kStranger), "<a@xn--bcher-kva.test>"), "accepted");
  EXPECT_EQ(Ask(rules, Client(kStranger),
                "<a@B\xC3\x9C"
                "CHER.test>"),
            "accepted");
}

TEST(RelayRulesTest, SubmissionPortAsksStrangersForAuthentication) {
  const RelayRules rules = Rules(BackupMx());
  ClientFacts client = Client(kStranger);
  client.roles = {.mx = false, .submission = true, .trusted = false};
  const MailDecision decision = rules.OnMail(client, MailCommand());
  ASSERT_TRUE(decision.refusal.has_value());
  EXPECT_EQ(decision.refusal->ToString(), "530 5.7.0 Authentication required");
  EXPECT_FALSE(rules.OnMail(Client(kStranger), MailCommand()).refusal.has_value());
}

TEST(RelayRulesTest, CreateRefusesWhatWouldBeDangerous) {
  const auto error = [](auto change) {
    RelayRulesOptions options = BackupMx();
    change(options);
    return std::string(RelayRules::Create(options).status().message());
  };
  EXPECT_EQ(error([](auto& o) { o.trusted_networks = {"0.0.0.0/0"}; }),
            "trusted network \"0.0.0.0/0\" is everybody: that is an open relay");
  EXPECT_EQ(error([](auto& o) { o.trusted_networks = {"::/0"}; }),
            "trusted network \"::/0\" is everybody: that is an open relay");
  EXPECT_EQ(error([](auto& o) { o.trusted_networks = {"lan"}; }),
            "trusted network \"lan\" is not an address or prefix");
  EXPECT_EQ(error([](auto& o) {
              o.relay_domains.push_back({"a b", std::nullopt});
            }),
            "relay domain \"a b\" is not a domain name");
  EXPECT_EQ(error([](auto& o) {
              o.relay_domains.push_back({"Backup.Test", std::nullopt});
            }),
            "relay domain \"Backup.Test\" stands twice");
  EXPECT_EQ(error([](auto& o) { o.postmaster_address = "postmaster"; }),
            "postmaster address \"postmaster\" is not a mailbox");
}

}  // namespace
}  // namespace holdfast::smtp
