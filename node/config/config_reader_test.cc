#include "node/config/config_reader.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace holdfast::node {
namespace {

NodeReadOptions NoFiles() { return NodeReadOptions{.check_files = false}; }

TEST(NodeConfigTest, AnEmptyFileIsALocalNodeWithAllDefaults) {
  const auto result = ReadNodeConfig("", NoFiles());
  ASSERT_TRUE(result.ok()) << result.ProblemText("node");
  const NodeSettings& node = result.settings;
  EXPECT_EQ(node.data_dir, "holdfast-data");
  EXPECT_EQ(node.hostname, "[127.0.0.1]");
  ASSERT_EQ(node.listeners.size(), 1u);
  EXPECT_EQ(node.listeners[0].address.ToString(), "127.0.0.1:2525");
  EXPECT_EQ(node.listeners[0].tls, ListenerTls::kNone);
  EXPECT_TRUE(node.listeners[0].mx && node.listeners[0].submission && !node.listeners[0].trusted);
  EXPECT_EQ(node.http_address->ToString(), "127.0.0.1:7080");
  EXPECT_EQ(node.admin.socket, "holdfast-data/admin.sock");
  EXPECT_FALSE(node.admin.tcp || node.tls || node.cluster);
  EXPECT_FALSE(node.BeyondLoopback());
  EXPECT_EQ(node.sessions.sessions_max, 1000u);
  EXPECT_EQ(node.sessions.sessions_per_client_max, 50u);
  EXPECT_EQ(node.timing.commit_timeout, absl::Seconds(5));
  EXPECT_EQ(node.timing.tick, absl::Milliseconds(50));
}

TEST(NodeConfigTest, EveryPartIsRead) {
  const auto result = ReadNodeConfig(R"(
data_dir: "/var/lib/holdfast"
node_id: 3
hostname: "mail.example.com"
listeners { address: "0.0.0.0:25" roles: MX tls: NONE }
listeners { address: "[::]:465" roles: [SUBMISSION, TRUSTED] tls: IMPLICIT }
tls { certificate_file: "c.pem" key_file: "k.pem" }
http_address: "off"
admin {
  socket: "/run/holdfast/admin.sock"
  tcp { address: "0.0.0.0" tls { certificate_file: "c" key_file: "k" authority_file: "a" } }
}
user: "holdfast"
log { level: DEBUG format: JSON }
resolver { forwarders: "127.0.0.1:5353" forwarders: "::1" timeout: "1s" }
sessions { io_threads: 3 command_timeout: "90ms" }
attempts { source_addresses: "192.0.2.1" source_addresses: "2001:db8::1" }
timing { tick: "5ms" heartbeat: "10ms" election_min: "50ms" election_max: "100ms" }
overload { sync_latency_max: "1s" cpu_wait_percent_max: 0 hand_over: false calm_for: "2s" }
cluster {
  tls { certificate_file: "c" key_file: "k" authority_file: "a" }
  peers { node_id: 1 address: "node1.example.com:7026" }
  peers { node_id: 2 address: "192.0.2.2" }
}
)",
                                     NoFiles());
  ASSERT_TRUE(result.ok()) << result.ProblemText("node");
  const NodeSettings& node = result.settings;
  EXPECT_EQ(node.node_id, NodeId(3));
  ASSERT_EQ(node.listeners.size(), 2u);
  EXPECT_EQ(node.listeners[0].tls, ListenerTls::kNone);
  EXPECT_FALSE(node.listeners[0].submission);
  EXPECT_EQ(node.listeners[1].tls, ListenerTls::kImplicit);
  EXPECT_TRUE(node.listeners[1].submission && node.listeners[1].trusted && !node.listeners[1].mx);
  EXPECT_FALSE(node.http_address.has_value());
  EXPECT_EQ(node.admin.socket, "/run/holdfast/admin.sock");
  EXPECT_EQ(node.admin.tcp->address.ToString(), "0.0.0.0:7027");
  EXPECT_EQ(node.log_level, LogLevel::kDebug);
  EXPECT_EQ(node.log_format, LogFormat::kJson);
  EXPECT_EQ(node.resolver.forwarders[1].ToString(), "[::1]:53");
  EXPECT_EQ(node.sessions.io_threads, 3u);
  EXPECT_EQ(node.sessions.command_timeout, absl::Milliseconds(90));
  EXPECT_EQ(node.attempts.source_ipv6, "2001:db8::1");
  EXPECT_EQ(node.timing.election_max, absl::Milliseconds(100));
  EXPECT_EQ(node.overload.sync_latency_max, absl::Seconds(1));
  EXPECT_EQ(node.overload.cpu_wait_percent_max, 0u);
  EXPECT_FALSE(node.overload.hand_over);
  EXPECT_EQ(node.overload.calm_for, absl::Seconds(2));
  ASSERT_EQ(node.cluster->peers.size(), 2u);
  EXPECT_EQ(node.cluster->peers[0].host, "node1.example.com");
  EXPECT_EQ(node.cluster->peers[1].port, 7026);
}

TEST(NodeConfigTest, NodesOfOneMachineMayDoWithoutTls) {
  const auto result = ReadNodeConfig(R"(
cluster {
  address: "127.0.0.1:7101"
  plain_text_on_loopback: true
  cluster_id: "trial"
  peers { node_id: 2 address: "127.0.0.1:7102" }
  peers { node_id: 3 address: "[::1]:7103" }
}
)",
                                     NoFiles());
  ASSERT_TRUE(result.ok()) << result.ProblemText("node");
  EXPECT_FALSE(result.settings.cluster->tls.has_value());
  EXPECT_EQ(result.settings.cluster->cluster_id, "trial");
}

struct BadFile {
  const char* text;
  const char* problems;  // All of them, one a line, of the file "f".
};

void ExpectProblems(const BadFile& bad, const std::string& got) {
  EXPECT_EQ(got, bad.problems) << "in: " << bad.text;
}

TEST(NodeConfigTest, BadFilesAreToldWhereAndWhat) {
  const BadFile files[] = {
      {"# fine\nlisener {\n}\n",
       "f:2:1: no field `lisener` in NodeConfig; did you mean `listeners`?\n"},
      {"sessions { qqqqqqqqqq: 1 }\nhost_name: 'x'\n",
       "f:1:12: no field `qqqqqqqqqq` in SessionConfig; its fields are io_threads, sessions_max, "
       "sessions_per_client_max, memory_bytes_max, command_timeout, data_timeout, message_timeout, "
       "session_timeout, tls_handshake_timeout, errors_max, line_bytes_max, hops_max\n"
       "f:2:1: no field `host_name` in NodeConfig; did you mean `hostname`?\n"},
      {"hostname: 5", "f:1:11: expected a text in quotes, got 5\n"},
      {"node_id: \"1\"", "f:1:10: expected a whole number, got \"1\"\n"},
      {"node_id: 1\nnode_id: 2", "f:2:8: `node_id` is given twice; keep one of them\n"},
      {"listeners { roles: ANY }",
       "f:1:24: `ANY` is no value of roles; it may be MX, SUBMISSION, TRUSTED\n"},
      {"log { level: 77 }", "f:1:7: level may be DEBUG, INFO, WARN, ERROR\n"},
      {"log {", "f:1:6: the file ends inside a message; a `}` is missing\n"},
      {"sessions { command_timeout: 5m }",
       "f:1:30: a number with a unit must stand in quotes, as in \"5m\"\n"
       "f:1:29: expected a text in quotes, got 5\n"},
  };
  for (const BadFile& bad : files) {
    ExpectProblems(bad, ReadNodeConfig(bad.text, NoFiles()).ProblemText("f"));
  }
}

TEST(NodeConfigTest, AReachableListenerNeedsAHostname) {
  const std::string needed =
      "hostname is required when a listener can be reached from outside: add hostname: with the "
      "fully qualified name of this host\n";
  EXPECT_EQ(ReadNodeConfig("listeners { address: \"0.0.0.0:25\" }").ProblemText("f"),
            "f:1:1: " + needed);
  EXPECT_EQ(ReadNodeConfig("listeners { address: \"127.0.0.1:25\" }\n"
                           "listeners { address: \"[::]:25\" }")
                .ProblemText("f"),
            "f:2:1: " + needed);
}

TEST(NodeConfigTest, BadValuesAreToldWhereAndWhat) {
  const BadFile files[] = {
      {"node_id: 0", "f:1:1: node_id must be between 1 and 4294967295, and is 0\n"},
      {"hostname: \"a\\nb\"",
       "f:1:1: hostname may hold only printable UTF-8\n"
       "f:1:1: `` is no fully qualified name; write one as "
       "\"mail.example.com\"\n"},
      {"listeners { roles: MX }", "f:1:1: address is required in Listener\n"},
      {"listeners { address: \"localhost:25\" }",
       "f:1:13: `localhost:25` is no address; write an IP address and a port, as "
       "\"127.0.0.1:2525\" or \"[::1]:2525\"\n"},
      {"listeners { address: \"127.0.0.1:25\" }\nlisteners { address: \"127.0.0.1:25\" }",
       "f:2:13: two listeners have the address 127.0.0.1:25\n"},
      {"listeners { address: \"127.0.0.1:25\" tls: STARTTLS }",
       "f:1:37: TLS needs a certificate; add tls { certificate_file key_file }\n"},
      {"listeners { address: \"0.0.0.0:25\" }\nhostname: \"mail\"",
       "f:2:1: `mail` is no fully qualified name; write one as \"mail.example.com\"\n"},
      {"tls { certificate_file: \"c.pem\" }", "f:1:1: key_file is required in TlsFiles\n"},
      {"http_address: \"7080\"",
       "f:1:1: `7080` is no address; write an IP address and a port, as \"127.0.0.1:2525\" or "
       "\"[::1]:2525\"\n"},
      {"admin { tcp { address: \"0.0.0.0:7027\" } }",
       "f:1:9: tls { certificate_file key_file authority_file } is required here\n"},
      {"resolver { timeout: \"soon\" forwarders: \"dns\" }",
       "f:1:28: `dns` is no resolver's address; write \"192.0.2.53\" or \"192.0.2.53:5353\"\n"
       "f:1:12: `soon` is no duration; write a number and a unit, as \"500ms\", \"30s\", \"5m\", "
       "\"4h\" or \"5d\"\n"},
      {"timing { election_min: \"1s\" election_max: \"1s\" tick: \"1h\" }",
       "f:1:48: tick must be between 1ms and 10s, and is 1h\n"
       "f:1:29: election_max must be at least 1.5 times election_min\n"},
      {"overload { refuse_percent: 50 }",
       "f:1:12: refuse_percent must be between 100 and 300, and is 50\n"},
      {"cluster { }", "f:1:1: a cluster needs peers; leave `cluster` out for a single node\n"},
      {"cluster { peers { node_id: 2 } peers { node_id: 3 } peers { node_id: 4 }\n"
       "peers { node_id: 5 } peers { node_id: 6 } peers { node_id: 7 } peers { node_id: 8 } }",
       "f:1:11: a cluster has at most 7 nodes: this one and 6 peers, not 7\n"},
      {"cluster { tls { certificate_file: \"c\" key_file: \"k\" authority_file: \"a\" }\n"
       "  peers { node_id: 1 address: \"a b\" } }",
       "f:2:11: node_id 1 is taken, by this node or another peer\n"
       "f:2:22: `a b` is no peer's address; write \"name:7026\"\n"},
      {"cluster { peers { node_id: 2 address: \"192.0.2.2\" } }",
       "f:1:1: tls { certificate_file key_file authority_file } is required here\n"},
      {"cluster { cluster_id: \"x\" tls { certificate_file: \"c\" key_file: \"k\" "
       "authority_file: \"a\" } peers { node_id: 2 address: \"192.0.2.2\" } }",
       "f:1:11: the certificate names the cluster; leave cluster_id out\n"},
      {"cluster { plain_text_on_loopback: true cluster_id: \"a b\"\n"
       "  peers { node_id: 2 address: \"192.0.2.2\" } }",
       "f:1:40: without TLS the cluster needs a name: 1 to 64 of A-Z a-z 0-9 - _ .\n"
       "f:1:1: without TLS the address must be on loopback, as \"127.0.0.1:7026\"\n"
       "f:2:22: without TLS a peer needs a loopback address, as 127.0.0.1:7026\n"},
      {"attempts { source_addresses: \"192.0.2.1\" source_addresses: \"192.0.2.2\" }",
       "f:1:42: two source addresses of one family; keep one\n"},
  };
  for (const BadFile& bad : files) {
    ExpectProblems(bad, ReadNodeConfig(bad.text, NoFiles()).ProblemText("f"));
  }
}

TEST(NodeConfigTest, TooLongATextAndTooDeepANestAreRefused) {
  const auto too_long = ReadNodeConfig(std::string(kConfigBytesMax + 1, '#'), NoFiles());
  EXPECT_EQ(too_long.ProblemText("f"),
            "f: the text has 1048577 bytes; at most 1048576 are allowed\n");
  std::string nest;
  for (int i = 0; i < 200000; ++i) nest += "a {";
  EXPECT_FALSE(ReadNodeConfig(nest, NoFiles()).ok());
}

class NodeFilesTest : public ::testing::Test {
 protected:
  NodeFilesTest() {
    // Not TEST_TMPDIR: below it a socket's path (107 characters at most) would not fit.
    std::string path = "/tmp/holdfast-filesXXXXXX";
    directory_ = mkdtemp(path.data());
  }
  ~NodeFilesTest() override {
    std::error_code ignored;  // What stays behind is a temporary file.
    std::filesystem::remove_all(directory_, ignored);
  }
  std::string Write(const std::string& name, mode_t mode) {
    const std::string path = directory_ + "/" + name;
    std::ofstream(path) << "text";
    chmod(path.c_str(), mode);
    return path;
  }
  std::string directory_;
};

TEST_F(NodeFilesTest, AcceptsADirectoryThatIsNotThereYetAndFilesThatAre) {
  const std::string text = "data_dir: '" + directory_ + "/a/b'\ntls { certificate_file: '" +
                           Write("c.pem", 0644) + "' key_file: '" + Write("k.pem", 0600) + "' }";
  const auto result = ReadNodeConfig(text);
  EXPECT_TRUE(result.ok()) << result.ProblemText("f");
}

TEST_F(NodeFilesTest, NamesFilesThatAreMissingOpenOrOfTheWrongKind) {
  const std::string key = Write("k.pem", 0644);
  const std::string text = "data_dir: '" + key + "'\ntls { certificate_file: '" + directory_ +
                           "/none'\n  key_file: '" + key + "' }\npolicy_file: '" + directory_ +
                           "'\nuser: 'no-such-user-here'";
  EXPECT_EQ(ReadNodeConfig(text).ProblemText("f"),
            "f:1:1: data_dir `" + key + "`: `" + key + "` is not a directory\n" +
                "f:2:7: cannot read certificate_file `" + directory_ +
                "/none`: No such file or directory\n" + "f:3:3: key_file `" + key +
                "` is open to everybody; run: chmod 600 " + key + "\n" +
                "f:5:1: there is no user `no-such-user-here` on this host\n" +
                "f:4:1: policy_file `" + directory_ + "` is not a file\n");
}

TEST_F(NodeFilesTest, ASeedPolicyIsCheckedUntilThereIsSomethingInTheDataDirectory) {
  const std::string policy = Write("policy", 0600);
  std::ofstream(policy) << "routes { destination: '*' }\nrelay_domains { domian: 'x' }\n";
  const std::string data = directory_ + "/data";
  const std::string text = "data_dir: '" + data + "'\npolicy_file: '" + policy + "'\n";
  const std::string problem = "f:2:1: policy_file " + policy +
                              ":2:17: no field `domian` in RelayDomain; did you mean `domain`?\n" +
                              "f:2:1: policy_file " + policy +
                              ":2:1: domain is required in RelayDomain\n";
  EXPECT_EQ(ReadNodeConfig(text).ProblemText("f"), problem);
  std::filesystem::create_directory(data);
  EXPECT_EQ(ReadNodeConfig(text).ProblemText("f"), problem);
  std::ofstream(data + "/store") << "x";
  EXPECT_TRUE(ReadNodeConfig(text).ok());
}

TEST_F(NodeFilesTest, ReadsAWholeFileOrSaysWhyNot) {
  EXPECT_EQ(ReadConfigFile(Write("f", 0600)).text, "text");
  EXPECT_EQ(ProblemLines(ReadConfigFile(directory_ + "/none").problems, "f"),
            "f: cannot be read: No such file or directory\n");
  EXPECT_EQ(ProblemLines(ReadConfigFile(directory_).problems, "f"),
            "f: cannot be read: it is a directory\n");
}

TEST(PolicyTest, AnEmptyTextIsTheDefaultPolicy) {
  const auto result = ReadPolicy("");
  ASSERT_TRUE(result.ok()) << result.ProblemText("policy");
  const PolicySettings& policy = result.settings;
  EXPECT_EQ(policy.trusted_networks.size(), 2u);
  EXPECT_EQ(policy.limits.message_bytes_max, 52428800u);
  EXPECT_EQ(policy.limits.recipients_max, 1000u);
  EXPECT_EQ(policy.routes.at("*").kind, NextHopKind::kMx);
  EXPECT_EQ(policy.routes.at("*").port, 25);
  const DestinationSettings& general = policy.destinations.at("*");
  EXPECT_EQ(general.connections_max, 20u);
  EXPECT_EQ(general.recipients_per_transaction_max, 50u);
  EXPECT_EQ(general.retry.waits.size(), 5u);
  EXPECT_EQ(general.retry.waits.back(), absl::Hours(1));
  EXPECT_EQ(general.retry.expiry, absl::Hours(120));
  EXPECT_FALSE(general.retry.delay_notice_always);
  EXPECT_EQ(policy.in_doubt_wait, absl::Seconds(30));
  EXPECT_EQ(policy.replays.remember_for, absl::Minutes(15));
  EXPECT_EQ(policy.replays.messages_max, 100'000u);
}

TEST(PolicyTest, ReplaysAreRememberedAsLongAsItSays) {
  const auto result = ReadPolicy("replays { remember_for: \"0s\" messages_max: 7 }");
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result.settings.replays.remember_for, absl::ZeroDuration());
  EXPECT_EQ(result.settings.replays.messages_max, 7u);
  EXPECT_FALSE(ReadPolicy("replays { messages_max: 1000001 }").ok());
}

TEST(PolicyTest, DestinationsTakeTheGeneralValuesTheyDoNotName) {
  const auto result = ReadPolicy(R"(
destinations { destination: "Slow.Example" connections_max: 2 retry { waits: "1s" } }
limits { connections_per_destination_max: 7 recipients_per_transaction_max: 9 message_rate: "5/1s" }
retry { expiry: "1h" jitter_percent: 3 }
outbound { port: 2526 tls: TLS_ENCRYPT }
routes { destination: ".Example.com" next_hop: "[127.0.0.1]:99" }
routes { destination: "example.org" next_hop: "relay.example.net" tls: TLS_VERIFY }
)");
  ASSERT_TRUE(result.ok()) << result.ProblemText("policy");
  const DestinationSettings& slow = result.settings.destinations.at("slow.example");
  EXPECT_EQ(slow.connections_max, 2u);
  EXPECT_EQ(slow.recipients_per_transaction_max, 9u);
  EXPECT_EQ(slow.message_rate->count, 5u);
  EXPECT_EQ(slow.retry.waits, std::vector<absl::Duration>{absl::Seconds(1)});
  EXPECT_EQ(slow.retry.expiry, absl::Hours(1));
  EXPECT_EQ(slow.retry.null_sender_expiry, absl::Hours(1));
  EXPECT_EQ(slow.retry.jitter_percent, 3u);
  const RouteSettings& direct = result.settings.routes.at(".example.com");
  EXPECT_EQ(direct.kind, NextHopKind::kHost);
  EXPECT_EQ(direct.host, "127.0.0.1");
  EXPECT_EQ(direct.port, 99);
  EXPECT_EQ(direct.tls, TlsPolicy::kEncrypt);
  const RouteSettings& smarthost = result.settings.routes.at("example.org");
  EXPECT_EQ(smarthost.kind, NextHopKind::kMxOf);
  EXPECT_EQ(smarthost.port, 2526);
  EXPECT_EQ(smarthost.tls, TlsPolicy::kVerify);
}

TEST(PolicyTest, PostmasterIsRequiredBeyondLoopback) {
  const auto result = ReadPolicy("", PolicyReadOptions{.beyond_loopback = true});
  EXPECT_EQ(result.ProblemText("p"),
            "p: postmaster_address is required when a listener can be reached from outside: who "
            "reads mail to postmaster and notices that cannot be returned\n");
  EXPECT_TRUE(
      ReadPolicy("postmaster_address: 'ops@a.example'", PolicyReadOptions{.beyond_loopback = true})
          .ok());
}

TEST(PolicyTest, BadPoliciesAreToldWhereAndWhat) {
  const BadFile files[] = {
      {"relay_domain { }",
       "f:1:1: no field `relay_domain` in Policy; did you mean `relay_domains`?\n"},
      {"trusted_networks: \"0.0.0.0/0\"\ntrusted_networks: \"::/0\"",
       "f:1:1: `0.0.0.0/0` trusts everybody, which makes an open relay; name the networks of your "
       "own clients\n"
       "f:2:1: `::/0` trusts everybody, which makes an open relay; name the networks of your own "
       "clients\n"},
      {"trusted_networks: [\"::1\", \"192.0.2.1/24\"]",
       "f:1:1: `192.0.2.1/24` is no network; write \"192.0.2.0/24\" or \"2001:db8::/32\", with "
       "zeros "
       "behind the prefix, or one address\n"},
      {"relay_domains { domain: \"*\" }",
       "f:1:17: `*` is no domain; write \"example.com\", or \".example.com\" for every domain "
       "below "
       "it\n"},
      {"relay_domains { domain: \"a.example\" recipients: \"x@a.example\" }\n"
       "relay_domains { domain: \"A.example\" }",
       "f:1:37: `x@a.example` is no local part; write what stands before the @\n"
       "f:2:17: relay domain `a.example` is given twice; keep one\n"},
      {"postmaster_address: \"ops\"",
       "f:1:1: `ops` is no address; write one as \"ops@example.com\"\n"},
      {"routes { next_hop: \"mx\" }", "f:1:1: destination is required in Route\n"},
      {"routes { destination: \"*\" next_hop: \"host:25\" }",
       "f:1:27: `host:25` is no next hop; write \"mx\", \"example.net\" for its MX hosts, or "
       "\"[mail.example.net]:25\" for that host itself\n"},
      {"routes { destination: \"*\" next_hop: \"[a.example]:0\" }",
       "f:1:27: `[a.example]:0` is no host; write \"[mail.example.net]\", \"[192.0.2.1]:2525\" or "
       "\"[2001:db8::1]:2525\"\n"},
      {"routes { destination: \"*\" next_hop: \"[a.example]:26\" port: 25 }",
       "f:1:54: the port is given twice, here and in next_hop; keep one\n"},
      {"routes { destination: \"a.example\" }\nroutes { destination: \"a.example\" }",
       "f:2:10: two routes for `a.example`; keep one\n"},
      {"retry { waits: \"5m\" waits: \"5\" jitter_percent: 100 }",
       "f:1:21: `5` is no duration; write a number and a unit, as \"500ms\", \"30s\", \"5m\", "
       "\"4h\" "
       "or \"5d\"\n"
       "f:1:32: jitter_percent must be between 0 and 90, and is 100\n"},
      {"limits { message_rate: \"fast\" recipients_max: 0 }",
       "f:1:31: recipients_max must be between 1 and 10000, and is 0\n"
       "f:1:10: `fast` is no rate; write messages and time, as \"100/1m\"\n"},
      {"suppressions { reason: \"x\" }", "f:1:1: address is required in Suppression\n"},
      {"in_doubt { then: IN_DOUBT_PANIC }",
       "f:1:33: `IN_DOUBT_PANIC` is no value of then; it may be IN_DOUBT_RETRY, IN_DOUBT_HOLD, "
       "IN_DOUBT_BOUNCE\n"},
  };
  for (const BadFile& bad : files) {
    ExpectProblems(bad, ReadPolicy(bad.text).ProblemText("f"));
  }
}

TEST(PolicyTest, CanonicalTextForgetsOrderAndComments) {
  EXPECT_EQ(CanonicalPolicyText("limits { recipients_max: 5 } # why\nmail_name: 'a.example'"),
            CanonicalPolicyText("mail_name: \"a.example\"\nlimits {\n  recipients_max: 5\n}\n"));
  EXPECT_EQ(CanonicalPolicyText("not a policy"), "not a policy");
}

TEST(SampleTest, TheAnnotatedSamplesAreValid) {
  const FileText node = ReadConfigFile("ops/config/node.textproto");
  ASSERT_TRUE(node.problems.empty()) << ProblemLines(node.problems, "node.textproto");
  const auto node_result = ReadNodeConfig(node.text, NoFiles());
  EXPECT_EQ(node_result.ProblemText("node.textproto"), "");
  const FileText policy = ReadConfigFile("ops/config/policy.textproto");
  ASSERT_TRUE(policy.problems.empty()) << ProblemLines(policy.problems, "policy.textproto");
  const auto policy_result = ReadPolicy(policy.text, PolicyReadOptions{.beyond_loopback = true});
  EXPECT_EQ(policy_result.ProblemText("policy.textproto"), "");
  EXPECT_EQ(policy_result.settings.relay_domains.size(), 3u);
}

}  // namespace
}  // namespace holdfast::node
