#include "ops/bench/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <variant>
#include <vector>

namespace holdfast::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Said {
  Parsed parsed;
  std::string out;
  std::string err;
};

Said Parse(const std::vector<std::string>& arguments) {
  std::ostringstream out;
  std::ostringstream err;
  Said said;
  said.parsed = ParseArguments(arguments, out, err);
  said.out = out.str();
  said.err = err.str();
  return said;
}

TEST(Options, LoadHasItsDefaults) {
  const Said said = Parse({"load", "--to", "127.0.0.1:2525", "--messages", "5"});
  ASSERT_TRUE(said.parsed.command.has_value()) << said.err;
  const auto& load = std::get<LoadOptions>(*said.parsed.command);
  EXPECT_THAT(load.targets, ElementsAre(HostPort{"127.0.0.1", 2525}));
  EXPECT_EQ(load.messages, 5u);
  EXPECT_FALSE(load.duration.has_value());
  EXPECT_EQ(load.connections, 10u);
  EXPECT_EQ(load.size, (SizeRange{4096, 4096}));
  EXPECT_THAT(load.domains, ElementsAre("load.test"));
  EXPECT_FALSE(load.plain);
  EXPECT_FALSE(load.json);
}

TEST(Options, LoadTakesAllOfIt) {
  const Said said = Parse({"load",
                           "--to",
                           "a.test:25",
                           "--to",
                           "[::1]:26",
                           "--duration",
                           "1m",
                           "--rate",
                           "12.5",
                           "--size",
                           "1k-2k",
                           "--recipients",
                           "3",
                           "--plain",
                           "--messages-per-connection",
                           "7",
                           "--domain",
                           "x.test",
                           "--domain",
                           "y.test",
                           "--from",
                           "me@z.test",
                           "--record",
                           "f",
                           "--tries",
                           "2",
                           "--patience",
                           "500ms",
                           "--answer-timeout",
                           "9",
                           "--quiet",
                           "--output",
                           "json",
                           "--connections",
                           "4"});
  ASSERT_TRUE(said.parsed.command.has_value()) << said.err;
  const auto& load = std::get<LoadOptions>(*said.parsed.command);
  EXPECT_THAT(load.targets, ElementsAre(HostPort{"a.test", 25}, HostPort{"::1", 26}));
  EXPECT_EQ(load.duration, absl::Minutes(1));
  EXPECT_EQ(load.rate, 12.5);
  EXPECT_EQ(load.size, (SizeRange{1024, 2048}));
  EXPECT_EQ(load.recipients, 3u);
  EXPECT_TRUE(load.plain);
  EXPECT_EQ(load.messages_per_connection, 7u);
  EXPECT_THAT(load.domains, ElementsAre("x.test", "y.test"));
  EXPECT_EQ(load.sender, "me@z.test");
  EXPECT_EQ(load.record_file, "f");
  EXPECT_EQ(load.tries, 2);
  EXPECT_EQ(load.patience, absl::Milliseconds(500));
  EXPECT_EQ(load.answer_timeout, absl::Seconds(9));
  EXPECT_TRUE(load.quiet);
  EXPECT_TRUE(load.json);
}

TEST(Options, SinkAndAccount) {
  const Said said = Parse({"sink", "--listen", "127.0.0.1:0", "--reject-percent", "10",
                           "--defer-percent", "2.5", "--defer-for", "3s", "--delay", "20",
                           "--silent-percent", "1", "--stall", "dot", "--expect", "9"});
  ASSERT_TRUE(said.parsed.command.has_value()) << said.err;
  const auto& sink = std::get<SinkOptions>(*said.parsed.command);
  EXPECT_EQ(sink.listen, (HostPort{"127.0.0.1", 0}));
  EXPECT_EQ(sink.reject_percent, 10);
  EXPECT_EQ(sink.defer_percent, 2.5);
  EXPECT_EQ(sink.defer_for, absl::Seconds(3));
  EXPECT_EQ(sink.delay, absl::Milliseconds(20));
  EXPECT_EQ(sink.stall, Stall::kDot);
  EXPECT_EQ(sink.expected, 9u);

  const Said joined = Parse({"account", "--load", "a", "b", "--sink", "c", "--output", "json"});
  ASSERT_TRUE(joined.parsed.command.has_value()) << joined.err;
  const auto& account = std::get<AccountOptions>(*joined.parsed.command);
  EXPECT_THAT(account.load_files, ElementsAre("a", "b"));
  EXPECT_THAT(account.sink_files, ElementsAre("c"));
  EXPECT_TRUE(account.json);
}

TEST(Options, WrongUsageSaysWhat) {
  struct Wrong {
    std::vector<std::string> arguments;
    std::string text;
  };
  const std::vector<std::string> to = {"load", "--to", "127.0.0.1:1"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), to.begin(), to.end());
    return more;
  };
  for (const Wrong& wrong : std::vector<Wrong>{
           {{}, "subcommand is required"},
           {{"load", "--messages", "1"}, "--to is required"},
           {{"load", "--to", "here", "--messages", "1"}, "`here` is not HOST:PORT"},
           {{"load", "--to", "here:0", "--messages", "1"}, "`here:0` is not HOST:PORT"},
           {with({}), "load needs --messages or --duration"},
           {with({"--messages", "0"}), "--messages"},
           {with({"--duration", "soon"}), "`soon` is not a time"},
           {with({"--messages", "1", "--size", "9-1"}), "`9-1` is not BYTES or MIN-MAX"},
           {with({"--messages", "1", "--from", "nobody"}), "`nobody` is not an address"},
           {with({"--messages", "1", "--domain", "a b"}), "`a b` is not a domain"},
           {with({"--messages", "1", "--plain", "--pipelined"}), "excludes"},
           {with({"--messages", "1", "--tires", "2"}), "--tires"},
           {{"sink", "--reject-percent", "101"}, "--reject-percent"},
           {{"sink", "--reject-percent", "60", "--defer-percent", "60"}, "more than 100 together"},
           {{"sink", "--stall", "often"}, "--stall"},
           {{"sink", "--listen", "::1:25"}, "`::1:25` is not ADDRESS:PORT"},
           {{"account", "--load", "a"}, "--sink is required"},
       }) {
    const Said said = Parse(wrong.arguments);
    EXPECT_FALSE(said.parsed.command.has_value()) << wrong.text;
    EXPECT_EQ(said.parsed.exit_code, kUsage) << wrong.text;
    EXPECT_THAT(said.err, HasSubstr(wrong.text));
  }
}

TEST(Options, HelpIsNoError) {
  const Said said = Parse({"load", "--help"});
  EXPECT_FALSE(said.parsed.command.has_value());
  EXPECT_EQ(said.parsed.exit_code, kDone);
  EXPECT_THAT(said.out, HasSubstr("--messages-per-connection"));
}

TEST(Options, Sizes) {
  EXPECT_EQ(ParseSizeRange("1"), (SizeRange{1, 1}));
  EXPECT_EQ(ParseSizeRange("1k-1m"), (SizeRange{1024, 1048576}));
  EXPECT_EQ(ParseSizeRange("1024m"), (SizeRange{1u << 30, 1u << 30}));
  for (const char* text : {"", "0", "k", "1g", "2-1", "1-", "-1", "1025m", "1.5k", "1 k"}) {
    EXPECT_FALSE(ParseSizeRange(text).has_value()) << text;
  }
}

TEST(Options, Spans) {
  EXPECT_EQ(ParseSpan("30"), absl::Seconds(30));
  EXPECT_EQ(ParseSpan("1m30s"), absl::Seconds(90));
  for (const char* text : {"", "0", "-1s", "x", "9000h"}) {
    EXPECT_FALSE(ParseSpan(text).has_value()) << text;
  }
}

TEST(Options, HostsAndPorts) {
  EXPECT_EQ(ParseHostPort("[2001:db8::1]:25"), (HostPort{"2001:db8::1", 25}));
  for (const char* text : {"", ":25", "host", "host:", "host:65536", "host:x", "::1:25", "[]:25"}) {
    EXPECT_FALSE(ParseHostPort(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace holdfast::bench
